/* metadata: the worker behind 169.254.170.2 and port 51678. It answers from its own memory: tasks
 * follow the engine's published table, credentials come from the backend and live only here. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "engine.pb-c.h"
#include "http_server.h"
#include "metadata.pb-c.h"
#include "state_db.h"
#include "worker.h"

/* Answers are rendered when they are first asked for after a change, and kept. One a version. */
enum { ANSWER_V3, ANSWER_V4, ANSWERS };

struct shown_task;

/* One container as published: what its endpoint id leads to. */
struct endpoint {
        const Ecs__ContainerFacts *container;
        struct shown_task *task;
        struct http_prepared *answers[ANSWERS];
};

/* One task as published. */
struct shown_task {
        struct shown_task *next;
        Ecs__TaskFacts *facts;
        struct endpoint *endpoints; /* one a container, in the same order */
        struct http_prepared *answers[ANSWERS];
};

struct credentials;

struct metadata {
        struct worker *worker;
        const struct log *log;
        const struct config *config;
        struct state_db *db; /* engine.db, reading; NULL until it is there */
        int64_t sequence;
        bool adopted; /* the tasks that run are known: another id is nobody's */
        struct shown_task *tasks;
        struct endpoint **by_id; /* sorted by endpoint id; only those Docker knows */
        size_t n_by_id;
        struct credentials *credentials;
        char *cluster, *instance_arn, *availability_zone, *availability_zone_id, *vpc_id;
        struct ipc_link *engine, *backend;
        struct http_server *task_server, *introspection_server;
        uv_timer_t accept; /* opens the servers */
};

extern const struct ipc_handler metadata_handlers[IPC_BODY_MAX];

int metadata_start(struct worker *w, void **ret_state, struct error *err);
void metadata_stop(struct worker *w, void *state, uint32_t deadline_ms);
void metadata_destroy(void *state);

/* tasks.c */
void tasks_refresh(struct metadata *m);
/* The same, from the file that now has the name. What was read before stays until it is written
 * anew: sequence numbers go on in a new file. */
void tasks_reopen(struct metadata *m);
void tasks_free(struct metadata *m);
/* What a change of identity makes stale. */
void tasks_forget_answers(struct metadata *m);
/* Looks once more at the database before it says no. NULL = no container has this id. */
struct endpoint *tasks_find_endpoint(struct metadata *m, const char *id);
/* True while a task needs these: its role until it has stopped, its execution role until it goes.
 */
bool tasks_know_credentials(const struct metadata *m, const char *id);

/* credentials.c */
void credentials_put(struct metadata *m, const Ecs__TaskCredentials *c);
/* NULL when not held. Borrowed. */
const Ecs__TaskCredentials *credentials_find(const struct metadata *m, const char *id);
/* The task has been published: from now on its credentials may be pruned. */
void credentials_mark(struct metadata *m, const char *task_arn);
/* Drops those whose task no longer needs them. */
void credentials_prune(struct metadata *m);
void credentials_free(struct metadata *m);
size_t credentials_list(const struct metadata *m, const Ecs__TaskCredentials **list, size_t max);

/* path.c: request paths as the routes understand them. */
/* The part of a target before '?', percent-decoded. Owned. */
char *path_decode(const char *target);
/* A decoded path without "//", "." and ".."; one trailing slash kept. Owned. */
char *path_clean(const char *path);
/* clean, escaped for a Location header, with the query of target. Owned. */
char *path_location(const char *clean, const char *target);
/* Value of a query parameter, decoded, owned; NULL when it is not there. */
char *path_parameter(const char *target, const char *name);

/* render.c: JSON texts, member by member in the order of endpoints.md. */
enum api_version { API_V1 = 1, API_V2, API_V3, API_V4 };
void render_container(struct buf *b, const Ecs__ContainerFacts *c, enum api_version v);
void render_task(struct buf *b, const struct metadata *m, const Ecs__TaskFacts *t,
                 enum api_version v);
void render_credentials(struct buf *b, const Ecs__TaskCredentials *c);
void render_introspection_task(struct buf *b, const Ecs__TaskFacts *t);
/* A JSON string with <, > and & escaped; broken UTF-8 becomes U+FFFD. */
void render_string(struct buf *b, const char *text);

/* audit.c: tells the audit log of an answered request. path: decoded. served: NULL for an error. */
void audit_request(struct metadata *m, struct http_exchange *x, const char *path, int status,
                   const Ecs__TaskCredentials *served);

/* task_routes.c, introspection_routes.c: handlers of the two servers. */
void task_routes(void *arg, struct http_exchange *x);
void introspection_routes(void *arg, struct http_exchange *x);
