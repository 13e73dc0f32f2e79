/* ecsctl: looks at a running agent and changes its workers. This file reads the options, opens
 * the control socket and calls the command. */
#include <assert.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "client.h"
#include "command.h"
#include "error.h"

#define EXIT_USAGE 2

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

const char *ctl_option(const struct ctl *c, const char *name)
{
        for (size_t i = 0; c->command->options != NULL && c->command->options[i].name != NULL; i++)
                if (strcmp(c->command->options[i].name, name) == 0)
                        return c->values[i];
        return NULL;
}

static const struct command *find(const char *name)
{
        for (size_t i = 0; commands[i] != NULL; i++)
                if (strcmp(commands[i]->name, name) == 0)
                        return commands[i];
        return NULL;
}

static int fail_usage(const struct command *c)
{
        (void)command_fail("usage: ecsctl %s %s\nsee 'ecsctl %s --help'", c->name, c->usage,
                           c->name);
        return EXIT_USAGE;
}

/* ---- options ---- */

/* Values of getopt_long beyond those of the command's own options, which are their indexes. */
enum { OPT_JSON = 256, OPT_RUN_DIR, OPT_HELP, OPT_VERSION, OPT_MAN, OPT_COMPLETION };

static const struct option common_options[] = {
        {"json",       no_argument,       NULL, OPT_JSON      },
        {"run-dir",    required_argument, NULL, OPT_RUN_DIR   },
        {"help",       no_argument,       NULL, OPT_HELP      },
        {"version",    no_argument,       NULL, OPT_VERSION   },
        {"man",        no_argument,       NULL, OPT_MAN       },
        {"completion", no_argument,       NULL, OPT_COMPLETION},
        {NULL,         0,                 NULL, 0             },
};
#define COMMON_COUNT ARRAY_SIZE(common_options)

struct option_set {
        struct option longs[COMMON_COUNT + COMMAND_OPTIONS_MAX];
        char shorts[3 * COMMAND_OPTIONS_MAX];
};

static void add_own(struct option_set *s, const struct command *c)
{
        size_t n = COMMON_COUNT - 1, at = strlen(s->shorts);
        for (size_t i = 0; c->options != NULL && c->options[i].name != NULL; i++) {
                const struct command_option *o = &c->options[i];
                s->longs[n++] = (struct option){
                        o->name, o->argument != NULL ? required_argument : no_argument, NULL,
                        (int)i};
                if (o->letter == '\0')
                        continue;
                s->shorts[at++] = o->letter;
                if (o->argument != NULL)
                        s->shorts[at++] = ':';
        }
        s->longs[n] = (struct option){0};
        s->shorts[at] = '\0';
}

/* An option every command has. -1: go on, else the exit code. */
static int take_common(struct ctl *c, int o)
{
        switch (o) {
        case OPT_JSON:
                c->json = true;
                return -1;
        case OPT_RUN_DIR:
                c->run_dir = optarg;
                return -1;
        case OPT_VERSION:
                (void)printf("ecsctl %s\n", ECS_VERSION);
                return 0;
        case OPT_MAN:
                help_manual(stdout);
                return 0;
        case OPT_COMPLETION:
                help_completion(stdout);
                return 0;
        case OPT_HELP:
                if (c->command != NULL)
                        help_command(stdout, c->command);
                else
                        help_usage(stdout);
                return 0;
        default:
                if (c->command == NULL)
                        help_usage(stderr);
                else
                        (void)fail_usage(c->command);
                return EXIT_USAGE;
        }
}

static void take_own(struct ctl *c, int index)
{
        assert(c->command != NULL); // only a command has options of its own
        c->values[index] = c->command->options[index].argument != NULL ? optarg : "";
}

static int letter_index(const struct command *c, int letter)
{
        for (int i = 0; c != NULL && c->options != NULL && c->options[i].name != NULL; i++)
                if (c->options[i].letter == letter)
                        return i;
        return -1;
}

/* Reads options up to the command (command NULL), or those behind its name. */
static int read_options(struct ctl *c, int argc, char **argv)
{
        struct option_set s = {.shorts = ""};
        memcpy(s.longs, common_options, sizeof common_options);
        if (c->command == NULL)
                (void)strcpy(s.shorts, "+");
        else
                add_own(&s, c->command);
        int o;
        optind = 0;
        while ((o = getopt_long(argc, argv, s.shorts, s.longs, NULL)) != -1) {
                int own = o == '?' || o >= OPT_JSON ? -1
                          : o < COMMAND_OPTIONS_MAX ? o
                                                    : letter_index(c->command, o);
                if (own >= 0) {
                        take_own(c, own);
                        continue;
                }
                int code = take_common(c, o);
                if (code >= 0)
                        return code;
        }
        return -1;
}

/* ---- running ---- */

static int run(struct ctl *c, int argc, char **argv)
{
        const struct command *command = c->command;
        struct client client;
        struct error err = {0};
        if (argc < command->min_args || (command->max_args >= 0 && argc > command->max_args))
                return fail_usage(command);
        if (client_open(&client, c->run_dir, &err) == 0)
                c->client = &client;
        else if (!command->offline) {
                client_close(&client);
                return command_fail("%s", err.text);
        }
        c->no_client = err.text;
        int code = command->run(c, argc, argv);
        client_close(&client);
        return code;
}

/* ecsctl help [COMMAND] */
static int run_help(int argc, char **argv)
{
        const struct command *c = argc > 1 ? find(argv[1]) : NULL;
        if (argc > 1 && c == NULL)
                return command_fail("no command '%s', see 'ecsctl --help'", argv[1]);
        if (c != NULL)
                help_command(stdout, c);
        else
                help_usage(stdout);
        return 0;
}

int main(int argc, char **argv)
{
        const char *from_environment = getenv("ECS_RUN_DIR");
        struct ctl c = {.run_dir = from_environment != NULL ? from_environment : "/run/ecs-agent"};
        int code = read_options(&c, argc, argv);
        if (code >= 0)
                return code;
        argc -= optind;
        argv += optind;
        if (argc == 0) {
                help_usage(stderr);
                return EXIT_USAGE;
        }
        if (strcmp(argv[0], "help") == 0)
                return run_help(argc, argv);
        c.command = find(argv[0]);
        if (c.command == NULL) {
                (void)command_fail("no command '%s', see 'ecsctl --help'", argv[0]);
                return EXIT_USAGE;
        }
        code = read_options(&c, argc, argv);
        if (code >= 0)
                return code;
        return run(&c, argc - optind, argv + optind);
}
