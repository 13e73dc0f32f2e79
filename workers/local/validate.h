/* validate: is a request what the API's model says? One walk over shapes_table.c, before the
 * operation sees it: operations may then rely on names, types and enum values. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct answer;

struct shape {
        const char *name, *members;
};
extern const struct shape shapes[];
extern const size_t shape_count;

/* NULL when there is no such shape. */
const struct shape *shape_find(const char *name, size_t length);

/* Checks q against the shape named like the operation; operations without a shape pass. false:
 * a has SerializationException (a type), InvalidParameterException or ClientException (a value, a
 * missing or unknown member), or UnsupportedFeatureException, and the member's path.
 * Members that are null are removed, as if they had not been sent. */
bool validate(const char *operation, json_t *q, struct answer *a);
