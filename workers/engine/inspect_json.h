/* inspect_json: what Docker's inspect of a container or image says, put into the facts. */
#pragma once

#include <jansson.h>

#include "model.h"

/* What the state says: EV_CREATED, EV_RUNNING or EV_EXITED. Source: engine.md 6. */
enum container_event inspect_json_state(const json_t *inspect);
/* Ids, times, exit code, ports, networks, mounts, labels, health. Marks the task dirty when
 * anything differs. */
void inspect_json_apply(struct container *c, const json_t *inspect);
/* The ECS reason of a container that is not running: OutOfMemoryError or DockerStateError text,
 * or NULL. Returns owned. */
char *inspect_json_reason(const json_t *inspect);
/* Image id, digest, region variables. */
void inspect_json_apply_image(struct container *c, const json_t *image);
