/* placement: see placement.h. */
#include "placement.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "expression.h"
#include "instance.h"
#include "local.h"
#include "mem.h"
#include "random.h"

/* ---- what a task takes ---- */

static json_int_t overridden(const json_t *c, const json_t *override, const char *key)
{
        return integer_of(override, key, integer_of(c, key, 0));
}

/* The task's own limit, else the sum over its containers; a soft memory limit counts rather than
 * the hard one. */
static json_int_t amount(const json_t *definition, const json_t *overrides, const char *key)
{
        const json_t *sources[] = {overrides, definition};
        json_int_t sum = 0;
        size_t i;
        json_t *c;
        for (i = 0; i < ARRAY_SIZE(sources); i++)
                if (*text_of(sources[i], key) != '\0')
                        return strtoll(text_of(sources[i], key), NULL, 10);
        json_array_foreach (json_object_get(definition, "containerDefinitions"), i, c) {
                const json_t *o = find_named(json_object_get(overrides, "containerOverrides"),
                                             text_of(c, "name"));
                json_int_t soft =
                        strcmp(key, "memory") == 0 ? overridden(c, o, "memoryReservation") : 0;
                sum += soft > 0 ? soft : overridden(c, o, key);
        }
        return sum;
}

/* Fixed host ports of the definition as texts. */
static json_t *host_ports(const json_t *definition, const char *protocol)
{
        json_t *ports = json_array(), *c, *m;
        bool host = has_text(definition, "networkMode", "host");
        size_t i, k;
        json_array_foreach (json_object_get(definition, "containerDefinitions"), i, c)
                json_array_foreach (json_object_get(c, "portMappings"), k, m) {
                        json_int_t port = integer_of(m, "hostPort", 0);
                        const char *p = text_of(m, "protocol");
                        if (port == 0 && host)
                                port = integer_of(m, "containerPort", 0);
                        if (port == 0 || strcmp(*p != '\0' ? p : "tcp", protocol) != 0)
                                continue;
                        cleanup_free char *text = mem_printf("%lld", (long long)port);
                        (void)json_array_append_new(ports, json_string(text));
                }
        return ports;
}

json_t *placement_taken(const json_t *definition, const json_t *overrides)
{
        return json_pack("{s:I, s:I, s:o, s:o}", "cpu", amount(definition, overrides, "cpu"),
                         "memory", amount(definition, overrides, "memory"), "tcp",
                         host_ports(definition, "tcp"), "udp", host_ports(definition, "udp"));
}

/* ---- resources and attributes ---- */

static bool ports_free(const json_t *remaining, const char *name, const json_t *wanted)
{
        const json_t *used = json_object_get(find_named(remaining, name), "stringSetValue");
        size_t i, k;
        json_t *w, *u;
        json_array_foreach (wanted, i, w)
                json_array_foreach (used, k, u)
                        if (json_equal(w, u))
                                return false;
        return true;
}

static bool enough(const json_t *remaining, const char *name, const json_t *taken, const char *key)
{
        return integer_of(find_named(remaining, name), "integerValue", 0) >=
               integer_of(taken, key, 0);
}

static const char *lacking(struct local *l, const json_t *instance, const json_t *taken)
{
        cleanup_json json_t *remaining = instance_remaining(l, instance);
        if (!enough(remaining, "CPU", taken, "cpu"))
                return "RESOURCE:CPU";
        if (!enough(remaining, "MEMORY", taken, "memory"))
                return "RESOURCE:MEMORY";
        if (!ports_free(remaining, "PORTS", json_object_get(taken, "tcp")) ||
            !ports_free(remaining, "PORTS_UDP", json_object_get(taken, "udp")))
                return "RESOURCE:PORTS";
        return NULL;
}

/* The first required attribute the instance does not have, or NULL. */
static const char *missing_attribute(const json_t *instance, const json_t *definition)
{
        size_t i;
        json_t *r;
        json_array_foreach (json_object_get(definition, "requiresAttributes"), i, r)
                if (instance_attribute(instance, text_of(r, "name")) == NULL)
                        return text_of(r, "name");
        return NULL;
}

/* ---- constraints ---- */

struct subject {
        struct local *local;
        const json_t *instance;
};

static json_t *groups_of(struct local *l, const json_t *instance)
{
        json_t *out = json_array(), *t;
        const char *arn;
        json_object_foreach (store_tasks_of(l, text_of(instance, "containerInstanceArn")), arn, t)
                if (!has_text(t, "lastStatus", "STOPPED"))
                        (void)json_array_append(out, json_object_get(t, "group"));
        return out;
}

/* Values of the query language's subjects. */
static json_t *values_of(void *arg, const char *name)
{
        const struct subject *s = arg;
        const json_t *i = s->instance;
        char time[CLOCK_TEXT];
        if (strncmp(name, "attribute:", 10) == 0) {
                const char *value = instance_attribute(i, name + 10);
                return value != NULL ? json_pack("[s]", value) : NULL;
        }
        if (strcmp(name, "task:group") == 0)
                return groups_of(s->local, i);
        if (strcmp(name, "agentConnected") == 0)
                return json_pack("[s]", json_is_true(json_object_get(i, name)) ? "true" : "false");
        if (strcmp(name, "agentVersion") == 0)
                return json_pack("[s]", text_of(json_object_get(i, "versionInfo"), name));
        if (strcmp(name, "ec2InstanceId") == 0)
                return json_pack("[s]", text_of(i, name));
        if (strcmp(name, "registeredAt") == 0) {
                double at = json_number_value(json_object_get(i, name));
                return json_pack("[s]", clock_format_ms((int64_t)(at * 1000), time));
        }
        cleanup_free char *count = mem_printf(
                "%lld",
                (long long)count_tasks(s->local, text_of(i, "containerInstanceArn"), "RUNNING"));
        return json_pack("[s]", count);
}

int placement_filter(struct local *l, const json_t *instance, const char *filter, char **ret_error)
{
        struct subject s = {l, instance};
        return expression_evaluate(filter, instance != NULL ? values_of : NULL, &s, ret_error);
}

static const char *unsatisfied(struct local *l, const json_t *instance, const json_t *constraints,
                               const char *group)
{
        size_t i, k;
        json_t *c, *g;
        json_array_foreach (constraints, i, c) {
                cleanup_free char *error = NULL;
                if (has_text(c, "type", "memberOf")) {
                        if (placement_filter(l, instance, text_of(c, "expression"), &error) != 1)
                                return "MemberOf placement constraint unsatisfied.";
                        continue;
                }
                cleanup_json json_t *groups = groups_of(l, instance);
                json_array_foreach (groups, k, g)
                        if (strcmp(json_string_value(g), group) == 0)
                                return "DistinctInstance placement constraint unsatisfied.";
        }
        return NULL;
}

const char *placement_misfit(struct local *l, const struct placement *p, const json_t *instance,
                             char **ret_detail)
{
        const json_t *const lists[] = {p->constraints,
                                       json_object_get(p->definition, "placementConstraints")};
        *ret_detail = NULL;
        if (!json_is_true(json_object_get(instance, "agentConnected")))
                return "AGENT";
        const char *attribute = missing_attribute(instance, p->definition);
        if (attribute != NULL) {
                *ret_detail = mem_printf("The container instance has no attribute %s, which the "
                                         "task definition requires.",
                                         attribute);
                return "ATTRIBUTE";
        }
        for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
                const char *reason = unsatisfied(l, instance, lists[i], p->group);
                if (reason != NULL)
                        return reason;
        }
        return lacking(l, instance, p->taken);
}

/* ---- strategies ---- */

static json_int_t of_group(struct local *l, const json_t *instance, const char *group)
{
        cleanup_json json_t *groups = groups_of(l, instance);
        json_int_t n = 0;
        size_t i;
        json_t *g;
        json_array_foreach (groups, i, g)
                n += strcmp(json_string_value(g), group) == 0;
        return n;
}

/* Tasks of the group where the attribute has the same value. */
static json_int_t spread_over(struct local *l, const struct placement *p, const json_t *instance,
                              const char *attribute)
{
        const char *value = instance_attribute(instance, attribute), *arn;
        json_int_t n = 0;
        json_t *i;
        json_object_foreach (l->objects[K_INSTANCE], arn, i) {
                const char *other = instance_attribute(i, attribute);
                if (value != NULL && other != NULL && strcmp(value, other) == 0 &&
                    has_text(i, "clusterArn", text_of(p->cluster, "clusterArn")))
                        n += of_group(l, i, p->group);
        }
        return n;
}

/* The lower the better. */
static double score(struct local *l, const struct placement *p, const json_t *strategy,
                    const json_t *instance)
{
        const char *type = text_of(strategy, "type"), *field = text_of(strategy, "field");
        if (strcmp(type, "random") == 0)
                return random_unit();
        if (strcmp(type, "binpack") == 0) {
                cleanup_json json_t *remaining = instance_remaining(l, instance);
                return (double)integer_of(
                        find_named(remaining, strcasecmp(field, "cpu") == 0 ? "CPU" : "MEMORY"),
                        "integerValue", 0);
        }
        return (double)(strncmp(field, "attribute:", 10) == 0
                                ? spread_over(l, p, instance, field + 10)
                                : of_group(l, instance, p->group));
}

/* Whether a is better than b by the first strategy that tells them apart. */
static bool is_better(struct local *l, const struct placement *p, const json_t *a, const json_t *b)
{
        static const char by_instance[] = "{\"type\":\"spread\",\"field\":\"instanceId\"}";
        size_t i;
        json_t *s;
        if (json_array_size(p->strategy) == 0) {
                cleanup_json json_t *spread = json_loads(by_instance, 0, NULL);
                return score(l, p, spread, a) < score(l, p, spread, b);
        }
        json_array_foreach (p->strategy, i, s) {
                double x = score(l, p, s, a), y = score(l, p, s, b);
                if (x < y || x > y)
                        return x < y;
        }
        return false;
}

json_t *placement_find(struct local *l, const struct placement *p, json_t *failures)
{
        json_t *best = NULL, *i;
        const char *arn;
        json_object_foreach (l->objects[K_INSTANCE], arn, i) {
                cleanup_free char *detail = NULL;
                if (!has_text(i, "clusterArn", text_of(p->cluster, "clusterArn")) ||
                    !has_text(i, "status", "ACTIVE"))
                        continue;
                const char *reason = placement_misfit(l, p, i, &detail);
                if (reason != NULL)
                        add_failure(failures, arn, reason, detail);
                else if (best == NULL || is_better(l, p, i, best))
                        best = i;
        }
        if (best != NULL)
                (void)json_array_clear(failures);
        return best;
}

/* ---- requests ---- */

bool placement_check_constraints(const json_t *constraints, struct answer *a)
{
        size_t i;
        json_t *c;
        json_array_foreach (constraints, i, c) {
                cleanup_free char *error = NULL;
                const char *expression = text_of(c, "expression");
                bool member = has_text(c, "type", "memberOf");
                if (member ? *expression == '\0' : *expression != '\0') {
                        answer_error(a, "InvalidParameterException",
                                     member ? "A memberOf placement constraint needs an expression."
                                            : "A distinctInstance placement constraint cannot "
                                              "have an expression.");
                        return false;
                }
                if (member && expression_evaluate(expression, NULL, NULL, &error) < 0) {
                        answer_error(a, "InvalidParameterException",
                                     "Invalid placement constraint expression: %s.", error);
                        return false;
                }
        }
        return true;
}

bool placement_check(const json_t *q, struct answer *a)
{
        size_t i;
        json_t *s;
        json_array_foreach (json_object_get(q, "placementStrategy"), i, s) {
                const char *type = text_of(s, "type"), *field = text_of(s, "field");
                bool valid =
                        strcmp(type, "random") == 0 ? *field == '\0'
                        : strcmp(type, "binpack") == 0
                                ? strcasecmp(field, "cpu") == 0 || strcasecmp(field, "memory") == 0
                                : *field != '\0';
                if (valid)
                        continue;
                answer_error(a, "InvalidParameterException",
                             "Invalid field '%s' for placement strategy %s.", field, type);
                return false;
        }
        return placement_check_constraints(json_object_get(q, "placementConstraints"), a);
}
