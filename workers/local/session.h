/* session: one websocket of an agent, ACS or TCS: frames by wslay on the socket MHD hands over.
 * What is said on it is acs_server's business; how faults bend it is here. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>
#include <wslay/wslay.h>

#include "buf.h"

struct local;
struct pieces;

struct session {
        struct session *next;
        struct local *local;
        int fd;
        void *handle; /* MHD's */
        uv_poll_t poll;
        bool closed;
        wslay_event_context_ptr ws;
        struct buf in; /* bytes that came with the request */
        char *instance_arn;
        char *host, *target;   /* of the handshake; frames of TCS are signed with them */
        bool telemetry;        /* TCS */
        struct pieces *pieces; /* messages that leave in small frames */
};

/* "acs" or "tcs". */
const char *session_name(const struct session *s);
/* Takes fd's use and handle; texts are copied. In l->sessions until it ends, and frees itself. */
struct session *session_new(struct local *l, int fd, void *handle, const void *extra,
                            size_t length);
/* Without a close frame. */
void session_close(struct session *s);
/* {"type":…,"message":…}. Takes message. Silent while fault `silence` is on. */
void session_send(struct session *s, const char *type, json_t *message);

/* ---- what faults do; to each session that `on` ("acs", "tcs", "*") names; returns how many ----
 */
unsigned sessions_send_text(struct local *l, const char *on, const char *text, bool binary,
                            size_t length);
/* Not a frame: bytes as they are. */
unsigned sessions_send_raw(struct local *l, const char *on, const void *data, size_t length);
/* code 0: without a close frame. */
unsigned sessions_close(struct local *l, const char *on, unsigned code, const char *reason);
bool session_is_named(const char *on, const char *name);
