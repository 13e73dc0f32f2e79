/* config_parse: from every source to validated, normalised values, each with its origin.
 * Precedence: flags > environment > files (last given wins) > JSON file > user data > default; an
 * empty value is no value. JSON file: ECS_AGENT_CONFIG_FILE_PATH. Source: host.md 1.1 and 1.2. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

struct config_row;
struct error;

/* Sentences for the operator, in order. */
struct config_warnings {
        char **texts;
        size_t count;
};
void config_warnings_clear(struct config_warnings *w);
/* Takes text. Beyond a limit texts are dropped, and one says so. */
void config_warn(struct config_warnings *w, char *text);
bool config_warnings_have_room(const struct config_warnings *w);

struct config_sources {
        const char *const *flags; /* "NAME=value" of the command line, NULL-terminated, or NULL */
        char *const *environment; /* "NAME=value", NULL-terminated, or NULL */
        const char *const *files; /* ecs.config files, NULL-terminated, rising precedence */
        const char *user_data;    /* as config_user_data_lines gives it, or NULL */
};

/* Fills ret with every variable that has a value. Values of secret rows never appear in warnings
 * or err. -EINVAL with err for what the reference calls fatal. What asks for a feature this build
 * lacks, or can have no effect, is warned about; a switch then keeps its default. */
int config_load(const struct config_sources *s, struct config *ret, struct config_warnings *w,
                struct error *err);

/* The settings in the instance's user data, {"ECSAgentConfiguration":{…}}, as lines NAME=value:
 * known names only, each value one line. Anything else gives "". Returns owned. */
char *config_user_data_lines(const char *user_data, struct config_warnings *w);

/* The rows a recipient is sent (mask of enum config_recipient). Returns owned. */
struct config *config_for(const struct config *all, unsigned recipient);

/* One ecs.config text: calls fn for each NAME=value line. Raw grammar: lines trimmed, split at the
 * first '=', no comments, no quotes. text is changed. */
void config_parse_lines(char *text, void (*fn)(void *arg, const char *name, const char *value),
                        void *arg);
