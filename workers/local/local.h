/* local: the control plane of one machine. Objects (clusters, task definitions, tasks, container
 * instances) are JSON in memory, as ECS describes them, and rows of local.db. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "http_server.h"
#include "state_db.h"
#include "worker.h"

enum kind { K_CLUSTER, K_TASK_DEFINITION, K_TASK, K_INSTANCE, KINDS };

struct faults;
struct record;
struct session;

struct local {
        struct worker *worker;
        const struct log *log;
        const struct config *config;
        const char *region;
        struct state_db *db;
        json_t *objects[KINDS];       /* ARN → object, in order of creation */
        struct http_server *server;
        struct session *sessions;
        struct faults *faults;
        struct record *record;
        uv_timer_t heartbeat;
        json_t *roles;                /* credentials id → made credentials; memory only */
        bool stopping;
};

#define ACCOUNT "000000000000"

int local_start(struct worker *w, void **ret_state, struct error *err);
void local_stop(struct worker *w, void *state, uint32_t deadline_ms);
void local_destroy(void *state);

/* ---- store.c ---- */
int store_open(struct local *l, struct error *err);
void store_close(struct local *l);
/* Borrowed, or NULL. */
json_t *store_find(struct local *l, enum kind k, const char *arn);
/* Takes object; stored at once. */
int store_put(struct local *l, enum kind k, const char *arn, json_t *object);
/* The object was changed in place. */
int store_changed(struct local *l, enum kind k, const char *arn);
char *store_arn(const struct local *l, const char *resource);

/* ---- operations ---- */

/* An answer: body owned (NULL = {}), or an error with code and text. */
struct answer {
        json_t *body;
        const char *code;
        char *text;
        int status;
        char given_code[64];  /* room for a code that is no literal */
};
/* Returns for `return refuse(...)`. Text is formatted. */
void answer_error(struct answer *a, const char *code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

enum caller { CALLER_USER = 1, CALLER_AGENT = 2 };
typedef void (*operation_fn)(struct local *l, const json_t *request, struct answer *a);
struct operation {
        const char *name;
        unsigned callers;
        operation_fn fn;
};
extern const struct operation operations[];
extern const size_t operation_count;

/* user_*.c */
void op_create_cluster(struct local *l, const json_t *q, struct answer *a);
void op_describe_clusters(struct local *l, const json_t *q, struct answer *a);
void op_list_clusters(struct local *l, const json_t *q, struct answer *a);
void op_register_task_definition(struct local *l, const json_t *q, struct answer *a);
void op_describe_task_definition(struct local *l, const json_t *q, struct answer *a);
void op_list_task_definitions(struct local *l, const json_t *q, struct answer *a);
void op_run_task(struct local *l, const json_t *q, struct answer *a);
void op_stop_task(struct local *l, const json_t *q, struct answer *a);
void op_describe_tasks(struct local *l, const json_t *q, struct answer *a);
void op_list_tasks(struct local *l, const json_t *q, struct answer *a);
void op_list_container_instances(struct local *l, const json_t *q, struct answer *a);
void op_describe_container_instances(struct local *l, const json_t *q, struct answer *a);
/* agent_operations.c */
void op_register_container_instance(struct local *l, const json_t *q, struct answer *a);
void op_discover_poll_endpoint(struct local *l, const json_t *q, struct answer *a);
void op_submit_task_state_change(struct local *l, const json_t *q, struct answer *a);
void op_submit_attachment_state_changes(struct local *l, const json_t *q, struct answer *a);
void op_list_tags_for_resource(struct local *l, const json_t *q, struct answer *a);

/* Resolves "name", ARN or absent (= default) to a cluster; error in a when there is none. */
json_t *find_cluster(struct local *l, const json_t *q, struct answer *a);
/* By family, family:revision or ARN. */
json_t *find_task_definition(struct local *l, const char *name);
const char *text_of(const json_t *o, const char *key);

/* ---- placement.c ---- */
/* NULL with *ret_reason when it fits nowhere; else the instance, its resources taken. */
json_t *placement_take(struct local *l, const json_t *cluster, const json_t *definition,
                       const char **ret_reason);
void placement_give_back(struct local *l, const json_t *task);

/* ---- task_payload.c ---- */
/* The ACS form of a task. Owned. Gives the task the ids of its credentials: store it. */
json_t *task_payload(struct local *l, json_t *task, const char *desired_status);

/* ---- acs_server.c ---- */
/* GET /ws, already authenticated. */
void acs_accept(struct local *l, struct http_exchange *x);
/* Sends the task to its instance's session, if there is one. */
void acs_deliver(struct local *l, const json_t *task, const char *desired_status);
void acs_heartbeat(struct local *l);
void acs_close_all(struct local *l);
/* session.c: a message came; the session has ended. */
void acs_received(struct session *s, const char *text, size_t length);
void acs_ended(struct session *s);
/* New credentials for a task ("*": every task that has some), sent to its agent. How many. */
unsigned acs_renew_credentials(struct local *l, const char *task_arn, int64_t until_ms);

/* ---- fault_ipc.c ---- */
extern const struct ipc_handler local_handlers[IPC_BODY_MAX];

extern const struct worker_spec local_spec;

/* ---- authenticate.c ---- */
/* 0 for none (answer filled), else enum caller. */
unsigned authenticate(struct local *l, struct http_exchange *x, struct answer *a);
