/* command: one command of ecsctl = one file = one const struct. Help, manual page and shell
 * completion are made from these structs (help.c). */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct client;
struct command;

#define COMMAND_OPTIONS_MAX 8

struct ctl {
        const char *run_dir;
        bool json;                 /* --json */
        const struct command *command;
        const char *values[COMMAND_OPTIONS_MAX];  /* of the command's options; see ctl_option */
        struct client *client;     /* connected, except for offline commands while no agent runs */
        const char *no_client;     /* why there is no connection, for offline commands */
};

struct command_option {
        const char *name;      /* --name */
        char letter;           /* -l, 0 = none */
        const char *argument;  /* NULL: a switch */
        const char *help;      /* one line */
};

struct command_example {
        const char *line, *what;
};

/* What the first argument may be, for completion; a mask. */
enum complete { COMPLETE_WORKER = 1, COMPLETE_TASK = 2, COMPLETE_FILE = 4, COMPLETE_LEVEL = 8 };

struct command {
        const char *name;
        const char *usage;    /* arguments, for the help text */
        const char *summary;  /* one line */
        const char *text;     /* paragraphs for --help and the manual; may be NULL */
        const struct command_option *options;    /* up to a NULL name; may be NULL */
        const struct command_example *examples;  /* up to a NULL line; may be NULL */
        int min_args, max_args;  /* after the name; -1 = any number */
        unsigned complete;       /* enum complete */
        bool offline;            /* works without an agent */
        /* Exit code. Errors have been told on standard error. */
        int (*run)(struct ctl *c, int argc, char **argv);
};

/* In the order of the help text; ends with NULL. */
extern const struct command *const commands[];

/* Value of an option of the running command: NULL when not given, "" for a switch. */
const char *ctl_option(const struct ctl *c, const char *name);

/* Writes "ecsctl: text" to standard error. Returns 1, for `return command_fail(...)`. */
int command_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- help.c ---- */

/* Of the whole program. */
void help_usage(FILE *to);
/* Of one command, with its options and examples. */
void help_command(FILE *to, const struct command *c);
/* The manual page ecsctl(8), for groff. */
void help_manual(FILE *to);
/* A script for bash-completion. */
void help_completion(FILE *to);
