/* capability_table: what this agent offers ECS, one row an attribute with its condition.
 * Source: backend.md 4.3. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct backend;

struct capability {
        const char *name;
        int docker_minor;    /* the daemon speaks at least 1.N; 0 = any */
        const char *setting; /* must be true; with '!' must be false */
        const char *absent;  /* feature that is not built yet: never advertised */
        bool not_external;   /* never outside EC2 */
};
extern const struct capability capability_rows[];
extern const size_t capability_row_count;

/* Appends the attributes whose condition holds. */
void capabilities_put(const struct backend *b, json_t *attributes);
