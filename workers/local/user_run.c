/* user_run: RunTask places tasks, StartTask puts them where it is told. */
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "instance.h"
#include "local.h"
#include "mem.h"
#include "placement.h"
#include "task_record.h"

#define COUNT_MAX 10
#define STARTED_BY_MAX 128

/* The definition of the request, fit to be run; NULL with the error. */
static json_t *runnable(struct local *l, const json_t *q, struct answer *a)
{
        json_t *d = find_task_definition(l, text_of(q, "taskDefinition"));
        if (d == NULL) {
                answer_error(a, "ClientException", "TaskDefinition not found.");
                return NULL;
        }
        if (!has_text(d, "status", "ACTIVE")) {
                answer_error(a, "ClientException", "TaskDefinition is inactive");
                return NULL;
        }
        if (strlen(text_of(q, "startedBy")) > STARTED_BY_MAX) {
                answer_error(a, "InvalidParameterException",
                             "startedBy cannot be longer than %d characters.", STARTED_BY_MAX);
                return NULL;
        }
        if (strncmp(text_of(q, "group"), "service:", 8) == 0) {
                answer_error(a, "InvalidParameterException",
                             "Task group names that begin with 'service:' are reserved.");
                return NULL;
        }
        if (has_text(q, "propagateTags", "SERVICE")) {
                answer_error(a, "InvalidParameterException",
                             "propagateTags SERVICE needs a service.");
                return NULL;
        }
        return check_tags(json_object_get(q, "tags"), a) &&
                               task_record_check_overrides(d, json_object_get(q, "overrides"), a)
                       ? d
                       : NULL;
}

static char *group_of(const json_t *q, const json_t *d)
{
        return *text_of(q, "group") != '\0' ? mem_strdup(text_of(q, "group"))
                                            : mem_printf("family:%s", text_of(d, "family"));
}

/* ---- RunTask ---- */

/* clientToken and a digest of the request: a repeated request is answered with the tasks it made.
 * Owned; NULL without a token. */
static char *token_of(const json_t *q)
{
        unsigned char digest[SHA256_DIGEST_LENGTH];
        cleanup_free char *text = json_dumps(q, JSON_COMPACT | JSON_SORT_KEYS);
        uint64_t mark;
        if (*text_of(q, "clientToken") == '\0')
                return NULL;
        (void)SHA256((const unsigned char *)text, strlen(text), digest);
        memcpy(&mark, digest, sizeof mark);
        return mem_printf("%s %016" PRIx64, text_of(q, "clientToken"), mark);
}

/* true when the token was used before: a is filled. */
static bool repeated(struct local *l, const json_t *cluster, const json_t *q, const char *token,
                     struct answer *a)
{
        cleanup_json json_t *tasks = json_array();
        size_t n = strlen(text_of(q, "clientToken")) + 1;
        const char *arn;
        json_t *t;
        json_object_foreach (store_tasks_of(l, text_of(cluster, "clusterArn")), arn, t) {
                const char *known = text_of(t, OWN_TOKEN);
                if (strncmp(known, token, n) != 0)
                        continue;
                if (strcmp(known, token) != 0) {
                        answer_error(a, "ConflictException",
                                     "The client token was used with other parameters.");
                        return true;
                }
                (void)json_array_append_new(tasks, task_record_shown(t, true));
        }
        if (json_array_size(tasks) == 0)
                return false;
        a->body = json_pack("{s:O, s:[]}", "tasks", tasks, "failures");
        return true;
}

static bool has_instance(struct local *l, const json_t *cluster)
{
        const char *arn;
        json_t *i;
        json_object_foreach (l->objects[K_INSTANCE], arn, i)
                if (has_text(i, "clusterArn", text_of(cluster, "clusterArn")) &&
                    has_text(i, "status", "ACTIVE"))
                        return true;
        return false;
}

/* Places up to count tasks; the first that fits nowhere ends it. */
static void run_tasks(struct local *l, const json_t *q, const struct placement *p, json_int_t count,
                      const char *token, struct answer *a)
{
        json_t *tasks = json_array(), *failures = json_array();
        for (json_int_t i = 0; i < count; i++) {
                const json_t *instance = placement_find(l, p, failures);
                if (instance == NULL)
                        break;
                const struct task_wish w = {.cluster = p->cluster,
                                            .definition = p->definition,
                                            .instance = instance,
                                            .taken = p->taken,
                                            .request = q,
                                            .group = p->group,
                                            .started_by = text_of(q, "startedBy")};
                json_t *t = task_record_new(l, &w);
                if (token != NULL) {
                        (void)json_object_set_new(t, OWN_TOKEN, json_string(token));
                        (void)store_changed(l, K_TASK, text_of(t, "taskArn"));
                }
                (void)json_array_append_new(tasks, task_record_shown(t, true));
        }
        a->body = json_pack("{s:o, s:o}", "tasks", tasks, "failures", failures);
}

void op_run_task(struct local *l, const json_t *q, struct answer *a)
{
        json_int_t count = integer_of(q, "count", 1);
        const json_t *cluster = find_cluster(l, q, a);
        if (cluster == NULL)
                return;
        cleanup_free char *token = token_of(q);
        if (token != NULL && repeated(l, cluster, q, token, a))
                return;
        const json_t *d = runnable(l, q, a);
        if (d == NULL || !placement_check(q, a))
                return;
        if (count < 1 || count > COUNT_MAX) {
                answer_error(a, "InvalidParameterException",
                             "count should be between 1 and %d, inclusive", COUNT_MAX);
                return;
        }
        if (!has_instance(l, cluster)) {
                answer_error(a, "InvalidParameterException",
                             "No Container Instances were found in your cluster.");
                return;
        }
        cleanup_free char *group = group_of(q, d);
        cleanup_json json_t *taken = placement_taken(d, json_object_get(q, "overrides"));
        const struct placement p = {.cluster = cluster,
                                    .definition = d,
                                    .taken = taken,
                                    .constraints = json_object_get(q, "placementConstraints"),
                                    .strategy = json_object_get(q, "placementStrategy"),
                                    .group = group};
        run_tasks(l, q, &p, count, token, a);
}

/* ---- StartTask ---- */

static void start_on(struct local *l, const json_t *q, const struct placement *p, const char *name,
                     json_t *tasks, json_t *failures)
{
        const json_t *instance = instance_find(l, p->cluster, name);
        cleanup_free char *arn = arn_in_cluster(l, "container-instance", p->cluster, name);
        cleanup_free char *detail = NULL;
        const char *reason = instance == NULL ? "MISSING"
                             : has_text(instance, "status", "ACTIVE")
                                     ? placement_misfit(l, p, instance, &detail)
                                     : "INACTIVE";
        if (reason != NULL) {
                add_failure(failures, arn, reason, detail);
                return;
        }
        const struct task_wish w = {.cluster = p->cluster,
                                    .definition = p->definition,
                                    .instance = instance,
                                    .taken = p->taken,
                                    .request = q,
                                    .group = p->group,
                                    .started_by = text_of(q, "startedBy")};
        (void)json_array_append_new(tasks, task_record_shown(task_record_new(l, &w), true));
}

void op_start_task(struct local *l, const json_t *q, struct answer *a)
{
        const json_t *names = json_object_get(q, "containerInstances");
        const json_t *cluster = find_cluster(l, q, a);
        const json_t *d = cluster != NULL ? runnable(l, q, a) : NULL;
        json_t *tasks, *failures, *n;
        size_t i;
        if (d == NULL)
                return;
        if (json_array_size(names) == 0) {
                answer_error(a, "InvalidParameterException",
                             "Container instances cannot be empty.");
                return;
        }
        cleanup_free char *group = group_of(q, d);
        cleanup_json json_t *taken = placement_taken(d, json_object_get(q, "overrides"));
        const struct placement p = {
                .cluster = cluster, .definition = d, .taken = taken, .group = group};
        tasks = json_array();
        failures = json_array();
        json_array_foreach (names, i, n)
                start_on(l, q, &p, json_string_value(n), tasks, failures);
        a->body = json_pack("{s:o, s:o}", "tasks", tasks, "failures", failures);
}
