/* user_instances: container instances as people see, drain and deregister them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "instance.h"
#include "local.h"
#include "page.h"
#include "placement.h"
#include "task_record.h"

void op_list_container_instances(struct local *l, const json_t *q, struct answer *a)
{
        static const struct page_spec spec = {"containerInstanceArns", 100, 100, false};
        const json_t *cluster = find_cluster(l, q, a);
        const char *status = text_of(q, "status"), *filter = text_of(q, "filter"), *arn;
        cleanup_free char *error = NULL;
        json_t *i, *items;
        if (cluster == NULL)
                return;
        if (*filter != '\0' && placement_filter(l, NULL, filter, &error) == -EINVAL) {
                answer_error(a, "InvalidParameterException", "Invalid filter: %s.", error);
                return;
        }
        items = json_object();
        json_object_foreach (l->objects[K_INSTANCE], arn, i) {
                bool wanted = *status != '\0' ? has_text(i, "status", status)
                                              : !has_text(i, "status", "INACTIVE");
                if (wanted && has_text(i, "clusterArn", text_of(cluster, "clusterArn")) &&
                    (*filter == '\0' || placement_filter(l, i, filter, &error) == 1))
                        (void)json_object_set_new(items, arn, json_string(arn));
        }
        page_answer(items, q, &spec, a);
}

/* Calls change (may be NULL) for each instance named; answers them and the failures. */
static void answer_instances(struct local *l, const json_t *q, struct answer *a,
                             void (*change)(struct local *l, json_t *i, const json_t *q))
{
        const json_t *cluster = find_cluster(l, q, a);
        const json_t *names = json_object_get(q, "containerInstances");
        bool tags = includes(q, "TAGS"), health = includes(q, "CONTAINER_INSTANCE_HEALTH");
        json_t *found, *failures, *n;
        size_t k;
        if (cluster == NULL)
                return;
        if (json_array_size(names) == 0) {
                answer_error(a, "InvalidParameterException",
                             "Container Instances cannot be empty.");
                return;
        }
        found = json_array();
        failures = json_array();
        json_array_foreach (names, k, n) {
                json_t *i = instance_find(l, cluster, json_string_value(n));
                cleanup_free char *arn =
                        arn_in_cluster(l, "container-instance", cluster, json_string_value(n));
                if (i == NULL) {
                        add_failure(failures, arn, "MISSING", NULL);
                        continue;
                }
                if (change != NULL && has_text(i, "status", "INACTIVE")) {
                        add_failure(failures, arn, "INACTIVE", NULL);
                        continue;
                }
                if (change != NULL)
                        change(l, i, q);
                json_t *shown = instance_shown(l, i, tags);
                if (health)
                        (void)json_object_set_new(
                                shown, "healthStatus",
                                json_pack("{s:s, s:[]}", "overallStatus",
                                          json_is_true(json_object_get(i, "agentConnected"))
                                                  ? "OK"
                                                  : "INSUFFICIENT_DATA",
                                          "details"));
                (void)json_array_append_new(found, shown);
        }
        a->body = json_pack("{s:o, s:o}", "containerInstances", found, "failures", failures);
}

void op_describe_container_instances(struct local *l, const json_t *q, struct answer *a)
{
        answer_instances(l, q, a, NULL);
}

static void next_version(struct local *l, json_t *i)
{
        (void)json_object_set_new(i, "version", json_integer(integer_of(i, "version", 0) + 1));
        (void)store_changed(l, K_INSTANCE, text_of(i, "containerInstanceArn"));
}

/* A draining instance gets no new tasks; the service scheduler moves its service tasks. */
static void set_status(struct local *l, json_t *i, const json_t *q)
{
        (void)json_object_set(i, "status", json_object_get(q, "status"));
        next_version(l, i);
}

void op_update_container_instances_state(struct local *l, const json_t *q, struct answer *a)
{
        if (!has_text(q, "status", "ACTIVE") && !has_text(q, "status", "DRAINING")) {
                answer_error(a, "InvalidParameterException",
                             "Container instance status should be one of [ACTIVE,DRAINING].");
                return;
        }
        answer_instances(l, q, a, set_status);
}

void op_deregister_container_instance(struct local *l, const json_t *q, struct answer *a)
{
        const json_t *cluster = find_cluster(l, q, a);
        if (cluster == NULL)
                return;
        json_t *i = instance_find(l, cluster, text_of(q, "containerInstance")), *t;
        const char *arn = text_of(i, "containerInstanceArn"), *task_arn;
        if (i == NULL || has_text(i, "status", "INACTIVE")) {
                answer_error(a, "InvalidParameterException",
                             "The container instance could not be "
                             "found.");
                return;
        }
        if (!json_is_true(json_object_get(q, "force")) &&
            count_tasks(l, arn, "RUNNING") + count_tasks(l, arn, "PENDING") > 0) {
                answer_error(a, "InvalidParameterException",
                             "Found running tasks on the instance.");
                return;
        }
        /* its tasks run on, but nobody hears of them any more */
        json_object_foreach (store_tasks_of(l, arn), task_arn, t)
                task_record_orphan(l, t);
        (void)json_object_set_new(i, "status", json_string("INACTIVE"));
        (void)json_object_set_new(i, "agentConnected", json_false());
        (void)json_object_set_new(i, "x-goneAt", json_real(local_now()));
        (void)json_object_del(i, "registrationToken");
        next_version(l, i);
        acs_disconnect(l, arn);
        a->body = json_pack("{s:o}", "containerInstance", instance_shown(l, i, true));
}
