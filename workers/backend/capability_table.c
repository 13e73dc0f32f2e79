/* capability_table: see capability_table.h. A row whose feature is not built names it in `absent`.
 * Rows that carry a value or a name found on the host are listed with the words in front of it. */
#include "capability_table.h"

#include <stdio.h>
#include <string.h>

#include "backend.h"
#include "cleanup.h"
#include "mem.h"

#define C "com.amazonaws.ecs.capability."
#define E "ecs.capability."

const struct capability capability_rows[] = {
        {.name = E "ecr-endpoint", .absent = "ECR credentials"},
        {.name = E "private-registry-authentication.secretsmanager", .absent = "Secrets Manager"},
        {.name = E "secrets.ssm.environment-variables", .absent = "SSM parameters"},
        {.name = E "secrets.ssm.bootstrap.log-driver", .absent = "SSM parameters"},
        {.name = E "secrets.asm.environment-variables", .absent = "Secrets Manager"},
        {.name = E "secrets.asm.bootstrap.log-driver", .absent = "Secrets Manager"},
        {.name = E "container-ordering"},
        {.name = E "full-sync"},
        {.name = E "env-files.s3", .absent = "environment files"},
        {.name = E "network.container-port-range"},
        {.name = E "container-restart-policy"},
        {.name = E "aws-appmesh", .absent = "awsvpc networking", .not_external = true},
        {.name = E "task-eia", .absent = "Elastic Inference", .not_external = true},
        {.name = E "firelens.fluentd", .absent = "FireLens"},
        {.name = E "firelens.fluentbit", .absent = "FireLens"},
        {.name = C "logging-driver.awsfirelens", .absent = "FireLens"},
        {.name = E "logging-driver.awsfirelens.log-driver-buffer-limit", .absent = "FireLens"},
        {.name = E "firelens.non-root-user", .absent = "FireLens"},
        {.name = E "firelens.options.config.file", .absent = "FireLens"},
        {.name = E "firelens.options.config.s3", .absent = "FireLens"},
        {.name = E "efs", .absent = "EFS volumes"},
        {.name = E "storage.s3-files", .absent = "S3 Files volumes"},
        {.name = E "docker-plugin.local"},
        {.name = E "docker-plugin.", .absent = "volume plugins"},
        {.name = E "efsAuth", .absent = "EFS volumes"},
        {.name = E "nvidia-driver-version.", .absent = "GPUs"},
        {.name = E "gpu-driver-version", .absent = "GPUs"},
        {.name = E "task-eia.optimized-cpu", .absent = "Elastic Inference", .not_external = true},
        {.name = E "ipv6-only", .absent = "IPv6-only hosts"},
        {.name = C "privileged-container", .setting = "!ECS_DISABLE_PRIVILEGED"},
        {.name = C "selinux", .setting = "ECS_SELINUX_CAPABLE"},
        {.name = C "apparmor", .setting = "ECS_APPARMOR_CAPABLE"},
        {.name = C "task-iam-role", .docker_minor = 19, .setting = "ECS_ENABLE_TASK_IAM_ROLE"},
        {.name = C "task-iam-role-network-host", .docker_minor = 19,
         .setting = "ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST"},
        {.name = E "task-cpu-mem-limit", .setting = "ECS_ENABLE_TASK_CPU_MEM_LIMIT"},
        {.name = E "increased-task-cpu-limit", .setting = "ECS_ENABLE_TASK_CPU_MEM_LIMIT"},
        {.name = E "task-eni", .absent = "awsvpc networking", .not_external = true},
        {.name = E "task-eni.ipv6", .absent = "awsvpc networking", .not_external = true},
        {.name = E "task-eni-block-instance-metadata", .absent = "awsvpc networking", .not_external = true},
        {.name = E "cni-plugin-version", .absent = "awsvpc networking", .not_external = true},
        {.name = E "branch-cni-plugin-version", .absent = "awsvpc networking"},
        {.name = E "task-eni-trunking", .absent = "awsvpc networking", .not_external = true},
        {.name = C "ecr-auth", .absent = "ECR credentials"},
        {.name = E "execution-role-ecr-pull", .absent = "ECR credentials"},
        {.name = E "container-health-check", .docker_minor = 24,
         .setting = "!ECS_DISABLE_DOCKER_HEALTH_CHECK"},
        {.name = E "execution-role-awslogs", .absent = "awslogs with the execution role"},
        {.name = E "pid-ipc-namespace-sharing", .absent = "pause containers"},
        {.name = E "gmsa", .absent = "gMSA"},
        {.name = E "gmsa-domainless", .absent = "gMSA"},
        {.name = E "execute-command", .absent = "ECS Exec"},
        {.name = E "service-connect-v1", .absent = "Service Connect", .not_external = true},
        {.name = E "storage.ebs-task-volume-attach", .absent = "EBS volumes", .not_external = true},
        {.name = E "storage.ebsta-non-root-user", .absent = "EBS volumes", .not_external = true},
        {.name = E "fault-injection", .absent = "fault injection", .not_external = true},
        {.name = E "external", .setting = "ECS_EXTERNAL"},
};
const size_t capability_row_count = ARRAY_SIZE(capability_rows);

static const struct {
        const char *driver;
        int docker_minor;
} drivers[] = {
        {"json-file", 18}, {"syslog", 18}, {"journald", 19}, {"none", 19},        {"gelf", 20},
        {"fluentd", 20},   {"splunk", 22}, {"awslogs", 21},  {"logentries", 25}, {"sumologic", 29},
};

/* Versions ECS knows by an attribute of their own. */
static const int api_minors[] = {17, 18, 19, 20, 21, 22, 23, 24, 25, 28, 29, 30, 32};

static void put(json_t *attributes, const char *name)
{
        (void)json_array_append_new(attributes, json_pack("{s:s}", "name", name));
}

static int daemon_minor(const struct backend *b)
{
        int minor = 0;
        if (b->api_version != NULL)
                (void)sscanf(b->api_version, "1.%d", &minor);
        return minor;
}

static bool holds(const struct backend *b, const struct capability *c, int minor)
{
        bool external = config_bool(b->config, "ECS_EXTERNAL", false);
        if (c->absent != NULL || minor < c->docker_minor || (external && c->not_external))
                return false;
        if (c->setting == NULL)
                return true;
        if (c->setting[0] == '!')
                return !config_bool(b->config, c->setting + 1, false);
        return config_bool(b->config, c->setting, false);
}

static void put_drivers(const struct backend *b, json_t *attributes, int minor)
{
        cleanup_json json_t *wanted = config_json(b->config, "ECS_AVAILABLE_LOGGING_DRIVERS");
        size_t i;
        json_t *e;
        json_array_foreach(wanted, i, e)
                for (size_t k = 0; json_is_string(e) && k < ARRAY_SIZE(drivers); k++) {
                        if (strcmp(drivers[k].driver, json_string_value(e)) != 0 ||
                            minor < drivers[k].docker_minor)
                                continue;
                        cleanup_free char *name =
                                mem_printf(C "logging-driver.%s", drivers[k].driver);
                        put(attributes, name);
                }
}

void capabilities_put(const struct backend *b, json_t *attributes)
{
        int minor = daemon_minor(b);
        for (size_t i = 0; i < capability_row_count; i++)
                if (holds(b, &capability_rows[i], minor))
                        put(attributes, capability_rows[i].name);
        for (size_t i = 0; i < ARRAY_SIZE(api_minors) && api_minors[i] <= minor; i++) {
                cleanup_free char *name = mem_printf(C "docker-remote-api.1.%d", api_minors[i]);
                put(attributes, name);
        }
        put_drivers(b, attributes, minor);
}
