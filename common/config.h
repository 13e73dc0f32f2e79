/* config: the settings a process was given, by name. The supervisor parses and normalises
 * (common/config_table.h); workers only look up. Source: host.md section 1. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct config;

#define CONFIG_FROM_FLAG "flag"
#define CONFIG_FROM_ENVIRONMENT "environment"
#define CONFIG_FROM_JSON "JSON file"
#define CONFIG_FROM_USER_DATA "user data"
#define CONFIG_FROM_IMDS "IMDS"
#define CONFIG_FROM_DEFAULT "default"

struct config *config_new(void);
void config_free(struct config *c);
/* Copies both. Replaces an earlier value. */
void config_set(struct config *c, const char *name, const char *value);
/* As config_set, and remembers where the value came from (CONFIG_FROM_… or a file's path). */
void config_set_from(struct config *c, const char *name, const char *value, const char *origin);
/* Where the value came from, borrowed; "" when nobody said, NULL when unset. */
const char *config_origin(const struct config *c, const char *name);
/* The value, borrowed, or NULL when unset. */
const char *config_find(const struct config *c, const char *name);
/* The value, or fallback when unset or empty. */
const char *config_text(const struct config *c, const char *name, const char *fallback);
bool config_bool(const struct config *c, const char *name, bool fallback);
/* Integers; durations are stored in milliseconds. */
int64_t config_int(const struct config *c, const char *name, int64_t fallback);
/* Parsed JSON, owned by the caller, or NULL. */
json_t *config_json(const struct config *c, const char *name);
/* Calls fn for every pair, in insertion order. */
void config_each(const struct config *c, void (*fn)(void *arg, const char *name, const char *value),
                 void *arg);
