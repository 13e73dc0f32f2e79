/* inspect_json: what Docker's inspect of a container or image says, put into the facts. */
#pragma once

#include <jansson.h>

#include "model.h"

/* What the state says: EV_CREATED, EV_RUNNING or EV_EXITED. Source: engine.md 6. */
enum container_event inspect_json_state(const json_t *inspect);
/* How a run of the container ended: true when it ran and does not any more. ret_finished_at is
 * borrowed from inspect. */
bool inspect_json_run_ended(const json_t *inspect, int *ret_exit_code,
                            const char **ret_finished_at);
/* When it was first started; the first time is kept. */
void inspect_json_apply_started(struct container *c, const json_t *inspect);
/* Ids, times, exit code, ports, networks, mounts, labels, health. Marks the task dirty when
 * anything differs. */
void inspect_json_apply(struct container *c, const json_t *inspect);
/* The ECS reason of a container that is not running: OutOfMemoryError or DockerStateError text,
 * or NULL. Returns owned. */
char *inspect_json_reason(const json_t *inspect);
/* Image id, digest, region variables. */
void inspect_json_apply_image(struct container *c, const json_t *image);
