/* submit_json: members that are unknown are left out; texts are cut to what ECS takes. */
#include "submit_json.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

#define REASON_MAX 1024
#define ID_MAX     255

char *submit_json_cut(const char *text, size_t max)
{
        size_t n = strlen(text);
        if (n > max) {
                n = max;
                while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
                        n--;
        }
        return mem_strndup(text, n);
}

/* Length of the character at p, 0 if it is no UTF-8 as JSON wants it. */
static size_t character(const char *p)
{
        const unsigned char lead = (unsigned char)*p;
        size_t n = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        json_t *whole = strnlen(p, n) == n ? json_stringn(p, n) : NULL;
        json_decref(whole);
        return whole != NULL ? n : 0;
}

/* Texts of Docker may hold bytes that are no UTF-8, which JSON cannot carry. */
static void repair(char *text)
{
        for (char *p = text; *p != '\0';) {
                size_t n = character(p);
                if (n == 0)
                        *p = '?';
                p += n > 0 ? n : 1;
        }
}

static void put_text(json_t *o, const char *key, const char *text, size_t max)
{
        cleanup_free char *cut = submit_json_cut(text, max);
        json_t *value = json_string(cut);
        if (value == NULL) {
                repair(cut);
                value = json_string(cut);
        }
        (void)json_object_set_new(o, key, value);
}

static void put_known(json_t *o, const char *key, const char *text, size_t max)
{
        if (*text != '\0')
                put_text(o, key, text, max);
}

static void put_time(json_t *o, const char *key, int64_t ms)
{
        if (ms > 0)
                (void)json_object_set_new(o, key, json_real((double)ms / 1000.0));
}

static json_t *binding(const Ecs__NetworkBinding *b)
{
        if (*b->container_port_range != '\0')
                return json_pack("{s:s, s:s, s:s, s:s}", "bindIP", b->bind_ip, "containerPortRange",
                                 b->container_port_range, "hostPortRange", b->host_port_range,
                                 "protocol", b->protocol);
        return json_pack("{s:s, s:i, s:i, s:s}", "bindIP", b->bind_ip, "containerPort",
                         (int)b->container_port, "hostPort", (int)b->host_port, "protocol",
                         b->protocol);
}

static json_t *bindings(const Ecs__ContainerChange *c, const struct submit_options *o)
{
        json_t *list = json_array();
        for (size_t i = 0; i < c->n_network_bindings; i++)
                if (!o->drop_ipv6 || strcmp(c->network_bindings[i]->bind_ip, "::") != 0)
                        (void)json_array_append_new(list, binding(c->network_bindings[i]));
        return list;
}

static json_t *container(const Ecs__ContainerChange *c, const struct submit_options *o)
{
        json_t *j = json_object();
        put_text(j, "containerName", c->name, ID_MAX);
        put_known(j, "runtimeId", c->runtime_id, ID_MAX);
        put_text(j, "status", c->status, ID_MAX);
        put_known(j, "imageDigest", c->image_digest, ID_MAX);
        put_known(j, "reason", c->reason, REASON_MAX);
        if (c->exit_code != NULL)
                (void)json_object_set_new(j, "exitCode", json_integer(c->exit_code->value));
        json_t *list = bindings(c, o);
        if (json_array_size(list) > 0)
                (void)json_object_set_new(j, "networkBindings", list);
        else
                json_decref(list);
        return j;
}

/* A later change of a container takes the place of an earlier one. Takes c. */
static void put_container(json_t *list, json_t *c)
{
        const char *name = json_string_value(json_object_get(c, "containerName"));
        size_t i;
        json_t *e;
        json_array_foreach(list, i, e)
                if (strcmp(json_string_value(json_object_get(e, "containerName")), name) == 0) {
                        (void)json_array_set_new(list, i, c);
                        return;
                }
        (void)json_array_append_new(list, c);
}

json_t *submit_json(const Ecs__StateChange *const *changes, size_t count,
                    const struct submit_options *o)
{
        const Ecs__StateChange *last = changes[count - 1];
        json_t *body = json_object();
        json_t *containers = json_array();
        put_text(body, "cluster", o->cluster, ID_MAX);
        put_text(body, "task", last->task_arn, REASON_MAX);
        put_text(body, "status", last->status, ID_MAX);
        put_text(body, "reason", last->reason, REASON_MAX);
        put_time(body, "pullStartedAt", last->pull_started_at_ms);
        put_time(body, "pullStoppedAt", last->pull_stopped_at_ms);
        put_time(body, "executionStoppedAt", last->execution_stopped_at_ms);
        for (size_t i = 0; i < count; i++)
                for (size_t k = 0; k < changes[i]->n_containers; k++)
                        put_container(containers, container(changes[i]->containers[k], o));
        if (json_array_size(containers) > 0)
                (void)json_object_set_new(body, "containers", containers);
        else
                json_decref(containers);
        return body;
}
