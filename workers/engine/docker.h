/* docker: calls to the Docker Engine API over its unix socket, in the version both sides speak.
 * Every call has a deadline. Source: engine.md 3.1. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "http.h"
#include "log.h"

struct docker;

/* status: HTTP status, 0 when there was no answer; error: 0 or negative errno (-ETIMEDOUT …).
 * body: parsed answer or NULL; text: Docker's message, or what went wrong. All borrowed. */
struct docker_answer {
        int error, status;
        json_t *body;
        const char *text;
};
typedef void (*docker_done_fn)(void *arg, const struct docker_answer *a);

/* up: Docker has answered and the version is known, after start and after each outage;
 * down: it does not answer, with the reason; event: one container event object. */
struct docker_callbacks {
        void (*up)(void *arg);
        void (*down)(void *arg, const char *reason);
        void (*event)(void *arg, const json_t *event);
        void *arg;
};
struct docker *docker_new(uv_loop_t *loop, const char *host, const struct docker_callbacks *cb,
                          const struct log *log);
void docker_close(struct docker *d);
bool docker_is_up(const struct docker *d);
const char *docker_version(const struct docker *d);
const char *docker_api_version(const struct docker *d);
const char *docker_min_api_version(const struct docker *d);

/* path without the version, "/containers/…"; body may be NULL, is copied. done exactly once. */
void docker_call(struct docker *d, const char *method, const char *path, const json_t *body,
                 uint32_t timeout_ms, docker_done_fn done, void *arg);
/* Pulls; done's text is the error of the progress stream, if any. */
void docker_pull(struct docker *d, const char *image, uint32_t timeout_ms, docker_done_fn done,
                 void *arg);
/* Percent-encodes a path segment. Returns owned. */
char *docker_escape(const char *text);
