/* config: the settings a process was given, by name. The supervisor parses and normalises
 * (common/config_table.h); workers only look up. Source: host.md section 1. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct config;

struct config *config_new(void);
void config_free(struct config *c);
/* Copies both. Replaces an earlier value. */
void config_set(struct config *c, const char *name, const char *value);
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
