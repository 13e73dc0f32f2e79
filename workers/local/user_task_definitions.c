/* user_task_definitions: what ECS accepts is accepted, with the values ECS fills in. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "local.h"
#include "mem.h"
#include "page.h"
#include "placement.h"
#include "requirements.h"

/* ---- finding ---- */

static json_int_t latest_revision(struct local *l, const char *family, bool active)
{
        json_int_t latest = 0;
        const char *arn;
        json_t *o;
        json_object_foreach (l->objects[K_TASK_DEFINITION], arn, o) {
                json_int_t r = integer_of(o, "revision", 0);
                if (has_text(o, "family", family) && r > latest &&
                    (!active || has_text(o, "status", "ACTIVE")))
                        latest = r;
        }
        return latest;
}

json_t *find_task_definition(struct local *l, const char *name)
{
        const char *local_name = strncmp(name, "arn:", 4) == 0 ? strchr(name, '/') : NULL;
        if (local_name != NULL && strchr(local_name, ':') != NULL)
                return store_find(l, K_TASK_DEFINITION, name);
        name = local_name != NULL ? local_name + 1 : name;
        const char *colon = strchr(name, ':');
        cleanup_free char *family = mem_strndup(name, strcspn(name, ":"));
        cleanup_free char *resource =
                mem_printf("task-definition/%s:%lld", family,
                           colon != NULL ? strtoll(colon + 1, NULL, 10)
                                         : (long long)latest_revision(l, family, true));
        cleanup_free char *arn = store_arn(l, resource);
        return store_find(l, K_TASK_DEFINITION, arn);
}

/* ---- checking ---- */

static bool refuse(struct answer *a, const char *container, const char *what)
{
        answer_error(a, "ClientException", "Invalid setting for container '%s'. %s", container,
                     what);
        return false;
}

/* Names of families and containers: letters, digits, hyphens, underscores, up to 255. */
static bool is_name(const char *name)
{
        size_t n = strlen(name);
        for (const char *p = name; *p != '\0'; p++)
                if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
                        return false;
        return n > 0 && n <= 255;
}

static bool check_ports(const json_t *c, bool host, struct answer *a)
{
        size_t i;
        json_t *m;
        json_array_foreach (json_object_get(c, "portMappings"), i, m) {
                json_int_t inside = integer_of(m, "containerPort", 0);
                json_int_t outside = integer_of(m, "hostPort", 0);
                bool range = *text_of(m, "containerPortRange") != '\0';
                if (range && json_object_get(m, "containerPort") != NULL)
                        return refuse(a, text_of(c, "name"),
                                      "containerPort and containerPortRange cannot be used "
                                      "together.");
                if (!range && (inside < 1 || inside > 65535))
                        return refuse(a, text_of(c, "name"),
                                      "containerPort should be between 1 and 65535.");
                if (outside < 0 || outside > 65535)
                        return refuse(a, text_of(c, "name"),
                                      "hostPort should be between 0 and 65535.");
                if (host && outside != 0 && outside != inside)
                        return refuse(a, text_of(c, "name"),
                                      "When networkMode=host, the host ports and container ports "
                                      "in port mappings must match.");
        }
        return true;
}

static bool check_memory(const json_t *c, bool task_has_limit, struct answer *a)
{
        const json_t *hard = json_object_get(c, "memory");
        const json_t *soft = json_object_get(c, "memoryReservation");
        if (hard == NULL && soft == NULL && !task_has_limit)
                return refuse(a, text_of(c, "name"),
                              "At least one of 'memory' or 'memoryReservation' must be specified.");
        if ((hard != NULL && json_integer_value(hard) < 6) ||
            (soft != NULL && json_integer_value(soft) < 6))
                return refuse(a, text_of(c, "name"), "The memory must be at least 6 MiB.");
        if (hard != NULL && soft != NULL && json_integer_value(soft) > json_integer_value(hard))
                return refuse(a, text_of(c, "name"),
                              "The container's memoryReservation must be lower than its memory.");
        return integer_of(c, "cpu", 0) >= 0 ||
               refuse(a, text_of(c, "name"), "cpu cannot be negative.");
}

/* What a container says about others and about volumes. */
static bool check_references(const json_t *q, const json_t *c, struct answer *a)
{
        const json_t *containers = json_object_get(q, "containerDefinitions");
        size_t i;
        json_t *e;
        json_array_foreach (json_object_get(c, "mountPoints"), i, e)
                if (find_named(json_object_get(q, "volumes"), text_of(e, "sourceVolume")) == NULL) {
                        answer_error(a, "ClientException", "Unknown volume '%s'.",
                                     text_of(e, "sourceVolume"));
                        return false;
                }
        json_array_foreach (json_object_get(c, "dependsOn"), i, e)
                if (find_named(containers, text_of(e, "containerName")) == NULL ||
                    has_text(e, "containerName", text_of(c, "name")))
                        return refuse(a, text_of(c, "name"),
                                      "dependsOn names no other "
                                      "container of the task "
                                      "definition.");
        json_array_foreach (json_object_get(c, "volumesFrom"), i, e)
                if (find_named(containers, text_of(e, "sourceContainer")) == NULL)
                        return refuse(a, text_of(c, "name"),
                                      "volumesFrom names no container of the task definition.");
        json_array_foreach (json_object_get(c, "links"), i, e) {
                cleanup_free char *name =
                        mem_strndup(json_string_value(e), strcspn(json_string_value(e), ":"));
                if (find_named(containers, name) == NULL)
                        return refuse(a, text_of(c, "name"),
                                      "links name no container of the task definition.");
        }
        return true;
}

static bool check_timeouts(const json_t *c, struct answer *a)
{
        const json_t *h = json_object_get(c, "healthCheck");
        const struct {
                json_int_t value, least, most;
                const char *text;
        } bounds[] = {
                {integer_of(c, "startTimeout", 2), 2, 3600, "startTimeout: 2 to 3600 s."          },
                {integer_of(c, "stopTimeout",  2), 0, 3600, "stopTimeout: 0 to 3600 s."           },
                {integer_of(h, "interval",     5), 5, 300,  "healthCheck.interval: 5 to 300 s."   },
                {integer_of(h, "timeout",      2), 2, 60,   "healthCheck.timeout: 2 to 60 s."     },
                {integer_of(h, "retries",      1), 1, 10,   "healthCheck.retries: 1 to 10."       },
                {integer_of(h, "startPeriod",  0), 0, 300,  "healthCheck.startPeriod: 0 to 300 s."},
        };
        for (size_t i = 0; i < ARRAY_SIZE(bounds); i++)
                if (bounds[i].value < bounds[i].least || bounds[i].value > bounds[i].most)
                        return refuse(a, text_of(c, "name"), bounds[i].text);
        return true;
}

static bool check_container(const json_t *q, const json_t *c, struct answer *a)
{
        bool host = has_text(q, "networkMode", "host"), none = has_text(q, "networkMode", "none");
        const char *name = text_of(c, "name");
        if (!is_name(name))
                return refuse(a, name,
                              "A name has up to 255 letters, digits, hyphens and "
                              "underscores.");
        if (find_named(json_object_get(q, "containerDefinitions"), name) != c) {
                answer_error(a, "ClientException",
                             "Container names should be unique: '%s' occurs twice.", name);
                return false;
        }
        if (none && json_array_size(json_object_get(c, "portMappings")) > 0)
                return refuse(a, name, "Port mappings are not possible with networkMode none.");
        if ((host || none) && json_array_size(json_object_get(c, "links")) > 0)
                return refuse(a, name, "Links are not supported when networkMode is not bridge.");
        return check_ports(c, host, a) && check_memory(c, *text_of(q, "memory") != '\0', a) &&
               check_references(q, c, a) && check_timeouts(c, a);
}

static bool is_amount(const char *text)
{
        char *end;
        errno = 0;
        return strtoll(text, &end, 10) > 0 && *end == '\0' && errno == 0;
}

static bool check_task(const json_t *q, struct answer *a)
{
        static const char *const amounts[] = {"cpu", "memory"};
        if (!is_name(text_of(q, "family"))) {
                answer_error(a, "ClientException",
                             "Invalid family: a name has up to 255 letters, digits, hyphens and "
                             "underscores.");
                return false;
        }
        for (size_t i = 0; i < ARRAY_SIZE(amounts); i++)
                if (json_object_get(q, amounts[i]) != NULL && !is_amount(text_of(q, amounts[i]))) {
                        answer_error(a, "ClientException", "Invalid '%s' setting for task: '%s'.",
                                     amounts[i], text_of(q, amounts[i]));
                        return false;
                }
        return placement_check_constraints(json_object_get(q, "placementConstraints"), a) &&
               check_tags(json_object_get(q, "tags"), a);
}

static bool check(const json_t *q, struct answer *a)
{
        const json_t *containers = json_object_get(q, "containerDefinitions");
        bool essential = false;
        size_t i;
        json_t *c;
        if (json_array_size(containers) == 0) {
                answer_error(a, "ClientException", "Container list cannot be empty.");
                return false;
        }
        if (!check_task(q, a))
                return false;
        json_array_foreach (containers, i, c) {
                if (!check_container(q, c, a))
                        return false;
                essential = essential || !json_is_false(json_object_get(c, "essential"));
        }
        if (!essential)
                answer_error(a, "ClientException", "No essential containers defined in the task.");
        return essential;
}

/* ---- registering ---- */

/* Tags stand beside a definition, not in it. Owned. */
static json_t *shown(const json_t *d)
{
        json_t *out = store_shown(d);
        (void)json_object_del(out, "tags");
        return out;
}

static void fill_port(json_t *m, bool host)
{
        if (json_object_get(m, "protocol") == NULL)
                (void)json_object_set_new(m, "protocol", json_string("tcp"));
        if (json_object_get(m, "hostPort") == NULL && json_object_get(m, "containerPort") != NULL)
                (void)json_object_set_new(m, "hostPort",
                                          host ? json_incref(json_object_get(m, "containerPort"))
                                               : json_integer(0));
}

/* What ECS fills in when it shows a definition. */
static void fill(json_t *d)
{
        static const char *const lists[] = {"environment", "mountPoints", "volumesFrom",
                                            "portMappings", "systemControls"};
        static const char *const own_lists[] = {"volumes", "placementConstraints"};
        size_t i, k;
        json_t *c, *m;
        json_array_foreach (json_object_get(d, "containerDefinitions"), i, c) {
                for (size_t n = 0; n < ARRAY_SIZE(lists); n++)
                        if (json_object_get(c, lists[n]) == NULL)
                                (void)json_object_set_new(c, lists[n], json_array());
                if (json_object_get(c, "cpu") == NULL)
                        (void)json_object_set_new(c, "cpu", json_integer(0));
                if (json_object_get(c, "essential") == NULL)
                        (void)json_object_set_new(c, "essential", json_true());
                json_array_foreach (json_object_get(c, "portMappings"), k, m)
                        fill_port(m, has_text(d, "networkMode", "host"));
        }
        for (size_t n = 0; n < ARRAY_SIZE(own_lists); n++)
                if (json_object_get(d, own_lists[n]) == NULL)
                        (void)json_object_set_new(d, own_lists[n], json_array());
        (void)json_object_set_new(d, "compatibilities", json_pack("[s, s]", "EXTERNAL", "EC2"));
        (void)json_object_set_new(d, "requiresAttributes", requirements_of(d));
}

void op_register_task_definition(struct local *l, const json_t *q, struct answer *a)
{
        static const char *const copied[] = {"family",
                                             "containerDefinitions",
                                             "volumes",
                                             "networkMode",
                                             "taskRoleArn",
                                             "executionRoleArn",
                                             "cpu",
                                             "memory",
                                             "placementConstraints",
                                             "requiresCompatibilities",
                                             "pidMode",
                                             "ipcMode",
                                             "runtimePlatform",
                                             "enableFaultInjection"};
        if (!check(q, a))
                return;
        const char *family = text_of(q, "family");
        json_int_t revision = latest_revision(l, family, false) + 1;
        cleanup_free char *resource =
                mem_printf("task-definition/%s:%lld", family, (long long)revision);
        cleanup_free char *arn = store_arn(l, resource);
        json_t *tags = json_array();
        merge_tags(tags, json_object_get(q, "tags"));
        json_t *d = json_pack("{s:s, s:I, s:s, s:f, s:s, s:o}", "taskDefinitionArn", arn,
                              "revision", revision, "status", "ACTIVE", "registeredAt", local_now(),
                              "registeredBy", "arn:aws:iam::" ACCOUNT ":root", "tags", tags);
        for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
                if (json_object_get(q, copied[i]) != NULL)
                        (void)json_object_set_new(d, copied[i],
                                                  json_deep_copy(json_object_get(q, copied[i])));
        fill(d);
        (void)store_put(l, K_TASK_DEFINITION, arn, d);
        a->body = json_pack("{s:o, s:O}", "taskDefinition", shown(d), "tags", tags);
}

/* ---- describing and ending ---- */

void op_describe_task_definition(struct local *l, const json_t *q, struct answer *a)
{
        const json_t *d = find_task_definition(l, text_of(q, "taskDefinition"));
        if (d == NULL) {
                answer_error(a, "ClientException", "Unable to describe task definition.");
                return;
        }
        json_t *tags = includes(q, "TAGS") ? json_object_get(d, "tags") : NULL;
        a->body = json_pack("{s:o, s:o}", "taskDefinition", shown(d), "tags",
                            tags != NULL ? json_incref(tags) : json_array());
}

/* Deregistering and deleting want family:revision or an ARN. */
static json_t *find_revision(struct local *l, const char *name)
{
        const char *slash = strncmp(name, "arn:", 4) == 0 ? strchr(name, '/') : name;
        return slash != NULL && strchr(slash, ':') != NULL ? find_task_definition(l, name) : NULL;
}

void op_deregister_task_definition(struct local *l, const json_t *q, struct answer *a)
{
        json_t *d = find_revision(l, text_of(q, "taskDefinition"));
        if (d == NULL || has_text(d, "status", "DELETE_IN_PROGRESS")) {
                answer_error(a, "ClientException",
                             "The specified task definition does not exist. Specify a valid "
                             "family:revision or ARN of an active task definition.");
                return;
        }
        if (has_text(d, "status", "ACTIVE")) {
                (void)json_object_set_new(d, "status", json_string("INACTIVE"));
                (void)json_object_set_new(d, "deregisteredAt", json_real(local_now()));
                (void)store_changed(l, K_TASK_DEFINITION, text_of(d, "taskDefinitionArn"));
        }
        a->body = json_pack("{s:o}", "taskDefinition", shown(d));
}

/* Only INACTIVE ones; the sweep removes them when no task or service needs them. */
void op_delete_task_definitions(struct local *l, const json_t *q, struct answer *a)
{
        json_t *found, *failures, *n;
        size_t i;
        if (json_array_size(json_object_get(q, "taskDefinitions")) == 0) {
                answer_error(a, "InvalidParameterException", "Task definitions cannot be empty.");
                return;
        }
        found = json_array();
        failures = json_array();
        json_array_foreach (json_object_get(q, "taskDefinitions"), i, n) {
                json_t *d = find_revision(l, json_string_value(n));
                if (d == NULL || has_text(d, "status", "ACTIVE")) {
                        add_failure(failures, json_string_value(n),
                                    d == NULL ? "TASK_DEFINITION_NOT_FOUND"
                                              : "The specified task definition is still in ACTIVE "
                                                "status. Please deregister the target and try "
                                                "again.",
                                    NULL);
                        continue;
                }
                if (has_text(d, "status", "INACTIVE")) {
                        (void)json_object_set_new(d, "status", json_string("DELETE_IN_PROGRESS"));
                        (void)json_object_set_new(d, "deleteRequestedAt", json_real(local_now()));
                        (void)store_changed(l, K_TASK_DEFINITION, text_of(d, "taskDefinitionArn"));
                }
                (void)json_array_append_new(found, shown(d));
        }
        a->body = json_pack("{s:o, s:o}", "taskDefinitions", found, "failures", failures);
}

/* ---- listing ---- */

void op_list_task_definitions(struct local *l, const json_t *q, struct answer *a)
{
        const struct page_spec spec = {"taskDefinitionArns", 100, 100, has_text(q, "sort", "DESC")};
        const char *family = text_of(q, "familyPrefix"), *status = text_of(q, "status"), *arn;
        json_t *d, *items = json_object();
        if (*status == '\0')
                status = "ACTIVE";
        json_object_foreach (l->objects[K_TASK_DEFINITION], arn, d) {
                cleanup_free char *key = mem_printf("%s:%010lld", text_of(d, "family"),
                                                    (long long)integer_of(d, "revision", 0));
                if (has_text(d, "status", status) &&
                    (*family == '\0' || has_text(d, "family", family)))
                        (void)json_object_set_new(items, key, json_string(arn));
        }
        page_answer(items, q, &spec, a);
}

/* A family is ACTIVE while one of its revisions is. */
void op_list_task_definition_families(struct local *l, const json_t *q, struct answer *a)
{
        static const struct page_spec spec = {"families", 100, 100, false};
        const char *prefix = text_of(q, "familyPrefix"), *status = text_of(q, "status"), *key;
        cleanup_json json_t *active = json_object();
        json_t *d, *v, *items;
        json_object_foreach (l->objects[K_TASK_DEFINITION], key, d) {
                const char *family = text_of(d, "family");
                bool is_active = has_text(d, "status", "ACTIVE") ||
                                 json_is_true(json_object_get(active, family));
                (void)json_object_set_new(active, family, json_boolean(is_active));
        }
        items = json_object();
        json_object_foreach (active, key, v)
                if (strncmp(key, prefix, strlen(prefix)) == 0 &&
                    (strcmp(status, "ALL") == 0 ||
                     json_is_true(v) != (strcmp(status, "INACTIVE") == 0)))
                        (void)json_object_set_new(items, key, json_string(key));
        page_answer(items, q, &spec, a);
}
