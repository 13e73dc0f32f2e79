/* acs: the session: discover, connect, sign, upgrade, frames, timers, and again.
 * The socket is curl's (TLS, proxies), polled by us; wslay makes frames of its bytes.
 * Source: backend.md 6.1, 6.2. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wslay/wslay.h>

#include "acs_handshake.h"
#include "backend.h"
#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "mem.h"
#include "random.h"

#define HANDSHAKE_MS  30000
#define IDLE_MIN_MS   60000
#define AGE_MIN_MS    1800000
#define AGE_EXTRA_MS  300000
#define INACTIVE_MS   3600000
#define ENDPOINTS_MS  43200000
#define MESSAGE_MAX   (64u << 20)
#define READS_A_TURN  64
#define FLOOR_MS      20
#define SHORT_MS      1000  /* a session this short is no reason to come back without a wait */
#define SHORT_WAIT_MS 900
#define FAILURES_MAX  3     /* then the endpoint is asked for anew */

enum acs_state { ACS_WAITING, ACS_DISCOVERING, ACS_CONNECTING, ACS_HANDSHAKE, ACS_CONNECTED };

struct acs {
        struct backend *backend;
        enum acs_state state;
        struct http_tunnel *tunnel;
        uv_poll_t poll;
        bool polling;
        uv_timer_t retry, idle, age;
        struct backoff backoff;
        wslay_event_context_ptr ws;
        struct buf in;             /* handshake bytes, then what arrived with them */
        struct buf request;
        size_t request_sent;
        char *accept;              /* what the answer to the upgrade must carry */
        unsigned failures;         /* sessions in a row that did not come up */
        uint64_t connected_ms;
        bool had_credentials;      /* a session of this process has connected */
        unsigned parts;            /* handles whose close callback is due */
        bool freed;
        char *text;
        struct log log;
};

static void discover(struct acs *a);
static void disconnect(struct acs *a, const char *reason, bool orderly);

struct backend *acs_backend(const struct acs *a)
{
        return a->backend;
}

bool acs_is_connected(const struct acs *a)
{
        return a->state == ACS_CONNECTED;
}

const char *acs_state_text(const struct acs *a)
{
        static const char *const names[] = {"waiting", "discovering", "connecting", "handshake",
                                            "connected"};
        return a->state == ACS_WAITING && a->text != NULL ? a->text : names[a->state];
}

static void tell_link(struct acs *a, const char *from, const char *to, const char *reason)
{
        Ecs__AgentEvent e = ECS__AGENT_EVENT__INIT;
        e.kind = (char *)"link";
        e.subject = (char *)"acs";
        e.from = (char *)(uintptr_t)from;
        e.to = (char *)(uintptr_t)to;
        e.text = (char *)(uintptr_t)reason;
        worker_event(a->backend->worker, &e);
}

/* ---- timers ---- */

static void on_retry(uv_timer_t *t)
{
        discover(t->data);
}

static void retry_in(struct acs *a, uint64_t ms)
{
        a->state = ACS_WAITING;
        if (!a->backend->stopping)
                (void)uv_timer_start(&a->retry, on_retry, clock_wait_ms(ms), 0);
}

static void on_idle(uv_timer_t *t)
{
        struct acs *a = t->data;
        disconnect(a, a->state == ACS_CONNECTED ? "ACS was silent for too long"
                                                : "the upgrade took too long",
                   false);
}

void acs_saw_activity(struct acs *a)
{
        (void)uv_timer_start(&a->idle, on_idle,
                             clock_wait_ms(IDLE_MIN_MS + (uint64_t)(random_unit() * IDLE_MIN_MS)),
                             0);
}

static void update_poll(struct acs *a);

static void on_age(uv_timer_t *t)
{
        struct acs *a = t->data;
        static const char reason[] = "ConnectionExpired: Reconnect to continue";
        (void)wslay_event_queue_close(a->ws, 1000, (const uint8_t *)reason, sizeof reason - 1);
        update_poll(a);
}

/* ---- the end of a session ---- */

static void on_part_closed(uv_handle_t *h)
{
        struct acs *a = h->data;
        if (--a->parts > 0 || !a->freed)
                return;
        free(a->text);
        free(a);
}

static void close_part(struct acs *a, uv_handle_t *h)
{
        a->parts++;
        uv_close(h, on_part_closed);
}

static void release(struct acs *a)
{
        (void)uv_timer_stop(&a->idle);
        (void)uv_timer_stop(&a->age);
        (void)uv_timer_stop(&a->retry);
        if (a->polling) {
                (void)uv_poll_stop(&a->poll);
                close_part(a, (uv_handle_t *)&a->poll);
                a->polling = false;
        }
        wslay_event_context_free(a->ws);
        a->ws = NULL;
        if (a->tunnel != NULL)
                http_tunnel_close(a->tunnel);
        a->tunnel = NULL;
        buf_clear(&a->in);
        if (a->request.data != NULL)
                explicit_bzero(a->request.data, a->request.size);
        buf_clear(&a->request);
        a->request_sent = 0;
        free(a->accept);
        a->accept = NULL;
}

/* poll is embedded and closed asynchronously: a new session must wait one turn. The retry timer is
 * at least 1 ms, which is that turn. */
static void disconnect(struct acs *a, const char *reason, bool orderly)
{
        struct backend *b = a->backend;
        bool came_up = a->connected_ms > 0;
        uint64_t lived = came_up ? clock_now_ms() - a->connected_ms : 0;
        bool is_short = lived < clock_wait_ms(SHORT_MS);
        uint64_t wait = FLOOR_MS;
        release(a);
        if ((orderly && !is_short) || lived >= clock_wait_ms(IDLE_MIN_MS))
                backoff_reset(&a->backoff);
        if (strstr(reason, "InvalidInstanceException") != NULL)
                backend_register_again(b);
        if (strstr(reason, "InactiveInstanceException") != NULL)
                wait = INACTIVE_MS;
        else if (!orderly || is_short)
                wait = backoff_next(&a->backoff, random_unit());
        if (orderly && wait > SHORT_WAIT_MS)
                wait = SHORT_WAIT_MS;
        a->failures = came_up ? 0 : a->failures + 1;
        if (a->failures >= FAILURES_MAX)
                b->endpoints_until_ms = 0;
        a->connected_ms = 0;
        backend_text(&a->text, reason);
        if (!b->stopping) {
                log_info(&a->log, "ACS session ended", LOG_STR("reason", reason),
                         LOG_INT("next_ms", wait));
                if (came_up)
                        tell_link(a, "up", "down", reason);
                if (!orderly)
                        backend_set_error(b, reason);
        }
        retry_in(a, wait);
}

/* ---- frames ---- */

static ssize_t ws_recv(wslay_event_context_ptr ws, uint8_t *data, size_t length, int flags,
                       void *arg)
{
        struct acs *a = arg;
        (void)flags;
        if (a->in.length > 0) {
                size_t n = a->in.length < length ? a->in.length : length;
                memcpy(data, a->in.data, n);
                buf_consume(&a->in, n);
                return (ssize_t)n;
        }
        long n = http_tunnel_read(a->tunnel, data, length);
        if (n > 0)
                return n;
        wslay_event_set_error(ws, n == -EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
}

static ssize_t ws_send(wslay_event_context_ptr ws, const uint8_t *data, size_t length, int flags,
                       void *arg)
{
        struct acs *a = arg;
        (void)flags;
        long n = http_tunnel_write(a->tunnel, data, length);
        if (n >= 0)
                return n;
        wslay_event_set_error(ws, n == -EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
}

static int ws_mask(wslay_event_context_ptr ws, uint8_t *buf, size_t length, void *arg)
{
        (void)ws;
        (void)arg;
        random_bytes(buf, length);
        return 0;
}

static void ws_message(wslay_event_context_ptr ws, const struct wslay_event_on_msg_recv_arg *m,
                       void *arg)
{
        struct acs *a = arg;
        (void)ws;
        if (m->opcode == WSLAY_TEXT_FRAME || m->opcode == WSLAY_BINARY_FRAME)
                acs_message(a, (const char *)m->msg, m->msg_length);
}

static const struct wslay_event_callbacks ws_callbacks = {
        .recv_callback = ws_recv,
        .send_callback = ws_send,
        .genmask_callback = ws_mask,
        .on_msg_recv_callback = ws_message,
};

void acs_send(struct acs *a, const char *type, json_t *message)
{
        cleanup_json json_t *envelope = json_pack("{s:s, s:o}", "type", type, "message", message);
        if (a->state != ACS_CONNECTED)
                return;
        cleanup_free char *text = json_dumps(envelope, JSON_COMPACT);
        const struct wslay_event_msg m = {.opcode = WSLAY_TEXT_FRAME,
                                          .msg = (const uint8_t *)text,
                                          .msg_length = strlen(text)};
        (void)wslay_event_queue_msg(a->ws, &m);
        update_poll(a);
}

/* ---- handshake ---- */

static void connected(struct acs *a)
{
        a->state = ACS_CONNECTED;
        a->connected_ms = clock_now_ms();
        a->had_credentials = true;
        (void)wslay_event_context_client_init(&a->ws, &ws_callbacks, a);
        wslay_event_config_set_max_recv_msg_length(a->ws, MESSAGE_MAX);
        acs_saw_activity(a);
        (void)uv_timer_start(&a->age, on_age,
                             clock_wait_ms(AGE_MIN_MS + (uint64_t)(random_unit() * AGE_EXTRA_MS)),
                             0);
        log_info(&a->log, "ACS session is up");
        tell_link(a, "down", "up", "");
        worker_state(a->backend->worker, false, "");
}

/* at_end: the server has closed. */
static void take_answer(struct acs *a, bool at_end)
{
        cleanup_free char *refusal = NULL;
        size_t length = 0;
        enum acs_answer answer =
                acs_handshake_answer(&a->in, at_end, a->accept, &length, &refusal);
        if (answer == ACS_ANSWER_UPGRADED) {
                buf_consume(&a->in, length);
                connected(a);
        } else if (answer == ACS_ANSWER_REFUSED) {
                disconnect(a, refusal, false);
        }
}

static void read_handshake(struct acs *a)
{
        char data[4096];
        for (int i = 0; i < READS_A_TURN && a->state == ACS_HANDSHAKE; i++) {
                long n = http_tunnel_read(a->tunnel, data, sizeof data);
                if (n == -EAGAIN)
                        return;
                if (n > 0)
                        buf_append(&a->in, data, (size_t)n);
                take_answer(a, n <= 0);
        }
}

static void write_handshake(struct acs *a)
{
        while (a->request_sent < a->request.length) {
                long n = http_tunnel_write(a->tunnel, a->request.data + a->request_sent,
                                           a->request.length - a->request_sent);
                if (n == -EAGAIN)
                        return;
                if (n < 0) {
                        disconnect(a, "lost during the upgrade", false);
                        return;
                }
                a->request_sent += (size_t)n;
        }
}

/* ---- polling ---- */

static void run_frames(struct acs *a)
{
        bool failed = wslay_event_recv(a->ws) != 0;
        if (a->state != ACS_CONNECTED)
                return;
        failed = failed || (wslay_event_want_write(a->ws) && wslay_event_send(a->ws) != 0);
        bool closed = wslay_event_get_close_received(a->ws);
        if (closed && !wslay_event_want_write(a->ws)) {
                unsigned code = wslay_event_get_status_code_received(a->ws);
                bool orderly = code == 1000 || code == 1001 || code == 1011 || code == 1005 ||
                               code == 1006;
                cleanup_free char *reason = mem_printf("closed by ACS with code %u", code);
                disconnect(a, reason, orderly);
        } else if (!wslay_event_want_read(a->ws) && !wslay_event_want_write(a->ws)) {
                disconnect(a, "ACS sent what is no websocket message", false);
        } else if (failed) {
                /* an end without a close frame counts as orderly, with a floor on the wait */
                disconnect(a, "connection lost", true);
        }
}

static void on_poll(uv_poll_t *p, int status, int events)
{
        struct acs *a = p->data;
        (void)events;
        if (status < 0) {
                disconnect(a, uv_strerror(status), false);
                return;
        }
        if (a->state == ACS_HANDSHAKE)
                write_handshake(a);
        if (a->state == ACS_HANDSHAKE)
                read_handshake(a);
        if (a->state == ACS_CONNECTED)
                run_frames(a);
        update_poll(a);
}

static void update_poll(struct acs *a)
{
        if (!a->polling)
                return;
        bool write = a->state == ACS_HANDSHAKE ? a->request_sent < a->request.length
                                               : a->ws != NULL && wslay_event_want_write(a->ws);
        (void)uv_poll_start(&a->poll, UV_READABLE | (write ? UV_WRITABLE : 0), on_poll);
}

/* ---- connecting ---- */

static void on_opened(void *arg, int error, const char *text)
{
        struct acs *a = arg;
        if (error != 0) {
                disconnect(a, text, false);
                return;
        }
        a->state = ACS_HANDSHAKE;
        acs_handshake_request(a->backend, !a->had_credentials, &a->request, &a->accept);
        (void)uv_poll_init(worker_loop(a->backend->worker), &a->poll, http_tunnel_fd(a->tunnel));
        a->poll.data = a;
        a->polling = true;
        (void)uv_timer_start(&a->idle, on_idle, clock_wait_ms(HANDSHAKE_MS), 0);
        update_poll(a);
}

static void on_credentials(void *arg, int error, const char *text)
{
        struct acs *a = arg;
        struct backend *b = a->backend;
        if (error != 0) {
                disconnect(a, text, false);
                return;
        }
        cleanup_free char *url = acs_handshake_url(b->acs_endpoint);
        if (url == NULL) {
                disconnect(a, "the endpoint of ACS is no http or https URL", false);
                return;
        }
        a->state = ACS_CONNECTING;
        const struct http_tunnel_options o = {.url = url,
                                              .connect_timeout_ms = HANDSHAKE_MS,
                                              .ca_path = config_find(b->config, "SSL_CERT_DIR"),
                                              .ca_file = config_find(b->config, "AWS_CA_BUNDLE"),
                                              .insecure = config_bool(b->config, "InsecureTLS",
                                                                      false),
                                              .opened = on_opened,
                                              .arg = a};
        a->tunnel = http_tunnel_open(b->http, &o);
}

static void on_discovered(void *arg, const struct ecs_answer *r)
{
        struct acs *a = arg;
        struct backend *b = a->backend;
        const char *endpoint = json_string_value(json_object_get(r->body, "endpoint"));
        const char *telemetry = json_string_value(json_object_get(r->body, "telemetryEndpoint"));
        if (b->stopping)
                return;
        if (r->error == 0 && r->status == 200 && endpoint != NULL) {
                backend_text(&b->acs_endpoint, endpoint);
                backend_text(&b->telemetry_endpoint, telemetry);
                b->endpoints_until_ms = clock_now_ms() + clock_wait_ms(ENDPOINTS_MS);
        } else if (b->acs_endpoint == NULL || *b->acs_endpoint == '\0') {
                cleanup_free char *reason = mem_printf("DiscoverPollEndpoint failed: %s%s%s",
                                                       r->code, *r->code != '\0' ? ": " : "",
                                                       r->text);
                disconnect(a, reason, false);
                return;
        }
        credentials_need(b, on_credentials, a);
}

static void discover(struct acs *a)
{
        struct backend *b = a->backend;
        if (b->acs_endpoint != NULL && *b->acs_endpoint != '\0' &&
            b->endpoints_until_ms > clock_now_ms()) {
                credentials_need(b, on_credentials, a);
                return;
        }
        a->state = ACS_DISCOVERING;
        cleanup_json json_t *body =
                json_pack("{s:s, s:s, s:s}", "containerInstance", b->identity.instance_arn,
                          "cluster", b->identity.cluster, "zoneId", "");
        ecs_api_call(b, "DiscoverPollEndpoint", body, 3, on_discovered, a);
}

/* ---- life ---- */

void acs_start(struct backend *b)
{
        struct acs *a = mem_zalloc(sizeof *a);
        uv_loop_t *loop = worker_loop(b->worker);
        a->backend = b;
        a->log = (struct log){.parent = b->log, .key = "session", .value = "acs"};
        a->backoff = (struct backoff){
                .min_ms = 250, .max_ms = 120000, .jitter = 0.2, .multiple = 1.5};
        (void)uv_timer_init(loop, &a->retry);
        (void)uv_timer_init(loop, &a->idle);
        (void)uv_timer_init(loop, &a->age);
        a->retry.data = a->idle.data = a->age.data = a;
        b->acs = a;
        retry_in(a, 0);
}

void acs_stop(struct backend *b)
{
        struct acs *a = b->acs;
        if (a == NULL)
                return;
        b->acs = NULL;
        release(a);
        a->freed = true;
        close_part(a, (uv_handle_t *)&a->idle);
        close_part(a, (uv_handle_t *)&a->age);
        close_part(a, (uv_handle_t *)&a->retry);
}
