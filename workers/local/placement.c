/* placement: first connected instance of the cluster with room for cpu, memory and host ports.
 * What a task takes is noted in the instance's remainingResources, as ECS shows it. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "local.h"
#include "mem.h"

static json_int_t definition_cpu(const json_t *definition)
{
        json_int_t sum = 0;
        size_t i;
        json_t *c;
        if (*text_of(definition, "cpu") != '\0')
                return strtoll(text_of(definition, "cpu"), NULL, 10);
        json_array_foreach(json_object_get(definition, "containerDefinitions"), i, c)
                sum += json_integer_value(json_object_get(c, "cpu"));
        return sum;
}

static json_int_t definition_memory(const json_t *definition)
{
        json_int_t sum = 0;
        size_t i;
        json_t *c;
        if (*text_of(definition, "memory") != '\0')
                return strtoll(text_of(definition, "memory"), NULL, 10);
        json_array_foreach(json_object_get(definition, "containerDefinitions"), i, c) {
                json_int_t soft = json_integer_value(json_object_get(c, "memoryReservation"));
                sum += soft > 0 ? soft : json_integer_value(json_object_get(c, "memory"));
        }
        return sum;
}

/* Fixed host ports of the definition as texts, by protocol. */
static json_t *definition_ports(const json_t *definition, const char *protocol)
{
        json_t *ports = json_array();
        size_t i, k;
        json_t *c, *m;
        bool host = strcmp(text_of(definition, "networkMode"), "host") == 0;
        json_array_foreach(json_object_get(definition, "containerDefinitions"), i, c)
                json_array_foreach(json_object_get(c, "portMappings"), k, m) {
                        json_int_t port = json_integer_value(json_object_get(m, "hostPort"));
                        const char *p = text_of(m, "protocol");
                        if (port == 0 && host)
                                port = json_integer_value(json_object_get(m, "containerPort"));
                        if (port == 0 || strcmp(*p != '\0' ? p : "tcp", protocol) != 0)
                                continue;
                        cleanup_free char *text = mem_printf("%lld", (long long)port);
                        (void)json_array_append_new(ports, json_string(text));
                }
        return ports;
}

static json_t *resource(const json_t *instance, const char *name)
{
        size_t i;
        json_t *r;
        json_array_foreach(json_object_get(instance, "remainingResources"), i, r)
                if (strcmp(text_of(r, "name"), name) == 0)
                        return r;
        return NULL;
}

static bool list_has(const json_t *list, const char *text)
{
        size_t i;
        json_t *e;
        json_array_foreach(list, i, e)
                if (strcmp(json_string_value(e), text) == 0)
                        return true;
        return false;
}

static bool ports_free(const json_t *instance, const char *name, const json_t *wanted)
{
        size_t i;
        json_t *e;
        json_array_foreach(wanted, i, e)
                if (list_has(json_object_get(resource(instance, name), "stringSetValue"),
                             json_string_value(e)))
                        return false;
        return true;
}

static void add(json_t *instance, const char *name, json_int_t amount)
{
        json_t *r = resource(instance, name);
        json_int_t now = json_integer_value(json_object_get(r, "integerValue"));
        if (r != NULL)
                (void)json_object_set_new(r, "integerValue", json_integer(now + amount));
}

static void change_ports(json_t *instance, const char *name, const json_t *ports, bool take)
{
        json_t *set = json_object_get(resource(instance, name), "stringSetValue");
        size_t i;
        json_t *e;
        json_array_foreach(ports, i, e) {
                if (take) {
                        (void)json_array_append(set, e);
                        continue;
                }
                for (size_t k = 0; k < json_array_size(set); k++)
                        if (json_equal(json_array_get(set, k), e)) {
                                (void)json_array_remove(set, k);
                                break;
                        }
        }
}

static void change(struct local *l, json_t *instance, const json_t *definition, bool take)
{
        cleanup_json json_t *tcp = definition_ports(definition, "tcp");
        cleanup_json json_t *udp = definition_ports(definition, "udp");
        json_int_t sign = take ? -1 : 1;
        add(instance, "CPU", sign * definition_cpu(definition));
        add(instance, "MEMORY", sign * definition_memory(definition));
        change_ports(instance, "PORTS", tcp, take);
        change_ports(instance, "PORTS_UDP", udp, take);
        (void)store_changed(l, K_INSTANCE, text_of(instance, "containerInstanceArn"));
}

static const char *misfit(const json_t *instance, const json_t *definition)
{
        cleanup_json json_t *tcp = definition_ports(definition, "tcp");
        cleanup_json json_t *udp = definition_ports(definition, "udp");
        if (json_integer_value(json_object_get(resource(instance, "CPU"), "integerValue")) <
            definition_cpu(definition))
                return "RESOURCE:CPU";
        if (json_integer_value(json_object_get(resource(instance, "MEMORY"), "integerValue")) <
            definition_memory(definition))
                return "RESOURCE:MEMORY";
        if (!ports_free(instance, "PORTS", tcp) || !ports_free(instance, "PORTS_UDP", udp))
                return "RESOURCE:PORTS";
        return NULL;
}

json_t *placement_take(struct local *l, const json_t *cluster, const json_t *definition,
                       const char **ret_reason)
{
        const char *arn;
        json_t *instance;
        *ret_reason = NULL;
        json_object_foreach(l->objects[K_INSTANCE], arn, instance) {
                if (strcmp(text_of(instance, "clusterArn"), text_of(cluster, "clusterArn")) != 0 ||
                    !json_is_true(json_object_get(instance, "agentConnected")))
                        continue;
                const char *reason = misfit(instance, definition);
                if (reason == NULL) {
                        change(l, instance, definition, true);
                        return instance;
                }
                *ret_reason = reason;
        }
        if (*ret_reason == NULL)
                *ret_reason = "AGENT";
        return NULL;
}

void placement_give_back(struct local *l, const json_t *task)
{
        json_t *instance = store_find(l, K_INSTANCE, text_of(task, "containerInstanceArn"));
        const json_t *definition =
                store_find(l, K_TASK_DEFINITION, text_of(task, "taskDefinitionArn"));
        if (instance != NULL && definition != NULL)
                change(l, instance, definition, false);
}
