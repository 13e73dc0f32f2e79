/* connection: one peer over a unix stream socket. The only place that knows framing, limits,
 * deadlines, correlation of replies, and passing of descriptors. DESIGN section 4. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "envelope.pb-c.h"

struct ipc_connection;
struct ipc_request;
struct log;

/* Who is at the other end; a handler row names whom it serves. */
enum ipc_peer {
        PEER_SUPERVISOR = 1 << 0,
        PEER_BACKEND = 1 << 1,
        PEER_ENGINE = 1 << 2,
        PEER_METADATA = 1 << 3,
        PEER_LOCAL = 1 << 4,
        PEER_CTL = 1 << 5,       /* ecsctl; looking only */
        PEER_CTL_ROOT = 1 << 6,  /* ecsctl of uid 0 */
        PEER_ANY = 0x7fff,
};
/* 0 for an unknown name. */
unsigned ipc_peer_from_name(const char *name);
const char *ipc_peer_name(unsigned peer);

enum ipc_phase { WHEN_READY = 1, WHEN_ANY = 3 };

/* Serves one message. For a REQUEST, request must be answered exactly once, now or later, with
 * ipc_reply or ipc_reply_error; for an EVENT, request needs no answer. message is borrowed until
 * the handler returns. */
typedef void (*ipc_handler_fn)(void *context, struct ipc_request *request,
                               const Ecs__Envelope *message);
struct ipc_handler {
        ipc_handler_fn fn;
        unsigned peers;
        unsigned when;
};
/* Indexed by Ecs__Envelope__BodyCase; rows not given are unsupported. */
#define IPC_BODY_MAX 128

struct ipc_connection_options {
        unsigned peer;                       /* one of enum ipc_peer */
        size_t max_frame;                    /* 0 = IPC_FRAME_MAX */
        size_t max_queue;                    /* bytes not yet written before the peer is dropped;
                                                0 = 64 MiB */
        const struct ipc_handler *handlers;  /* IPC_BODY_MAX rows, borrowed */
        void *context;                       /* for handlers */
        void *closed_arg;                    /* for on_close */
        const bool *ready;                   /* phase; NULL = ready */
        bool strict;                         /* a message the peer may not send, or that nobody
                                                serves, ends the connection */
        const struct log *log;
        /* The connection has ended (peer gone, protocol error, ipc_connection_close). Pending
         * requests have failed with -ECONNRESET before. It frees itself afterwards. */
        void (*on_close)(void *closed_arg, struct ipc_connection *c, const char *reason);
};

/* Takes fd. Returns owned by the loop until on_close. */
struct ipc_connection *ipc_connection_new(uv_loop_t *loop, int fd,
                                          const struct ipc_connection_options *o);
void ipc_connection_close(struct ipc_connection *c, const char *reason);
unsigned ipc_connection_peer(const struct ipc_connection *c);

/* status 0: reply borrowed for the call (body not an error). Negative errno otherwise: -ETIMEDOUT,
 * -ECONNRESET, or the errno the peer answered with; reply is then NULL or its Error body.
 * fd: descriptor that came with it, -1 if none; the callback owns it. */
typedef void (*ipc_reply_fn)(void *arg, int status, const Ecs__Envelope *reply, int fd);

/* Sets id and kind of e. deadline_ms 0 = none. fd is duplicated (-1 = none).
 * -EMSGSIZE, -ENOTCONN: the callback is not called. */
int ipc_send_request(struct ipc_connection *c, Ecs__Envelope *e, uint32_t deadline_ms,
                     ipc_reply_fn done, void *arg);
int ipc_send_event(struct ipc_connection *c, Ecs__Envelope *e);
/* With descriptors, duplicated for the call; at most IPC_FDS_MAX. */
#define IPC_FDS_MAX 8
int ipc_send_event_fds(struct ipc_connection *c, Ecs__Envelope *e, const int *fds, size_t count);

/* Answers and frees the request. Harmless if the connection has gone meanwhile. */
void ipc_reply(struct ipc_request *r, Ecs__Envelope *e);
void ipc_reply_fds(struct ipc_request *r, Ecs__Envelope *e, const int *fds, size_t count);
/* code: negative errno. */
void ipc_reply_error(struct ipc_request *r, int code, const char *text);
unsigned ipc_request_peer(const struct ipc_request *r);
/* NULL once the peer has gone. */
struct ipc_connection *ipc_request_connection(const struct ipc_request *r);
/* Takes the first descriptor that came with the message, or -1. */
int ipc_request_take_fd(struct ipc_request *r);

/* Shorthand: an Envelope on the stack with its body set.
 *     Ecs__GetHeld m = ECS__GET_HELD__INIT;
 *     Ecs__Envelope e = IPC_ENVELOPE(GET_HELD, get_held, &m); */
#define IPC_ENVELOPE(CASE, field, pointer)                                                         \
        {                                                                                          \
                .base = PROTOBUF_C_MESSAGE_INIT(&ecs__envelope__descriptor),                       \
                .body_case = ECS__ENVELOPE__BODY_##CASE, .field = (pointer)                        \
        }
