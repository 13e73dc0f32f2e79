/* command: one command of ecsctl = one file = one const struct. */
#pragma once

#include <stdbool.h>

struct client;

struct ctl {
        const char *run_dir;
        bool json;       /* --json */
        bool reopen;     /* --new */
        struct client *client;
};

struct command {
        const char *name;
        const char *usage;    /* arguments, for the help text */
        const char *summary;  /* one line */
        int min_args, max_args;  /* after the name; -1 = any number */
        /* Exit code. Errors have been told on standard error. */
        int (*run)(struct ctl *c, int argc, char **argv);
};

extern const struct command command_status, command_start, command_stop, command_restart,
        command_loglevel, command_debug, command_tasks, command_task, command_why, command_local;

/* Writes "ecsctl: text" to standard error. Returns 1, for `return command_fail(...)`. */
int command_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
