/* worker: the skeleton all workers share. worker_main does options, inherited descriptors,
 * Hello and Ready, ping, log level, signals, dropping of privileges, the loop, ordered stop.
 * A worker supplies one struct worker_spec. DESIGN section 3. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "config.h"
#include "connection.h"
#include "log.h"

struct worker;
struct error;

#define ECS_PROTOCOL_VERSION 1

struct worker_spec {
        const char *name;     /* engine */
        const char *summary;  /* for --help */
        /* Builds the state from the worker's accessors below; calls worker_ready() when it serves
         * (now or later). Negative with err: the process exits 1 (restarted with backoff), or 5
         * when err->code is -ENOTRECOVERABLE (ends the service). */
        int (*start)(struct worker *w, void **ret_state, struct error *err);
        /* Begin to stop; call worker_stopped(w) when quiet. Ended hard at the deadline. */
        void (*stop)(struct worker *w, void *state, uint32_t deadline_ms);
        /* Free everything. The loop has run dry, or the deadline passed. */
        void (*destroy)(void *state);
        const struct ipc_handler *handlers;  /* IPC_BODY_MAX rows; context = state */
        /* A peer connected to us or has gone. May be NULL. */
        void (*peer_up)(void *state, struct ipc_connection *c, unsigned peer);
        void (*peer_down)(void *state, struct ipc_connection *c, unsigned peer);
};

int worker_main(const struct worker_spec *spec, int argc, char **argv);

uv_loop_t *worker_loop(struct worker *w);
const struct config *worker_config(const struct worker *w);
const struct log *worker_log(const struct worker *w);
const char *worker_data_dir(const struct worker *w);
const char *worker_run_dir(const struct worker *w);
/* An inherited listening socket by name, or -1. Stays owned by the worker skeleton: dup it. */
int worker_listener(const struct worker *w, const char *name);
struct ipc_connection *worker_supervisor(struct worker *w);
void worker_ready(struct worker *w);
void worker_stopped(struct worker *w);
/* Tells the supervisor; sent only when it differs from before. */
void worker_state(struct worker *w, bool degraded, const char *text);
/* Tells 'ecsctl events' what happened; lost while the supervisor is away. */
void worker_event(struct worker *w, Ecs__AgentEvent *event);
/* Ends the process with this exit code after an ordered stop (5 = terminal for the service). */
void worker_exit(struct worker *w, int code);
/* Sends an event to every connected peer in the mask. */
void worker_broadcast(struct worker *w, unsigned peers, Ecs__Envelope *e);

/* link: an outgoing connection to a peer that the skeleton keeps up. Requests given while it is
 * down, or unanswered when it breaks, are sent again after the reconnect until their deadline. */
struct ipc_link;
/* up: called after each (re)connect, before waiting requests go out; down: on each loss. Both may
 * be NULL. The link lives as long as the worker. Events from the peer go to spec->handlers. */
struct ipc_link *worker_link(struct worker *w, const char *peer, void (*up)(void *arg),
                             void (*down)(void *arg), void *arg);
bool ipc_link_is_up(const struct ipc_link *l);
/* e is packed at once. deadline_ms 0 = keep trying for ever. done: as ipc_reply_fn (-ETIMEDOUT;
 * -ECONNRESET only when the worker stops). */
void ipc_link_request(struct ipc_link *l, Ecs__Envelope *e, uint32_t deadline_ms,
                      ipc_reply_fn done, void *arg);
/* Lost when the link is down. */
void ipc_link_event(struct ipc_link *l, Ecs__Envelope *e);
