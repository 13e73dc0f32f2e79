/* ecsctl: looks at, and changes, a running agent through its control socket. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ctl.h"

static const struct ctl_command *const commands[] = {
        &ctl_status, &ctl_tasks, &ctl_task,     &ctl_why,   &ctl_start,
        &ctl_stop,   &ctl_restart, &ctl_loglevel, &ctl_local,
};

static void usage(FILE *to)
{
        (void)fprintf(to, "usage: ecsctl [--run-dir DIR] [--json] COMMAND\n\n");
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                (void)fprintf(to, "  %-18s %s\n", commands[i]->usage, commands[i]->help);
        (void)fprintf(to, "\n  --run-dir DIR      of the agent; default $ECS_RUN_DIR or "
                          "/run/ecs-agent\n"
                          "  --json             for programs\n"
                          "  --help, --version\n\n"
                          "Looking needs membership of group ecs-operators, changing needs root.\n");
}

/* Takes the options out of argv, wherever they stand; 0, or an exit code + 1. */
static int options(struct ctl *c, int *argc, char **argv)
{
        int kept = 0;
        for (int i = 1; i < *argc; i++) {
                if (strcmp(argv[i], "--json") == 0) {
                        c->json = true;
                } else if (strcmp(argv[i], "--run-dir") == 0 && i + 1 < *argc) {
                        c->run_dir = argv[++i];
                } else if (strcmp(argv[i], "--help") == 0) {
                        usage(stdout);
                        return 1;
                } else if (strcmp(argv[i], "--version") == 0) {
                        (void)printf("ecsctl %s\n", ECS_VERSION);
                        return 1;
                } else {
                        argv[kept++] = argv[i];
                }
        }
        *argc = kept;
        return 0;
}

int main(int argc, char **argv)
{
        const char *run_dir = getenv("ECS_RUN_DIR");
        struct ctl c = {.run_dir = run_dir != NULL ? run_dir : "/run/ecs-agent", .socket = -1};
        int r = options(&c, &argc, argv);
        if (r != 0)
                return r - 1;
        for (size_t i = 0; argc > 0 && i < ARRAY_SIZE(commands); i++) {
                if (strcmp(commands[i]->name, argv[0]) != 0)
                        continue;
                if (argc - 1 < commands[i]->min_args) {
                        (void)fprintf(stderr, "usage: ecsctl %s\n", commands[i]->usage);
                        return 2;
                }
                if (ctl_connect(&c) != 0)
                        return 1;
                return commands[i]->run(&c, argc - 1, argv + 1);
        }
        if (argc > 0)
                (void)fprintf(stderr, "ecsctl: unknown command '%s'\n\n", argv[0]);
        usage(stderr);
        return 2;
}
