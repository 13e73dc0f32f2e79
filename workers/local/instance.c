/* instance: see instance.h. */
#include "instance.h"

#include <string.h>

#include "cleanup.h"
#include "local.h"

json_t *instance_find(struct local *l, const json_t *cluster, const char *name)
{
        cleanup_free char *arn = arn_in_cluster(l, "container-instance", cluster, name);
        json_t *i = store_find(l, K_INSTANCE, arn);
        return i != NULL && has_text(i, "clusterArn", text_of(cluster, "clusterArn")) ? i : NULL;
}

const char *instance_attribute(const json_t *instance, const char *name)
{
        const json_t *a = find_named(json_object_get(instance, OWN_ATTRIBUTES), name);
        if (a == NULL)
                a = find_named(json_object_get(instance, "attributes"), name);
        return a != NULL ? text_of(a, "value") : NULL;
}

json_t *instance_attributes(const json_t *instance)
{
        const json_t *own = json_object_get(instance, OWN_ATTRIBUTES);
        json_t *out = json_array(), *e;
        size_t i;
        json_array_foreach (json_object_get(instance, "attributes"), i, e)
                if (find_named(own, text_of(e, "name")) == NULL)
                        (void)json_array_append(out, e);
        json_array_foreach (own, i, e)
                (void)json_array_append(out, e);
        return out;
}

static void subtract(json_t *resources, const char *name, json_int_t amount)
{
        json_t *r = find_named(resources, name);
        if (r != NULL)
                (void)json_object_set_new(r, "integerValue",
                                          json_integer(integer_of(r, "integerValue", 0) - amount));
}

static void use_ports(json_t *resources, const char *name, const json_t *ports)
{
        if (json_array_size(ports) > 0)
                (void)json_array_extend(
                        json_object_get(find_named(resources, name), "stringSetValue"),
                        (json_t *)ports);
}

json_t *instance_remaining(struct local *l, const json_t *instance)
{
        json_t *out = json_deep_copy(json_object_get(instance, "registeredResources"));
        json_int_t cpu = 0, memory = 0;
        const char *arn;
        json_t *t;
        json_object_foreach (store_tasks_of(l, text_of(instance, "containerInstanceArn")), arn, t) {
                const json_t *taken = json_object_get(t, OWN_TAKEN);
                if (has_text(t, "lastStatus", "STOPPED"))
                        continue;
                cpu += integer_of(taken, "cpu", 0);
                memory += integer_of(taken, "memory", 0);
                use_ports(out, "PORTS", json_object_get(taken, "tcp"));
                use_ports(out, "PORTS_UDP", json_object_get(taken, "udp"));
        }
        subtract(out, "CPU", cpu);
        subtract(out, "MEMORY", memory);
        return out;
}

json_int_t count_tasks(struct local *l, const char *owner_arn, const char *last_status)
{
        json_int_t n = 0;
        const char *arn;
        json_t *t;
        json_object_foreach (store_tasks_of(l, owner_arn), arn, t)
                n += has_text(t, "lastStatus", last_status);
        return n;
}

json_t *instance_shown(struct local *l, const json_t *instance, bool tags)
{
        json_t *out = store_shown(instance);
        const char *arn = text_of(instance, "containerInstanceArn");
        (void)json_object_set_new(out, "remainingResources", instance_remaining(l, instance));
        (void)json_object_set_new(out, "attributes", instance_attributes(instance));
        (void)json_object_set_new(out, "runningTasksCount",
                                  json_integer(count_tasks(l, arn, "RUNNING")));
        (void)json_object_set_new(out, "pendingTasksCount",
                                  json_integer(count_tasks(l, arn, "PENDING")));
        (void)json_object_del(out, "clusterArn");
        if (!tags)
                (void)json_object_set_new(out, "tags", json_array());
        return out;
}
