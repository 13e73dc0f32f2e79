/* payload_json: an ACS task in JSON to the engine's TaskSpec. Keys match without regard to case,
 * unknown ones are ignored. Source: engine.md section 2. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "engine.pb-c.h"

/* Returns owned (ecs__task_spec__free_unpacked). A task that cannot be converted has
 * invalid_reason set. *ret_mistyped: a member has a type the model does not allow; then the whole
 * message is to be dropped. NULL when task is no object. */
Ecs__TaskSpec *payload_json_task(const json_t *task, bool *ret_mistyped);
/* Member by name, any case; NULL when absent or null. */
const json_t *payload_json_get(const json_t *object, const char *name);
/* Text of a member, "" when absent; sets *ret_mistyped when it is no string. Borrowed. */
const char *payload_json_text(const json_t *object, const char *name, bool *ret_mistyped);
/* Number of a member, 0 when absent; sets *ret_mistyped when it is no integer. */
json_int_t payload_json_integer(const json_t *object, const char *name, bool *ret_mistyped);
/* List, NULL when absent; sets *ret_mistyped when it is none. Borrowed. */
const json_t *payload_json_list(const json_t *object, const char *name, bool *ret_mistyped);
/* The sentence a task that cannot be loaded is reported with. Returns owned. */
char *payload_json_invalid(const char *why);
