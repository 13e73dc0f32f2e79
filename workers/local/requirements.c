/* requirements: see requirements.h. */
#include "requirements.h"

#include <string.h>

#include "cleanup.h"
#include "local.h"
#include "mem.h"

#define C "com.amazonaws.ecs.capability."
#define E "ecs.capability."

/* A member that is there, is true or is not empty asks for the attribute. */
struct row {
        const char *member, *attribute;
};
static const struct row of_containers[] = {
        {"privileged",            C "privileged-container"                          },
        {"dependsOn",             E "container-ordering"                            },
        {"startTimeout",          E "container-ordering"                            },
        {"stopTimeout",           E "container-ordering"                            },
        {"healthCheck",           E "container-health-check"                        },
        {"environmentFiles",      E "env-files.s3"                                  },
        {"repositoryCredentials", E "private-registry-authentication.secretsmanager"},
        {"credentialSpecs",       E "gmsa"                                          },
};
static const struct row of_tasks[] = {
        {"cpu",                  E "task-cpu-mem-limit"       },
        {"memory",               E "task-cpu-mem-limit"       },
        {"pidMode",              E "pid-ipc-namespace-sharing"},
        {"ipcMode",              E "pid-ipc-namespace-sharing"},
        {"enableFaultInjection", E "fault-injection"          },
};

static void need(json_t *list, const char *name)
{
        size_t i;
        json_t *e;
        json_array_foreach (list, i, e)
                if (has_text(e, "name", name))
                        return;
        (void)json_array_append_new(list, json_pack("{s:s}", "name", name));
}

static bool is_asked(const json_t *v)
{
        return json_is_true(v) || json_is_number(v) ||
               (json_is_string(v) && *json_string_value(v) != '\0') || json_array_size(v) > 0 ||
               json_object_size(v) > 0;
}

static void need_rows(json_t *list, const json_t *o, const struct row *rows, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (is_asked(json_object_get(o, rows[i].member)))
                        need(list, rows[i].attribute);
}

/* A secret comes from Secrets Manager or from the parameter store, by its ARN. */
static void need_secrets(json_t *list, const json_t *secrets, const char *use)
{
        size_t i;
        json_t *s;
        json_array_foreach (secrets, i, s) {
                bool manager = strstr(text_of(s, "valueFrom"), ":secretsmanager:") != NULL;
                cleanup_free char *name =
                        mem_printf(E "secrets.%s.%s", manager ? "asm" : "ssm", use);
                need(list, name);
        }
}

static void need_log_driver(json_t *list, const json_t *c, bool execution_role)
{
        const json_t *log = json_object_get(c, "logConfiguration");
        const char *driver = text_of(log, "logDriver");
        cleanup_free char *name = mem_printf(C "logging-driver.%s", driver);
        if (*driver != '\0')
                need(list, name);
        if (strcmp(driver, "awslogs") == 0 && execution_role)
                need(list, E "execution-role-awslogs");
        need_secrets(list, json_object_get(log, "secretOptions"), "bootstrap.log-driver");
}

static void need_container(json_t *list, const json_t *c, bool execution_role)
{
        const char *firelens = text_of(json_object_get(c, "firelensConfiguration"), "type");
        cleanup_free char *router = mem_printf(E "firelens.%s", firelens);
        size_t i;
        json_t *m;
        need_rows(list, c, of_containers, ARRAY_SIZE(of_containers));
        need_log_driver(list, c, execution_role);
        need_secrets(list, json_object_get(c, "secrets"), "environment-variables");
        if (*firelens != '\0')
                need(list, router);
        if (json_is_true(json_object_get(json_object_get(c, "restartPolicy"), "enabled")))
                need(list, E "container-restart-policy");
        json_array_foreach (json_object_get(c, "portMappings"), i, m)
                if (*text_of(m, "containerPortRange") != '\0')
                        need(list, E "network.container-port-range");
}

static void need_volume(json_t *list, const json_t *v)
{
        const json_t *docker = json_object_get(v, "dockerVolumeConfiguration");
        const char *driver =
                *text_of(docker, "driver") != '\0' ? text_of(docker, "driver") : "local";
        cleanup_free char *name = mem_printf(E "docker-plugin.%s", driver);
        if (docker != NULL)
                need(list, name);
        if (json_object_get(v, "efsVolumeConfiguration") != NULL)
                need(list, E "efs");
}

json_t *requirements_of(const json_t *definition)
{
        json_t *list = json_array(), *e;
        size_t i;
        bool host = has_text(definition, "networkMode", "host");
        need_rows(list, definition, of_tasks, ARRAY_SIZE(of_tasks));
        if (*text_of(definition, "taskRoleArn") != '\0')
                need(list, host ? C "task-iam-role-network-host" : C "task-iam-role");
        json_array_foreach (json_object_get(definition, "containerDefinitions"), i, e)
                need_container(list, e, *text_of(definition, "executionRoleArn") != '\0');
        json_array_foreach (json_object_get(definition, "volumes"), i, e)
                need_volume(list, e);
        return list;
}
