/* engine: the worker's state, and what its files offer each other. It runs the tasks the backend
 * hands it on Docker. Persist first, act after: engine_commit stores what changed, with the events
 * it causes, and only then are steps taken. */
#pragma once

#include "docker.h"
#include "model.h"
#include "ports.h"
#include "state_db.h"
#include "worker.h"

struct engine {
        struct worker *worker;
        const struct log *log;
        const struct config *config;
        struct docker *docker;
        struct state_db *db;
        struct task *tasks;
        struct port_range ports;
        unsigned metadata_peers;           /* connected metadata workers */
        struct ipc_request *inventories[8];/* asked before Docker answered */
        size_t inventory_count;
        uv_timer_t wake;                   /* retries and clean-ups */
        bool sweeping, stopping;
};

extern const struct ipc_handler engine_handlers[IPC_BODY_MAX];

/* engine.c */
int engine_start(struct worker *w, void **ret_state, struct error *err);
void engine_stop(struct worker *w, void *state, uint32_t deadline_ms);
void engine_destroy(void *state);
void engine_peer_up(void *state, struct ipc_connection *c, unsigned peer);
void engine_peer_down(void *state, struct ipc_connection *c, unsigned peer);
struct task *engine_find_task(struct engine *e, const char *arn);
/* Adds to the end. */
void engine_add_task(struct engine *e, struct task *t);
/* Settles, stores and reports one task that changed; then takes its next steps. */
void engine_commit(struct engine *e, struct task *t);
/* As engine_commit without taking steps; for several tasks in one transaction. */
int engine_store(struct engine *e, struct task *t, bool is_new);
/* Tells readers what has been stored; after the transaction. */
void engine_announce(struct engine *e);
/* Next steps of one task, and when to look again. */
void engine_progress(struct engine *e, struct task *t);
/* Looks for due retries and clean-ups from the loop, soon. */
void engine_wake(struct engine *e);
void engine_answer_inventories(struct engine *e);

/* steps.c: the Docker operations of a container. */
void step_start(struct engine *e, struct container *c, enum step step);
/* Looks at a container anew; its answer goes through the table. */
void step_inspect(struct engine *e, struct container *c);

/* reconcile.c: after Docker has come (back). */
void reconcile(struct engine *e);
/* A container event of Docker. */
void reconcile_event(struct engine *e, const json_t *event);

/* sweep.c: removes what stopped tasks left. Returns ms until it has something to do, 0 = never. */
uint64_t sweep(struct engine *e);
