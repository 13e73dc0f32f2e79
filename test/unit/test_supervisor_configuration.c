/* Decisions about settings that need no process: paths of the official agent's container, the OS,
 * cloud-init's result, lines of ecs-imds, the command line. */
#include "unit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "configuration.h"
#include "error.h"
#include "imds.h"
#include "mem.h"
#include "options.h"

static void container_paths_are_those_of_the_host(void **state)
{
        static const char *const cases[][2] = {
                {"/data",              "/var/lib/ecs/data"         },
                {"/data/",             "/var/lib/ecs/data/"        },
                {"/log/ecs-agent.log", "/var/log/ecs/ecs-agent.log"},
                {"/database",          "/database"                 },
                {"/logs/x",            "/logs/x"                   },
                {"data",               "data"                      },
                {"/srv/data",          "/srv/data"                 },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *path = configuration_host_path(cases[i][0]);
                assert_string_equal(path, cases[i][1]);
        }
}

/* Path of a file with that text, removed by the caller. */
static char *write_file(const char *text)
{
        char *path = mem_strdup("/tmp/ecs-configuration-XXXXXX");
        cleanup_fd int fd = mkstemp(path);
        assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        return path;
}

static void the_os_is_named_as_os_release_has_it(void **state)
{
        static const char *const cases[][2] = {
                {"NAME=x\nID=debian\nVERSION_ID=\"12\"\n",           "debian_12"},
                {"VERSION_ID='2023'\nID=\"amzn\"\nID_LIKE=fedora\n", "amzn_2023"},
                {"ID=arch\n",                                        "linux"    },
                {"",                                                 "linux"    },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *path = write_file(cases[i][0]);
                cleanup_free char *os = configuration_os_family(path);
                (void)unlink(path);
                assert_string_equal(os, cases[i][1]);
        }
        cleanup_free char *none = configuration_os_family("/no/such/file");
        assert_string_equal(none, "linux");
}

/* H81 */
static void only_a_certain_lack_of_a_source_counts(void **state)
{
        static const struct {
                const char *text;
                bool user_data;
                int r;
        } cases[] = {
                {"{\"v1\":{\"datasource\":\"DataSourceNone\"}}", true,  -ESTALE},
                {"{\"v1\":{\"datasource\":\"DataSourceNone\"}}", false, 0      },
                {"{\"v1\":{\"datasource\":\"DataSourceEc2\"}}",  true,  0      },
                {"{\"v1\":{\"datasource\":null}}",               true,  0      },
                {"{\"v1\":[]}",                                  true,  0      },
                {"{",                                            true,  0      },
                {"",                                             true,  0      },
        };
        struct error err = {0};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *path = write_file(cases[i].text);
                int r = cloud_init_check(path, cases[i].user_data, &err);
                (void)unlink(path);
                assert_int_equal(r, cases[i].r);
        }
        assert_int_equal(cloud_init_check("/no/such/file", true, &err), 0);
}

static void lines_of_the_helper_are_checked(void **state)
{
        struct imds_answer a = {0};
        (void)state;
        imds_take_line(&a, "region eu-west-1");
        imds_take_line(&a, "region ../../etc");
        imds_take_line(&a, "set ECS_CLUSTER=a b");
        imds_take_line(&a, "set NoIID=true");
        imds_take_line(&a, "failed region: \x1b[2Jstatus 500");
        imds_take_line(&a, "nonsense");
        assert_string_equal(a.region, "eu-west-1");
        assert_string_equal(a.user_data, "ECS_CLUSTER=a b\nNoIID=true\n");
        assert_string_equal(a.failure, "region: ?[2Jstatus 500");
        assert_false(a.has_user_data);
        imds_take_line(&a, "user-data");
        assert_true(a.has_user_data);
        imds_answer_clear(&a);
}

static int parse(struct supervisor_options *o, const char *a, const char *b, const char *c,
                 struct error *err)
{
        char *argv[] = {(char *)"ecs-supervisor", (char *)a, (char *)b, (char *)c, NULL};
        int argc = 1;
        while (argv[argc] != NULL)
                argc++;
        *o = (struct supervisor_options){.time_scale = 1};
        return options_parse(argc, argv, o, err);
}

/* H40, H41 */
static void flags_are_read_as_go_reads_them(void **state)
{
        static const struct {
                const char *argv[3];
                int r;
                enum option_action action;
                const char *setting; /* the first */
        } cases[] = {
                {{"-version"},                                 0,       ACTION_VERSION,     NULL                            },
                {{"--version=1", "-license"},                  0,       ACTION_LICENSE,     NULL                            },
                {{"-version=False"},                           0,       ACTION_RUN,         NULL                            },
                {{"-version", "false"},                        0,       ACTION_VERSION,     NULL                            }, /* a switch takes no next word */
                {{"-loglevel", "warn"},                        0,       ACTION_RUN,         "ECS_LOGLEVEL=warn"             },
                {{"--loglevel=CRIT"},                          0,       ACTION_RUN,         "ECS_LOGLEVEL=CRIT"             },
                {{"-loglevel-driver=debug", "-loglevel=warn"}, 0,       ACTION_RUN,         "ECS_LOGLEVEL=warn"             },
                {{"-loglevel-on-instance=debug"},              0,       ACTION_RUN,         "ECS_LOGLEVEL_ON_INSTANCE=debug"},
                {{"-blackhole-ec2-metadata"},                  0,       ACTION_RUN,         "AWS_EC2_METADATA_DISABLED=true"},
                {{"-k"},                                       0,       ACTION_RUN,         "InsecureTLS=true"              },
                {{"-run-dir", "-k"},                           0,       ACTION_RUN,         "ECS_RUN_DIR=-k"                },
                {{"-healthcheck", "--", "-nonsense"},          0,       ACTION_HEALTHCHECK, NULL                            },
                {{"word", "-nonsense"},                        0,       ACTION_RUN,         NULL                            },
                {{"---version"},                               -EINVAL, ACTION_RUN,         NULL                            },
                {{"-k=2"},                                     -EINVAL, ACTION_RUN,         NULL                            },
                {{"-run-dir"},                                 -EINVAL, ACTION_RUN,         NULL                            },
                {{"-=x"},                                      -EINVAL, ACTION_RUN,         NULL                            },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct supervisor_options o;
                struct error err = {0};
                int r = parse(&o, cases[i].argv[0], cases[i].argv[1], cases[i].argv[2], &err);
                const char *setting = o.settings[0];
                bool same = (setting == NULL) == (cases[i].setting == NULL) &&
                            (setting == NULL || strcmp(setting, cases[i].setting) == 0);
                if (r != cases[i].r || (r == 0 && options_action(&o) != cases[i].action) || !same)
                        fail_msg("%s: %d, %s %s", cases[i].argv[0], r,
                                 setting != NULL ? setting : "nothing set", err.text);
                options_clear(&o);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(container_paths_are_those_of_the_host),
                cmocka_unit_test(the_os_is_named_as_os_release_has_it),
                cmocka_unit_test(only_a_certain_lack_of_a_source_counts),
                cmocka_unit_test(lines_of_the_helper_are_checked),
                cmocka_unit_test(flags_are_read_as_go_reads_them),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
