/* session: see session.h. A session that is closed leaves the list at once and is freed when libuv
 * has let go of its poll handle. */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "fault.h"
#include "local.h"
#include "mem.h"
#include "record.h"

#define MESSAGE_MAX (16u << 20)

const char *session_name(const struct session *s)
{
        return s->telemetry ? "tcs" : "acs";
}

bool session_is_named(const char *on, const char *name)
{
        return strcmp(on, "*") == 0 || strcmp(on, name) == 0;
}

/* What is left of a message that leaves in frames of a few bytes each. */
struct pieces {
        struct pieces *next;
        char *text;
        size_t length, sent, piece;
};

static void pieces_free(struct session *s, struct pieces *p)
{
        struct pieces **at = &s->pieces;
        while (*at != p)
                at = &(*at)->next;
        *at = p->next;
        free(p->text);
        free(p);
}

/* ---- the end ---- */

static void on_poll_closed(uv_handle_t *h)
{
        struct session *s = h->data;
        wslay_event_context_free(s->ws);
        http_upgraded_close(s->local->server, s->handle);
        buf_clear(&s->in);
        while (s->pieces != NULL)
                pieces_free(s, s->pieces);
        free(s->instance_arn);
        free(s->host);
        free(s->target);
        free(s);
}

void session_close(struct session *s)
{
        struct local *l = s->local;
        if (s->closed)
                return;
        s->closed = true;
        struct session **at = &l->sessions;
        while (*at != s)
                at = &(*at)->next;
        *at = s->next;
        if (!l->stopping) {
                record_end(l->record, session_name(s),
                           wslay_event_get_close_received(s->ws)
                                   ? wslay_event_get_status_code_received(s->ws)
                                   : 0);
                acs_ended(s);
        }
        (void)uv_poll_stop(&s->poll);
        uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

/* ---- bytes ---- */

static ssize_t ws_recv(wslay_event_context_ptr ws, uint8_t *data, size_t length, int flags,
                       void *arg)
{
        struct session *s = arg;
        (void)flags;
        if (s->in.length > 0) {
                size_t n = s->in.length < length ? s->in.length : length;
                memcpy(data, s->in.data, n);
                buf_consume(&s->in, n);
                return (ssize_t)n;
        }
        ssize_t n = recv(s->fd, data, length, MSG_DONTWAIT);
        if (n > 0)
                return n;
        wslay_event_set_error(ws, n < 0 && errno == EAGAIN ? WSLAY_ERR_WOULDBLOCK
                                                           : WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
}

static ssize_t ws_send(wslay_event_context_ptr ws, const uint8_t *data, size_t length, int flags,
                       void *arg)
{
        struct session *s = arg;
        (void)flags;
        ssize_t n = send(s->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
                return n;
        wslay_event_set_error(ws,
                              errno == EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
}

static void ws_message(wslay_event_context_ptr ws, const struct wslay_event_on_msg_recv_arg *m,
                       void *arg)
{
        (void)ws;
        if (m->opcode == WSLAY_TEXT_FRAME || m->opcode == WSLAY_BINARY_FRAME)
                acs_received(arg, (const char *)m->msg, m->msg_length);
}

static const struct wslay_event_callbacks ws_callbacks = {
        .recv_callback = ws_recv,
        .send_callback = ws_send,
        .on_msg_recv_callback = ws_message,
};

static void on_poll(uv_poll_t *p, int status, int events);

static void update_poll(struct session *s)
{
        if (s->closed)
                return;
        (void)uv_poll_start(
                &s->poll, UV_READABLE | (wslay_event_want_write(s->ws) ? UV_WRITABLE : 0), on_poll);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
        struct session *s = p->data;
        (void)events;
        if (status < 0 || wslay_event_recv(s->ws) != 0 ||
            (wslay_event_want_write(s->ws) && wslay_event_send(s->ws) != 0) ||
            (wslay_event_get_close_received(s->ws) && !wslay_event_want_write(s->ws))) {
                session_close(s);
                return;
        }
        update_poll(s);
}

struct session *session_new(struct local *l, int fd, void *handle, const void *extra, size_t length)
{
        struct session *s = mem_zalloc(sizeof *s);
        *s = (struct session){.local = l, .fd = fd, .handle = handle, .next = l->sessions};
        buf_append(&s->in, extra, length);
        l->sessions = s;
        (void)wslay_event_context_server_init(&s->ws, &ws_callbacks, s);
        wslay_event_config_set_max_recv_msg_length(s->ws, MESSAGE_MAX);
        (void)uv_poll_init(worker_loop(l->worker), &s->poll, fd);
        s->poll.data = s;
        update_poll(s);
        return s;
}

/* ---- messages ---- */

/* wslay makes one frame of what one call gives. */
static ssize_t read_piece(wslay_event_context_ptr ws, uint8_t *data, size_t length,
                          const union wslay_event_msg_source *source, int *eof, void *arg)
{
        struct pieces *p = source->data;
        size_t n = p->length - p->sent;
        (void)ws;
        n = n < p->piece ? n : p->piece;
        n = n < length ? n : length;
        memcpy(data, p->text + p->sent, n);
        p->sent += n;
        if (p->sent == p->length) {
                *eof = 1;
                pieces_free(arg, p);
        }
        return (ssize_t)n;
}

static void queue_pieces(struct session *s, uint8_t opcode, const char *text, size_t length,
                         size_t piece)
{
        struct pieces *p = mem_zalloc(sizeof *p);
        *p = (struct pieces){
                .next = s->pieces, .text = mem_alloc(length), .length = length, .piece = piece};
        memcpy(p->text, text, length);
        s->pieces = p;
        const struct wslay_event_fragmented_msg m = {
                .opcode = opcode, .source = {.data = p}, .read_callback = read_piece};
        if (wslay_event_queue_fragmented_msg(s->ws, &m) != 0)
                pieces_free(s, p);
}

static void queue_message(struct session *s, uint8_t opcode, const char *text, size_t length)
{
        size_t piece = fault_fragment(s->local->faults, session_name(s));
        const struct wslay_event_msg m = {
                .opcode = opcode, .msg = (const uint8_t *)text, .msg_length = length};
        if (piece > 0 && piece < length)
                queue_pieces(s, opcode, text, length, piece);
        else
                (void)wslay_event_queue_msg(s->ws, &m);
        update_poll(s);
}

void session_send(struct session *s, const char *type, json_t *message)
{
        cleanup_json json_t *envelope = json_pack("{s:s, s:o}", "type", type, "message", message);
        if (fault_is_silent(s->local->faults, session_name(s)))
                return;
        record_sent(s->local->record, session_name(s), envelope);
        cleanup_free char *text = json_dumps(envelope, JSON_COMPACT);
        queue_message(s, WSLAY_TEXT_FRAME, text, strlen(text));
}

/* ---- faults ---- */

unsigned sessions_send_text(struct local *l, const char *on, const char *text, bool binary,
                            size_t length)
{
        unsigned n = 0;
        for (struct session *s = l->sessions; s != NULL; s = s->next) {
                if (!session_is_named(on, session_name(s)))
                        continue;
                queue_message(s, binary ? WSLAY_BINARY_FRAME : WSLAY_TEXT_FRAME, text, length);
                n++;
        }
        return n;
}

unsigned sessions_send_raw(struct local *l, const char *on, const void *data, size_t length)
{
        unsigned n = 0;
        for (struct session *s = l->sessions; s != NULL; s = s->next)
                if (session_is_named(on, session_name(s)) &&
                    send(s->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)length)
                        n++;
        return n;
}

unsigned sessions_close(struct local *l, const char *on, unsigned code, const char *reason)
{
        unsigned n = 0;
        for (struct session *s = l->sessions, *next; s != NULL; s = next) {
                next = s->next;
                if (!session_is_named(on, session_name(s)))
                        continue;
                n++;
                if (code == 0) {
                        session_close(s);
                        continue;
                }
                (void)wslay_event_queue_close(s->ws, (uint16_t)code, (const uint8_t *)reason,
                                              strlen(reason));
                update_poll(s);
        }
        return n;
}
