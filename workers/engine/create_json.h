/* create_json: the body of POST /containers/create. Source: engine.md 3.2–3.6. */
#pragma once

#include <jansson.h>

#include "config.h"
#include "model.h"

struct error;

/* What the body depends on besides the container. */
struct create_context {
        const struct config *config;
        const char *cluster, *region;
        const char *agent_id;  /* labels the container as ours */
};

/* Returns the body owned, or NULL with err: HostConfigError, DockerClientConfigError. Host ports
 * must have been chosen (facts->ports). */
json_t *create_json(const struct container *c, const struct create_context *x, struct error *err);

/* Lays raw over base: scalars and lists replace, objects merge key by key, keys match without
 * regard to case, null clears; unknown keys pass through. */
void create_json_merge(json_t *base, const json_t *raw);
