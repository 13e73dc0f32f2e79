/* task_payload: a task and its definition as ACS hands them to an agent: what has no member of its
 * own travels in the dockerConfig strings. Source: engine.md 2 and 3.4. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "local.h"
#include "mem.h"
#include "random.h"

#define ROLE_LIFE_MS 21600000

/* Members copied by name: definition → docker config or hostConfig. */
static const struct {
        const char *from, *to;
        bool host;
} copied[] = {
        {"user",                   "User",            false},
        {"workingDirectory",       "WorkingDir",      false},
        {"hostname",               "Hostname",        false},
        {"dockerLabels",           "Labels",          false},
        {"pseudoTerminal",         "Tty",             false},
        {"interactive",            "OpenStdin",       false},
        {"disableNetworking",      "NetworkDisabled", false},
        {"privileged",             "Privileged",      true },
        {"readonlyRootFilesystem", "ReadonlyRootfs",  true },
        {"dnsServers",             "Dns",             true },
        {"dnsSearchDomains",       "DnsSearch",       true },
        {"dockerSecurityOptions",  "SecurityOpt",     true },
};

static json_t *string_of_json(json_t *o)
{
        cleanup_free char *text = json_dumps(o, JSON_COMPACT);
        json_decref(o);
        return json_string(text);
}

/* Comma-separated. Owned. */
static char *join(const json_t *words)
{
        char *text = mem_strdup("");
        size_t i;
        json_t *w;
        json_array_foreach (words, i, w) {
                char *longer = mem_printf("%s%s%s", text, i > 0 ? "," : "", json_string_value(w));
                free(text);
                text = longer;
        }
        return text;
}

static void put_devices(json_t *host, const json_t *devices)
{
        json_t *list = json_array(), *d, *p;
        size_t i, k;
        json_array_foreach (devices, i, d) {
                char permissions[4] = "";
                const char *inside = text_of(d, "containerPath");
                json_array_foreach (json_object_get(d, "permissions"), k, p)
                        if (k < 3)
                                permissions[k] = *json_string_value(p);
                (void)json_array_append_new(
                        list,
                        json_pack("{s:s, s:s, s:s}", "PathOnHost", text_of(d, "hostPath"),
                                  "PathInContainer",
                                  *inside != '\0' ? inside : text_of(d, "hostPath"),
                                  "CgroupPermissions", *permissions != '\0' ? permissions : "rwm"));
        }
        if (json_array_size(list) > 0)
                (void)json_object_set(host, "Devices", list);
        json_decref(list);
}

static void put_health(json_t *config, const json_t *c)
{
        static const struct {
                const char *from, *to;
        } times[] = {
                {"interval",    "Interval"   },
                {"timeout",     "Timeout"    },
                {"startPeriod", "StartPeriod"}
        };
        const json_t *h = json_object_get(c, "healthCheck");
        if (h == NULL)
                return;
        json_t *out = json_pack("{s:O}", "Test", json_object_get(h, "command"));
        for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
                json_int_t s = json_integer_value(json_object_get(h, times[i].from));
                if (s > 0)
                        (void)json_object_set_new(out, times[i].to, json_integer(s * 1000000000));
        }
        if (json_object_get(h, "retries") != NULL)
                (void)json_object_set(out, "Retries", json_object_get(h, "retries"));
        (void)json_object_set_new(config, "Healthcheck", out);
}

/* Docker's HostConfig of linuxParameters. */
static void put_linux(json_t *host, const json_t *p, json_int_t memory)
{
        const json_t *capabilities = json_object_get(p, "capabilities");
        json_int_t shared = integer_of(p, "sharedMemorySize", 0),
                   swap = integer_of(p, "maxSwap", -1);
        size_t i;
        json_t *e;
        if (json_is_true(json_object_get(p, "initProcessEnabled")))
                (void)json_object_set_new(host, "Init", json_true());
        if (json_object_get(capabilities, "add") != NULL)
                (void)json_object_set(host, "CapAdd", json_object_get(capabilities, "add"));
        if (json_object_get(capabilities, "drop") != NULL)
                (void)json_object_set(host, "CapDrop", json_object_get(capabilities, "drop"));
        if (shared > 0)
                (void)json_object_set_new(host, "ShmSize", json_integer(shared << 20));
        if (swap >= 0 && memory > 0)
                (void)json_object_set_new(host, "MemorySwap", json_integer((memory + swap) << 20));
        if (json_object_get(p, "swappiness") != NULL)
                (void)json_object_set(host, "MemorySwappiness", json_object_get(p, "swappiness"));
        json_t *tmpfs = json_object();
        json_array_foreach (json_object_get(p, "tmpfs"), i, e) {
                cleanup_free char *options = join(json_object_get(e, "mountOptions"));
                cleanup_free char *text =
                        mem_printf("%s%ssize=%lldm", options, *options != '\0' ? "," : "",
                                   (long long)integer_of(e, "size", 0));
                (void)json_object_set_new(tmpfs, text_of(e, "containerPath"), json_string(text));
        }
        if (json_object_size(tmpfs) > 0)
                (void)json_object_set(host, "Tmpfs", tmpfs);
        json_decref(tmpfs);
        put_devices(host, json_object_get(p, "devices"));
}

static void put_log(json_t *host, const json_t *log)
{
        if (log != NULL)
                (void)json_object_set_new(host, "LogConfig",
                                          json_pack("{s:s, s:O?}", "Type",
                                                    text_of(log, "logDriver"), "Config",
                                                    json_object_get(log, "options")));
}

static void put_host(json_t *host, const json_t *c, const json_t *override,
                     const json_t *definition)
{
        json_int_t soft =
                integer_of(override, "memoryReservation", integer_of(c, "memoryReservation", 0));
        json_int_t hard = integer_of(override, "memory", integer_of(c, "memory", 0));
        const char *mode = text_of(definition, "networkMode");
        size_t i;
        json_t *e;
        (void)json_object_set_new(host, "NetworkMode",
                                  json_string(*mode != '\0' ? mode : "bridge"));
        put_log(host, json_object_get(c, "logConfiguration"));
        put_linux(host, json_object_get(c, "linuxParameters"), hard);
        if (soft > 0)
                (void)json_object_set_new(host, "MemoryReservation", json_integer(soft << 20));
        json_t *extra = json_array();
        json_array_foreach (json_object_get(c, "extraHosts"), i, e) {
                cleanup_free char *text =
                        mem_printf("%s:%s", text_of(e, "hostname"), text_of(e, "ipAddress"));
                (void)json_array_append_new(extra, json_string(text));
        }
        (void)json_object_set_new(host, "ExtraHosts", extra);
        json_t *limits = json_array();
        json_array_foreach (json_object_get(c, "ulimits"), i, e)
                (void)json_array_append_new(limits,
                                            json_pack("{s:s, s:O, s:O}", "Name", text_of(e, "name"),
                                                      "Soft", json_object_get(e, "softLimit"),
                                                      "Hard", json_object_get(e, "hardLimit")));
        (void)json_object_set_new(host, "Ulimits", limits);
        json_t *controls = json_object();
        json_array_foreach (json_object_get(c, "systemControls"), i, e)
                (void)json_object_set(controls, text_of(e, "namespace"),
                                      json_object_get(e, "value"));
        if (json_object_size(controls) > 0)
                (void)json_object_set(host, "Sysctls", controls);
        json_decref(controls);
}

/* ---- what else a container needs ---- */

/* Secrets in ACS's form, those of the log driver behind the container's own. */
static void put_secrets(struct local *l, json_t *out, const json_t *c)
{
        const json_t *log = json_object_get(c, "logConfiguration");
        const struct {
                const json_t *from;
                const char *type, *target;
        } sources[] = {
                {json_object_get(c,   "secrets"),       "ENVIRONMENT_VARIABLE", "CONTAINER" },
                {json_object_get(log, "secretOptions"), "BOOTSTRAP",            "LOG_DRIVER"},
        };
        json_t *list = json_array(), *e;
        for (size_t k = 0; k < ARRAY_SIZE(sources); k++) {
                size_t i;
                json_array_foreach (sources[k].from, i, e) {
                        const char *from = text_of(e, "valueFrom");
                        (void)json_array_append_new(
                                list,
                                json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "name",
                                          text_of(e, "name"), "valueFrom", from, "region",
                                          l->region, "provider",
                                          strstr(from, ":secretsmanager:") != NULL ? "asm" : "ssm",
                                          "type", sources[k].type, "target", sources[k].target));
                }
        }
        if (json_array_size(list) > 0)
                (void)json_object_set(out, "secrets", list);
        json_decref(list);
}

static void put_registry(struct local *l, json_t *out, const json_t *c)
{
        const json_t *credentials = json_object_get(c, "repositoryCredentials");
        if (credentials != NULL)
                (void)json_object_set_new(out, "registryAuthentication",
                                          json_pack("{s:s, s:{s:s, s:s}}", "type", "asm",
                                                    "asmAuthData", "credentialsParameter",
                                                    text_of(credentials, "credentialsParameter"),
                                                    "region", l->region));
}

static json_t *environment(const json_t *c, const json_t *override)
{
        json_t *out = json_pack("{s:s}", "AWS_EXECUTION_ENV", "AWS_ECS_EC2");
        const json_t *const sources[] = {c, override};
        for (size_t k = 0; k < ARRAY_SIZE(sources); k++) {
                size_t i;
                json_t *e;
                json_array_foreach (json_object_get(sources[k], "environment"), i, e)
                        (void)json_object_set_new(out, text_of(e, "name"),
                                                  json_string(text_of(e, "value")));
        }
        return out;
}

static json_t *container(struct local *l, const json_t *task, const json_t *definition,
                         const json_t *c)
{
        static const char *const same[] = {"name",
                                           "image",
                                           "command",
                                           "entryPoint",
                                           "cpu",
                                           "memory",
                                           "essential",
                                           "portMappings",
                                           "mountPoints",
                                           "links",
                                           "volumesFrom",
                                           "dependsOn",
                                           "startTimeout",
                                           "stopTimeout",
                                           "environmentFiles",
                                           "restartPolicy",
                                           "firelensConfiguration",
                                           "credentialSpecs"};
        static const char *const overridable[] = {"command", "cpu", "memory", "environmentFiles"};
        const json_t *override = find_named(
                json_object_get(json_object_get(task, "overrides"), "containerOverrides"),
                text_of(c, "name"));
        json_t *out = json_object(), *config = json_object(), *host = json_object();
        for (size_t i = 0; i < ARRAY_SIZE(same); i++)
                if (json_object_get(c, same[i]) != NULL)
                        (void)json_object_set(out, same[i], json_object_get(c, same[i]));
        for (size_t i = 0; i < ARRAY_SIZE(overridable); i++)
                if (json_object_get(override, overridable[i]) != NULL)
                        (void)json_object_set(out, overridable[i],
                                              json_object_get(override, overridable[i]));
        for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
                if (json_object_get(c, copied[i].from) != NULL)
                        (void)json_object_set(copied[i].host ? host : config, copied[i].to,
                                              json_object_get(c, copied[i].from));
        put_health(config, c);
        put_host(host, c, override, definition);
        put_secrets(l, out, c);
        put_registry(l, out, c);
        if (json_object_get(c, "healthCheck") != NULL)
                (void)json_object_set_new(out, "healthCheckType", json_string("docker"));
        if (has_text(json_object_get(c, "logConfiguration"), "logDriver", "awslogs") &&
            *text_of(definition, "executionRoleArn") != '\0')
                (void)json_object_set_new(out, "logsAuthStrategy", json_string("ExecutionRole"));
        (void)json_object_set_new(out, "environment", environment(c, override));
        (void)json_object_set_new(
                out, "containerArn",
                json_string(
                        text_of(find_named(json_object_get(task, "containers"), text_of(c, "name")),
                                "containerArn")));
        (void)json_object_set_new(out, "dockerConfig",
                                  json_pack("{s:s, s:o, s:o}", "version", "1.18", "config",
                                            string_of_json(config), "hostConfig",
                                            string_of_json(host)));
        return out;
}

/* The id stands in the containers' environment, so the task keeps it over restarts; keys need not.
 */
static const char *credentials_id(json_t *task, const char *role)
{
        char uuid[RANDOM_UUID];
        json_t *ids = json_object_get(task, "x-credentials-ids");
        if (ids == NULL) {
                ids = json_object();
                (void)json_object_set_new(task, "x-credentials-ids", ids);
        }
        if (json_object_get(ids, role) == NULL)
                (void)json_object_set_new(ids, role, json_string(random_uuid(uuid)));
        return text_of(ids, role);
}

/* Local stand-ins for what STS would give; they open nothing. Made once a task and role. */
static json_t *role_credentials(struct local *l, json_t *task, const char *role)
{
        char expiration[CLOCK_TEXT], key[RANDOM_UUID], secret[RANDOM_UUID];
        cleanup_free char *slot = mem_printf("%s %s", text_of(task, "taskArn"), role);
        json_t *made = json_object_get(l->roles, slot);
        if (made != NULL)
                return json_incref(made);
        int64_t until = clock_wall_ms() + ROLE_LIFE_MS;
        (void)random_uuid(key);
        (void)random_uuid(secret);
        for (char *p = key; *p != '\0'; p++)
                *p = (char)(*p == '-' ? 'Q' : *p >= 'a' ? *p - 32 : *p);
        cleanup_free char *id = mem_printf("ASIA%.16s", key);
        made = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "credentialsId",
                         credentials_id(task, role), "roleArn", role, "accessKeyId", id,
                         "secretAccessKey", secret, "sessionToken", slot, "expiration",
                         clock_format_ms(until - until % 1000, expiration));
        (void)json_object_set(l->roles, slot, made);
        return made;
}

/* Volumes say what they are. */
static json_t *volumes(const json_t *definition)
{
        json_t *out = json_array(), *v;
        size_t i;
        json_array_foreach (json_object_get(definition, "volumes"), i, v) {
                json_t *volume = json_copy(v);
                const char *type = json_object_get(v, "dockerVolumeConfiguration") != NULL
                                           ? "docker"
                                   : json_object_get(v, "efsVolumeConfiguration") != NULL ? "efs"
                                                                                          : "host";
                (void)json_object_set_new(volume, "type", json_string(type));
                (void)json_array_append_new(out, volume);
        }
        return out;
}

/* An override of the task, else what its definition says; "" when neither does. */
static const char *of_task(const json_t *task, const json_t *definition, const char *key)
{
        const char *text = text_of(json_object_get(task, "overrides"), key);
        return *text != '\0' ? text : text_of(definition, key);
}

static void put_roles(struct local *l, json_t *out, json_t *task, const json_t *definition)
{
        const struct {
                const char *key, *role;
        } roles[] = {
                {"roleCredentials",          of_task(task, definition, "taskRoleArn")     },
                {"executionRoleCredentials", of_task(task, definition, "executionRoleArn")},
        };
        for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
                if (*roles[i].role != '\0')
                        (void)json_object_set_new(out, roles[i].key,
                                                  role_credentials(l, task, roles[i].role));
}

json_t *task_payload(struct local *l, json_t *task, const char *desired_status)
{
        static const char *const same[] = {"networkMode", "pidMode", "ipcMode",
                                           "enableFaultInjection"};
        const json_t *d = store_find(l, K_TASK_DEFINITION, text_of(task, "taskDefinitionArn"));
        const json_t *service = store_find(l, K_SERVICE, text_of(task, OWN_SERVICE));
        const char *cpu = of_task(task, d, "cpu"), *memory = of_task(task, d, "memory");
        size_t i;
        json_t *c;
        cleanup_free char *version = mem_printf("%lld", (long long)integer_of(d, "revision", 0));
        json_t *containers = json_array();
        json_array_foreach (json_object_get(d, "containerDefinitions"), i, c)
                (void)json_array_append_new(containers, container(l, task, d, c));
        json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:O, s:o}", "arn",
                                text_of(task, "taskArn"), "family", text_of(d, "family"), "version",
                                version, "desiredStatus", desired_status, "containers", containers,
                                "launchType", "EC2", "group", json_object_get(task, "group"),
                                "volumes", volumes(d));
        for (i = 0; i < ARRAY_SIZE(same); i++)
                if (json_object_get(d, same[i]) != NULL)
                        (void)json_object_set(out, same[i], json_object_get(d, same[i]));
        if (service != NULL)
                (void)json_object_set(out, "serviceName", json_object_get(service, "serviceName"));
        if (*cpu != '\0')
                (void)json_object_set_new(out, "cpu", json_real(strtod(cpu, NULL) / 1024));
        if (*memory != '\0')
                (void)json_object_set_new(out, "memory", json_integer(strtoll(memory, NULL, 10)));
        put_roles(l, out, task, d);
        return out;
}
