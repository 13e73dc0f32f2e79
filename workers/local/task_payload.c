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
        {"user", "User", false},
        {"workingDirectory", "WorkingDir", false},
        {"hostname", "Hostname", false},
        {"dockerLabels", "Labels", false},
        {"pseudoTerminal", "Tty", false},
        {"interactive", "OpenStdin", false},
        {"disableNetworking", "NetworkDisabled", false},
        {"privileged", "Privileged", true},
        {"readonlyRootFilesystem", "ReadonlyRootfs", true},
        {"dnsServers", "Dns", true},
        {"dnsSearchDomains", "DnsSearch", true},
        {"dockerSecurityOptions", "SecurityOpt", true},
};

static json_t *string_of_json(json_t *o)
{
        cleanup_free char *text = json_dumps(o, JSON_COMPACT);
        json_decref(o);
        return json_string(text);
}

static void put_health(json_t *config, const json_t *c)
{
        static const struct {
                const char *from, *to;
        } times[] = {{"interval", "Interval"}, {"timeout", "Timeout"},
                     {"startPeriod", "StartPeriod"}};
        const json_t *h = json_object_get(c, "healthCheck");
        if (h == NULL)
                return;
        json_t *out = json_pack("{s:O}", "Test", json_object_get(h, "command"));
        for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
                json_int_t s = json_integer_value(json_object_get(h, times[i].from));
                if (s > 0)
                        (void)json_object_set_new(out, times[i].to,
                                                  json_integer(s * 1000000000));
        }
        if (json_object_get(h, "retries") != NULL)
                (void)json_object_set(out, "Retries", json_object_get(h, "retries"));
        (void)json_object_set_new(config, "Healthcheck", out);
}

static void put_host(json_t *host, const json_t *c, const json_t *definition)
{
        const json_t *log = json_object_get(c, "logConfiguration");
        json_int_t soft = json_integer_value(json_object_get(c, "memoryReservation"));
        const char *mode = text_of(definition, "networkMode");
        const json_t *linux_parameters = json_object_get(c, "linuxParameters");
        size_t i;
        json_t *e;
        (void)json_object_set_new(host, "NetworkMode", json_string(*mode != '\0' ? mode : "bridge"));
        if (log != NULL) {
                json_t *options = json_object_get(log, "options");
                (void)json_object_set_new(
                        host, "LogConfig",
                        json_pack("{s:s, s:O?}", "Type", text_of(log, "logDriver"), "Config",
                                  options));
        }
        if (soft > 0)
                (void)json_object_set_new(host, "MemoryReservation", json_integer(soft << 20));
        if (json_is_true(json_object_get(linux_parameters, "initProcessEnabled")))
                (void)json_object_set_new(host, "Init", json_true());
        json_t *extra = json_array();
        json_array_foreach(json_object_get(c, "extraHosts"), i, e) {
                cleanup_free char *text =
                        mem_printf("%s:%s", text_of(e, "hostname"), text_of(e, "ipAddress"));
                (void)json_array_append_new(extra, json_string(text));
        }
        (void)json_object_set_new(host, "ExtraHosts", extra);
        json_t *limits = json_array();
        json_array_foreach(json_object_get(c, "ulimits"), i, e)
                (void)json_array_append_new(
                        limits, json_pack("{s:s, s:O, s:O}", "Name", text_of(e, "name"), "Soft",
                                          json_object_get(e, "softLimit"), "Hard",
                                          json_object_get(e, "hardLimit")));
        (void)json_object_set_new(host, "Ulimits", limits);
}

static json_t *environment(const json_t *c, const json_t *override)
{
        json_t *out = json_pack("{s:s}", "AWS_EXECUTION_ENV", "AWS_ECS_EC2");
        const json_t *const sources[] = {c, override};
        for (size_t k = 0; k < ARRAY_SIZE(sources); k++) {
                size_t i;
                json_t *e;
                json_array_foreach(json_object_get(sources[k], "environment"), i, e)
                        (void)json_object_set_new(out, text_of(e, "name"),
                                                  json_string(text_of(e, "value")));
        }
        return out;
}

static const json_t *find_override(const json_t *task, const char *name)
{
        size_t i;
        json_t *o;
        json_array_foreach(json_object_get(json_object_get(task, "overrides"),
                                           "containerOverrides"),
                           i, o)
                if (strcmp(text_of(o, "name"), name) == 0)
                        return o;
        return NULL;
}

static const char *container_arn(const json_t *task, const char *name)
{
        size_t i;
        json_t *c;
        json_array_foreach(json_object_get(task, "containers"), i, c)
                if (strcmp(text_of(c, "name"), name) == 0)
                        return text_of(c, "containerArn");
        return "";
}

static json_t *container(const json_t *task, const json_t *definition, const json_t *c)
{
        static const char *const same[] = {"name", "image", "command", "entryPoint", "cpu",
                                           "memory", "essential", "portMappings", "mountPoints",
                                           "links", "volumesFrom", "dependsOn", "startTimeout",
                                           "stopTimeout"};
        const json_t *override = find_override(task, text_of(c, "name"));
        json_t *out = json_object(), *config = json_object(), *host = json_object();
        for (size_t i = 0; i < ARRAY_SIZE(same); i++)
                if (json_object_get(c, same[i]) != NULL)
                        (void)json_object_set(out, same[i], json_object_get(c, same[i]));
        if (json_object_get(out, "essential") == NULL)
                (void)json_object_set_new(out, "essential", json_true());
        static const char *const overridable[] = {"command", "cpu", "memory"};
        for (size_t i = 0; i < ARRAY_SIZE(overridable); i++)
                if (json_object_get(override, overridable[i]) != NULL)
                        (void)json_object_set(out, overridable[i],
                                              json_object_get(override, overridable[i]));
        for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
                if (json_object_get(c, copied[i].from) != NULL)
                        (void)json_object_set(copied[i].host ? host : config, copied[i].to,
                                              json_object_get(c, copied[i].from));
        put_health(config, c);
        put_host(host, c, definition);
        if (json_object_get(c, "healthCheck") != NULL)
                (void)json_object_set_new(out, "healthCheckType", json_string("docker"));
        (void)json_object_set_new(out, "environment", environment(c, override));
        (void)json_object_set_new(out, "containerArn",
                                  json_string(container_arn(task, text_of(c, "name"))));
        (void)json_object_set_new(
                out, "dockerConfig",
                json_pack("{s:s, s:o, s:o}", "version", "1.18", "config", string_of_json(config),
                          "hostConfig", string_of_json(host)));
        return out;
}

/* The id stands in the containers' environment, so the task keeps it over restarts; keys need not. */
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
                         credentials_id(task, role), "roleArn", role, "accessKeyId", id, "secretAccessKey", secret,
                         "sessionToken", slot, "expiration",
                         clock_format_ms(until - until % 1000, expiration));
        (void)json_object_set(l->roles, slot, made);
        return made;
}

json_t *task_payload(struct local *l, json_t *task, const char *desired_status)
{
        const json_t *d = store_find(l, K_TASK_DEFINITION, text_of(task, "taskDefinitionArn"));
        size_t i;
        json_t *c;
        cleanup_free char *version =
                mem_printf("%lld", (long long)json_integer_value(json_object_get(d, "revision")));
        json_t *containers = json_array();
        json_array_foreach(json_object_get(d, "containerDefinitions"), i, c)
                (void)json_array_append_new(containers, container(task, d, c));
        json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:s}", "arn",
                                text_of(task, "taskArn"), "family", text_of(d, "family"), "version",
                                version, "desiredStatus", desired_status, "containers", containers,
                                "networkMode", text_of(d, "networkMode"), "launchType", "EC2");
        if (json_object_get(d, "volumes") != NULL)
                (void)json_object_set(out, "volumes", json_object_get(d, "volumes"));
        if (*text_of(d, "cpu") != '\0')
                (void)json_object_set_new(out, "cpu",
                                          json_real(strtod(text_of(d, "cpu"), NULL) / 1024));
        if (*text_of(d, "memory") != '\0')
                (void)json_object_set_new(out, "memory",
                                          json_integer(strtoll(text_of(d, "memory"), NULL, 10)));
        if (*text_of(d, "taskRoleArn") != '\0')
                (void)json_object_set_new(out, "roleCredentials",
                                          role_credentials(l, task, text_of(d, "taskRoleArn")));
        if (*text_of(d, "executionRoleArn") != '\0')
                (void)json_object_set_new(
                        out, "executionRoleCredentials",
                        role_credentials(l, task, text_of(d, "executionRoleArn")));
        return out;
}
