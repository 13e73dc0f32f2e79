/* options: the command line of ecs-supervisor, as the official agent's flags are written: one dash
 * or two, -name=value or -name value, -switch[=true|false]. Source: host.md 1.5. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct error;

enum option_action {
        ACTION_RUN,
        ACTION_HELP,
        ACTION_LICENSE,
        ACTION_VERSION,
        ACTION_HEALTHCHECK,
        ACTION_ATTRIBUTES,
};

#define OPTION_SETTINGS 8

struct supervisor_options {
        bool license, version, healthcheck, attributes, help;
        bool local, insecure, no_imds;
        bool windows_service;
        const char *config_file, *run_dir;
        const char *log_level, *log_level_driver, *log_level_on_instance;
        unsigned time_scale;
        /* what the flags come to as settings, "NAME=value", NULL-terminated; owned */
        char *settings[OPTION_SETTINGS];
};

struct option_row {
        const char *name;
        const char *argument; /* NULL: a switch */
        size_t offset;        /* of a bool, or of a const char * */
        bool test;            /* of use to tests only */
        const char *help;     /* sentences of the manual and of --help */
};
extern const struct option_row option_rows[];
extern const size_t option_row_count;

/* Fills o (borrowing argv). -EINVAL with err for what is no option or no value. */
int options_parse(int argc, char **argv, struct supervisor_options *o, struct error *err);
void options_clear(struct supervisor_options *o);
/* What the command line asks for, in the official agent's order. */
enum option_action options_action(const struct supervisor_options *o);
