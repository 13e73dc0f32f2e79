/* agent_operations: what an agent calls; it gets what ECS would give. Names and types have been
 * checked by validate.c. Source: backend.md 3 and 4. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "fault.h"
#include "instance.h"
#include "local.h"
#include "mem.h"
#include "random.h"

/* ---- registration ---- */

static void copy(json_t *to, const char *to_key, const json_t *from, const char *key)
{
        json_t *v = json_object_get(from, key);
        if (v != NULL)
                (void)json_object_set(to, to_key, v);
}

/* known_arn: "" for a new one; an agent whose instance was lost here with the database keeps it. */
static json_t *make_instance(struct local *l, const json_t *cluster, const char *known_arn,
                             const char *token)
{
        char uuid[RANDOM_UUID];
        (void)random_uuid(uuid);
        cleanup_free char *resource =
                mem_printf("container-instance/%s/%.8s%.4s%.4s%.4s%.12s",
                           text_of(cluster, "clusterName"), uuid, uuid + 9, uuid + 14, uuid + 19,
                           uuid + 24);
        cleanup_free char *arn = *known_arn != '\0' ? mem_strdup(known_arn)
                                                    : store_arn(l, resource);
        json_t *i = json_pack("{s:s, s:s, s:s, s:f, s:s, s:s, s:I}", "containerInstanceArn", arn,
                              "clusterArn", text_of(cluster, "clusterArn"), "status", "ACTIVE",
                              "registeredAt", (double)clock_wall_ms() / 1000, "ec2InstanceId",
                              "i-00000000000000000", "registrationToken", token, "version",
                              (json_int_t)1);
        (void)json_object_set_new(i, "agentConnected", json_false());
        (void)store_put(l, K_INSTANCE, arn, i);
        return i;
}

static json_t *find_instance(struct local *l, const json_t *q)
{
        const char *arn = text_of(q, "containerInstanceArn");
        const char *token = text_of(q, "clientToken");
        const char *key;
        json_t *i;
        if (*arn != '\0')
                return store_find(l, K_INSTANCE, arn);
        json_object_foreach (l->objects[K_INSTANCE], key, i)
                if (*token != '\0' && strcmp(text_of(i, "registrationToken"), token) == 0)
                        return i;
        return NULL;
}

void op_register_container_instance(struct local *l, const json_t *q, struct answer *a)
{
        json_t *cluster = find_cluster(l, q, a);
        if (cluster == NULL)
                return;
        json_t *i = find_instance(l, q);
        if (i != NULL && has_text(i, "status", "INACTIVE")) {
                answer_error(a, "ClientException",
                             "container instance %s was deregistered: remove the agent's data "
                             "directory to register a new one", text_of(q, "containerInstanceArn"));
                return;
        }
        if (i == NULL && *text_of(q, "containerInstanceArn") != '\0')
                log_warn(l->log, "an instance that is not in local.db registers again: tasks it was "
                                 "given before are not known here",
                         LOG_STR("instance", text_of(q, "containerInstanceArn")));
        if (i == NULL)
                i = make_instance(l, cluster, text_of(q, "containerInstanceArn"),
                                  text_of(q, "clientToken"));
        json_t *attributes = json_deep_copy(json_object_get(q, "attributes"));
        cleanup_free char *zone = mem_printf("%sa", l->region);
        const char *const ours[][2] = {
                {"ecs.availability-zone", zone                   },
                {"ecs.instance-type",     "local"                },
                {"ecs.ami-id",            "ami-00000000000000000"}
        };
        for (size_t k = 0; k < ARRAY_SIZE(ours); k++)
                (void)json_array_append_new(attributes, json_pack("{s:s, s:s}", "name", ours[k][0],
                                                                  "value", ours[k][1]));
        (void)json_object_set_new(i, "attributes", attributes);
        (void)json_object_set_new(i, "registeredResources",
                                  json_deep_copy(json_object_get(q, "totalResources")));
        json_t *tags = json_object_get(i, "tags");
        tags = tags != NULL ? json_incref(tags) : json_array();
        merge_tags(tags, json_object_get(q, "tags"));
        (void)json_object_set_new(i, "tags", tags);
        copy(i, "versionInfo", q, "versionInfo");
        (void)store_changed(l, K_INSTANCE, text_of(i, "containerInstanceArn"));
        a->body = json_pack("{s:o}", "containerInstance", instance_shown(l, i, true));
}

void op_discover_poll_endpoint(struct local *l, const json_t *q, struct answer *a)
{
        (void)q;
        cleanup_free char *url =
                mem_printf("http://127.0.0.1:%lld/",
                           (long long)config_int(l->config, "ECS_LOCAL_PORT", 51670));
        const char *acs = fault_endpoint(l->faults, "acs"), *tcs = fault_endpoint(l->faults, "tcs");
        a->body = json_pack("{s:s, s:s}", "endpoint", acs != NULL ? acs : url, "telemetryEndpoint",
                            tcs != NULL ? tcs : url);
}

/* ---- state changes ---- */

/* Of the texts of a task's or a container's change, what ECS does not take. */
static bool check_lengths(const json_t *change, struct answer *a)
{
        static const struct {
                const char *name;
                size_t max;
        } limits[] = {
                {"reason",      1024},
                {"runtimeId",   255 },
                {"imageDigest", 255 }
        };
        for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
                if (strlen(text_of(change, limits[i].name)) > limits[i].max) {
                        answer_error(a, "InvalidParameterException", "%s is longer than %zu bytes",
                                     limits[i].name, limits[i].max);
                        return false;
                }
        return true;
}

static bool check_change(const json_t *q, struct answer *a)
{
        static const char *const parts[] = {"containers", "managedAgents"};
        size_t i;
        json_t *c;
        for (size_t k = 0; k < ARRAY_SIZE(parts); k++)
                json_array_foreach (json_object_get(q, parts[k]), i, c)
                        if (!check_lengths(c, a))
                                return false;
        return check_lengths(q, a);
}

static void take_container(json_t *task, const json_t *change)
{
        static const char *const same[] = {"runtimeId", "exitCode", "imageDigest", "reason",
                                           "networkBindings"};
        json_t *c = find_named(json_object_get(task, "containers"), text_of(change, "containerName"));
        if (c == NULL)
                return;
        copy(c, "lastStatus", change, "status");
        for (size_t i = 0; i < ARRAY_SIZE(same); i++)
                copy(c, same[i], change, same[i]);
}

/* Whether a container of the task ran and came to its end by itself, even if the task as a whole
 * was never RUNNING: ECS calls only the others failed to start. */
static bool has_run(const json_t *task)
{
        size_t i;
        json_t *c;
        if (json_object_get(task, "startedAt") != NULL)
                return true;
        json_array_foreach (json_object_get(task, "containers"), i, c)
                if (json_object_get(c, "exitCode") != NULL &&
                    strncmp(text_of(c, "reason"), "Cannot", 6) != 0)
                        return true;
        return false;
}

static void stopped(json_t *task, const json_t *q)
{
        const char *reason = text_of(q, "reason");
        (void)json_object_set_new(task, "desiredStatus", json_string("STOPPED"));
        (void)json_object_set_new(task, "stoppedAt", json_real((double)clock_wall_ms() / 1000));
        if (json_object_get(task, "stoppedReason") != NULL)
                return;
        bool ran = has_run(task);
        if (*reason == '\0')
                reason = ran ? "Essential container in task exited" : "Task failed to start";
        (void)json_object_set_new(task, "stoppedReason", json_string(reason));
        (void)json_object_set_new(
                task, "stopCode",
                json_string(ran ? "EssentialContainerExited" : "TaskFailedToStart"));
}

static void take_task(struct local *l, json_t *task, const json_t *q)
{
        static const char *const times[] = {"pullStartedAt", "pullStoppedAt", "executionStoppedAt"};
        const char *status = text_of(q, "status"), *before = text_of(task, "lastStatus");
        size_t i;
        json_t *c;
        bool was_stopped = strcmp(before, "STOPPED") == 0;
        json_array_foreach (json_object_get(q, "containers"), i, c)
                take_container(task, c);
        for (size_t k = 0; k < ARRAY_SIZE(times); k++)
                copy(task, times[k], q, times[k]);
        if (strcmp(status, "RUNNING") == 0 && json_object_get(task, "startedAt") == NULL) {
                (void)json_object_set_new(task, "startedAt",
                                          json_real((double)clock_wall_ms() / 1000));
                (void)json_object_set_new(task, "connectivity", json_string("CONNECTED"));
                copy(task, "connectivityAt", task, "startedAt");
        }
        if (!was_stopped && *status != '\0') {
                bool stops = strcmp(status, "STOPPED") == 0;
                (void)json_object_set_new(task, "lastStatus", json_string(status));
                if (stops)
                        stopped(task, q);
        }
        json_int_t version = json_integer_value(json_object_get(task, "version"));
        (void)json_object_set_new(task, "version", json_integer(version + 1));
        (void)store_changed(l, K_TASK, text_of(task, "taskArn"));
}

void op_submit_task_state_change(struct local *l, const json_t *q, struct answer *a)
{
        if (!check_change(q, a))
                return;
        json_t *task = store_find(l, K_TASK, text_of(q, "task"));
        if (task == NULL) {
                answer_error(a, "InvalidParameterException", "The referenced task was not found.");
                return;
        }
        take_task(l, task, q);
        a->body = json_pack("{s:s}", "acknowledgment", text_of(q, "task"));
}

void op_submit_attachment_state_changes(struct local *l, const json_t *q, struct answer *a)
{
        (void)l;
        (void)q;
        a->body = json_pack("{s:s}", "acknowledgment", "ACK");
}
