/* client: ecsctl's side of a conversation: one blocking request at a time over a unix socket,
 * with the descriptors that come with its reply. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "envelope.pb-c.h"

struct error;

#define CLIENT_FDS_MAX 8

struct client {
        int fd;
        size_t max_frame;  /* of requests */
        uint64_t last_id;
        struct buf in;
        int fds[CLIENT_FDS_MAX];  /* of the latest reply; closed by the next request */
        size_t fd_count;
        /* Events that come while something is waited for; NULL: dropped. */
        void (*on_event)(void *arg, const Ecs__Envelope *e);
        void *event_arg;
};

/* Connects to RUN_DIR/control.sock. Negative errno with err, which names the remedy. */
int client_open(struct client *c, const char *run_dir, struct error *err);
/* Asks the supervisor for a connection to a worker and opens peer on it. */
int client_open_peer(struct client *c, const char *worker, struct client *peer, struct error *err);
/* Whether a worker would answer at once; asking one that does not waits for it to be restarted. */
bool client_worker_is_ready(struct client *c, const char *worker);
void client_close(struct client *c);
/* Sends e, waits for its reply at most deadline_ms. The reply is owned by the caller
 * (ecs__envelope__free_unpacked). What the peer answered as an error becomes err. */
int client_ask(struct client *c, Ecs__Envelope *e, uint32_t deadline_ms, Ecs__Envelope **ret,
               struct error *err);
/* Takes events for ms at most, or until one came. 1 when one came, 0 when none did, negative errno
 * when the connection broke. */
int client_wait_event(struct client *c, uint32_t ms);
/* Takes the i-th descriptor of the latest reply, or -1. */
int client_take_fd(struct client *c, size_t i);
