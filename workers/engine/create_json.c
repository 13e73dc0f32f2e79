/* create_json: built from the definition, then the raw strings of the task definition are laid
 * over, then what must win is set. One function a field. */
#include "create_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "adopt_json.h"
#include "cleanup.h"
#include "error.h"
#include "mem.h"
#include "resource.h"

#define MIB ((json_int_t)1048576)
#define MEMORY_MIN (4 * MIB)
#define SHARES_MIN 2
#define SHARES_MAX 262144
#define ENDPOINT "http://169.254.170.2"

static json_t *strings(char *const *list, size_t count)
{
        json_t *a = json_array();
        for (size_t i = 0; i < count; i++)
                (void)json_array_append_new(a, json_string(list[i]));
        return a;
}

/* ---- Env ---- */

static void set_env(json_t *env, const char *name, const char *value)
{
        (void)json_object_set_new(env, name, json_string(value));
}

static json_t *environment(const struct container *c, const struct create_context *x)
{
        cleanup_json json_t *env = json_object();
        const Ecs__ContainerSpec *s = c->spec;
        for (size_t i = 0; i < s->n_environment; i++)
                set_env(env, s->environment[i]->key, s->environment[i]->value);
        if (json_object_get(env, "AWS_REGION") == NULL &&
            json_object_get(env, "AWS_DEFAULT_REGION") == NULL && !c->image_has_region &&
            *x->region != '\0') {
                set_env(env, "AWS_REGION", x->region);
                set_env(env, "AWS_DEFAULT_REGION", x->region);
        }
        static const struct {
                const char *name, *path;
        } uris[] = {
                {"ECS_CONTAINER_METADATA_URI",    "v3" },
                {"ECS_CONTAINER_METADATA_URI_V4", "v4" },
                {"ECS_AGENT_URI",                 "api"}
        };
        for (size_t i = 0; i < ARRAY_SIZE(uris); i++) {
                cleanup_free char *uri =
                        mem_printf(ENDPOINT "/%s/%s", uris[i].path, c->facts->endpoint_id);
                set_env(env, uris[i].name, uri);
        }
        if (*c->task->spec->credentials_id != '\0') {
                cleanup_free char *uri =
                        mem_printf("/v2/credentials/%s", c->task->spec->credentials_id);
                set_env(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", uri);
        }
        json_t *list = json_array();
        const char *name;
        json_t *value;
        json_object_foreach (env, name, value) {
                cleanup_free char *pair = mem_printf("%s=%s", name, json_string_value(value));
                (void)json_array_append_new(list, json_string(pair));
        }
        return list;
}

/* ---- Labels ---- */

/* The key of this name in any case; name itself when there is none. */
static const char *find_key(const json_t *object, const char *name)
{
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)object, key, value)
                if (strcasecmp(key, name) == 0)
                        return key;
        return name;
}

/* The raw config may have cleared them. */
static int put_labels(json_t *config, const struct container *c, const struct create_context *x,
                      struct error *err)
{
        const char *key = find_key(config, "Labels");
        if (json_object_get(config, key) == NULL)
                (void)json_object_set_new(config, key, json_object());
        json_t *labels = json_object_get(config, key);
        if (!json_is_object(labels))
                return error_set_name(err, -EINVAL, "DockerClientConfigError",
                                      "Unable decode given docker config: Labels is no object");
        const Ecs__TaskSpec *t = c->task->spec;
        const struct {
                const char *name, *value;
        } ours[] = {
                {"task-arn",                t->arn       },
                {"container-name",          c->spec->name},
                {"task-definition-family",  t->family    },
                {"task-definition-version", t->version   },
                {"cluster",                 x->cluster   }
        };
        for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
                cleanup_free char *name = mem_printf(LABEL_ECS "%s", ours[i].name);
                (void)json_object_set_new(labels, name, json_string(ours[i].value));
        }
        (void)json_object_set_new(labels, LABEL_AGENT, json_string(x->agent_id));
        (void)json_object_set_new(labels, LABEL_ESSENTIAL,
                                  json_string(c->spec->essential ? "true" : "false"));
        return 0;
}

/* ---- ports ---- */

static void put_ports(json_t *config, json_t *host, const struct container *c)
{
        json_t *exposed = json_object(), *bindings = json_object();
        for (size_t i = 0; i < c->facts->n_ports; i++) {
                const Ecs__PublishedPort *p = c->facts->ports[i];
                cleanup_free char *key = mem_printf("%u/%s", p->container_port, p->protocol);
                cleanup_free char *port = mem_printf("%u", p->host_port);
                json_t *list = json_object_get(bindings, key);
                if (list == NULL) {
                        list = json_array();
                        (void)json_object_set_new(bindings, key, list);
                }
                (void)json_array_append_new(list, json_pack("{s:s}", "HostPort", port));
                (void)json_object_set_new(exposed, key, json_object());
        }
        (void)json_object_set_new(config, "ExposedPorts", exposed);
        (void)json_object_set_new(host, "PortBindings", bindings);
}

/* ---- mounts ---- */

static int put_binds(json_t *host, const struct container *c, struct error *err)
{
        json_t *binds = json_array();
        (void)json_object_set_new(host, "Binds", binds);
        for (size_t i = 0; i < c->spec->n_mount_points; i++) {
                const Ecs__MountPoint *m = c->spec->mount_points[i];
                cleanup_free char *source = resource_bind_source(c->task, m->source_volume);
                if (source == NULL || *m->container_path == '\0')
                        return error_set_name(err, -EINVAL, "HostConfigError",
                                              "Invalid volume referenced: %s", m->source_volume);
                cleanup_free char *bind = mem_printf("%s:%s%s", source, m->container_path,
                                                     m->read_only ? ":ro" : "");
                (void)json_array_append_new(binds, json_string(bind));
        }
        return 0;
}

static void put_links(json_t *host, const struct container *c)
{
        json_t *links = json_array(), *from = json_array();
        for (size_t i = 0; i < c->spec->n_links; i++) {
                const char *link = c->spec->links[i];
                size_t n = strcspn(link, ":");
                cleanup_free char *name = mem_strndup(link, n);
                const struct container *d = task_find_container(c->task, name);
                cleanup_free char *text =
                        mem_printf("%s:%s", d != NULL ? d->facts->docker_name : name,
                                   link[n] == ':' ? link + n + 1 : name);
                (void)json_array_append_new(links, json_string(text));
        }
        for (size_t i = 0; i < c->spec->n_volumes_from; i++) {
                const Ecs__VolumeFrom *v = c->spec->volumes_from[i];
                const struct container *d = task_find_container(c->task, v->source_container);
                cleanup_free char *text =
                        mem_printf("%s%s", d != NULL ? d->facts->docker_name : v->source_container,
                                   v->read_only ? ":ro" : "");
                (void)json_array_append_new(from, json_string(text));
        }
        (void)json_object_set_new(host, "Links", links);
        (void)json_object_set_new(host, "VolumesFrom", from);
}

/* ---- raw ---- */

void create_json_merge(json_t *base, const json_t *raw)
{
        const char *name;
        json_t *value;
        json_object_foreach ((json_t *)raw, name, value) {
                const char *key = find_key(base, name);
                json_t *old = json_object_get(base, key);
                if (json_is_null(value)) {
                        (void)json_object_del(base, key);
                } else if (json_is_object(value) && json_is_object(old)) {
                        const char *k;
                        json_t *v;
                        json_object_foreach (value, k, v)
                                (void)json_object_set(old, k, v);
                } else {
                        cleanup_free char *copy = mem_strdup(key);
                        (void)json_object_set(base, copy, value);
                }
        }
}

/* What the raw JSON must not change. */
static void put_over(json_t *object, const char *name, const char *text)
{
        cleanup_free char *key = mem_strdup(find_key(object, name));
        (void)json_object_set_new(object, key, json_string(text));
}

static int merge_raw(json_t *base, const char *raw, const char *name, const char *what,
                     struct error *err)
{
        json_error_t where;
        if (*raw == '\0')
                return 0;
        cleanup_json json_t *j = json_loads(raw, 0, &where);
        if (!json_is_object(j))
                return error_set_name(err, -EINVAL, name, "%s: %s", what, where.text);
        create_json_merge(base, j);
        return 0;
}

/* ---- all ---- */

static json_int_t memory_bytes(const struct container *c)
{
        json_int_t bytes = (json_int_t)c->spec->memory_mib * MIB;
        return bytes > 0 && bytes < MEMORY_MIN ? MEMORY_MIN : bytes;
}

static json_int_t shares(const struct container *c)
{
        if (c->spec->cpu < SHARES_MIN)
                return SHARES_MIN;
        return c->spec->cpu > SHARES_MAX ? SHARES_MAX : c->spec->cpu;
}

static int check_health(const struct container *c, const json_t *config, struct error *err)
{
        if (*c->spec->health_check_type == '\0' ||
            json_object_get(config, find_key(config, "Healthcheck")) != NULL)
                return 0;
        return error_set_name(err, -EINVAL, "DockerClientConfigError",
                              "docker health check is nil while container health check type is "
                              "DOCKER");
}

json_t *create_json(const struct container *c, const struct create_context *x, struct error *err)
{
        cleanup_json json_t *config = json_object();
        cleanup_json json_t *host = json_object();
        const Ecs__ContainerSpec *s = c->spec;
        (void)json_object_set_new(config, "Image", json_string(s->image));
        if (s->has_command || s->n_command > 0)
                (void)json_object_set_new(config, "Cmd", strings(s->command, s->n_command));
        if (s->has_entry_point || s->n_entry_point > 0)
                (void)json_object_set_new(config, "Entrypoint",
                                          strings(s->entry_point, s->n_entry_point));
        (void)json_object_set_new(config, "Env", environment(c, x));
        (void)json_object_set_new(config, "Labels", json_object());
        (void)json_object_set_new(host, "Memory", json_integer(memory_bytes(c)));
        (void)json_object_set_new(host, "CpuShares", json_integer(shares(c)));
        put_ports(config, host, c);
        put_links(host, c);
        if (put_binds(host, c, err) != 0 ||
            merge_raw(config, s->docker_config, "DockerClientConfigError",
                      "Unable decode given docker config", err) != 0 ||
            merge_raw(host, s->docker_host_config, "HostConfigError",
                      "Unable to decode given host config", err) != 0 ||
            check_health(c, config, err) != 0 || put_labels(config, c, x, err) != 0)
                return NULL;
        const char *mode = json_string_value(json_object_get(host, find_key(host, "NetworkMode")));
        if (mode != NULL && strncmp(mode, "container:", 10) == 0) {
                (void)json_object_del(config, "ExposedPorts");
                (void)json_object_del(host, "PortBindings");
        }
        if (*c->task->facts->cgroup_parent != '\0')
                put_over(host, "CgroupParent", c->task->facts->cgroup_parent);
        (void)json_object_set(config, "HostConfig", host);
        return json_incref(config);
}
