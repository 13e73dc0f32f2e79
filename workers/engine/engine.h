/* engine: the worker's state, and what its files offer each other. It runs the tasks the backend
 * hands it on Docker. Persist first, act after: what changed is stored, with the events it causes,
 * and only then are steps taken. */
#pragma once

#include "docker.h"
#include "fetch.h"
#include "images.h"
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
        struct fetches *fetches;           /* digests and images on their way */
        struct images images;              /* that tasks have used */
        struct task *tasks;
        struct port_range ports;
        unsigned metadata_peers;           /* connected metadata workers */
        struct ipc_request *inventories[8];/* asked before Docker answered */
        size_t inventory_count;
        char *agent_id;                    /* labels our containers */
        bool adopted;                      /* labelled containers are known; until then … */
        bool adopting;
        uint64_t adopt_at_ms;              /* … they are looked for again at this time; 0 = not */
        struct held_request *held;         /* … and the backend's requests wait, in order */
        uv_timer_t wake;                   /* retries and clean-ups */
        uv_prepare_t before_poll;          /* both end a loop turn: what changed is stored */
        uv_check_t after_poll;
        bool touched;                      /* some task is */
        struct stream_relay *relays;       /* logs on their way to ecsctl */
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
/* Settles a task that changed. By the end of the loop turn it is stored and reported, together with
 * all others that changed; then its next steps are taken. */
void engine_commit(struct engine *e, struct task *t);
/* Stores and reports at once, within the caller's transaction, without taking steps. */
int engine_store(struct engine *e, struct task *t, bool is_new);
/* Tells readers what has been stored; after the transaction. */
void engine_announce(struct engine *e);
/* Next steps of one task, and when to look again. */
void engine_progress(struct engine *e, struct task *t);
/* Looks for due retries and clean-ups from the loop, soon. */
void engine_wake(struct engine *e);
void engine_answer_inventories(struct engine *e);

/* Answers what waited for the adoption. engine_ipc.c. */
void engine_serve_held(struct engine *e);
void engine_drop_held(struct engine *e);

/* adopt.c: containers of ours that the database does not know. */

/* Reads dir/agent-id, makes it the first time. *ret_id owned. */
int adopt_load_id(const char *dir, char **ret_id, struct error *err);
/* Lists and takes in; then reconciles. Again and again until it has worked once. */
void adopt(struct engine *e);

/* steps.c: the Docker operations of a container. */
void step_start(struct engine *e, struct container *c, enum step step);
/* Looks at a container anew; its answer goes through the table. */
void step_inspect(struct engine *e, struct container *c);

/* resource_steps.c: what surrounds the containers. */

/* Makes the next resource of a task that wants to run; the task goes on when all are there. */
void resource_progress(struct engine *e, struct task *t);
/* removed: exactly once, now or later; error NULL when it is gone or not the task's to remove. */
void resource_remove(struct engine *e, struct task *t, const struct resource *r,
                     void (*removed)(void *arg, const char *error), void *arg);

/* pull.c: a container's image. */
void pull_step(struct engine *e, struct container *c, enum step step);
/* Nobody needs the image any more; a pull that nobody else waits for ends. Returns whether there was
 * a step to give up. */
bool pull_give_up(struct container *c);
/* What the task's pulls are at, NULL when there are none. Returns owned. */
char *pull_describe(const struct task *t);
/* By the settings. Returns owned. */
struct fetches *pull_new_fetches(struct engine *e, uv_loop_t *loop);

/* images_ipc.c */
void handle_list_images(void *context, struct ipc_request *r, const Ecs__Envelope *m);
void handle_remove_image(void *context, struct ipc_request *r, const Ecs__Envelope *m);
/* Whether a task still has a container of this image; name or id. Source: resources.md B1. */
bool images_is_used(const struct engine *e, const char *name_or_id);

/* engine_events.c: tells 'ecsctl events' what has changed since it was last called for t. */
void engine_tell_changes(struct engine *e, struct task *t);

/* logs_ipc.c, exec_ipc.c */
void handle_open_logs(void *context, struct ipc_request *r, const Ecs__Envelope *m);
void handle_exec_start(void *context, struct ipc_request *r, const Ecs__Envelope *m);
void handle_exec_resize(void *context, struct ipc_request *r, const Ecs__Envelope *m);
void handle_exec_status(void *context, struct ipc_request *r, const Ecs__Envelope *m);
/* The container ecsctl means; NULL after an error reply. */
struct container *engine_ask_container(struct engine *e, struct ipc_request *r, const char *task,
                                       const char *name);

/* docker_stream.c: a connection of its own to Docker, with the request written.
 * fd: owned by the callback; negative errno when there is none. */
typedef void (*docker_stream_fn)(void *arg, int fd);
/* A connected socket from the supervisor, where this worker may not open Docker's by itself. done is
 * called once, now or later. */
void docker_socket_ask(void *engine, docker_stream_fn done, void *arg);
/* Takes request. done is called once, now or later. */
void docker_stream_open(struct engine *e, char *request, docker_stream_fn done, void *arg);

/* stream_relay.c: copies what comes from in to out until either ends. Takes both. */
void stream_relay_start(struct engine *e, int in, int out);
struct stream_relay *stream_relay_next(const struct stream_relay *s);
void stream_relay_close_all(struct engine *e);

/* reconcile.c: after Docker has come (back). */
void reconcile(struct engine *e);
/* A container event of Docker. */
void reconcile_event(struct engine *e, const json_t *event);

/* sweep.c: removes what stopped tasks left. Returns ms until it has something to do, 0 = never. */
uint64_t sweep(struct engine *e);
