/* config_parse: from environment, ecs.config files and the JSON file to validated, normalised
 * values. Precedence: environment > files (last given wins) > JSON file > user data > default;
 * an empty value is no value. JSON file: ECS_AGENT_CONFIG_FILE_PATH.
 * Source: host.md 1.1 and 1.2. */
#pragma once

#include <stddef.h>

#include "config.h"

struct error;

/* Sentences for the operator, in order. */
struct config_warnings {
        char **texts;
        size_t count;
};
void config_warnings_clear(struct config_warnings *w);

struct config_sources {
        char *const *environment;     /* "NAME=value", NULL-terminated */
        const char *const *files;     /* ecs.config files, NULL-terminated, rising precedence */
        const char *user_data;        /* text of the instance's user data, or NULL */
};

/* Fills ret with every variable that has a value. Values of secret rows never appear in warnings
 * or err. -EINVAL with err for what the reference calls fatal. */
int config_load(const struct config_sources *s, struct config *ret, struct config_warnings *w,
                struct error *err);

/* The rows a recipient is sent (mask of enum config_recipient). Returns owned. */
struct config *config_for(const struct config *all, unsigned recipient);

/* One ecs.config text: calls fn for each NAME=value line. Raw grammar: lines trimmed, split at the
 * first '=', no comments, no quotes. text is changed. */
void config_parse_lines(char *text, void (*fn)(void *arg, const char *name, const char *value),
                        void *arg);
