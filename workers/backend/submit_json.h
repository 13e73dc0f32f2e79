/* submit_json: the body of SubmitTaskStateChange. Source: backend.md 3.3. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine.pb-c.h"

struct submit_options {
        const char *cluster;
        bool drop_ipv6;  /* bindings of bindIP "::" are left out */
};
/* One task's changes, oldest first; the last gives the task's status. Returns owned. */
json_t *submit_json(const Ecs__StateChange *const *changes, size_t count,
                    const struct submit_options *o);
/* At most max bytes of text, cut between characters. Returns owned. */
char *submit_json_cut(const char *text, size_t max);
