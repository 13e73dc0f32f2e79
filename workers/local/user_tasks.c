/* user_tasks: stop, describe, list. Statuses are those ECS shows. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "instance.h"
#include "local.h"
#include "mem.h"
#include "page.h"
#include "task_record.h"

void op_stop_task(struct local *l, const json_t *q, struct answer *a)
{
        const char *reason = text_of(q, "reason");
        const json_t *cluster = find_cluster(l, q, a);
        if (cluster == NULL)
                return;
        json_t *t = task_record_find(l, cluster, text_of(q, "task"));
        if (t == NULL) {
                answer_error(a, "InvalidParameterException", "The referenced task was not found.");
                return;
        }
        task_record_stop(l, t, "UserInitiated", *reason != '\0' ? reason : "Task stopped by user");
        a->body = json_pack("{s:o}", "task", task_record_shown(t, true));
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
        json_array_foreach (json_object_get(q, "tasks"), i, n) {
                const json_t *t = task_record_find(l, cluster, json_string_value(n));
                cleanup_free char *arn = arn_in_cluster(l, "task", cluster, json_string_value(n));
                if (t != NULL)
                        (void)json_array_append_new(found,
                                                    task_record_shown(t, includes(q, "TAGS")));
                else
                        add_failure(failures, arn, "MISSING", NULL);
        }
        a->body = json_pack("{s:o, s:o}", "tasks", found, "failures", failures);
}

/* ---- list ---- */

struct filter {
        const char *desired, *started_by, *launch_type;
        char *family, *service_group; /* "task-definition/F:", "service:S"; NULL = any */
};

static bool passes(const struct filter *f, const json_t *t)
{
        const char *definition = text_of(t, "taskDefinitionArn");
        return has_text(t, "desiredStatus", f->desired) &&
               (*f->started_by == '\0' || has_text(t, "startedBy", f->started_by)) &&
               (*f->launch_type == '\0' || has_text(t, "launchType", f->launch_type)) &&
               (f->family == NULL || strstr(definition, f->family) != NULL) &&
               (f->service_group == NULL || has_text(t, "group", f->service_group));
}

/* The tasks to look through: of one instance or of the cluster. false with the error. */
static bool source(struct local *l, const json_t *q, const json_t *cluster, json_t **ret,
                   struct answer *a)
{
        const char *instance = text_of(q, "containerInstance");
        if (*instance == '\0') {
                *ret = store_tasks_of(l, text_of(cluster, "clusterArn"));
                return true;
        }
        const json_t *i = instance_find(l, cluster, instance);
        if (i == NULL) {
                answer_error(a, "InvalidParameterException",
                             "The container instance could not be found.");
                return false;
        }
        *ret = store_tasks_of(l, text_of(i, "containerInstanceArn"));
        return true;
}

void op_list_tasks(struct local *l, const json_t *q, struct answer *a)
{
        static const struct page_spec spec = {"taskArns", 100, 100, false};
        const json_t *cluster = find_cluster(l, q, a);
        const char *service = text_of(q, "serviceName"), *arn;
        cleanup_free char *family = mem_printf("task-definition/%s:", text_of(q, "family"));
        cleanup_free char *group = mem_printf("service:%s", task_record_id_of(service));
        const struct filter f = {.desired = *text_of(q, "desiredStatus") != '\0'
                                                    ? text_of(q, "desiredStatus")
                                                    : "RUNNING",
                                 .started_by = text_of(q, "startedBy"),
                                 .launch_type = text_of(q, "launchType"),
                                 .family = *text_of(q, "family") != '\0' ? family : NULL,
                                 .service_group = *service != '\0' ? group : NULL};
        json_t *t, *tasks, *items;
        if (cluster == NULL || !source(l, q, cluster, &tasks, a))
                return;
        if (*service != '\0') {
                cleanup_free char *service_arn = arn_in_cluster(l, "service", cluster, service);
                if (store_find(l, K_SERVICE, service_arn) == NULL) {
                        answer_error(a, "ServiceNotFoundException", "Service not found.");
                        return;
                }
        }
        items = json_object();
        json_object_foreach (tasks, arn, t)
                if (passes(&f, t))
                        (void)json_object_set_new(items, arn, json_string(arn));
        page_answer(items, q, &spec, a);
}
