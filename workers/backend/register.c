/* register: the body of RegisterContainerInstance. Source: backend.md 4.1, 4.2. */
#include <jansson.h>
#include <string.h>

#include "backend.h"
#include "cleanup.h"
#include "mem.h"

static void put_integer(json_t *list, const char *name, json_int_t value)
{
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "name", name, "type",
                                                    "INTEGER", "integerValue", value));
}

static void put_ports(const struct backend *b, json_t *list, const char *name, const char *setting)
{
        cleanup_json json_t *ports = config_json(b->config, setting);
        json_t *texts = json_array();
        size_t i;
        json_t *e;
        json_array_foreach(ports, i, e) {
                cleanup_free char *text = mem_printf("%lld", (long long)json_integer_value(e));
                (void)json_array_append_new(texts, json_string(text));
        }
        if (strcmp(name, "PORTS") == 0 &&
            config_bool(b->config, "ECS_ENABLE_PROMETHEUS_METRICS", false))
                (void)json_array_append_new(texts, json_string("51680"));
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", name, "type",
                                                    "STRINGSET", "stringSetValue", texts));
}

static json_t *resources(const struct backend *b)
{
        json_t *list = json_array();
        json_int_t memory = (json_int_t)b->memory_mib -
                            (json_int_t)config_int(b->config, "ECS_RESERVED_MEMORY", 0);
        put_integer(list, "CPU", (json_int_t)b->cpus * 1024);
        put_integer(list, "MEMORY", memory > 0 ? memory : 0);
        put_ports(b, list, "PORTS", "ECS_RESERVED_PORTS");
        put_ports(b, list, "PORTS_UDP", "ECS_RESERVED_PORTS_UDP");
        return list;
}

static void put_pair(json_t *list, const char *name, const char *value)
{
        (void)json_array_append_new(list, json_pack("{s:s, s:s}", "name", name, "value", value));
}

static json_t *attributes(const struct backend *b)
{
        json_t *list = json_array();
        if (*b->identity.instance_arn == '\0') {
                cleanup_json json_t *own = config_json(b->config, "ECS_INSTANCE_ATTRIBUTES");
                const char *key;
                json_t *value;
                json_object_foreach(own, key, value)
                        put_pair(list, key, json_string_value(value));
        }
        capabilities_put(b, list);
        put_pair(list, "ecs.os-type", "linux");
        put_pair(list, "ecs.os-family", "LINUX");
        put_pair(list, "ecs.os-type-detailed",
                 config_text(b->config, "ECS_DETAILED_OS_FAMILY", "LINUX"));
        return list;
}

static void put_tags(const struct backend *b, json_t *body)
{
        cleanup_json json_t *own = config_json(b->config, "ECS_CONTAINER_INSTANCE_TAGS");
        const char *key;
        json_t *value;
        if (json_object_size(own) == 0)
                return;
        json_t *list = json_array();
        json_object_foreach(own, key, value)
                (void)json_array_append_new(list, json_pack("{s:s, s:O}", "key", key, "value",
                                                            value));
        (void)json_object_set_new(body, "tags", list);
}

json_t *register_body(const struct backend *b)
{
        json_t *body = json_pack("{s:s, s:s, s:s, s:o, s:o, s:s}", "cluster", b->identity.cluster,
                                 "instanceIdentityDocument", "", "instanceIdentityDocumentSignature",
                                 "", "totalResources", resources(b), "attributes", attributes(b),
                                 "clientToken", b->identity.registration_token);
        if (*b->identity.instance_arn != '\0')
                (void)json_object_set_new(body, "containerInstanceArn",
                                          json_string(b->identity.instance_arn));
        put_tags(b, body);
        return body;
}
