/* identity: who this container instance is. Kept in identity.json (temp + rename), so that a lost
 * database does not lose it, and read by the metadata worker. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend.h"
#include "cleanup.h"
#include "error.h"
#include "mem.h"

#define CLUSTER_CHANGED                                                                            \
        "this instance is registered in cluster '%s' but ECS_CLUSTER says '%s'; set it back, or "  \
        "remove %s to register anew"

static char *path_of(const struct backend *b)
{
        return mem_printf("%s/backend/identity.json", worker_data_dir(b->worker));
}

static const struct {
        const char *key;
        size_t offset;
} fields[] = {
        {"cluster", offsetof(struct identity, cluster)},
        {"containerInstanceArn", offsetof(struct identity, instance_arn)},
        {"availabilityZone", offsetof(struct identity, availability_zone)},
        {"registrationToken", offsetof(struct identity, registration_token)},
        {"ec2InstanceId", offsetof(struct identity, ec2_instance_id)},
};

static char **field(struct identity *i, size_t n)
{
        return (char **)(void *)((char *)i + fields[n].offset);
}

int identity_load(struct backend *b, struct error *err)
{
        cleanup_free char *path = path_of(b);
        cleanup_json json_t *j = json_load_file(path, 0, NULL);
        const char *configured = config_text(b->config, "ECS_CLUSTER", "default");
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                backend_text(field(&b->identity, i),
                             json_string_value(json_object_get(j, fields[i].key)));
        if (*b->identity.instance_arn != '\0' && strcmp(b->identity.cluster, configured) != 0)
                return error_set(err, -ENOTRECOVERABLE, CLUSTER_CHANGED, b->identity.cluster,
                                 configured, path);
        backend_text(&b->identity.cluster, configured);
        return 0;
}

int identity_store(struct backend *b, struct error *err)
{
        cleanup_free char *path = path_of(b);
        cleanup_free char *temporary = mem_printf("%s.new", path);
        cleanup_json json_t *j = json_object();
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                (void)json_object_set_new(j, fields[i].key,
                                          json_string(*field(&b->identity, i)));
        (void)json_object_set_new(j, "region", json_string(b->region));
        cleanup_free char *text = json_dumps(j, JSON_INDENT(1));
        cleanup_fd int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
            fchmod(fd, 0640) != 0 || fsync(fd) != 0 || rename(temporary, path) != 0)
                return error_set(err, -errno, "cannot write %s: %s", path, strerror(errno));
        return 0;
}
