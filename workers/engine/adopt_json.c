/* adopt_json: the reverse of create_json as far as Docker remembers. What it does not know (task
 * size, dependencies, stop timeouts) is absent. Endpoint ids come back from the environment, so
 * that the metadata a container reads goes on. DESIGN section 5. */
#include "adopt_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "inspect_json.h"
#include "mem.h"
#include "task_cgroup.h"

#define NEVER_RAN "TaskStateError: the agent's state was lost before this container was started"

static const char *text(const json_t *o, const char *key)
{
        const char *t = json_string_value(json_object_get(o, key));
        return t != NULL ? t : "";
}

const char *adopt_json_label(const json_t *inspect, const char *name)
{
        cleanup_free char *key = mem_printf(LABEL_ECS "%s", name);
        return text(json_object_get(json_object_get(inspect, "Config"), "Labels"), key);
}

bool adopt_json_is_whole(const json_t *inspect)
{
        return *task_id(adopt_json_label(inspect, "task-arn")) != '\0' &&
               *adopt_json_label(inspect, "container-name") != '\0' &&
               *text(inspect, "Id") != '\0' && json_is_object(json_object_get(inspect, "State"));
}

/* The value of a variable of the container's environment, or "". */
static const char *variable(const json_t *inspect, const char *name)
{
        size_t i, n = strlen(name);
        json_t *e;
        json_array_foreach(json_object_get(json_object_get(inspect, "Config"), "Env"), i, e)
        {
                const char *v = json_string_value(e);
                if (v != NULL && strncmp(v, name, n) == 0 && v[n] == '=')
                        return v + n + 1;
        }
        return "";
}

static const char *last_part(const char *path)
{
        const char *slash = strrchr(path, '/');
        return slash != NULL ? slash + 1 : path;
}

/* ---- the definition ---- */

static void add_port(Ecs__ContainerSpec *s, const char *key, const json_t *bindings)
{
        unsigned port;
        char protocol[8];
        const json_t *first = json_array_get(bindings, 0);
        if (sscanf(key, "%u/%7s", &port, protocol) != 2 || port > 65535)
                return;
        Ecs__PortMapping *m = mem_alloc(sizeof *m);
        ecs__port_mapping__init(m);
        m->container_port = port;
        m->host_port = (uint32_t)strtoul(text(first, "HostPort"), NULL, 10);
        m->protocol = mem_strdup(protocol);
        s->port_mappings = mem_realloc_array(s->port_mappings, s->n_port_mappings + 1, sizeof m);
        s->port_mappings[s->n_port_mappings++] = m;
}

static uint32_t natural(const json_t *o, const char *key, json_int_t unit)
{
        json_int_t n = json_integer_value(json_object_get(o, key)) / unit;
        return n > 0 && n <= UINT32_MAX ? (uint32_t)n : 0;
}

static bool has_health_check(const json_t *config)
{
        const json_t *test = json_object_get(json_object_get(config, "Healthcheck"), "Test");
        const char *first = json_string_value(json_array_get(test, 0));
        return first != NULL && strcmp(first, "NONE") != 0;
}

static Ecs__ContainerSpec *container_spec(const json_t *inspect)
{
        const json_t *config = json_object_get(inspect, "Config");
        const json_t *host = json_object_get(inspect, "HostConfig");
        const char *key;
        json_t *bindings;
        Ecs__ContainerSpec *s = mem_alloc(sizeof *s);
        ecs__container_spec__init(s);
        s->name = mem_strdup(adopt_json_label(inspect, "container-name"));
        s->image = mem_strdup(text(config, "Image"));
        s->cpu = natural(host, "CpuShares", 1);
        s->memory_mib = natural(host, "Memory", 1 << 20);
        s->essential =
                strcmp(text(json_object_get(config, "Labels"), LABEL_ESSENTIAL), "false") != 0;
        if (has_health_check(config))
                s->health_check_type = mem_strdup("docker");
        json_object_foreach(json_object_get(host, "PortBindings"), key, bindings)
                add_port(s, key, bindings);
        return s;
}

/* A volume of this task is known by the name create_json gave it: clean-up removes it. */
static void add_volume(Ecs__TaskSpec *t, const char *docker_name)
{
        cleanup_free char *head = mem_printf("ecs-%s-%s-", t->family, t->version);
        cleanup_free char *tail = mem_printf("-%s", task_id(t->arn));
        size_t n = strlen(docker_name), h = strlen(head), l = strlen(tail);
        if (n <= h + l || strncmp(docker_name, head, h) != 0 ||
            strcmp(docker_name + n - l, tail) != 0)
                return;
        cleanup_free char *name = mem_strndup(docker_name + h, n - h - l);
        for (size_t i = 0; i < t->n_volumes; i++)
                if (strcmp(t->volumes[i]->name, name) == 0)
                        return;
        Ecs__VolumeSpec *v = mem_alloc(sizeof *v);
        ecs__volume_spec__init(v);
        v->name = mem_strdup(name);
        v->type = mem_strdup("docker");
        v->scope = mem_strdup("task");
        t->volumes = mem_realloc_array(t->volumes, t->n_volumes + 1, sizeof v);
        t->volumes[t->n_volumes++] = v;
}

static Ecs__TaskSpec *task_spec(json_t *const *inspects, size_t count)
{
        Ecs__TaskSpec *t = mem_alloc(sizeof *t);
        ecs__task_spec__init(t);
        t->arn = mem_strdup(adopt_json_label(inspects[0], "task-arn"));
        t->family = mem_strdup(adopt_json_label(inspects[0], "task-definition-family"));
        t->version = mem_strdup(adopt_json_label(inspects[0], "task-definition-version"));
        t->desired_status = ECS__DESIRED_STATUS__DESIRED_RUNNING;
        t->launch_type = mem_strdup("EC2");
        t->credentials_id = mem_strdup(
                last_part(variable(inspects[0], "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")));
        const char *mode = text(json_object_get(inspects[0], "HostConfig"), "NetworkMode");
        t->network_mode = mem_strdup(strcmp(mode, "default") == 0 ? "bridge" : mode);
        t->containers = mem_zalloc(count * sizeof *t->containers);
        for (size_t i = 0; i < count; i++) {
                size_t k;
                json_t *mount;
                t->containers[t->n_containers++] = container_spec(inspects[i]);
                json_array_foreach(json_object_get(inspects[i], "Mounts"), k, mount)
                        add_volume(t, text(mount, "Name"));
        }
        return t;
}

/* ---- its state ---- */

static void take_state(struct container *c, const json_t *inspect)
{
        const char *name = text(inspect, "Name");
        const char *endpoint = last_part(variable(inspect, "ECS_CONTAINER_METADATA_URI_V4"));
        enum container_event e = inspect_json_state(inspect);
        cleanup_free char *reason = e == EV_EXITED ? inspect_json_reason(inspect) : NULL;
        text_set(&c->facts->docker_name, *name == '/' ? name + 1 : name);
        if (*endpoint != '\0')
                text_set(&c->facts->endpoint_id, endpoint);
        inspect_json_apply(c, inspect);
        if (e == EV_CREATED)
                (void)container_apply(c, EV_CREATE_FAILED, NEVER_RAN);
        else
                (void)container_apply(c, e, reason);
}

/* Clean-up removes the control group, too. */
static void take_cgroup(struct task *t, const json_t *host)
{
        cleanup_free char *own = task_cgroup_parent(t->spec->arn);
        if (strcmp(text(host, "CgroupParent"), own) == 0)
                text_set(&t->facts->cgroup_parent, own);
}

struct task *adopt_json_task(json_t *const *inspects, size_t count, int64_t now_ms,
                             const struct log *log)
{
        struct task *t = task_new(task_spec(inspects, count), now_ms, log);
        take_cgroup(t, json_object_get(inspects[0], "HostConfig"));
        for (size_t i = 0; i < count; i++)
                take_state(&t->containers[i], inspects[i]);
        task_settle(t, now_ms);
        return t;
}
