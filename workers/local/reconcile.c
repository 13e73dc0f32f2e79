/* reconcile: a service's tasks are sorted by what is to become of them; from the counts follow what
 * to stop and what to start. The rules are ECS's: at most maximumPercent of the desired count are
 * there at any time, at least minimumHealthyPercent serve. A task serves once it has run for
 * SETTLE_MS: what exits right after its start is a failed start, not a healthy replacement. */
#include "reconcile.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "local.h"
#include "mem.h"
#include "placement.h"
#include "service.h"
#include "task_record.h"

#define SETTLE_MS 5000
#define FAILURES_FREE 3 /* failed starts before the scheduler slows down */
#define DELAY_FIRST_MS 10000
#define DELAY_MOST_MS 900000
#define BREAKER_LEAST 3
#define BREAKER_MOST 200

struct counts {
        json_int_t all;     /* not yet STOPPED, whatever is wanted */
        json_int_t live;    /* wanted, of the PRIMARY deployment, on active instances */
        json_int_t healthy; /* wanted and settled, of any deployment */
        json_int_t settled; /* of the PRIMARY deployment */
        int64_t look_again; /* ms until the next one settles */
};

struct turn {
        struct local *local;
        json_t *service, *primary;
        json_int_t desired;
        struct counts counts;
        bool changed; /* the service's own record */
};

static bool is_stopped(const json_t *t)
{
        return has_text(t, "lastStatus", "STOPPED");
}

static bool is_wanted(const json_t *t)
{
        return !is_stopped(t) && has_text(t, "desiredStatus", "RUNNING");
}

static bool of_primary(const struct turn *n, const json_t *t)
{
        return has_text(t, OWN_DEPLOYMENT, text_of(n->primary, "id"));
}

static bool is_draining(const struct turn *n, const json_t *t)
{
        const json_t *i = store_find(n->local, K_INSTANCE, text_of(t, "containerInstanceArn"));
        return i != NULL && has_text(i, "status", "DRAINING");
}

/* Milliseconds the task still has to run until it counts; 0 = it counts. */
static int64_t unsettled_ms(const json_t *t)
{
        int64_t started = (int64_t)(json_number_value(json_object_get(t, "startedAt")) * 1000);
        int64_t left = started + (int64_t)clock_wait_ms(SETTLE_MS) - clock_wall_ms();
        return left > 0 ? left : 0;
}

static bool is_settled(const json_t *t)
{
        return has_text(t, "lastStatus", "RUNNING") && unsettled_ms(t) == 0;
}

static json_t *tasks_of(const struct turn *n)
{
        return store_tasks_of(n->local, text_of(n->service, "serviceArn"));
}

static void count(struct turn *n)
{
        const char *arn;
        json_t *t;
        n->counts = (struct counts){.look_again = INT64_MAX};
        json_object_foreach (tasks_of(n), arn, t) {
                n->counts.all += !is_stopped(t);
                if (!is_wanted(t))
                        continue;
                n->counts.live += of_primary(n, t) && !is_draining(n, t);
                n->counts.healthy += is_settled(t);
                n->counts.settled += is_settled(t) && of_primary(n, t) && !is_draining(n, t);
                int64_t left = has_text(t, "lastStatus", "RUNNING") ? unsettled_ms(t) : 0;
                if (left > 0 && left < n->counts.look_again)
                        n->counts.look_again = left;
        }
}

/* ---- failures ---- */

/* It ended by itself before it counted as running. */
static bool failed_to_start(const json_t *t)
{
        double ran = json_number_value(json_object_get(t, "stoppedAt")) -
                     json_number_value(json_object_get(t, "startedAt"));
        bool by_itself = has_text(t, "stopCode", "TaskFailedToStart") ||
                         has_text(t, "stopCode", "EssentialContainerExited");
        return by_itself && (json_object_get(t, "startedAt") == NULL ||
                             ran * 1000 < (double)clock_wait_ms(SETTLE_MS));
}

static void slow_down(struct turn *n)
{
        json_t *d = n->primary;
        json_int_t failed = integer_of(d, "failedTasks", 0), delay = integer_of(d, OWN_DELAY, 0);
        if (failed < FAILURES_FREE || integer_of(d, OWN_NOT_BEFORE, 0) > clock_wall_ms())
                return;
        if (delay == 0)
                service_event(n->service, "is unable to consistently start tasks successfully.");
        delay = delay == 0 ? DELAY_FIRST_MS : delay * 2 < DELAY_MOST_MS ? delay * 2 : DELAY_MOST_MS;
        (void)json_object_set_new(d, OWN_DELAY, json_integer(delay));
        (void)json_object_set_new(
                d, OWN_NOT_BEFORE,
                json_integer(clock_wall_ms() + (int64_t)clock_wait_ms((uint64_t)delay)));
}

/* Each ended task is counted once, and a settled one makes the deployment's failures forgotten. */
static void account(struct turn *n)
{
        const char *arn;
        json_t *t;
        bool settled = false, failed = false;
        json_object_foreach (tasks_of(n), arn, t) {
                settled = settled || (of_primary(n, t) && is_settled(t));
                if (!is_stopped(t) || json_is_true(json_object_get(t, OWN_COUNTED)))
                        continue;
                (void)json_object_set_new(t, OWN_COUNTED, json_true());
                (void)store_changed(n->local, K_TASK, arn);
                if (!of_primary(n, t) || !failed_to_start(t))
                        continue;
                failed = true;
                (void)json_object_set_new(
                        n->primary, "failedTasks",
                        json_integer(integer_of(n->primary, "failedTasks", 0) + 1));
        }
        if (settled && (integer_of(n->primary, "failedTasks", 0) > 0 ||
                        !json_is_true(json_object_get(n->primary, OWN_SETTLED)))) {
                (void)json_object_set_new(n->primary, "failedTasks", json_integer(0));
                (void)json_object_set_new(n->primary, OWN_SETTLED, json_true());
                (void)json_object_del(n->primary, OWN_DELAY);
                (void)json_object_del(n->primary, OWN_NOT_BEFORE);
                n->changed = true;
        }
        if (failed && !settled) {
                slow_down(n);
                n->changed = true;
        }
}

/* ---- circuit breaker ---- */

static void set_rollout(json_t *d, const char *state, const char *reason)
{
        (void)json_object_set_new(d, "rolloutState", json_string(state));
        (void)json_object_set_new(d, "rolloutStateReason", json_string(reason));
        (void)json_object_set_new(d, "updatedAt", json_real(local_now()));
}

/* Back to what was last completed, if that is something else. */
static void roll_back(struct turn *n)
{
        const json_t *last = json_object_get(n->service, "x-completed");
        if (last == NULL || has_text(n->primary, "taskDefinition", text_of(last, "taskDefinition")))
                return;
        cleanup_free char *reason =
                mem_printf("ECS deployment circuit breaker: rolling back to deploymentId %s.",
                           text_of(last, "id"));
        service_event(n->service, "rolling back to deployment %s.", text_of(last, "id"));
        (void)json_object_set(n->service, "taskDefinition",
                              json_object_get(last, "taskDefinition"));
        service_deploy(n->service, reason);
        n->primary = service_primary(n->service);
}

static void break_circuit(struct turn *n)
{
        const json_t *breaker = json_object_get(
                json_object_get(n->service, "deploymentConfiguration"), "deploymentCircuitBreaker");
        json_int_t limit = (n->desired + 1) / 2;
        limit = limit < BREAKER_LEAST ? BREAKER_LEAST : limit > BREAKER_MOST ? BREAKER_MOST : limit;
        if (!json_is_true(json_object_get(breaker, "enable")) ||
            !has_text(n->primary, "rolloutState", "IN_PROGRESS") ||
            integer_of(n->primary, "failedTasks", 0) < limit)
                return;
        set_rollout(n->primary, "FAILED", "ECS deployment circuit breaker: tasks failed to start.");
        service_event(n->service, "(deployment %s) deployment failed: tasks failed to start.",
                      text_of(n->primary, "id"));
        n->changed = true;
        if (json_is_true(json_object_get(breaker, "rollback")))
                roll_back(n);
}

/* ---- stopping ---- */

/* Appends " (task ID)". */
static void name_task(struct buf *names, const json_t *t)
{
        buf_printf(names, " (task %s)", task_record_id_of(text_of(t, "taskArn")));
}

static void stop(struct turn *n, json_t *t, struct buf *names)
{
        cleanup_free char *reason = mem_printf("Scaling activity initiated by (deployment %s)",
                                               text_of(n->primary, "id"));
        task_record_stop(n->local, t, "ServiceSchedulerInitiated", reason);
        name_task(names, t);
}

/* Too many of the PRIMARY deployment: those not yet running go first, then the youngest. */
static json_int_t stop_surplus(struct turn *n, struct buf *names)
{
        json_int_t stopped = 0;
        while (n->counts.live - stopped > n->desired) {
                json_t *worst = NULL, *t;
                const char *arn;
                json_object_foreach (tasks_of(n), arn, t) {
                        if (!is_wanted(t) || !of_primary(n, t) || is_draining(n, t))
                                continue;
                        bool worst_runs = worst != NULL && has_text(worst, "lastStatus", "RUNNING");
                        if (worst == NULL || worst_runs || !has_text(t, "lastStatus", "RUNNING"))
                                worst = t;
                }
                if (worst == NULL)
                        break;
                n->counts.healthy -= is_settled(worst);
                stop(n, worst, names);
                stopped++;
        }
        return stopped;
}

/* Tasks of deployments before, and those on draining instances: as many as the others allow. */
static json_int_t stop_old(struct turn *n, struct buf *names)
{
        const json_t *c = json_object_get(n->service, "deploymentConfiguration");
        json_int_t least = (n->desired * integer_of(c, "minimumHealthyPercent", 100) + 99) / 100;
        json_int_t stopped = 0;
        const char *arn;
        json_t *t;
        if (has_text(n->primary, "rolloutState", "FAILED"))
                return 0;
        json_object_foreach (tasks_of(n), arn, t) {
                if (!is_wanted(t) || (of_primary(n, t) && !is_draining(n, t)))
                        continue;
                if (is_settled(t)) {
                        if (n->counts.healthy <= least)
                                continue;
                        n->counts.healthy--;
                }
                stop(n, t, names);
                stopped++;
        }
        return stopped;
}

static void stop_tasks(struct turn *n)
{
        struct buf names = {0};
        json_int_t stopped = stop_surplus(n, &names) + stop_old(n, &names);
        if (stopped > 0) {
                cleanup_free char *text = buf_steal(&names);
                service_event(n->service, "has stopped %lld running tasks:%s.", (long long)stopped,
                              text);
                n->changed = true;
        }
        buf_clear(&names);
}

/* ---- starting ---- */

/* ECS's words for why a task could not be placed, said once until one could. */
static void tell_unplaced(struct turn *n, const json_t *failures)
{
        static const struct {
                const char *reason, *text;
        } words[] = {
                {"RESOURCE:CPU",    "has insufficient CPU units available"         },
                {"RESOURCE:MEMORY", "has insufficient memory available"            },
                {"RESOURCE:PORTS",  "is already using a port required by your task"},
                {"ATTRIBUTE",       "is missing an attribute required by your task"},
                {"AGENT",           "has the agent disconnected"                   },
        };
        const json_t *closest = json_array_get(failures, json_array_size(failures) - 1);
        const char *why = "does not satisfy the placement constraints";
        if (json_is_true(json_object_get(n->service, "x-unplaced")))
                return;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (has_text(closest, "reason", words[i].reason))
                        why = words[i].text;
        cleanup_free char *reason =
                closest == NULL ? mem_strdup("No Container Instances were found in your cluster")
                                : mem_printf("The closest matching (container-instance %s) %s",
                                             task_record_id_of(text_of(closest, "arn")), why);
        service_event(n->service,
                      "was unable to place a task because no container instance met all of its "
                      "requirements. Reason: %s. For more information, see the Troubleshooting "
                      "section of the Amazon ECS Developer Guide.",
                      reason);
        (void)json_object_set_new(n->service, "x-unplaced", json_true());
        n->changed = true;
}

/* One task; NULL when it fits nowhere. */
static json_t *start_one(struct turn *n, const struct placement *p)
{
        cleanup_json json_t *failures = json_array();
        const json_t *instance = placement_find(n->local, p, failures);
        if (instance == NULL) {
                tell_unplaced(n, failures);
                return NULL;
        }
        const struct task_wish w = {.cluster = p->cluster,
                                    .definition = p->definition,
                                    .instance = instance,
                                    .taken = p->taken,
                                    .request = n->service,
                                    .group = p->group,
                                    .started_by = text_of(n->primary, "id"),
                                    .service = n->service,
                                    .deployment_id = text_of(n->primary, "id")};
        (void)json_object_del(n->service, "x-unplaced");
        return task_record_new(n->local, &w);
}

static json_int_t room(const struct turn *n)
{
        const json_t *c = json_object_get(n->service, "deploymentConfiguration");
        json_int_t most = n->desired * integer_of(c, "maximumPercent", 200) / 100;
        json_int_t missing = n->desired - n->counts.live, free = most - n->counts.all;
        return missing < free ? missing : free;
}

static void start_tasks(struct turn *n)
{
        struct local *l = n->local;
        const json_t *d = store_find(l, K_TASK_DEFINITION, text_of(n->primary, "taskDefinition"));
        json_int_t wanted = room(n), started = 0;
        struct buf names = {0};
        if (wanted <= 0 || d == NULL || has_text(n->primary, "rolloutState", "FAILED") ||
            integer_of(n->primary, OWN_NOT_BEFORE, 0) > clock_wall_ms())
                return;
        cleanup_free char *group = mem_printf("service:%s", text_of(n->service, "serviceName"));
        cleanup_json json_t *taken = placement_taken(d, NULL);
        const struct placement p = {
                .cluster = store_find(l, K_CLUSTER, text_of(n->service, "clusterArn")),
                .definition = d,
                .taken = taken,
                .constraints = json_object_get(n->service, "placementConstraints"),
                .strategy = json_object_get(n->service, "placementStrategy"),
                .group = group};
        while (started < wanted) {
                const json_t *t = start_one(n, &p);
                if (t == NULL)
                        break;
                name_task(&names, t);
                started++;
        }
        if (started > 0) {
                cleanup_free char *text = buf_steal(&names);
                service_event(n->service, "has started %lld tasks:%s.", (long long)started, text);
                n->changed = true;
        }
        buf_clear(&names);
}

/* ---- deployments ---- */

/* Deployments before, whose tasks are gone. */
static void drop_drained(struct turn *n)
{
        json_t *list = json_object_get(n->service, "deployments"), *t;
        for (size_t i = json_array_size(list); i-- > 0;) {
                const json_t *d = json_array_get(list, i);
                const char *arn;
                bool used = has_text(d, "status", "PRIMARY");
                json_object_foreach (tasks_of(n), arn, t)
                        used = used ||
                               (!is_stopped(t) && has_text(t, OWN_DEPLOYMENT, text_of(d, "id")));
                if (used)
                        continue;
                (void)json_array_remove(list, i);
                n->changed = true;
        }
}

static void complete(struct turn *n)
{
        bool alone = json_array_size(json_object_get(n->service, "deployments")) == 1;
        bool steady = alone && n->counts.settled == n->desired && n->counts.all == n->desired &&
                      n->counts.live == n->desired;
        if (steady && has_text(n->primary, "rolloutState", "IN_PROGRESS")) {
                cleanup_free char *reason =
                        mem_printf("ECS deployment %s completed.", text_of(n->primary, "id"));
                set_rollout(n->primary, "COMPLETED", reason);
                service_event(n->service, "(deployment %s) deployment completed.",
                              text_of(n->primary, "id"));
                (void)json_object_set_new(
                        n->service, "x-completed",
                        json_pack("{s:O, s:O}", "id", json_object_get(n->primary, "id"),
                                  "taskDefinition", json_object_get(n->primary, "taskDefinition")));
                n->changed = true;
        }
        if (steady != json_is_true(json_object_get(n->service, "x-steady"))) {
                (void)json_object_set_new(n->service, "x-steady", json_boolean(steady));
                if (steady)
                        service_event(n->service, "has reached a steady state.");
                n->changed = true;
        }
}

/* A deleted service is INACTIVE when its last task has stopped. */
static void end_service(struct turn *n)
{
        if (!has_text(n->service, "status", "DRAINING") || n->counts.all > 0)
                return;
        (void)json_object_set_new(n->service, "status", json_string("INACTIVE"));
        (void)json_object_set_new(n->service, "deployments", json_array());
        (void)json_object_set_new(n->service, "x-goneAt", json_real(local_now()));
        n->changed = true;
}

static int64_t look_again(const struct turn *n)
{
        int64_t wait = integer_of(n->primary, OWN_NOT_BEFORE, 0) - clock_wall_ms();
        return wait > 0 && wait < n->counts.look_again ? wait : n->counts.look_again;
}

int64_t reconcile_service(struct local *l, json_t *service)
{
        struct turn n = {.local = l, .service = service, .primary = service_primary(service)};
        if (has_text(service, "status", "INACTIVE") || n.primary == NULL)
                return INT64_MAX;
        n.desired = integer_of(service, "desiredCount", 0);
        account(&n);
        break_circuit(&n);
        count(&n);
        stop_tasks(&n);
        start_tasks(&n);
        count(&n);
        drop_drained(&n);
        if (has_text(service, "status", "ACTIVE"))
                complete(&n);
        int64_t wait = look_again(&n);
        end_service(&n);
        if (n.changed)
                service_store(l, service);
        return wait;
}
