/* user_task_definitions: what ECS accepts is accepted; what this agent cannot do is refused by
 * name, here, rather than failing later. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "local.h"
#include "mem.h"

static json_int_t latest_revision(struct local *l, const char *family)
{
        json_int_t latest = 0;
        const char *arn;
        json_t *o;
        json_object_foreach(l->objects[K_TASK_DEFINITION], arn, o) {
                json_int_t r = json_integer_value(json_object_get(o, "revision"));
                if (strcmp(text_of(o, "family"), family) == 0 && r > latest)
                        latest = r;
        }
        return latest;
}

json_t *find_task_definition(struct local *l, const char *name)
{
        if (strncmp(name, "arn:", 4) == 0)
                return store_find(l, K_TASK_DEFINITION, name);
        const char *colon = strchr(name, ':');
        cleanup_free char *family = mem_strndup(name, strcspn(name, ":"));
        cleanup_free char *resource =
                mem_printf("task-definition/%s:%lld", family,
                           colon != NULL ? strtoll(colon + 1, NULL, 10)
                                         : (long long)latest_revision(l, family));
        cleanup_free char *arn = store_arn(l, resource);
        return store_find(l, K_TASK_DEFINITION, arn);
}

/* Members this plane passes on; anything else in a definition is refused by name. */
static const char *const known[] = {
        "name", "image", "command", "entryPoint", "cpu", "memory", "memoryReservation", "essential",
        "environment", "portMappings", "mountPoints", "links", "volumesFrom", "dependsOn",
        "startTimeout", "stopTimeout", "user", "workingDirectory", "hostname", "dockerLabels",
        "pseudoTerminal", "interactive", "disableNetworking", "privileged",
        "readonlyRootFilesystem", "dnsServers", "dnsSearchDomains", "dockerSecurityOptions",
        "extraHosts", "ulimits", "logConfiguration", "linuxParameters", "healthCheck",
        "systemControls", "secrets", "environmentFiles", "restartPolicy", "firelensConfiguration",
        "resourceRequirements", "repositoryCredentials", "credentialSpecs",
};
static const char *const unsupported[] = {
        "secrets", "environmentFiles", "restartPolicy", "firelensConfiguration",
        "resourceRequirements", "repositoryCredentials", "credentialSpecs", "systemControls",
};

static bool listed(const char *const *list, size_t count, const char *word)
{
        for (size_t i = 0; i < count; i++)
                if (strcmp(list[i], word) == 0)
                        return true;
        return false;
}

static bool is_empty(const json_t *v)
{
        return json_is_null(v) || (json_is_array(v) && json_array_size(v) == 0) ||
               (json_is_object(v) && json_object_size(v) == 0);
}

static bool check_container(const json_t *c, struct answer *a)
{
        const char *key;
        json_t *v;
        if (*text_of(c, "name") == '\0' || *text_of(c, "image") == '\0') {
                answer_error(a, "ClientException", "Container.image and name should not be null or "
                                                   "empty.");
                return false;
        }
        json_object_foreach((json_t *)c, key, v) {
                if (!listed(known, ARRAY_SIZE(known), key)) {
                        answer_error(a, "InvalidParameterException",
                                     "Unknown parameter in containerDefinitions: \"%s\"", key);
                        return false;
                }
                if (listed(unsupported, ARRAY_SIZE(unsupported), key) && !is_empty(v)) {
                        answer_error(a, "ClientException",
                                     "containerDefinitions.%s is not supported in local mode yet.",
                                     key);
                        return false;
                }
        }
        return true;
}

static bool check(const json_t *q, struct answer *a)
{
        const json_t *containers = json_object_get(q, "containerDefinitions");
        const char *mode = text_of(q, "networkMode");
        bool essential = false, limited = *text_of(q, "memory") != '\0';
        size_t i;
        json_t *c;
        if (*text_of(q, "family") == '\0') {
                answer_error(a, "ClientException", "Family should not be null or empty.");
                return false;
        }
        if (json_array_size(containers) == 0) {
                answer_error(a, "ClientException", "Container list cannot be empty.");
                return false;
        }
        if (*mode != '\0' && strcmp(mode, "bridge") != 0 && strcmp(mode, "host") != 0 &&
            strcmp(mode, "none") != 0) {
                answer_error(a, "ClientException",
                             "Network mode '%s' is not supported in local mode yet.", mode);
                return false;
        }
        json_array_foreach(containers, i, c) {
                const json_t *e = json_object_get(c, "essential");
                if (!check_container(c, a))
                        return false;
                essential = essential || e == NULL || json_is_true(e);
                if (!limited && json_object_get(c, "memory") == NULL &&
                    json_object_get(c, "memoryReservation") == NULL) {
                        answer_error(a, "ClientException",
                                     "Invalid setting for container '%s'. At least one of 'memory' "
                                     "or 'memoryReservation' must be specified.",
                                     text_of(c, "name"));
                        return false;
                }
        }
        if (!essential)
                answer_error(a, "ClientException",
                             "No essential containers defined in the task.");
        return essential;
}

/* What ECS fills in when it shows a definition. */
static void fill(json_t *d)
{
        static const char *const lists[] = {"environment", "mountPoints", "volumesFrom",
                                            "portMappings"};
        size_t i, k;
        json_t *c, *m;
        json_array_foreach(json_object_get(d, "containerDefinitions"), i, c) {
                for (size_t n = 0; n < ARRAY_SIZE(lists); n++)
                        if (json_object_get(c, lists[n]) == NULL)
                                (void)json_object_set_new(c, lists[n], json_array());
                if (json_object_get(c, "cpu") == NULL)
                        (void)json_object_set_new(c, "cpu", json_integer(0));
                if (json_object_get(c, "essential") == NULL)
                        (void)json_object_set_new(c, "essential", json_true());
                json_array_foreach(json_object_get(c, "portMappings"), k, m) {
                        if (json_object_get(m, "protocol") == NULL)
                                (void)json_object_set_new(m, "protocol", json_string("tcp"));
                        if (json_object_get(m, "hostPort") == NULL)
                                (void)json_object_set_new(
                                        m, "hostPort",
                                        strcmp(text_of(d, "networkMode"), "host") == 0
                                                ? json_incref(json_object_get(m, "containerPort"))
                                                : json_integer(0));
                }
        }
        if (json_object_get(d, "volumes") == NULL)
                (void)json_object_set_new(d, "volumes", json_array());
        if (json_object_get(d, "placementConstraints") == NULL)
                (void)json_object_set_new(d, "placementConstraints", json_array());
}

void op_register_task_definition(struct local *l, const json_t *q, struct answer *a)
{
        static const char *const copied[] = {"family", "containerDefinitions", "volumes",
                                             "networkMode", "taskRoleArn", "executionRoleArn", "cpu",
                                             "memory", "placementConstraints",
                                             "requiresCompatibilities"};
        if (!check(q, a))
                return;
        const char *family = text_of(q, "family");
        json_int_t revision = latest_revision(l, family) + 1;
        cleanup_free char *resource =
                mem_printf("task-definition/%s:%lld", family, (long long)revision);
        cleanup_free char *arn = store_arn(l, resource);
        json_t *d = json_pack("{s:s, s:I, s:s, s:f}", "taskDefinitionArn", arn, "revision",
                              revision, "status", "ACTIVE", "registeredAt",
                              (double)clock_wall_ms() / 1000);
        for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
                if (json_object_get(q, copied[i]) != NULL)
                        (void)json_object_set_new(d, copied[i],
                                                  json_deep_copy(json_object_get(q, copied[i])));
        fill(d);
        (void)store_put(l, K_TASK_DEFINITION, arn, d);
        a->body = json_pack("{s:O}", "taskDefinition", d);
}

void op_describe_task_definition(struct local *l, const json_t *q, struct answer *a)
{
        json_t *d = find_task_definition(l, text_of(q, "taskDefinition"));
        if (d == NULL) {
                answer_error(a, "ClientException", "Unable to describe task definition.");
                return;
        }
        a->body = json_pack("{s:O, s:[]}", "taskDefinition", d, "tags");
}

void op_list_task_definitions(struct local *l, const json_t *q, struct answer *a)
{
        const char *prefix = text_of(q, "familyPrefix");
        const char *arn;
        json_t *o, *list = json_array();
        json_object_foreach(l->objects[K_TASK_DEFINITION], arn, o)
                if (*prefix == '\0' || strcmp(text_of(o, "family"), prefix) == 0)
                        (void)json_array_append_new(list, json_string(arn));
        a->body = json_pack("{s:o}", "taskDefinitionArns", list);
}
