/* register: the body of RegisterContainerInstance. Source: backend.md 4.1, 4.2. */
#include <jansson.h>
#include <string.h>

#include "backend.h"
#include "capability_table.h"
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

#if defined(__x86_64__)
#define CPU_ARCHITECTURE "x86_64"
#elif defined(__i386__)
#define CPU_ARCHITECTURE "i386"
#else
#define CPU_ARCHITECTURE "arm64"
#endif

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
        const char *os = config_find(b->config, "ECS_DETAILED_OS_FAMILY");
        if (os == NULL || *os != '\0')
                put_pair(list, "ecs.os-type-detailed", os != NULL ? os : "LINUX");
        if (config_bool(b->config, "ECS_EXTERNAL", false))
                put_pair(list, "ecs.cpu-architecture", CPU_ARCHITECTURE);
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

const char *register_missing_attribute(const json_t *sent, const json_t *instance)
{
        const json_t *echoed = json_object_get(instance, "attributes");
        size_t i, k;
        json_t *s, *e;
        json_array_foreach(json_object_get(sent, "attributes"), i, s) {
                const json_t *name = json_object_get(s, "name");
                const char *value = json_string_value(json_object_get(s, "value"));
                bool found = false;
                json_array_foreach(echoed, k, e) {
                        const char *other = json_string_value(json_object_get(e, "value"));
                        found = found || (json_equal(json_object_get(e, "name"), name) &&
                                          strcmp(value != NULL ? value : "",
                                                 other != NULL ? other : "") == 0);
                }
                if (!found)
                        return json_string_value(name);
        }
        return NULL;
}

static const struct {
        const char *code, *text;  /* text: part of the message; NULL = any */
        enum register_outcome outcome;
} outcomes[] = {
        {"InvalidParameterException", NULL, REGISTER_REFUSED},
        {"ClientException", "Cluster not found.", REGISTER_NO_CLUSTER},
        {"ClientException", NULL, REGISTER_REFUSED},
        {"ClusterNotFoundException", NULL, REGISTER_NO_CLUSTER},
        {"", "Container instance type changes are not supported.", REGISTER_REFUSED},
        {"ThrottlingException", NULL, REGISTER_THROTTLED},
        {"ServerException", NULL, REGISTER_THROTTLED},
        {"LimitExceededException", NULL, REGISTER_THROTTLED},
};

enum register_outcome register_outcome(const char *code, const char *text)
{
        for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
                if ((*outcomes[i].code == '\0' || strcmp(outcomes[i].code, code) == 0) &&
                    (outcomes[i].text == NULL ||
                     (text != NULL && strstr(text, outcomes[i].text) != NULL)))
                        return outcomes[i].outcome;
        return REGISTER_AGAIN;
}
