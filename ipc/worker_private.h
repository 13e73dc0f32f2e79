/* worker_private: the worker's state, shared by worker.c, link.c and worker_process.c only. */
#pragma once

#include "worker.h"

#define WORKER_CONTROL_FD    3
#define WORKER_LOG_FD        4
#define WORKER_PEERS_MAX     32
#define WORKER_LISTENERS_MAX 8

struct peer_slot {
        struct worker *worker;
        struct ipc_connection *connection;
};
struct worker_listener {
        char *name;
        int fd;
};

struct worker {
        const struct worker_spec *spec;
        void *state;
        struct log log;
        struct config *config;
        char *data_dir, *run_dir;
        struct worker_listener listeners[WORKER_LISTENERS_MAX];
        size_t listener_count;
        uv_loop_t loop;
        uv_timer_t deadline;
        struct ipc_connection *control;     /* NULL once the supervisor has gone */
        struct peer_slot *peers[WORKER_PEERS_MAX];
        size_t peer_count;
        struct ipc_link *links;
        char *last_state;
        bool ready, stopping, finished;
        int exit_code;
};

/* What the supervisor may send a worker. */
extern const struct ipc_handler worker_control_handlers[IPC_BODY_MAX];

/* Signals, umask, limits: before anything else. */
void worker_prepare_process(void);
/* User, groups, capabilities, no-new-privs, dumpable: from Hello. */
int worker_drop_privileges(const Ecs__Hello *h, struct error *err);
/* Sends finished lines to descriptor 4; falls back to standard error when there is none. */
void worker_log_open(void);
void worker_log_close(void);
void worker_links_close(struct worker *w);
void worker_links_free(struct worker *w);
