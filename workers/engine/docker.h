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
 * down: it does not answer, with the reason; event: one container event object; connect: gives a
 * connected socket where this process may not open Docker's by itself, may be NULL. */
struct docker_callbacks {
        void (*up)(void *arg);
        void (*down)(void *arg, const char *reason);
        void (*event)(void *arg, const json_t *event);
        http_connect_fn connect;
        void *arg;
};
/* What happened and to which container, in the form of any API version; borrowed. False when the
 * object does not say. */
bool docker_read_event(const json_t *event, const char **ret_action, const char **ret_id);
struct docker *docker_new(uv_loop_t *loop, const char *host, const struct docker_callbacks *cb,
                          const struct log *log);
void docker_close(struct docker *d);
bool docker_is_up(const struct docker *d);
const char *docker_version(const struct docker *d);
const char *docker_api_version(const struct docker *d);
const char *docker_min_api_version(const struct docker *d);
/* Whether calls are made in API version 1.minor or a newer one. */
bool docker_speaks(const struct docker *d, int minor);

/* path without the version, "/containers/…"; body may be NULL, is copied. done exactly once. */
void docker_call(struct docker *d, const char *method, const char *path, const json_t *body,
                 uint32_t timeout_ms, docker_done_fn done, void *arg);
/* A call that can be given up. Owned by the client, valid until done has been called. */
struct docker_call;
/* done follows with -ECANCELED, from the loop. */
void docker_cancel(struct docker_call *c);
/* As docker_call. */
struct docker_call *docker_start(struct docker *d, const char *method, const char *path,
                                 const json_t *body, uint32_t timeout_ms, docker_done_fn done,
                                 void *arg);
/* GET of what Docker asks a registry for; auth: X-Registry-Auth, copied, and wiped at the end. */
struct docker_call *docker_ask_registry(struct docker *d, const char *path, const char *auth,
                                        uint32_t timeout_ms, docker_done_fn done, void *arg);

struct docker_pull_limits {
        uint32_t whole_ms;
        uint32_t first_line_ms;  /* until the stream's first bytes */
        uint32_t silence_ms;     /* between later ones */
};
/* One line of a progress stream; borrowed. */
typedef void (*docker_line_fn)(void *arg, const json_t *line);
/* Pulls name:version, or name@version for a digest. on_line may be NULL. done's text is the error
 * of the progress stream, if any: error is -EIO then, or -ETIME when the stream did not begin. */
struct docker_call *docker_pull(struct docker *d, const char *name, const char *version,
                                const char *auth, const struct docker_pull_limits *limits,
                                docker_line_fn on_line, docker_done_fn done, void *arg);
/* Percent-encodes a path segment. Returns owned. */
char *docker_escape(const char *text);
