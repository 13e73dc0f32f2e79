/* inspect_json: tolerant of what is missing: older and newer daemons differ. */
#include "inspect_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "image_ref.h"
#include "images.h"
#include "mem.h"
#include "port_mapping.h"

#define ZERO_TIME "0001-01-01T00:00:00Z"

static const char *text(const json_t *o, const char *key)
{
        const char *t = json_string_value(json_object_get(o, key));
        return t != NULL ? t : "";
}

static const char *time_text(const json_t *o, const char *key)
{
        const char *t = text(o, key);
        return strcmp(t, ZERO_TIME) == 0 ? "" : t;
}

enum container_event inspect_json_state(const json_t *inspect)
{
        const json_t *s = json_object_get(inspect, "State");
        if (json_is_true(json_object_get(s, "Running")) &&
            !json_is_true(json_object_get(s, "Dead")))
                return EV_RUNNING;
        if (*time_text(s, "StartedAt") == '\0' && *text(s, "Error") == '\0' &&
            !json_is_true(json_object_get(s, "Dead")))
                return EV_CREATED;
        return EV_EXITED;
}

char *inspect_json_reason(const json_t *inspect)
{
        const json_t *s = json_object_get(inspect, "State");
        if (json_is_true(json_object_get(s, "OOMKilled")))
                return mem_strdup("OutOfMemoryError: Container killed due to memory usage");
        if (*text(s, "Error") != '\0')
                return mem_printf("DockerStateError: %s", text(s, "Error"));
        return NULL;
}

bool inspect_json_run_ended(const json_t *inspect, int *ret_exit_code, const char **ret_finished_at)
{
        const json_t *s = json_object_get(inspect, "State");
        if (inspect_json_state(inspect) != EV_EXITED || *time_text(s, "StartedAt") == '\0' ||
            *time_text(s, "FinishedAt") == '\0')
                return false;
        *ret_exit_code = (int)json_integer_value(json_object_get(s, "ExitCode"));
        *ret_finished_at = time_text(s, "FinishedAt");
        return true;
}

static void set(struct container *c, char **field, const char *value)
{
        if (strcmp(*field, value) == 0)
                return;
        text_set(field, value);
        c->task->dirty = true;
}

/* ---- ports ---- */

static bool same_ports(const Ecs__ContainerFacts *a, const Ecs__ContainerFacts *b)
{
        bool same = a->n_ports == b->n_ports;
        for (size_t i = 0; same && i < a->n_ports; i++)
                same = a->ports[i]->container_port == b->ports[i]->container_port &&
                       a->ports[i]->host_port == b->ports[i]->host_port &&
                       strcmp(a->ports[i]->protocol, b->ports[i]->protocol) == 0 &&
                       strcmp(a->ports[i]->host_ip, b->ports[i]->host_ip) == 0;
        return same;
}

static void take_ports(struct container *c, const json_t *network)
{
        const char *key;
        json_t *list, *binding;
        size_t i;
        Ecs__ContainerFacts fresh = ECS__CONTAINER_FACTS__INIT;
        json_object_foreach(json_object_get(network, "Ports"), key, list) {
                unsigned port;
                char protocol[8];
                if (sscanf(key, "%u/%7s", &port, protocol) != 2 || port_mapping_find(c, port, protocol) == NULL)
                        continue;
                json_array_foreach(list, i, binding)
                        port_mapping_add(&fresh, port, protocol,
                                 (unsigned)strtoul(text(binding, "HostPort"), NULL, 10),
                                 text(binding, "HostIp"));
        }
        if (fresh.n_ports == 0 || same_ports(&fresh, c->facts)) {
                port_mapping_clear(&fresh); /* the first non-empty answer is kept */
                return;
        }
        port_mapping_clear(c->facts);
        c->facts->ports = fresh.ports;
        c->facts->n_ports = fresh.n_ports;
        c->task->dirty = true;
}

/* ---- networks, mounts, labels, log ---- */

static Ecs__NetworkFacts *network_facts(const char *mode, const char *ipv4, const char *ipv6)
{
        Ecs__NetworkFacts *n = mem_alloc(sizeof *n);
        ecs__network_facts__init(n);
        n->mode = mem_strdup(mode);
        n->ipv4 = mem_zalloc(sizeof *n->ipv4);
        n->ipv4[n->n_ipv4++] = mem_strdup(ipv4);
        if (*ipv6 != '\0') {
                n->ipv6 = mem_zalloc(sizeof *n->ipv6);
                n->ipv6[n->n_ipv6++] = mem_strdup(ipv6);
        }
        return n;
}

static void free_networks(Ecs__ContainerFacts *f)
{
        for (size_t i = 0; i < f->n_networks; i++)
                ecs__network_facts__free_unpacked(f->networks[i], NULL);
        free(f->networks);
        f->networks = NULL;
        f->n_networks = 0;
}

static bool same_texts(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
        bool same = a_count == b_count;
        for (size_t i = 0; same && i < a_count; i++)
                same = strcmp(a[i], b[i]) == 0;
        return same;
}

static bool same_networks(const Ecs__ContainerFacts *a, const Ecs__ContainerFacts *b)
{
        bool same = a->n_networks == b->n_networks;
        for (size_t i = 0; same && i < a->n_networks; i++) {
                const Ecs__NetworkFacts *x = a->networks[i], *y = b->networks[i];
                same = strcmp(x->mode, y->mode) == 0 &&
                       same_texts(x->ipv4, x->n_ipv4, y->ipv4, y->n_ipv4) &&
                       same_texts(x->ipv6, x->n_ipv6, y->ipv6, y->n_ipv6);
        }
        return same;
}

static void take_networks(struct container *c, const json_t *inspect)
{
        const json_t *settings = json_object_get(inspect, "NetworkSettings");
        const json_t *map = json_object_get(settings, "Networks");
        Ecs__ContainerFacts fresh = ECS__CONTAINER_FACTS__INIT;
        const char *name;
        json_t *n;
        fresh.networks = mem_zalloc((json_object_size(map) + 1) * sizeof *fresh.networks);
        json_object_foreach((json_t *)map, name, n)
                fresh.networks[fresh.n_networks++] = network_facts(
                        name, text(n, "IPAddress"), text(n, "GlobalIPv6Address"));
        if (fresh.n_networks == 0)
                fresh.networks[fresh.n_networks++] =
                        network_facts(text(json_object_get(inspect, "HostConfig"), "NetworkMode"),
                                      text(settings, "IPAddress"), "");
        if (same_networks(&fresh, c->facts)) {
                free_networks(&fresh);
                return;
        }
        free_networks(c->facts);
        c->facts->networks = fresh.networks;
        c->facts->n_networks = fresh.n_networks;
        c->task->dirty = true;
}

static Ecs__KeyValue **pairs(const json_t *object, size_t *ret_count)
{
        const char *key;
        json_t *value;
        size_t n = 0;
        Ecs__KeyValue **list = mem_zalloc((json_object_size(object) + 1) * sizeof *list);
        json_object_foreach((json_t *)object, key, value) {
                if (!json_is_string(value))
                        continue;
                list[n] = mem_alloc(sizeof **list);
                ecs__key_value__init(list[n]);
                list[n]->key = mem_strdup(key);
                list[n++]->value = mem_strdup(json_string_value(value));
        }
        *ret_count = n;
        return list;
}

static void take_volumes(struct container *c, const json_t *mounts)
{
        Ecs__ContainerFacts *f = c->facts;
        size_t i;
        json_t *m;
        if (f->n_volumes > 0 || json_array_size(mounts) == 0)
                return;
        f->volumes = mem_zalloc((json_array_size(mounts) + 1) * sizeof *f->volumes);
        json_array_foreach(mounts, i, m) {
                Ecs__VolumeFacts *v = mem_alloc(sizeof *v);
                ecs__volume_facts__init(v);
                v->docker_name = mem_strdup(text(m, "Name"));
                v->source = mem_strdup(text(m, "Source"));
                v->destination = mem_strdup(text(m, "Destination"));
                f->volumes[f->n_volumes++] = v;
        }
}

/* LogDriver and LogOptions are those of the task definition, not what the agent adds. */
static void take_log(struct container *c)
{
        Ecs__ContainerFacts *f = c->facts;
        cleanup_json json_t *raw = json_loads(c->spec->docker_host_config, 0, NULL);
        const json_t *log = json_object_get(raw, "LogConfig");
        if (log == NULL || *f->log_driver != '\0' || f->n_log_options > 0)
                return;
        set(c, &f->log_driver, text(log, "Type"));
        f->log_options = pairs(json_object_get(log, "Config"), &f->n_log_options);
}

static void take_health(struct container *c, const json_t *state)
{
        const json_t *h = json_object_get(state, "Health");
        Ecs__ContainerFacts *f = c->facts;
        if (*c->spec->health_check_type == '\0' || h == NULL)
                return;
        if (f->health == NULL) {
                f->health = mem_alloc(sizeof *f->health);
                ecs__health_facts__init(f->health);
                c->task->dirty = true;
        }
        const char *status = strcmp(text(h, "Status"), "healthy") == 0     ? "HEALTHY"
                             : strcmp(text(h, "Status"), "unhealthy") == 0 ? "UNHEALTHY"
                                                                           : "";
        if (*status == '\0' || strcmp(f->health->status, status) == 0)
                return;
        const json_t *log = json_object_get(h, "Log");
        const json_t *last = json_array_size(log) > 0
                                     ? json_array_get(log, json_array_size(log) - 1)
                                     : NULL;
        cleanup_free char *output = mem_strndup(text(last, "Output"), 1024);
        set(c, &f->health->status, status);
        set(c, &f->health->since, text(last, "End"));
        set(c, &f->health->output, output);
}

void inspect_json_apply_started(struct container *c, const json_t *inspect)
{
        if (*c->facts->started_at == '\0')
                set(c, &c->facts->started_at,
                    time_text(json_object_get(inspect, "State"), "StartedAt"));
}

void inspect_json_apply(struct container *c, const json_t *inspect)
{
        const json_t *state = json_object_get(inspect, "State");
        Ecs__ContainerFacts *f = c->facts;
        set(c, &f->docker_id, text(inspect, "Id"));
        set(c, &f->image_id, text(inspect, "Image"));
        set(c, &f->created_at, time_text(inspect, "Created"));
        inspect_json_apply_started(c, inspect);
        if (!json_is_true(json_object_get(state, "Running"))) /* else that of an earlier run */
                set(c, &f->finished_at, time_text(state, "FinishedAt"));
        if (!json_is_true(json_object_get(state, "Running")) &&
            *time_text(state, "FinishedAt") != '\0')
                container_set_exit_code(
                        c, (int)json_integer_value(json_object_get(state, "ExitCode")));
        const json_t *labels = json_object_get(json_object_get(inspect, "Config"), "Labels");
        if (f->n_labels == 0 && json_object_size(labels) > 0)
                f->labels = pairs(labels, &f->n_labels);
        take_ports(c, json_object_get(inspect, "NetworkSettings"));
        take_networks(c, inspect);
        take_volumes(c, json_object_get(inspect, "Mounts"));
        take_log(c);
        take_health(c, state);
}

/* ---- images ---- */

void inspect_json_apply_image(struct container *c, const json_t *image)
{
        struct image_ref r;
        image_ref_init(&r, c->spec->image);
        const char *digest = image_ref_find_digest(&r, json_object_get(image, "RepoDigests"));
        image_ref_deinit(&r);
        set(c, &c->facts->image_id, text(image, "Id"));
        if (*c->facts->image_digest == '\0' && digest != NULL)
                set(c, &c->facts->image_digest, digest);
        c->image_has_region = images_has_region(image);
}
