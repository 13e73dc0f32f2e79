/* adopt_json: a task put together again from what Docker says of its containers. */
#pragma once

#include <jansson.h>

#include "model.h"

/* Labels of our own, beside the five of ECS: whose container this is, and what Docker has no place
 * for but a stop needs to know. */
#define LABEL_AGENT "ecs-agent.id"
#define LABEL_ESSENTIAL "ecs-agent.essential"
#define LABEL_ECS "com.amazonaws.ecs."

/* A label of a container, by its name behind LABEL_ECS; "" when it has none. inspect: of one
 * container. Borrowed. */
const char *adopt_json_label(const json_t *inspect, const char *name);
/* True when the labels name a task and container, so that it can be adopted. */
bool adopt_json_is_whole(const json_t *inspect);
/* One task from the inspects of its containers, all whole and of one ARN. What ran is RUNNING,
 * what ran once is STOPPED with its exit code, what never ran is STOPPED with a reason: an adopted
 * task is watched, reported and stopped, but nothing in it is started again. Returns owned. */
struct task *adopt_json_task(json_t *const *inspects, size_t count, int64_t now_ms,
                             const struct log *log);
