/* task_record: see task_record.h. */
#include "task_record.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "local.h"
#include "mem.h"
#include "random.h"

/* 32 hex digits, as ECS makes task ids. */
static void make_id(char id[33])
{
        static const char hex[] = "0123456789abcdef";
        unsigned char bytes[16];
        random_bytes(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes; i++) {
                id[i * 2] = hex[bytes[i] >> 4];
                id[i * 2 + 1] = hex[bytes[i] & 15];
        }
        id[32] = '\0';
}

const char *task_record_id_of(const char *arn)
{
        const char *slash = strrchr(arn, '/');
        return slash != NULL ? slash + 1 : arn;
}

json_t *task_record_find(struct local *l, const json_t *cluster, const char *name)
{
        cleanup_free char *arn = arn_in_cluster(l, "task", cluster, name);
        json_t *t = store_find(l, K_TASK, arn);
        return t != NULL && has_text(t, "clusterArn", text_of(cluster, "clusterArn")) ? t : NULL;
}

json_t *task_record_shown(const json_t *task, bool tags)
{
        json_t *out = store_shown(task);
        if (!tags)
                (void)json_object_set_new(out, "tags", json_array());
        return out;
}

/* ---- making ---- */

bool task_record_check_overrides(const json_t *definition, const json_t *overrides,
                                 struct answer *a)
{
        size_t i;
        json_t *o;
        json_array_foreach (json_object_get(overrides, "containerOverrides"), i, o) {
                if (find_named(json_object_get(definition, "containerDefinitions"),
                               text_of(o, "name")) != NULL)
                        continue;
                answer_error(a, "InvalidParameterException",
                             "Override for container named %s is not a container in the "
                             "TaskDefinition.",
                             text_of(o, "name"));
                return false;
        }
        return true;
}

/* A number as the texts of a container's record have it, overridden or not. */
static void set_amount(json_t *record, const json_t *c, const json_t *override, const char *key)
{
        json_int_t n = integer_of(override, key, integer_of(c, key, -1));
        cleanup_free char *text = mem_printf("%lld", (long long)n);
        if (n >= 0)
                (void)json_object_set_new(record, key, json_string(text));
}

static json_t *make_containers(struct local *l, const struct task_wish *w, const char *task_id,
                               const char *task_arn)
{
        const json_t *overrides = json_object_get(w->request, "overrides");
        json_t *list = json_array(), *c;
        size_t i;
        json_array_foreach (json_object_get(w->definition, "containerDefinitions"), i, c) {
                char uuid[RANDOM_UUID];
                const json_t *override = find_named(
                        json_object_get(overrides, "containerOverrides"), text_of(c, "name"));
                cleanup_free char *resource =
                        mem_printf("container/%s/%s/%s", text_of(w->cluster, "clusterName"),
                                   task_id, random_uuid(uuid));
                cleanup_free char *arn = store_arn(l, resource);
                json_t *record =
                        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:[], s:[]}", "containerArn", arn,
                                  "taskArn", task_arn, "name", text_of(c, "name"), "image",
                                  text_of(c, "image"), "lastStatus", "PENDING", "healthStatus",
                                  "UNKNOWN", "networkBindings", "networkInterfaces");
                set_amount(record, c, override, "cpu");
                set_amount(record, c, override, "memory");
                set_amount(record, c, override, "memoryReservation");
                (void)json_array_append_new(list, record);
        }
        return list;
}

/* ECS shows an override for each container, empty or not. */
static json_t *make_overrides(const struct task_wish *w)
{
        const json_t *asked = json_object_get(w->request, "overrides");
        json_t *out = asked != NULL ? json_deep_copy(asked) : json_object();
        json_t *list = json_array(), *c;
        size_t i;
        json_array_foreach (json_object_get(w->definition, "containerDefinitions"), i, c) {
                const json_t *o = find_named(json_object_get(asked, "containerOverrides"),
                                             text_of(c, "name"));
                (void)json_array_append_new(
                        list, o != NULL ? json_deep_copy(o)
                                        : json_pack("{s:s}", "name", text_of(c, "name")));
        }
        (void)json_object_set_new(out, "containerOverrides", list);
        (void)json_object_set_new(out, "inferenceAcceleratorOverrides", json_array());
        return out;
}

static json_t *make_tags(const struct task_wish *w)
{
        json_t *tags = json_array();
        const char *propagate = text_of(w->request, "propagateTags");
        if (strcmp(propagate, "TASK_DEFINITION") == 0)
                merge_tags(tags, json_object_get(w->definition, "tags"));
        if (strcmp(propagate, "SERVICE") == 0)
                merge_tags(tags, json_object_get(w->service, "tags"));
        if (w->service == NULL)
                merge_tags(tags, json_object_get(w->request, "tags"));
        if (json_is_true(json_object_get(w->request, "enableECSManagedTags"))) {
                cleanup_json json_t *managed =
                        json_pack("[{s:s, s:s}]", "key", "aws:ecs:clusterName", "value",
                                  text_of(w->cluster, "clusterName"));
                if (w->service != NULL)
                        (void)json_array_append_new(
                                managed, json_pack("{s:s, s:s}", "key", "aws:ecs:serviceName",
                                                   "value", text_of(w->service, "serviceName")));
                merge_tags(tags, managed);
        }
        return tags;
}

static void set_text(json_t *t, const char *key, const char *text)
{
        if (text != NULL && *text != '\0')
                (void)json_object_set_new(t, key, json_string(text));
}

json_t *task_record_new(struct local *l, const struct task_wish *w)
{
        char id[33];
        make_id(id);
        cleanup_free char *resource =
                mem_printf("task/%s/%s", text_of(w->cluster, "clusterName"), id);
        cleanup_free char *arn = store_arn(l, resource);
        cleanup_free char *cpu = mem_printf("%lld", (long long)integer_of(w->taken, "cpu", 0));
        cleanup_free char *memory =
                mem_printf("%lld", (long long)integer_of(w->taken, "memory", 0));
        cleanup_free char *zone = mem_printf("%sa", l->region);
        json_t *t = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:s, s:i, s:o, s:[]}",
                              "taskArn", arn, "clusterArn", text_of(w->cluster, "clusterArn"),
                              "taskDefinitionArn", text_of(w->definition, "taskDefinitionArn"),
                              "containerInstanceArn", text_of(w->instance, "containerInstanceArn"),
                              "lastStatus", "PENDING", "desiredStatus", "RUNNING", "group",
                              w->group, "createdAt", local_now(), "launchType", "EC2", "version", 1,
                              "containers", make_containers(l, w, id, arn), "attachments");
        (void)json_object_set_new(t, "attributes",
                                  json_pack("[{s:s, s:s}]", "name", "ecs.cpu-architecture", "value",
#ifdef __aarch64__
                                            "arm64"
#else
                                            "x86_64"
#endif
                                            ));
        (void)json_object_set_new(t, "tags", make_tags(w));
        (void)json_object_set_new(t, "overrides", make_overrides(w));
        (void)json_object_set_new(t, OWN_TAKEN, json_deep_copy(w->taken));
        (void)json_object_set_new(t, "enableExecuteCommand", json_false());
        (void)json_object_set_new(t, "healthStatus", json_string("UNKNOWN"));
        set_text(t, "availabilityZone", zone);
        set_text(t, "cpu", cpu);
        set_text(t, "memory", memory);
        set_text(t, "startedBy", w->started_by);
        set_text(t, OWN_SERVICE, text_of(w->service, "serviceArn"));
        set_text(t, OWN_DEPLOYMENT, w->deployment_id);
        (void)store_put(l, K_TASK, arn, t);
        local_deliver(l, t);
        return t;
}

/* ---- ending ---- */

static void next_version(struct local *l, json_t *t)
{
        (void)json_object_set_new(t, "version", json_integer(integer_of(t, "version", 0) + 1));
        (void)store_changed(l, K_TASK, text_of(t, "taskArn"));
}

void task_record_stop(struct local *l, json_t *t, const char *stop_code, const char *reason)
{
        if (has_text(t, "lastStatus", "STOPPED"))
                return;
        if (!has_text(t, "desiredStatus", "STOPPED")) {
                set_text(t, "desiredStatus", "STOPPED");
                set_text(t, "stopCode", stop_code);
                set_text(t, "stoppedReason", reason);
                (void)json_object_set_new(t, "stoppingAt", json_real(local_now()));
                next_version(l, t);
        }
        local_deliver(l, t);
}

void task_record_orphan(struct local *l, json_t *t)
{
        if (has_text(t, "lastStatus", "STOPPED"))
                return;
        set_text(t, "desiredStatus", "STOPPED");
        set_text(t, "lastStatus", "STOPPED");
        (void)json_object_set_new(t, "stoppedAt", json_real(local_now()));
        if (*text_of(t, "stoppedReason") == '\0') {
                set_text(t, "stopCode", "UserInitiated");
                set_text(t, "stoppedReason",
                         "Container instance was deregistered; the task is no longer monitored");
        }
        next_version(l, t);
}
