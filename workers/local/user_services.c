/* user_services: services as people make, change and see them; scheduler.c does the work. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "local.h"
#include "mem.h"
#include "page.h"
#include "placement.h"
#include "service.h"

#define DESIRED_MAX 5000

/* The service named in the request; NULL with the error. */
static json_t *find(struct local *l, const json_t *q, const json_t *cluster, struct answer *a)
{
        json_t *s = service_find(l, cluster, text_of(q, "service"));
        if (s == NULL)
                answer_error(a, "ServiceNotFoundException", "Service not found.");
        return s;
}

static bool refuse(struct answer *a, const char *text)
{
        answer_error(a, "InvalidParameterException", "%s", text);
        return false;
}

/* An ACTIVE definition, as services need it; NULL with the error. */
static json_t *find_definition(struct local *l, const char *name, struct answer *a)
{
        json_t *d = find_task_definition(l, name);
        if (d != NULL && has_text(d, "status", "ACTIVE"))
                return d;
        answer_error(a, "ClientException",
                     d == NULL ? "TaskDefinition not found." : "TaskDefinition is inactive");
        return NULL;
}

/* ---- deployment configuration ---- */

/* The request's over what there was, over the defaults; NULL with the error. Owned. */
static json_t *configuration(const json_t *before, const json_t *q, struct answer *a)
{
        cleanup_json json_t *c = json_pack("{s:i, s:i, s:{s:b, s:b}}", "maximumPercent", 200,
                                           "minimumHealthyPercent", 100, "deploymentCircuitBreaker",
                                           "enable", 0, "rollback", 0);
        const json_t *asked = json_object_get(q, "deploymentConfiguration");
        if (before != NULL)
                (void)json_object_update(c, (json_t *)before);
        if (asked != NULL)
                (void)json_object_update(c, (json_t *)asked);
        json_int_t most = integer_of(c, "maximumPercent", 200);
        json_int_t least = integer_of(c, "minimumHealthyPercent", 100);
        if (least < 0 || least > 100)
                (void)refuse(a, "minimumHealthyPercent should be between 0 and 100.");
        else if (most < 100 || most > 200)
                (void)refuse(a, "maximumPercent should be between 100 and 200.");
        else if (least == 100 && most == 100)
                (void)refuse(a, "Both maximumPercent and minimumHealthyPercent cannot be 100 as "
                                "this will block deployments.");
        return a->code == NULL ? STEAL(c) : NULL;
}

static bool check_counts(const json_t *q, struct answer *a)
{
        json_int_t desired = integer_of(q, "desiredCount", 0);
        if (desired < 0 || desired > DESIRED_MAX)
                return refuse(a, "desiredCount should be between 0 and 5000.");
        if (json_object_get(q, "healthCheckGracePeriodSeconds") != NULL)
                return refuse(a, "Health check grace period is only valid for services configured "
                                 "to use load balancers");
        return placement_check(q, a) && check_tags(json_object_get(q, "tags"), a);
}

/* ---- create ---- */

static bool check_create(const json_t *q, struct answer *a)
{
        const char *name = text_of(q, "serviceName");
        size_t n = strlen(name);
        for (const char *p = name; *p != '\0'; p++)
                if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
                        n = 0;
        if (n == 0 || n > 255)
                return refuse(a, "Invalid service name: a name has up to 255 letters, digits, "
                                 "hyphens and underscores.");
        if (*text_of(q, "taskDefinition") == '\0')
                return refuse(a, "TaskDefinition should not be null or empty.");
        if (json_object_get(q, "desiredCount") == NULL)
                return refuse(a, "desiredCount should not be null.");
        return check_counts(q, a);
}

/* What there is under that name: false when it forbids the new one (a is filled, maybe with the
 * service itself, when the same request is made again). */
static bool is_free(struct local *l, const json_t *q, const char *arn, struct answer *a)
{
        const json_t *s = store_find(l, K_SERVICE, arn);
        const char *token = text_of(q, "clientToken");
        if (s == NULL || has_text(s, "status", "INACTIVE"))
                return true;
        if (has_text(s, "status", "DRAINING"))
                return refuse(a, "Unable to Start a service that is still Draining.");
        if (*token == '\0' || !has_text(s, OWN_TOKEN, token))
                return refuse(a, "Creation of service was not idempotent.");
        a->body = json_pack("{s:o}", "service", service_shown(l, s, true));
        return false;
}

static const char *const plain_members[] = {"placementConstraints", "placementStrategy",
                                            "availabilityZoneRebalancing"};
static const char *const flags[] = {"enableECSManagedTags", "propagateTags"};

static void copy(json_t *s, const json_t *q, const char *const *names, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (json_object_get(q, names[i]) != NULL)
                        (void)json_object_set_new(s, names[i],
                                                  json_deep_copy(json_object_get(q, names[i])));
}

void op_create_service(struct local *l, const json_t *q, struct answer *a)
{
        const json_t *cluster = find_cluster(l, q, a);
        if (cluster == NULL || !check_create(q, a))
                return;
        cleanup_free char *arn = arn_in_cluster(l, "service", cluster, text_of(q, "serviceName"));
        if (!is_free(l, q, arn, a))
                return;
        const json_t *d = find_definition(l, text_of(q, "taskDefinition"), a);
        json_t *c = d != NULL ? configuration(NULL, q, a) : NULL;
        if (c == NULL)
                return;
        json_t *tags = json_array();
        merge_tags(tags, json_object_get(q, "tags"));
        json_t *s =
                json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:o, s:f, s:s, s:o, s:s}",
                          "serviceArn", arn, "serviceName", text_of(q, "serviceName"), "clusterArn",
                          text_of(cluster, "clusterArn"), "status", "ACTIVE", "desiredCount",
                          integer_of(q, "desiredCount", 0), "launchType", "EC2", "taskDefinition",
                          text_of(d, "taskDefinitionArn"), "deploymentConfiguration", c,
                          "createdAt", local_now(), "createdBy", "arn:aws:iam::" ACCOUNT ":root",
                          "tags", tags, "schedulingStrategy", "REPLICA");
        static const char *const lists[] = {
                "loadBalancers", "serviceRegistries",    "events",
                "deployments",   "placementConstraints", "placementStrategy"};
        for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
                (void)json_object_set_new(s, lists[i], json_array());
        (void)json_object_set_new(s, "propagateTags", json_string("NONE"));
        (void)json_object_set_new(s, "enableECSManagedTags", json_false());
        (void)json_object_set_new(s, "enableExecuteCommand", json_false());
        (void)json_object_set_new(s, "deploymentController", json_pack("{s:s}", "type", "ECS"));
        copy(s, q, plain_members, ARRAY_SIZE(plain_members));
        copy(s, q, flags, ARRAY_SIZE(flags));
        if (*text_of(q, "clientToken") != '\0')
                (void)json_object_set(s, OWN_TOKEN, json_object_get(q, "clientToken"));
        service_deploy(s, NULL);
        (void)store_put(l, K_SERVICE, arn, s);
        a->body = json_pack("{s:o}", "service", service_shown(l, s, true));
}

/* ---- update ---- */

/* Whether the request changes how tasks are made, which takes a new deployment. */
static bool needs_deployment(const json_t *s, const json_t *q, const json_t *definition)
{
        bool needs = json_is_true(json_object_get(q, "forceNewDeployment")) ||
                     (definition != NULL &&
                      !has_text(s, "taskDefinition", text_of(definition, "taskDefinitionArn")));
        for (size_t i = 0; i < ARRAY_SIZE(plain_members); i++) {
                const json_t *asked = json_object_get(q, plain_members[i]);
                needs = needs ||
                        (asked != NULL && !json_equal(asked, json_object_get(s, plain_members[i])));
        }
        return needs;
}

void op_update_service(struct local *l, const json_t *q, struct answer *a)
{
        const json_t *cluster = find_cluster(l, q, a);
        json_t *s = cluster != NULL ? find(l, q, cluster, a) : NULL;
        const json_t *d = NULL;
        if (s == NULL || !check_counts(q, a))
                return;
        if (!has_text(s, "status", "ACTIVE")) {
                answer_error(a, "ServiceNotActiveException", "Service was not ACTIVE.");
                return;
        }
        if (*text_of(q, "taskDefinition") != '\0') {
                d = find_definition(l, text_of(q, "taskDefinition"), a);
                if (d == NULL)
                        return;
        }
        json_t *c = configuration(json_object_get(s, "deploymentConfiguration"), q, a);
        if (c == NULL)
                return;
        bool deploys = needs_deployment(s, q, d);
        (void)json_object_set_new(s, "deploymentConfiguration", c);
        if (d != NULL)
                (void)json_object_set(s, "taskDefinition", json_object_get(d, "taskDefinitionArn"));
        if (json_object_get(q, "desiredCount") != NULL) {
                (void)json_object_set(s, "desiredCount", json_object_get(q, "desiredCount"));
                (void)json_object_set_new(s, "x-steady", json_false());
        }
        copy(s, q, plain_members, ARRAY_SIZE(plain_members));
        copy(s, q, flags, ARRAY_SIZE(flags));
        if (deploys)
                service_deploy(s, NULL);
        service_store(l, s);
        a->body = json_pack("{s:o}", "service", service_shown(l, s, true));
}

/* ---- delete, describe, list ---- */

void op_delete_service(struct local *l, const json_t *q, struct answer *a)
{
        const json_t *cluster = find_cluster(l, q, a);
        json_t *s = cluster != NULL ? find(l, q, cluster, a) : NULL;
        if (s == NULL)
                return;
        if (has_text(s, "status", "INACTIVE")) {
                answer_error(a, "ServiceNotFoundException", "Service not found.");
                return;
        }
        if (integer_of(s, "desiredCount", 0) > 0 && !json_is_true(json_object_get(q, "force"))) {
                (void)refuse(a, "The service cannot be stopped while it is scaled above 0.");
                return;
        }
        (void)json_object_set_new(s, "status", json_string("DRAINING"));
        (void)json_object_set_new(s, "desiredCount", json_integer(0));
        service_store(l, s);
        a->body = json_pack("{s:o}", "service", service_shown(l, s, true));
}

void op_describe_services(struct local *l, const json_t *q, struct answer *a)
{
        const json_t *cluster = find_cluster(l, q, a);
        json_t *found, *failures, *n;
        size_t i;
        if (cluster == NULL)
                return;
        if (json_array_size(json_object_get(q, "services")) == 0) {
                (void)refuse(a, "Services cannot be empty.");
                return;
        }
        found = json_array();
        failures = json_array();
        json_array_foreach (json_object_get(q, "services"), i, n) {
                const json_t *s = service_find(l, cluster, json_string_value(n));
                cleanup_free char *arn =
                        arn_in_cluster(l, "service", cluster, json_string_value(n));
                if (s != NULL)
                        (void)json_array_append_new(found,
                                                    service_shown(l, s, includes(q, "TAGS")));
                else
                        add_failure(failures, arn, "MISSING", NULL);
        }
        a->body = json_pack("{s:o, s:o}", "services", found, "failures", failures);
}

void op_list_services(struct local *l, const json_t *q, struct answer *a)
{
        static const struct page_spec spec = {"serviceArns", 10, 100, false};
        static const char *const filters[] = {"launchType", "schedulingStrategy"};
        const json_t *cluster = find_cluster(l, q, a);
        const char *arn;
        json_t *s, *items;
        if (cluster == NULL)
                return;
        items = json_object();
        json_object_foreach (l->objects[K_SERVICE], arn, s) {
                bool wanted = has_text(s, "clusterArn", text_of(cluster, "clusterArn")) &&
                              !has_text(s, "status", "INACTIVE") &&
                              !has_text(q, "resourceManagementType", "ECS");
                for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
                        wanted = wanted && (json_object_get(q, filters[i]) == NULL ||
                                            has_text(s, filters[i], text_of(q, filters[i])));
                if (wanted)
                        (void)json_object_set_new(items, arn, json_string(arn));
        }
        page_answer(items, q, &spec, a);
}
