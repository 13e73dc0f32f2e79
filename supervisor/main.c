/* ecs-supervisor: the privileged parent of the ECS agent's workers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attributes.h"
#include "build_info.h"
#include "error.h"
#include "healthcheck.h"
#include "options.h"
#include "supervisor.h"

#define WIDTH 78
#define INDENT 8

/* Breaks sentences into lines. */
static void put_text(FILE *to, const char *text)
{
        size_t column = 0;
        while (*text != '\0') {
                size_t n = strcspn(text, " ");
                if (column > 0 && INDENT + column + 1 + n > WIDTH) {
                        (void)fputc('\n', to);
                        column = 0;
                }
                (void)fprintf(to, "%*s%.*s", column > 0 ? 1 : INDENT, "", (int)n, text);
                column += n + (column > 0);
                text += n + strspn(text + n, " ");
        }
        (void)fputc('\n', to);
}

static void help(FILE *to)
{
        (void)fputs("usage: ecs-supervisor [OPTION]...\n\n"
                    "Runs the Amazon ECS container agent: starts its workers, gives each what it\n"
                    "needs, and starts them again when they end. One dash or two; a value follows\n"
                    "after a space or '='; a switch may be given as -switch=false.\n\n",
                    to);
        for (size_t i = 0; i < option_row_count; i++) {
                const struct option_row *row = &option_rows[i];
                if (row->test)
                        continue;
                (void)fprintf(to, "    -%s%s%s\n", row->name, row->argument != NULL ? " " : "",
                              row->argument != NULL ? row->argument : "");
                put_text(to, row->help);
        }
        (void)fputs(
                "\nSettings: the ECS_* variables of the environment, /etc/ecs/ecs.config,\n"
                "/var/lib/ecs/ecs.config, a JSON file and the user data of the instance; see\n"
                "ecs.config(5). 'ecsctl config' prints those in effect, 'ecsctl status' the\n"
                "state of a running agent.\n\n"
                "Exit codes: 0 stopped in order; 1 a mistake in the settings or something that\n"
                "may pass, try again; 5 do not try again before something is changed.\n",
                to);
}

static int print_version(void)
{
        (void)printf("Amazon ECS Agent:\n\tVersion: %s\n\tCommit: %s\n%s", ECS_VERSION,
                     build_commit, build_dirty ? "\tDirty: true\n" : "");
        return fflush(stdout) != 0;
}

static int print_license(void)
{
        return fwrite(build_license, 1, build_license_size, stdout) != build_license_size ||
               fflush(stdout) != 0;
}

static int act(const struct supervisor_options *o)
{
        switch (options_action(o)) {
        case ACTION_HELP:
                help(stdout);
                return 0;
        case ACTION_LICENSE:
                return print_license();
        case ACTION_VERSION:
                return print_version();
        case ACTION_HEALTHCHECK:
                return healthcheck(o);
        case ACTION_ATTRIBUTES:
                return attributes_print(o);
        case ACTION_RUN:
                break;
        }
        if (o->windows_service) {
                (void)fputs("ecs-supervisor: -windows-service: this is not Windows\n", stderr);
                return 1;
        }
        return supervisor_run(o);
}

int main(int argc, char **argv)
{
        struct supervisor_options o = {.config_file = getenv("ECS_CONFIG_FILE"), .time_scale = 1};
        struct error err = {0};
        int code = EXIT_TERMINAL;
        if (options_parse(argc, argv, &o, &err) == 0)
                code = act(&o);
        else if (argc == 2 && strcmp(argv[1], "-h") == 0)
                help(stderr); /* the official agent's exit code for it is that of a mistake */
        else
                (void)fprintf(stderr, "ecs-supervisor: %s; see --help\n", err.text);
        options_clear(&o);
        return code;
}
