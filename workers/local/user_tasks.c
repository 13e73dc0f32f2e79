/* user_tasks: run, stop, describe, list. Statuses are those ECS shows. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "local.h"
#include "mem.h"
#include "random.h"

#define COUNT_MAX 10

static double now(void)
{
        return (double)clock_wall_ms() / 1000;
}

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

static json_t *task_containers(struct local *l, const json_t *d, const char *cluster,
                               const char *task_id, const char *task_arn)
{
        json_t *list = json_array(), *c;
        size_t i;
        json_array_foreach(json_object_get(d, "containerDefinitions"), i, c) {
                char uuid[RANDOM_UUID];
                cleanup_free char *resource =
                        mem_printf("container/%s/%s/%s", cluster, task_id, random_uuid(uuid));
                cleanup_free char *arn = store_arn(l, resource);
                (void)json_array_append_new(
                        list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:[], s:[]}", "containerArn",
                                        arn, "taskArn", task_arn, "name", text_of(c, "name"),
                                        "image", text_of(c, "image"), "lastStatus", "PENDING",
                                        "networkBindings", "networkInterfaces"));
        }
        return list;
}

static json_t *new_task(struct local *l, const json_t *q, const json_t *cluster, const json_t *d,
                        const json_t *instance)
{
        char id[33];
        make_id(id);
        cleanup_free char *resource = mem_printf("task/%s/%s", text_of(cluster, "clusterName"), id);
        cleanup_free char *arn = store_arn(l, resource);
        cleanup_free char *group = *text_of(q, "group") != '\0'
                                           ? mem_strdup(text_of(q, "group"))
                                           : mem_printf("family:%s", text_of(d, "family"));
        json_t *overrides = json_object_get(q, "overrides");
        json_t *t = json_pack(
                "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:s, s:I, s:o, s:[], s:[], s:[]}",
                "taskArn", arn, "clusterArn", text_of(cluster, "clusterArn"), "taskDefinitionArn",
                text_of(d, "taskDefinitionArn"), "containerInstanceArn",
                text_of(instance, "containerInstanceArn"), "lastStatus", "PENDING",
                "desiredStatus", "RUNNING", "group", group, "createdAt", now(), "launchType",
                "EC2", "version", (json_int_t)1, "containers",
                task_containers(l, d, text_of(cluster, "clusterName"), id, arn), "attachments",
                "attributes", "tags");
        (void)json_object_set_new(t, "overrides",
                                  overrides != NULL ? json_deep_copy(overrides)
                                                    : json_pack("{s:[]}", "containerOverrides"));
        if (*text_of(q, "startedBy") != '\0')
                (void)json_object_set_new(t, "startedBy", json_string(text_of(q, "startedBy")));
        (void)store_put(l, K_TASK, arn, t);
        return t;
}

static bool check_run(const json_t *q, struct answer *a)
{
        static const char *const known[] = {"cluster", "taskDefinition", "count", "startedBy",
                                            "group", "overrides", "launchType", "clientToken",
                                            "enableECSManagedTags", "enableExecuteCommand",
                                            "networkConfiguration", "placementConstraints",
                                            "placementStrategy", "platformVersion",
                                            "propagateTags", "referenceId", "tags",
                                            "capacityProviderStrategy"};
        const char *key;
        json_t *v;
        json_object_foreach((json_t *)q, key, v) {
                bool found = false;
                for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                        found = found || strcmp(known[i], key) == 0;
                if (!found) {
                        answer_error(a, "InvalidParameterException", "Unknown parameter \"%s\"",
                                     key);
                        return false;
                }
        }
        if (strcmp(text_of(q, "launchType"), "FARGATE") == 0) {
                answer_error(a, "InvalidParameterException",
                             "launch type FARGATE is not supported in local mode; use EC2");
                return false;
        }
        return true;
}

void op_run_task(struct local *l, const json_t *q, struct answer *a)
{
        const json_t *count_value = json_object_get(q, "count");
        json_int_t count = count_value != NULL ? json_integer_value(count_value) : 1;
        json_t *d = find_task_definition(l, text_of(q, "taskDefinition"));
        if (!check_run(q, a))
                return;
        const json_t *cluster = find_cluster(l, q, a);
        if (cluster == NULL)
                return;
        if (d == NULL) {
                answer_error(a, "ClientException", "TaskDefinition not found.");
                return;
        }
        if (count < 1 || count > COUNT_MAX) {
                answer_error(a, "InvalidParameterException",
                             "count should be between 1 and 10, inclusive");
                return;
        }
        json_t *tasks = json_array(), *failures = json_array();
        for (json_int_t i = 0; i < count; i++) {
                const char *reason;
                json_t *instance = placement_take(l, cluster, d, &reason);
                if (instance == NULL) {
                        (void)json_array_append_new(failures,
                                                    json_pack("{s:s, s:s}", "arn",
                                                              text_of(cluster, "clusterArn"),
                                                              "reason", reason));
                        continue;
                }
                json_t *t = new_task(l, q, cluster, d, instance);
                (void)json_array_append(tasks, t);
                acs_deliver(l, t, "RUNNING");
        }
        a->body = json_pack("{s:o, s:o}", "tasks", tasks, "failures", failures);
}

/* By ARN or id, in the request's cluster. */
static json_t *find_task(struct local *l, const json_t *cluster, const char *name)
{
        cleanup_free char *resource =
                mem_printf("task/%s/%s", text_of(cluster, "clusterName"), name);
        cleanup_free char *arn = strncmp(name, "arn:", 4) == 0 ? mem_strdup(name)
                                                               : store_arn(l, resource);
        return store_find(l, K_TASK, arn);
}

void op_stop_task(struct local *l, const json_t *q, struct answer *a)
{
        const json_t *cluster = find_cluster(l, q, a);
        if (cluster == NULL)
                return;
        json_t *t = find_task(l, cluster, text_of(q, "task"));
        if (t == NULL) {
                answer_error(a, "InvalidParameterException", "The referenced task was not found.");
                return;
        }
        if (strcmp(text_of(t, "desiredStatus"), "STOPPED") != 0) {
                const char *reason = text_of(q, "reason");
                (void)json_object_set_new(t, "desiredStatus", json_string("STOPPED"));
                (void)json_object_set_new(t, "stoppingAt", json_real(now()));
                (void)json_object_set_new(t, "stopCode", json_string("UserInitiated"));
                (void)json_object_set_new(
                        t, "stoppedReason",
                        json_string(*reason != '\0' ? reason : "Task stopped by user"));
                (void)store_changed(l, K_TASK, text_of(t, "taskArn"));
        }
        acs_deliver(l, t, "STOPPED");
        a->body = json_pack("{s:O}", "task", t);
}

void op_describe_tasks(struct local *l, const json_t *q, struct answer *a)
{
        const json_t *cluster = find_cluster(l, q, a);
        json_t *found, *failures, *n;
        size_t i;
        if (cluster == NULL)
                return;
        if (json_array_size(json_object_get(q, "tasks")) == 0) {
                answer_error(a, "InvalidParameterException", "Tasks cannot be empty.");
                return;
        }
        found = json_array();
        failures = json_array();
        json_array_foreach(json_object_get(q, "tasks"), i, n) {
                const char *name = json_string_value(n) != NULL ? json_string_value(n) : "";
                json_t *t = find_task(l, cluster, name);
                if (t != NULL)
                        (void)json_array_append(found, t);
                else
                        (void)json_array_append_new(failures, json_pack("{s:s, s:s}", "arn", name,
                                                                        "reason", "MISSING"));
        }
        a->body = json_pack("{s:o, s:o}", "tasks", found, "failures", failures);
}

void op_list_tasks(struct local *l, const json_t *q, struct answer *a)
{
        const json_t *cluster = find_cluster(l, q, a);
        const char *desired = *text_of(q, "desiredStatus") != '\0' ? text_of(q, "desiredStatus")
                                                                   : "RUNNING";
        const char *family = text_of(q, "family"), *by = text_of(q, "startedBy");
        const char *arn;
        json_t *t, *list;
        if (cluster == NULL)
                return;
        cleanup_free char *group = mem_printf("task-definition/%s:", family);
        list = json_array();
        json_object_foreach(l->objects[K_TASK], arn, t)
                if (strcmp(text_of(t, "clusterArn"), text_of(cluster, "clusterArn")) == 0 &&
                    strcmp(text_of(t, "desiredStatus"), desired) == 0 &&
                    (*family == '\0' ||
                     strstr(text_of(t, "taskDefinitionArn"), group) != NULL) &&
                    (*by == '\0' || strcmp(text_of(t, "startedBy"), by) == 0))
                        (void)json_array_append_new(list, json_string(arn));
        a->body = json_pack("{s:o}", "taskArns", list);
}
