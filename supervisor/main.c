/* ecs-supervisor: the privileged parent of the ECS agent's workers. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "supervisor.h"

static void usage(FILE *to)
{
        (void)fputs("usage: ecs-supervisor [OPTION]...\n"
                    "Runs the Amazon ECS container agent: starts its workers, gives them what they\n"
                    "need, and starts them again when they end. Settings are the ECS_* variables of\n"
                    "the environment, /etc/ecs/ecs.config and /var/lib/ecs/ecs.config.\n\n"
                    "  --local          with an ECS control plane of its own, no AWS account\n"
                    "  --config FILE    in place of the two ecs.config files\n"
                    "  --run-dir DIR    sockets; default /run/ecs-agent\n"
                    "  --loglevel L     debug, info, warn, error, crit or none\n"
                    "  --time-scale N   tests: divide every timer by N\n"
                    "  --version, --help\n\n"
                    "Exit codes: 0 stopped by a signal, 1 settings, 5 do not start again.\n"
                    "'ecsctl status' shows a running agent.\n",
                    to);
}

enum { OPT_LOCAL = 256, OPT_CONFIG, OPT_RUN_DIR, OPT_LOGLEVEL, OPT_SCALE, OPT_VERSION, OPT_HELP };

static const struct option options[] = {
        {"local", no_argument, NULL, OPT_LOCAL},
        {"config", required_argument, NULL, OPT_CONFIG},
        {"run-dir", required_argument, NULL, OPT_RUN_DIR},
        {"loglevel", required_argument, NULL, OPT_LOGLEVEL},
        {"time-scale", required_argument, NULL, OPT_SCALE},
        {"version", no_argument, NULL, OPT_VERSION},
        {"help", no_argument, NULL, OPT_HELP},
        {NULL, 0, NULL, 0},
};

int main(int argc, char **argv)
{
        struct supervisor_options o = {.config_file = getenv("ECS_CONFIG_FILE"), .time_scale = 1};
        enum log_level level;
        int c;
        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                switch (c) {
                case OPT_LOCAL:
                        o.local = true;
                        break;
                case OPT_CONFIG:
                        o.config_file = optarg;
                        break;
                case OPT_RUN_DIR:
                        o.run_dir = optarg;
                        break;
                case OPT_LOGLEVEL:
                        if (log_level_from_string(optarg, &level) != 0) {
                                (void)fprintf(stderr, "unknown log level '%s'\n", optarg);
                                return 5;
                        }
                        o.log_level = optarg;
                        break;
                case OPT_SCALE:
                        o.time_scale = (unsigned)strtoul(optarg, NULL, 10);
                        break;
                case OPT_VERSION:
                        (void)printf("Amazon ECS Agent:\n\tVersion: %s\n", ECS_VERSION);
                        return 0;
                case OPT_HELP:
                        usage(stdout);
                        return 0;
                default:
                        usage(stderr);
                        return 5;
                }
        }
        return supervisor_run(&o);
}
