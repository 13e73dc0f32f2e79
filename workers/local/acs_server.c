/* acs_server: the other end of an agent's ACS session: websocket frames by wslay on the socket MHD
 * hands over. Payloads are kept until acknowledged: those of tasks an agent has not taken are sent
 * again when it connects. TCS connections are accepted and their frames read. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "local.h"
#include "mem.h"
#include "random.h"

#define GUID        "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define MESSAGE_MAX (16u << 20)

struct acs_session {
        struct acs_session *next;
        struct local *local;
        int fd;
        void *handle;              /* MHD's */
        uv_poll_t poll;
        bool closed;
        wslay_event_context_ptr ws;
        struct buf in;             /* bytes that came with the request */
        char *instance_arn;
        bool telemetry;            /* a TCS session */
};

/* ---- sessions ---- */

static void set_connected(struct local *l, const char *arn, bool connected)
{
        json_t *i = store_find(l, K_INSTANCE, arn);
        if (i == NULL)
                return;
        (void)json_object_set_new(i, "agentConnected", json_boolean(connected));
        (void)store_changed(l, K_INSTANCE, arn);
}

static void on_poll_closed(uv_handle_t *h)
{
        struct acs_session *s = h->data;
        wslay_event_context_free(s->ws);
        http_upgraded_close(s->local->server, s->handle);
        buf_clear(&s->in);
        free(s->instance_arn);
        free(s);
}

static void session_close(struct acs_session *s)
{
        struct local *l = s->local;
        if (s->closed)
                return;
        s->closed = true;
        for (struct acs_session **at = &l->sessions; *at != NULL; at = &(*at)->next)
                if (*at == s) {
                        *at = s->next;
                        break;
                }
        bool other = false;
        for (const struct acs_session *o = l->sessions; o != NULL; o = o->next)
                other = other || (!o->telemetry && strcmp(o->instance_arn, s->instance_arn) == 0);
        if (!s->telemetry && !other && !l->stopping)
                set_connected(l, s->instance_arn, false);
        (void)uv_poll_stop(&s->poll);
        uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

/* ---- frames ---- */

static ssize_t ws_recv(wslay_event_context_ptr ws, uint8_t *data, size_t length, int flags,
                       void *arg)
{
        struct acs_session *s = arg;
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
        struct acs_session *s = arg;
        (void)flags;
        ssize_t n = send(s->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
                return n;
        wslay_event_set_error(ws, errno == EAGAIN ? WSLAY_ERR_WOULDBLOCK
                                                  : WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
}

static void on_poll(uv_poll_t *p, int status, int events);

static void update_poll(struct acs_session *s)
{
        if (s->closed)
                return;
        (void)uv_poll_start(&s->poll,
                            UV_READABLE | (wslay_event_want_write(s->ws) ? UV_WRITABLE : 0),
                            on_poll);
}

/* Takes message. */
static void send_message(struct acs_session *s, const char *type, json_t *message)
{
        cleanup_json json_t *envelope = json_pack("{s:s, s:o}", "type", type, "message", message);
        cleanup_free char *text = json_dumps(envelope, JSON_COMPACT);
        const struct wslay_event_msg m = {.opcode = WSLAY_TEXT_FRAME,
                                          .msg = (const uint8_t *)text,
                                          .msg_length = strlen(text)};
        (void)wslay_event_queue_msg(s->ws, &m);
        update_poll(s);
}

/* An acknowledged payload is not sent again: the task remembers it. */
static void handle_ack(struct acs_session *s, const json_t *message)
{
        struct local *l = s->local;
        const char *id = text_of(message, "messageId");
        const char *arn;
        json_t *t;
        json_object_foreach(l->objects[K_TASK], arn, t) {
                const char *pending = text_of(t, "x-pending-message");
                if (*id == '\0' || strcmp(pending, id) != 0)
                        continue;
                (void)json_object_del(t, "x-pending-message");
                (void)store_changed(l, K_TASK, arn);
        }
}

static void ws_message(wslay_event_context_ptr ws, const struct wslay_event_on_msg_recv_arg *m,
                       void *arg)
{
        struct acs_session *s = arg;
        (void)ws;
        if (m->opcode != WSLAY_TEXT_FRAME || s->telemetry)
                return;
        cleanup_json json_t *j = json_loadb((const char *)m->msg, m->msg_length, 0, NULL);
        if (strcmp(text_of(j, "type"), "AckRequest") == 0)
                handle_ack(s, json_object_get(j, "message"));
}

static const struct wslay_event_callbacks ws_callbacks = {
        .recv_callback = ws_recv,
        .send_callback = ws_send,
        .on_msg_recv_callback = ws_message,
};

static void on_poll(uv_poll_t *p, int status, int events)
{
        struct acs_session *s = p->data;
        (void)events;
        if (status < 0 || wslay_event_recv(s->ws) != 0 ||
            (wslay_event_want_write(s->ws) && wslay_event_send(s->ws) != 0) ||
            (wslay_event_get_close_received(s->ws) && !wslay_event_want_write(s->ws))) {
                session_close(s);
                return;
        }
        update_poll(s);
}

/* ---- payloads ---- */

static void send_task(struct acs_session *s, json_t *task, const char *desired)
{
        char id[RANDOM_UUID];
        struct local *l = s->local;
        const json_t *i = store_find(l, K_INSTANCE, s->instance_arn);
        (void)json_object_set_new(task, "x-pending-message", json_string(random_uuid(id)));
        (void)store_changed(l, K_TASK, text_of(task, "taskArn"));
        send_message(s, "PayloadMessage",
                     json_pack("{s:s, s:s, s:s, s:[o], s:i, s:I}", "messageId", id, "clusterArn",
                               text_of(i, "clusterArn"), "containerInstanceArn", s->instance_arn,
                               "tasks", task_payload(l, task, desired), "seqNum", 1, "generatedAt",
                               (json_int_t)clock_wall_ms()));
}

static struct acs_session *session_of(struct local *l, const char *instance_arn)
{
        for (struct acs_session *s = l->sessions; s != NULL; s = s->next)
                if (!s->telemetry && !s->closed && strcmp(s->instance_arn, instance_arn) == 0)
                        return s;
        return NULL;
}

void acs_deliver(struct local *l, const json_t *task, const char *desired_status)
{
        struct acs_session *s = session_of(l, text_of(task, "containerInstanceArn"));
        json_t *own = store_find(l, K_TASK, text_of(task, "taskArn"));
        if (s != NULL)
                send_task(s, own, desired_status);
}

/* What the agent may have missed: tasks whose payload was not acknowledged, stops, and, when it
 * lost its credentials, every task with a role. */
static void catch_up(struct acs_session *s, bool send_credentials)
{
        struct local *l = s->local;
        const char *arn;
        json_t *t;
        json_object_foreach(l->objects[K_TASK], arn, t) {
                const json_t *d = store_find(l, K_TASK_DEFINITION, text_of(t, "taskDefinitionArn"));
                bool has_role = *text_of(d, "taskRoleArn") != '\0' ||
                                *text_of(d, "executionRoleArn") != '\0';
                bool stops = strcmp(text_of(t, "desiredStatus"), "STOPPED") == 0;
                if (strcmp(text_of(t, "containerInstanceArn"), s->instance_arn) != 0 ||
                    strcmp(text_of(t, "lastStatus"), "STOPPED") == 0)
                        continue;
                if (stops || json_object_get(t, "x-pending-message") != NULL ||
                    strcmp(text_of(t, "lastStatus"), "PENDING") == 0 ||
                    (has_role && send_credentials))
                        send_task(s, t, stops ? "STOPPED" : "RUNNING");
        }
}

void acs_heartbeat(struct local *l)
{
        char id[RANDOM_UUID];
        for (struct acs_session *s = l->sessions; s != NULL; s = s->next)
                send_message(s, "HeartbeatMessage",
                             json_pack("{s:b, s:s}", "healthy", 1, "messageId", random_uuid(id)));
}

void acs_close_all(struct local *l)
{
        while (l->sessions != NULL)
                session_close(l->sessions);
}

/* ---- upgrade ---- */

struct upgrade {
        struct local *local;
        char *instance_arn;
        bool telemetry, send_credentials;
};

static void on_upgraded(void *arg, int fd, const void *extra, size_t length, void *handle)
{
        struct upgrade *u = arg;
        struct local *l = u->local;
        struct acs_session *s = mem_zalloc(sizeof *s);
        bool send_credentials = u->send_credentials;
        *s = (struct acs_session){.local = l,
                                  .fd = fd,
                                  .handle = handle,
                                  .instance_arn = u->instance_arn,
                                  .telemetry = u->telemetry,
                                  .next = l->sessions};
        free(u);
        buf_append(&s->in, extra, length);
        l->sessions = s;
        (void)wslay_event_context_server_init(&s->ws, &ws_callbacks, s);
        wslay_event_config_set_max_recv_msg_length(s->ws, MESSAGE_MAX);
        (void)uv_poll_init(worker_loop(l->worker), &s->poll, fd);
        s->poll.data = s;
        update_poll(s);
        if (s->telemetry)
                return;
        log_info(l->log, "agent connected", LOG_STR("instance", s->instance_arn));
        set_connected(l, s->instance_arn, true);
        catch_up(s, send_credentials);
}

/* Value of a form-encoded parameter, decoded, owned; "" when absent. */
static char *parameter(const char *query, const char *name)
{
        struct buf b = {0};
        size_t n = strlen(name);
        buf_append(&b, "", 0);
        for (const char *p = query; p != NULL && *p != '\0';
             p = strchr(p, '&') != NULL ? strchr(p, '&') + 1 : NULL) {
                if (strncmp(p, name, n) != 0 || p[n] != '=')
                        continue;
                for (p += n + 1; *p != '\0' && *p != '&'; p++) {
                        char c = *p == '+' ? ' ' : *p;
                        unsigned value;
                        if (*p == '%' && sscanf(p + 1, "%2x", &value) == 1) {
                                c = (char)value;
                                p += 2;
                        }
                        buf_append(&b, &c, 1);
                }
                break;
        }
        return buf_steal(&b);
}

static void refuse(struct http_exchange *x, int status, const char *text)
{
        http_answer(x, status, NULL, text, strlen(text));
}

void acs_accept(struct local *l, struct http_exchange *x)
{
        unsigned char hash[SHA_DIGEST_LENGTH];
        char accept[64];
        const char *key = http_request_header(x, "Sec-WebSocket-Key");
        const char *query = strchr(http_target(x), '?');
        query = query != NULL ? query + 1 : "";
        cleanup_free char *acs = parameter(query, "containerInstanceArn");
        cleanup_free char *tcs = parameter(query, "containerInstance");
        cleanup_free char *credentials = parameter(query, "sendCredentials");
        const char *arn = *acs != '\0' ? acs : tcs;
        if (key == NULL || strlen(key) > 128) {
                refuse(x, 400, "{\"type\":\"BadRequestException\",\"message\":{\"message\":"
                               "\"not a websocket request\"}}");
                return;
        }
        if (store_find(l, K_INSTANCE, arn) == NULL) {
                refuse(x, 400, "{\"type\":\"InactiveInstanceException\",\"message\":{\"message\":"
                               "\"the container instance is not registered here\"}}");
                return;
        }
        cleanup_free char *joined = mem_printf("%s" GUID, key);
        (void)SHA1((const unsigned char *)joined, strlen(joined), hash);
        (void)EVP_EncodeBlock((unsigned char *)accept, hash, sizeof hash);
        const struct http_answer_header headers[] = {{"Upgrade", "websocket"},
                                                     {"Sec-WebSocket-Accept", accept},
                                                     {NULL, NULL}};
        struct upgrade *u = mem_zalloc(sizeof *u);
        *u = (struct upgrade){.local = l,
                              .instance_arn = mem_strdup(arn),
                              .telemetry = *acs == '\0',
                              .send_credentials = strcmp(credentials, "true") == 0};
        http_upgrade(x, headers, on_upgraded, u);
}
