/* payload_json: one small reader a type; a wrong type is remembered, a wrong value makes the task
 * invalid with a sentence. Everything made here is owned by the TaskSpec. */
#include "payload_json.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "mem.h"

struct reader {
        bool mistyped;
        char *wrong;  /* first thing that makes the task invalid; owned */
};

const json_t *payload_json_get(const json_t *object, const char *name)
{
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)object, key, value)
                if (strcasecmp(key, name) == 0)
                        return json_is_null(value) ? NULL : value;
        return NULL;
}

const char *payload_json_text(const json_t *object, const char *name, bool *ret_mistyped)
{
        const json_t *v = payload_json_get(object, name);
        if (v != NULL && !json_is_string(v))
                *ret_mistyped = true;
        return json_is_string(v) ? json_string_value(v) : "";
}

static char *text(struct reader *r, const json_t *o, const char *name)
{
        return mem_strdup(payload_json_text(o, name, &r->mistyped));
}

json_int_t payload_json_integer(const json_t *object, const char *name, bool *ret_mistyped)
{
        const json_t *v = payload_json_get(object, name);
        if (v != NULL && !json_is_integer(v))
                *ret_mistyped = true;
        return json_integer_value(v);
}

const json_t *payload_json_list(const json_t *object, const char *name, bool *ret_mistyped)
{
        const json_t *v = payload_json_get(object, name);
        if (v != NULL && !json_is_array(v))
                *ret_mistyped = true;
        return json_is_array(v) ? v : NULL;
}

char *payload_json_invalid(const char *why)
{
        return mem_printf("UnrecogniedTaskError: Error loading task - %s", why);
}

static json_int_t integer(struct reader *r, const json_t *o, const char *name)
{
        return payload_json_integer(o, name, &r->mistyped);
}

static double number(struct reader *r, const json_t *o, const char *name)
{
        const json_t *v = payload_json_get(o, name);
        if (v != NULL && !json_is_number(v))
                r->mistyped = true;
        return json_number_value(v);
}

static bool boolean(struct reader *r, const json_t *o, const char *name)
{
        const json_t *v = payload_json_get(o, name);
        if (v != NULL && !json_is_boolean(v))
                r->mistyped = true;
        return json_is_true(v);
}

static const json_t *list(struct reader *r, const json_t *o, const char *name)
{
        return payload_json_list(o, name, &r->mistyped);
}

static void invalid(struct reader *r, char *sentence)
{
        if (r->wrong == NULL)
                r->wrong = sentence;
        else
                free(sentence);
}

/* uint32 or an invalid task. */
static uint32_t natural(struct reader *r, const json_t *o, const char *name)
{
        json_int_t n = integer(r, o, name);
        if (n < 0 || n > UINT32_MAX) {
                invalid(r, mem_printf("%s is out of range: %lld", name, (long long)n));
                return 0;
        }
        return (uint32_t)n;
}

static char **texts(struct reader *r, const json_t *o, const char *name, size_t *ret_count)
{
        const json_t *l = list(r, o, name);
        char **out = mem_zalloc((json_array_size(l) + 1) * sizeof *out);
        size_t i;
        json_t *e;
        json_array_foreach(l, i, e) {
                if (!json_is_string(e))
                        r->mistyped = true;
                out[i] = mem_strdup(json_is_string(e) ? json_string_value(e) : "");
        }
        *ret_count = json_array_size(l);
        return out;
}

static Ecs__KeyValue **pairs(struct reader *r, const json_t *o, const char *name,
                             size_t *ret_count)
{
        const json_t *m = payload_json_get(o, name);
        const char *key;
        json_t *value;
        size_t n = 0;
        if (m != NULL && !json_is_object(m))
                r->mistyped = true;
        Ecs__KeyValue **out = mem_zalloc((json_object_size(m) + 1) * sizeof *out);
        json_object_foreach((json_t *)m, key, value) {
                if (!json_is_string(value))
                        r->mistyped = true;
                out[n] = mem_alloc(sizeof **out);
                ecs__key_value__init(out[n]);
                out[n]->key = mem_strdup(key);
                out[n++]->value = mem_strdup(json_is_string(value) ? json_string_value(value) : "");
        }
        *ret_count = n;
        return out;
}

/* A list of objects: makes NAME messages with convert. */
#define DEFINE_LIST(fn, Type, init, convert)                                                       \
        static Type **fn(struct reader *r, const json_t *o, const char *name, size_t *ret_count)   \
        {                                                                                          \
                const json_t *l = list(r, o, name);                                                \
                Type **out = mem_zalloc((json_array_size(l) + 1) * sizeof *out);                   \
                size_t i;                                                                          \
                json_t *e;                                                                         \
                json_array_foreach(l, i, e) {                                                      \
                        out[i] = mem_alloc(sizeof **out);                                          \
                        init(out[i]);                                                              \
                        if (!json_is_object(e))                                                    \
                                r->mistyped = true;                                                \
                        convert(r, e, out[i]);                                                     \
                }                                                                                  \
                *ret_count = json_array_size(l);                                                   \
                return out;                                                                        \
        }

static void port_mapping(struct reader *r, const json_t *o, Ecs__PortMapping *m)
{
        m->container_port = natural(r, o, "containerPort");
        m->host_port = natural(r, o, "hostPort");
        m->container_port_range = text(r, o, "containerPortRange");
        m->protocol = text(r, o, "protocol");
        if (*m->protocol == '\0') {
                free(m->protocol);
                m->protocol = mem_strdup("tcp");
        }
        if (strcmp(m->protocol, "tcp") != 0 && strcmp(m->protocol, "udp") != 0)
                invalid(r, mem_printf("Unrecognized transport protocol: %s", m->protocol));
        if (m->container_port > 65535 || m->host_port > 65535)
                invalid(r, mem_strdup("a port is above 65535"));
}

static void mount_point(struct reader *r, const json_t *o, Ecs__MountPoint *m)
{
        m->source_volume = text(r, o, "sourceVolume");
        m->container_path = text(r, o, "containerPath");
        m->read_only = boolean(r, o, "readOnly");
}

static void volume_from(struct reader *r, const json_t *o, Ecs__VolumeFrom *m)
{
        m->source_container = text(r, o, "sourceContainer");
        m->read_only = boolean(r, o, "readOnly");
}

static void depends_on(struct reader *r, const json_t *o, Ecs__DependsOn *m)
{
        m->container_name = text(r, o, "containerName");
        m->condition = text(r, o, "condition");
}

static void association(struct reader *r, const json_t *o, Ecs__Association *m)
{
        const json_t *content = payload_json_get(o, "content");
        m->name = text(r, o, "name");
        m->type = text(r, o, "type");
        m->content_encoding = text(r, content, "encoding");
        m->content_value = text(r, content, "value");
        m->containers = texts(r, o, "containers", &m->n_containers);
}

static void volume(struct reader *r, const json_t *o, Ecs__VolumeSpec *m)
{
        const json_t *docker = payload_json_get(o, "dockerVolumeConfiguration");
        m->name = text(r, o, "name");
        m->type = text(r, o, "type");
        m->source_path = text(r, payload_json_get(o, "host"), "sourcePath");
        m->scope = text(r, docker, "scope");
        m->autoprovision = boolean(r, docker, "autoprovision");
        m->driver = text(r, docker, "driver");
        m->driver_opts = pairs(r, docker, "driverOpts", &m->n_driver_opts);
        m->labels = pairs(r, docker, "labels", &m->n_labels);
        if (*m->name == '\0')
                invalid(r, mem_strdup("a volume has no name"));
        if (strcmp(m->type, "docker") == 0 && docker == NULL)
                invalid(r, mem_printf("volume %s has no dockerVolumeConfiguration", m->name));
        if (*m->type != '\0' && strcmp(m->type, "host") != 0 && strcmp(m->type, "docker") != 0)
                invalid(r, mem_printf("volumes of type %s are not supported by this agent yet",
                                      m->type));
}

DEFINE_LIST(port_mappings, Ecs__PortMapping, ecs__port_mapping__init, port_mapping)
DEFINE_LIST(mount_points, Ecs__MountPoint, ecs__mount_point__init, mount_point)
DEFINE_LIST(volumes_from, Ecs__VolumeFrom, ecs__volume_from__init, volume_from)
DEFINE_LIST(dependencies, Ecs__DependsOn, ecs__depends_on__init, depends_on)
DEFINE_LIST(associations, Ecs__Association, ecs__association__init, association)
DEFINE_LIST(volumes, Ecs__VolumeSpec, ecs__volume_spec__init, volume)

/* overrides: an object, or a string holding one; only `command` is allowed. */
static void overrides(struct reader *r, const json_t *o, Ecs__ContainerSpec *c)
{
        const json_t *v = payload_json_get(o, "overrides");
        cleanup_json json_t *parsed =
                json_is_string(v) ? json_loads(json_string_value(v), 0, NULL) : NULL;
        const json_t *object = json_is_string(v) ? parsed : v;
        const char *key;
        json_t *value;
        if (v == NULL || (json_is_string(v) && *json_string_value(v) == '\0'))
                return;
        if (!json_is_object(object)) {
                invalid(r, mem_strdup("container overrides are no JSON object"));
                return;
        }
        json_object_foreach((json_t *)object, key, value)
                if (strcasecmp(key, "command") != 0)
                        invalid(r, mem_printf("container override of '%s' is not supported", key));
        if (payload_json_get(object, "command") == NULL)
                return;
        for (size_t i = 0; i < c->n_command; i++)
                free(c->command[i]);
        free(c->command);
        c->command = texts(r, object, "command", &c->n_command);
        c->has_command = true;
}

/* Features whose capability is not advertised yet: to run the container without them would be to
 * run something else. */
static const char *const unsupported_members[] = {
        "secrets", "environmentFiles", "registryAuthentication", "firelensConfiguration",
        "credentialSpecs",
};

static void refuse_unsupported(struct reader *r, const json_t *o)
{
        for (size_t i = 0; i < ARRAY_SIZE(unsupported_members); i++) {
                const json_t *v = payload_json_get(o, unsupported_members[i]);
                if (json_array_size(v) > 0 || json_object_size(v) > 0)
                        invalid(r, mem_printf("%s of a container are not supported by this agent "
                                              "yet", unsupported_members[i]));
        }
}

static Ecs__RestartPolicy *restart_policy(struct reader *r, const json_t *o)
{
        const json_t *codes = payload_json_get(o, "ignoredExitCodes");
        json_t *code;
        size_t i;
        if (!json_is_object(o))
                return NULL;
        Ecs__RestartPolicy *p = mem_alloc(sizeof *p);
        ecs__restart_policy__init(p);
        p->enabled = boolean(r, o, "enabled");
        p->restart_attempt_period_s = natural(r, o, "restartAttemptPeriod");
        p->ignored_exit_codes =
                mem_zalloc((json_array_size(codes) + 1) * sizeof *p->ignored_exit_codes);
        json_array_foreach((json_t *)codes, i, code) {
                if (!json_is_integer(code))
                        invalid(r, mem_strdup("ignoredExitCodes holds what is no number"));
                p->ignored_exit_codes[p->n_ignored_exit_codes++] =
                        (int32_t)json_integer_value(code);
        }
        return p;
}

static void container(struct reader *r, const json_t *o, Ecs__ContainerSpec *c)
{
        const json_t *docker = payload_json_get(o, "dockerConfig");
        c->name = text(r, o, "name");
        c->image = text(r, o, "image");
        c->has_command = payload_json_get(o, "command") != NULL;
        c->command = texts(r, o, "command", &c->n_command);
        c->has_entry_point = payload_json_get(o, "entryPoint") != NULL;
        c->entry_point = texts(r, o, "entryPoint", &c->n_entry_point);
        c->cpu = natural(r, o, "cpu");
        c->memory_mib = natural(r, o, "memory");
        c->essential = boolean(r, o, "essential");
        c->environment = pairs(r, o, "environment", &c->n_environment);
        c->port_mappings = port_mappings(r, o, "portMappings", &c->n_port_mappings);
        c->mount_points = mount_points(r, o, "mountPoints", &c->n_mount_points);
        c->links = texts(r, o, "links", &c->n_links);
        c->volumes_from = volumes_from(r, o, "volumesFrom", &c->n_volumes_from);
        c->docker_config_version = text(r, docker, "version");
        c->docker_config = text(r, docker, "config");
        c->docker_host_config = text(r, docker, "hostConfig");
        c->health_check_type = text(r, o, "healthCheckType");
        c->logs_auth_strategy = text(r, o, "logsAuthStrategy");
        c->depends_on = dependencies(r, o, "dependsOn", &c->n_depends_on);
        c->start_timeout_s = natural(r, o, "startTimeout");
        c->stop_timeout_s = natural(r, o, "stopTimeout");
        c->container_arn = text(r, o, "containerArn");
        c->restart_policy = restart_policy(r, payload_json_get(o, "restartPolicy"));
        overrides(r, o, c);
        refuse_unsupported(r, o);
        if (*c->name == '\0' || *c->image == '\0')
                invalid(r, mem_strdup("a container has no name or no image"));
}

DEFINE_LIST(containers, Ecs__ContainerSpec, ecs__container_spec__init, container)

static Ecs__DesiredStatus desired(struct reader *r, const json_t *o)
{
        cleanup_free char *word = text(r, o, "desiredStatus");
        if (strcasecmp(word, "STOPPED") == 0)
                return ECS__DESIRED_STATUS__DESIRED_STOPPED;
        if (strcasecmp(word, "RUNNING") != 0)
                invalid(r, mem_printf("unknown desiredStatus '%s'", word));
        return ECS__DESIRED_STATUS__DESIRED_RUNNING;
}

Ecs__TaskSpec *payload_json_task(const json_t *task, bool *ret_mistyped)
{
        struct reader reader = {0}, *r = &reader;
        if (!json_is_object(task))
                return NULL;
        Ecs__TaskSpec *t = mem_alloc(sizeof *t);
        ecs__task_spec__init(t);
        t->arn = text(r, task, "arn");
        t->family = text(r, task, "family");
        t->version = text(r, task, "version");
        t->desired_status = desired(r, task);
        t->containers = containers(r, task, "containers", &t->n_containers);
        t->volumes = volumes(r, task, "volumes", &t->n_volumes);
        t->cpu = number(r, task, "cpu");
        t->memory_mib = integer(r, task, "memory");
        t->network_mode = text(r, task, "networkMode");
        t->pid_mode = text(r, task, "pidMode");
        t->ipc_mode = text(r, task, "ipcMode");
        t->launch_type = text(r, task, "launchType");
        t->service_name = text(r, task, "serviceName");
        t->group = text(r, task, "group");
        t->enable_fault_injection = boolean(r, task, "enableFaultInjection");
        t->associations = associations(r, task, "associations", &t->n_associations);
        if (t->memory_mib < 0 || t->cpu < 0)
                invalid(r, mem_strdup("cpu or memory is negative"));
        if (strcmp(t->network_mode, "awsvpc") == 0)
                invalid(r, mem_strdup("network mode awsvpc is not supported by this agent yet"));
        if (json_object_size(payload_json_get(task, "proxyConfiguration")) > 0)
                invalid(r, mem_strdup("proxies are not supported by this agent yet"));
        /* a stop needs no more than the ARN */
        if (r->wrong != NULL && (t->desired_status != ECS__DESIRED_STATUS__DESIRED_STOPPED))
                t->invalid_reason = payload_json_invalid(r->wrong);
        free(r->wrong);
        *ret_mistyped = *ret_mistyped || r->mistyped;
        return t;
}
