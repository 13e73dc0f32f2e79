/* service: see service.h. */
#include "service.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "local.h"
#include "mem.h"
#include "random.h"

#define EVENTS_MAX 100

json_t *service_find(struct local *l, const json_t *cluster, const char *name)
{
        cleanup_free char *arn = arn_in_cluster(l, "service", cluster, name);
        json_t *s = store_find(l, K_SERVICE, arn);
        return s != NULL && has_text(s, "clusterArn", text_of(cluster, "clusterArn")) ? s : NULL;
}

void service_store(struct local *l, const json_t *service)
{
        (void)store_changed(l, K_SERVICE, text_of(service, "serviceArn"));
}

struct tally service_tally(struct local *l, const json_t *service, const char *deployment_id)
{
        struct tally n = {0};
        const char *arn;
        json_t *t;
        json_object_foreach (store_tasks_of(l, text_of(service, "serviceArn")), arn, t) {
                if (deployment_id != NULL && !has_text(t, OWN_DEPLOYMENT, deployment_id))
                        continue;
                n.running += has_text(t, "lastStatus", "RUNNING");
                n.pending += has_text(t, "lastStatus", "PENDING");
        }
        return n;
}

static json_t *shown_deployment(struct local *l, const json_t *service, const json_t *d)
{
        json_t *out = store_shown(d);
        struct tally n = service_tally(l, service, text_of(d, "id"));
        (void)json_object_set_new(out, "runningCount", json_integer(n.running));
        (void)json_object_set_new(out, "pendingCount", json_integer(n.pending));
        (void)json_object_set_new(out, "desiredCount",
                                  json_integer(has_text(d, "status", "PRIMARY")
                                                       ? integer_of(service, "desiredCount", 0)
                                                       : n.running + n.pending));
        return out;
}

json_t *service_shown(struct local *l, const json_t *service, bool tags)
{
        json_t *out = store_shown(service), *deployments = json_array(), *d;
        struct tally n = service_tally(l, service, NULL);
        size_t i;
        json_array_foreach (json_object_get(service, "deployments"), i, d)
                (void)json_array_append_new(deployments, shown_deployment(l, service, d));
        (void)json_object_set_new(out, "deployments", deployments);
        (void)json_object_set_new(out, "runningCount", json_integer(n.running));
        (void)json_object_set_new(out, "pendingCount", json_integer(n.pending));
        if (!tags)
                (void)json_object_del(out, "tags");
        return out;
}

void service_event(json_t *service, const char *format, ...)
{
        char id[RANDOM_UUID];
        va_list ap;
        va_start(ap, format);
        cleanup_free char *text = mem_vprintf(format, ap);
        va_end(ap);
        cleanup_free char *message =
                mem_printf("(service %s) %s", text_of(service, "serviceName"), text);
        json_t *events = json_object_get(service, "events");
        (void)json_array_insert_new(events, 0,
                                    json_pack("{s:s, s:f, s:s}", "id", random_uuid(id), "createdAt",
                                              local_now(), "message", message));
        (void)json_array_remove(events, EVENTS_MAX);
}

json_t *service_primary(const json_t *service)
{
        size_t i;
        json_t *d;
        json_array_foreach (json_object_get(service, "deployments"), i, d)
                if (has_text(d, "status", "PRIMARY"))
                        return d;
        return NULL;
}

void service_deploy(json_t *service, const char *reason)
{
        uint64_t number;
        json_t *before = service_primary(service);
        random_bytes(&number, sizeof number);
        cleanup_free char *id =
                mem_printf("ecs-svc/%019" PRIu64, number % UINT64_C(10000000000000000000));
        cleanup_free char *usual = mem_printf("ECS deployment %s in progress.", id);
        if (before != NULL)
                (void)json_object_set_new(before, "status", json_string("ACTIVE"));
        json_t *d = json_pack("{s:s, s:s, s:s, s:i, s:f, s:f, s:s, s:s, s:s}", "id", id, "status",
                              "PRIMARY", "taskDefinition", text_of(service, "taskDefinition"),
                              "failedTasks", 0, "createdAt", local_now(), "updatedAt", local_now(),
                              "launchType", "EC2", "rolloutState", "IN_PROGRESS",
                              "rolloutStateReason", reason != NULL ? reason : usual);
        (void)json_array_insert_new(json_object_get(service, "deployments"), 0, d);
        (void)json_object_set_new(service, "x-steady", json_false());
}
