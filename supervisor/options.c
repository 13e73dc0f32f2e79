/* options: the table of flags, and one reader for all. Go's flag package decides what is accepted;
 * see the header. */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "error.h"
#include "log.h"
#include "mem.h"

#define AT(member) offsetof(struct supervisor_options, member)

const struct option_row option_rows[] = {
        {"local",                  NULL,    AT(local),                 false,
         "Run with an ECS control plane of its own on this machine: no AWS account is needed."                                   },
        {"config",                 "FILE",  AT(config_file),           false,
         "Read FILE in place of /var/lib/ecs/ecs.config and /etc/ecs/ecs.config."                                                },
        {"run-dir",                "DIR",   AT(run_dir),               false, "Directory of the sockets; default /run/ecs-agent."},
        {"loglevel",               "LEVEL", AT(log_level),             false,
         "Level of standard error and of the log file: debug, info, warn, error, crit or none. "
         "Goes before ECS_LOGLEVEL and ECS_LOGLEVEL_ON_INSTANCE."                                                                },
        {"loglevel-driver",        "LEVEL", AT(log_level_driver),      false,
         "Level of standard error alone; ignored with -loglevel."                                                                },
        {"loglevel-on-instance",   "LEVEL", AT(log_level_on_instance), false,
         "Level of the log file alone; ignored with -loglevel."                                                                  },
        {"blackhole-ec2-metadata", NULL,    AT(no_imds),               false,
         "Never ask the instance metadata service."                                                                              },
        {"k",                      NULL,    AT(insecure),              false,
         "Do not check the certificates of AWS endpoints. For tests: anybody on the way can read "
         "the credentials of tasks."                                                                                             },
        {"healthcheck",            NULL,    AT(healthcheck),           false,
         "Ask the agent on this machine whether it serves, and end with 0 or 1."                                                 },
        {"ecs-attributes",         NULL,    AT(attributes),            false,
         "Print the capabilities this instance would offer to ECS, one a line: name, tab, value. "
         "Needs Docker."                                                                                                         },
        {"version",                NULL,    AT(version),               false, "Print the version and end."                       },
        {"license",                NULL,    AT(license),               false, "Print the licence and end."                       },
        {"help",                   NULL,    AT(help),                  false, "Print this text and end."                         },
        {"windows-service",        NULL,    AT(windows_service),       true,  "Refused: this is not Windows."                    },
        {"time-scale",             "N",     AT(time_scale),            true,  "Tests: divide every timer by N."                  },
};
const size_t option_row_count = ARRAY_SIZE(option_rows);

static const struct option_row *find(const char *name, size_t length)
{
        for (size_t i = 0; i < option_row_count; i++)
                if (strlen(option_rows[i].name) == length &&
                    strncmp(option_rows[i].name, name, length) == 0)
                        return &option_rows[i];
        return NULL;
}

static int set_switch(bool *ret, const struct option_row *row, const char *value, struct error *err)
{
        static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
        static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
        for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
                if (value == NULL || strcmp(value, yes[i]) == 0) {
                        *ret = true;
                        return 0;
                }
                if (strcmp(value, no[i]) == 0) {
                        *ret = false;
                        return 0;
                }
        }
        return error_set(err, -EINVAL, "-%s=%s is neither true nor false", row->name, value);
}

static int set_value(struct supervisor_options *o, const struct option_row *row, const char *value,
                     struct error *err)
{
        enum log_level level;
        char *end;
        if (row->offset == AT(time_scale)) {
                unsigned long n = strtoul(value, &end, 10);
                if (*end != '\0' || n == 0 || n > 100000)
                        return error_set(err, -EINVAL, "-time-scale %s is no divisor", value);
                o->time_scale = (unsigned)n;
                return 0;
        }
        if (strncmp(row->name, "loglevel", 8) == 0 && log_level_from_string(value, &level) != 0)
                return error_set(err, -EINVAL,
                                 "-%s %s is none of debug, info, warn, error, crit and none",
                                 row->name, value);
        *(const char **)(void *)((char *)o + row->offset) = value;
        return 0;
}

static void put_setting(struct supervisor_options *o, const char *name, const char *value)
{
        size_t n = 0;
        while (o->settings[n] != NULL)
                n++;
        if (value != NULL && n < OPTION_SETTINGS - 1)
                o->settings[n] = mem_printf("%s=%s", name, value);
}

static void put_settings(struct supervisor_options *o)
{
        const char *all = o->log_level;
        put_setting(o, "ECS_LOGLEVEL", all != NULL ? all : o->log_level_driver);
        put_setting(o, "ECS_LOGLEVEL_ON_INSTANCE", all != NULL ? all : o->log_level_on_instance);
        put_setting(o, "ECS_RUN_DIR", o->run_dir);
        put_setting(o, "AWS_EC2_METADATA_DISABLED", o->no_imds ? "true" : NULL);
        put_setting(o, "InsecureTLS", o->insecure ? "true" : NULL);
}

int options_parse(int argc, char **argv, struct supervisor_options *o, struct error *err)
{
        int i = 1;
        for (int r; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
                const char *name = argv[i] + (argv[i][1] == '-' ? 2 : 1);
                size_t length = strcspn(name, "=");
                const char *value = name[length] == '=' ? name + length + 1 : NULL;
                if (*name == '\0')
                        break; /* "--" ends the options */
                const struct option_row *row = find(name, length);
                if (row == NULL)
                        return error_set(err, -EINVAL, "there is no option %s", argv[i]);
                if (row->argument != NULL && value == NULL)
                        value = ++i < argc ? argv[i] : NULL;
                if (row->argument != NULL && value == NULL)
                        return error_set(err, -EINVAL, "-%s needs %s", row->name, row->argument);
                bool *flag = (bool *)((char *)o + row->offset);
                r = row->argument == NULL ? set_switch(flag, row, value, err)
                                          : set_value(o, row, value, err);
                if (r != 0)
                        return r;
        }
        put_settings(o);
        return 0;
}

void options_clear(struct supervisor_options *o)
{
        for (size_t i = 0; i < OPTION_SETTINGS; i++)
                free(o->settings[i]);
}

enum option_action options_action(const struct supervisor_options *o)
{
        if (o->help)
                return ACTION_HELP;
        if (o->license)
                return ACTION_LICENSE;
        if (o->version)
                return ACTION_VERSION;
        if (o->healthcheck)
                return ACTION_HEALTHCHECK;
        return o->attributes ? ACTION_ATTRIBUTES : ACTION_RUN;
}
