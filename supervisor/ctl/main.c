/* ecsctl: looks at a running agent and changes its workers. This file reads the options every
 * command shares, opens the control socket and calls the command. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "client.h"
#include "command.h"
#include "error.h"

static const struct command *const commands[] = {
        &command_status, &command_tasks, &command_task,     &command_why,   &command_start,
        &command_stop,   &command_restart, &command_loglevel, &command_debug, &command_local,
};

int command_fail(const char *format, ...)
{
        va_list ap;
        va_start(ap, format);
        (void)fputs("ecsctl: ", stderr);
        (void)vfprintf(stderr, format, ap);
        (void)fputc('\n', stderr);
        va_end(ap);
        return 1;
}

static void usage(FILE *to)
{
        (void)fputs("usage: ecsctl [--json] [--run-dir DIR] COMMAND [ARGUMENT]...\n\n", to);
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                (void)fprintf(to, "  %-10s %-22s %s\n", commands[i]->name, commands[i]->usage,
                              commands[i]->summary);
        (void)fputs("\n  --json         machine-readable output\n"
                    "  --run-dir DIR  of the supervisor; default $ECS_RUN_DIR, /run/ecs-agent\n"
                    "  --version, --help\n\n"
                    "Looking needs membership of group ecs-operators, changing needs root.\n",
                    to);
}

static const struct command *find(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                if (strcmp(commands[i]->name, name) == 0)
                        return commands[i];
        return NULL;
}

static int run(struct ctl *c, int argc, char **argv)
{
        const struct command *command = find(argv[0]);
        struct client client;
        struct error err = {0};
        if (command == NULL)
                return command_fail("no command '%s', see --help", argv[0]);
        if (argc - 1 < command->min_args || (command->max_args >= 0 && argc - 1 > command->max_args))
                return command_fail("usage: ecsctl %s %s", command->name, command->usage);
        if (client_open(&client, c->run_dir, &err) != 0) {
                client_close(&client);
                return command_fail("%s", err.text);
        }
        c->client = &client;
        int code = command->run(c, argc - 1, argv + 1);
        client_close(&client);
        return code;
}

int main(int argc, char **argv)
{
        enum { OPT_JSON = 256, OPT_NEW, OPT_RUN_DIR, OPT_VERSION, OPT_HELP };
        static const struct option options[] = {
                {"json", no_argument, NULL, OPT_JSON},
                {"new", no_argument, NULL, OPT_NEW},
                {"run-dir", required_argument, NULL, OPT_RUN_DIR},
                {"version", no_argument, NULL, OPT_VERSION},
                {"help", no_argument, NULL, OPT_HELP},
                {NULL, 0, NULL, 0},
        };
        const char *from_environment = getenv("ECS_RUN_DIR");
        struct ctl c = {.run_dir = from_environment != NULL ? from_environment : "/run/ecs-agent"};
        int o;
        while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
                switch (o) {
                case OPT_JSON:
                        c.json = true;
                        break;
                case OPT_NEW:
                        c.reopen = true;
                        break;
                case OPT_RUN_DIR:
                        c.run_dir = optarg;
                        break;
                case OPT_VERSION:
                        (void)printf("ecsctl %s\n", ECS_VERSION);
                        return 0;
                case OPT_HELP:
                        usage(stdout);
                        return 0;
                default:
                        usage(stderr);
                        return 2;
                }
        }
        if (optind == argc) {
                usage(stderr);
                return 2;
        }
        return run(&c, argc - optind, argv + optind);
}
