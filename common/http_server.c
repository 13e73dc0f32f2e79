/* http_server: MHD in external epoll mode: its epoll descriptor is polled by the loop, its time-out
 * is a timer of the loop. Paths are kept as sent: what means what is the handler's business.
 *
 * MHD's own time-out starts anew with every byte, so a client that sends one a second would stay
 * for ever. Connections therefore stand in a list, the one longest without progress first. Progress
 * is the connection itself, a request line, an answer sent. One timer waits for the first of the
 * list; when there are too many connections the first one goes. Clients' time is real time: it is
 * not divided by --time-scale. */
#include "http_server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "mem.h"

#define CONNECTIONS 1000u
#define MEMORY (32u << 10)
#define SPARE 64u /* accepted above the limit, while the longest idle ones go */

struct connection {
        struct connection *before, *after;
        struct http_server *server;
        int fd;
        uint64_t since_ms; /* of the last progress */
};

struct http_server {
        struct http_server_options o;
        struct MHD_Daemon *daemon;
        uv_loop_t *loop;
        uv_poll_t poll;
        uv_timer_t timer, patience;
        struct connection list; /* head; list.after has waited longest */
        unsigned count, open;
        bool running;
        struct http_exchange *suspended;
};

struct http_prepared {
        struct MHD_Response *mhd;
        unsigned status;
};

struct http_exchange {
        struct http_server *server;
        struct MHD_Connection *connection;
        const char *method;
        struct buf body;
        bool started, too_long, answered, waits, has_waited;
        struct http_exchange *next_suspended;
        uint64_t tag;
        char remote[INET6_ADDRSTRLEN + 8];
        http_upgraded_fn upgraded;
        void *upgraded_arg;
        char target[];
};

/* ---- connections ---- */

static void take_out(struct connection *c)
{
        c->before->after = c->after;
        c->after->before = c->before;
        c->before = c->after = c;
}

static void on_patience(uv_timer_t *t);

static void wait_for_first(struct http_server *s, uint64_t now)
{
        uint64_t limit = s->o.timeout_s * 1000ull, waited = now - s->list.after->since_ms;
        if (limit > 0 && s->list.after != &s->list && !uv_is_closing((uv_handle_t *)&s->patience))
                (void)uv_timer_start(&s->patience, on_patience, waited < limit ? limit - waited : 0,
                                     0);
}

/* MHD sees the end of the stream and closes. */
static void cut_off(struct connection *c)
{
        (void)shutdown(c->fd, SHUT_RDWR);
        take_out(c);
        c->server->count--;
}

static void on_patience(uv_timer_t *t)
{
        struct http_server *s = t->data;
        uint64_t now = clock_now_ms(), limit = s->o.timeout_s * 1000ull;
        while (s->list.after != &s->list && now - s->list.after->since_ms >= limit)
                cut_off(s->list.after);
        wait_for_first(s, now);
}

static struct connection *connection_of(struct MHD_Connection *m)
{
        return MHD_get_connection_info(m, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* To the end of the list. */
static void progress(struct connection *c)
{
        struct connection *head = &c->server->list;
        if (c->after == c)
                return; /* already given up */
        take_out(c);
        c->since_ms = clock_now_ms();
        c->before = head->before;
        c->after = head;
        c->before->after = c->after->before = c;
}

static void on_connection(void *arg, struct MHD_Connection *m, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
        struct http_server *s = arg;
        struct connection *c = *context;
        if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
                s->count -= c->after != c;
                take_out(c);
                free(c);
                return;
        }
        c = *context = mem_zalloc(sizeof *c);
        c->server = s;
        c->fd = MHD_get_connection_info(m, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        c->before = &s->list;
        c->after = s->list.after;
        c->before->after = c->after->before = c;
        progress(c);
        if (++s->count > s->o.connections)
                cut_off(s->list.after);
        if (!uv_is_active((uv_handle_t *)&s->patience))
                wait_for_first(s, clock_now_ms());
}

/* ---- MHD's callbacks ---- */

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *c)
{
        size_t length = strlen(uri);
        struct http_exchange *x = mem_zalloc(sizeof *x + length + 1);
        x->server = arg;
        x->connection = c;
        memcpy(x->target, uri, length);
        progress(connection_of(c));
        return x;
}

static size_t keep_escapes(void *arg, struct MHD_Connection *c, char *text)
{
        (void)arg;
        (void)c;
        return strlen(text);
}

/* Answered before the body is sent; a body without a length is read and dropped first. */
static bool announces_too_much(const struct http_exchange *x)
{
        const char *length = http_request_header(x, "Content-Length");
        return length != NULL && strtoull(length, NULL, 10) > x->server->o.max_body;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
        struct http_server *s = arg;
        struct http_exchange *x = *state;
        (void)c;
        (void)url;
        (void)version;
        if (!x->started) {
                x->started = true;
                x->method = method;
                if (announces_too_much(x))
                        http_answer(x, 413, NULL, "", 0);
                return MHD_YES;
        }
        if (*size > 0) {
                if (x->body.length + *size > s->o.max_body)
                        x->too_long = true;
                else
                        buf_append(&x->body, data, *size);
                *size = 0;
                return MHD_YES;
        }
        if (s->open > 0)
                return MHD_NO; /* it is being closed */
        if (x->too_long)
                http_answer(x, 413, NULL, "", 0);
        else
                s->o.handler(s->o.arg, x);
        return x->answered || x->waits ? MHD_YES : MHD_NO;
}

static void on_completed(void *arg, struct MHD_Connection *c, void **state,
                         enum MHD_RequestTerminationCode code)
{
        struct http_exchange *x = *state;
        (void)arg;
        (void)code;
        if (x == NULL)
                return;
        *state = NULL;
        progress(connection_of(c));
        buf_clear(&x->body);
        free(x);
}

/* ---- the loop ---- */

static void run(struct http_server *s);

static void on_timer(uv_timer_t *t)
{
        run(t->data);
}

static void run(struct http_server *s)
{
        MHD_UNSIGNED_LONG_LONG ms;
        if (s->running)
                return;
        s->running = true;
        (void)MHD_run(s->daemon);
        s->running = false;
        if (MHD_get_timeout(s->daemon, &ms) == MHD_YES)
                (void)uv_timer_start(&s->timer, on_timer, ms, 0);
        else
                (void)uv_timer_stop(&s->timer);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
        (void)status;
        (void)events;
        run(p->data);
}

/* A descriptor for each connection: the soft limit is often 1024. */
static void raise_descriptors(rlim_t wanted)
{
        struct rlimit l;
        if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= wanted)
                return;
        l.rlim_cur = wanted < l.rlim_max ? wanted : l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
}

static struct MHD_Daemon *start_daemon(struct http_server *s, int fd)
{
        return MHD_start_daemon(
                MHD_USE_EPOLL | MHD_ALLOW_UPGRADE | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                on_request, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
                MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED,
                on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
                MHD_OPTION_CONNECTION_LIMIT, s->o.connections + SPARE,
                MHD_OPTION_CONNECTION_MEMORY_LIMIT, s->o.memory, MHD_OPTION_END);
}

struct http_server *http_server_new(uv_loop_t *loop, int fd, const struct http_server_options *o)
{
        struct http_server *s = mem_zalloc(sizeof *s);
        int own = dup(fd);
        s->o = *o;
        if (s->o.connections == 0)
                s->o.connections = CONNECTIONS;
        if (s->o.memory == 0)
                s->o.memory = MEMORY;
        s->loop = loop;
        s->list.before = s->list.after = &s->list;
        raise_descriptors(s->o.connections + 2 * SPARE);
        s->daemon = start_daemon(s, own);
        if (s->daemon == NULL) {
                (void)close(own);
                free(s);
                return NULL;
        }
        const union MHD_DaemonInfo *i = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        (void)uv_poll_init(loop, &s->poll, i->epoll_fd);
        (void)uv_timer_init(loop, &s->timer);
        (void)uv_timer_init(loop, &s->patience);
        s->poll.data = s->timer.data = s->patience.data = s;
        (void)uv_poll_start(&s->poll, UV_READABLE, on_poll);
        (void)uv_timer_start(&s->timer, on_timer, 0, 0);
        return s;
}

static void on_closed(uv_handle_t *h)
{
        struct http_server *s = h->data;
        if (--s->open > 0)
                return;
        MHD_stop_daemon(s->daemon);
        free(s);
}

void http_server_close(struct http_server *s)
{
        if (s == NULL)
                return;
        s->open = 3;
        while (s->suspended != NULL)
                http_resume(s->suspended);
        uv_close((uv_handle_t *)&s->poll, on_closed);
        uv_close((uv_handle_t *)&s->timer, on_closed);
        uv_close((uv_handle_t *)&s->patience, on_closed);
}

/* ---- requests and answers ---- */

const char *http_method(const struct http_exchange *x)
{
        return x->method;
}

/* A proxy's form "http://host/path" means the path. */
const char *http_target(const struct http_exchange *x)
{
        if (strncmp(x->target, "http://", 7) != 0)
                return x->target;
        const char *path = strchr(x->target + 7, '/');
        return path != NULL ? path : "/";
}

const char *http_request_header(const struct http_exchange *x, const char *name)
{
        return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

const char *http_body(const struct http_exchange *x, size_t *ret_length)
{
        *ret_length = x->body.length;
        return x->body.data != NULL ? x->body.data : "";
}

const char *http_remote(struct http_exchange *x)
{
        const struct sockaddr *a =
                MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
                        ->client_addr;
        char ip[INET6_ADDRSTRLEN] = "";
        if (a->sa_family == AF_INET) {
                const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
                (void)inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof ip);
                (void)snprintf(x->remote, sizeof x->remote, "%s:%u", ip, ntohs(v4->sin_port));
        } else if (a->sa_family == AF_INET6) {
                const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
                (void)inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof ip);
                (void)snprintf(x->remote, sizeof x->remote, "[%s]:%u", ip, ntohs(v6->sin6_port));
        }
        return x->remote;
}

static void add_headers(struct MHD_Response *r, const struct http_answer_header *headers)
{
        for (; headers != NULL && headers->name != NULL; headers++)
                (void)MHD_add_response_header(r, headers->name, headers->value);
}

struct http_prepared *http_prepare(int status, const struct http_answer_header *headers,
                                   const void *body, size_t length)
{
        struct http_prepared *r = mem_alloc(sizeof *r);
        r->status = (unsigned)status;
        r->mhd = MHD_create_response_from_buffer(length, (void *)(uintptr_t)body,
                                                 MHD_RESPMEM_MUST_COPY);
        add_headers(r->mhd, headers);
        return r;
}

void http_prepared_free(struct http_prepared *r)
{
        if (r == NULL)
                return;
        MHD_destroy_response(r->mhd);
        free(r);
}

void http_answer_prepared(struct http_exchange *x, const struct http_prepared *r)
{
        x->answered = MHD_queue_response(x->connection, r->status, r->mhd) == MHD_YES;
}

void http_answer(struct http_exchange *x, int status, const struct http_answer_header *headers,
                 const void *body, size_t length)
{
        struct http_prepared *r = http_prepare(status, headers, body, length);
        http_answer_prepared(x, r);
        http_prepared_free(r);
}

static void on_upgraded(void *arg, struct MHD_Connection *c, void *state, const char *extra,
                        size_t extra_length, MHD_socket fd, struct MHD_UpgradeResponseHandle *h)
{
        struct http_exchange *x = state;
        const int on = 1;
        (void)arg;
        (void)c;
        /* else the second of two small writes waits 40 ms for the peer's delayed ACK of the first
         */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        x->upgraded(x->upgraded_arg, fd, extra, extra_length, h);
}

void http_upgrade(struct http_exchange *x, const struct http_answer_header *headers,
                  http_upgraded_fn done, void *arg)
{
        struct MHD_Response *r = MHD_create_response_for_upgrade(on_upgraded, NULL);
        x->upgraded = done;
        x->upgraded_arg = arg;
        add_headers(r, headers);
        struct connection *c = connection_of(x->connection);
        c->server->count -= c->after != c;
        take_out(c); /* its time is the handler's now */
        x->answered = MHD_queue_response(x->connection, 101, r) == MHD_YES;
        MHD_destroy_response(r);
}

void http_drop(struct http_exchange *x)
{
        x->answered = false;
}

void http_suspend(struct http_exchange *x)
{
        x->waits = true;
        x->next_suspended = x->server->suspended;
        x->server->suspended = x;
        MHD_suspend_connection(x->connection);
}

void http_resume(struct http_exchange *x)
{
        struct http_server *s = x->server;
        struct http_exchange **at = &s->suspended;
        while (*at != x)
                at = &(*at)->next_suspended;
        *at = x->next_suspended;
        x->waits = false;
        x->has_waited = true;
        MHD_resume_connection(x->connection);
        if (s->open == 0)
                (void)uv_timer_start(&s->timer, on_timer, 0, 0);
}

bool http_has_waited(const struct http_exchange *x)
{
        return x->has_waited;
}

void http_set_tag(struct http_exchange *x, uint64_t tag)
{
        x->tag = tag;
}

uint64_t http_tag(const struct http_exchange *x)
{
        return x->tag;
}

void http_upgraded_close(struct http_server *s, void *handle)
{
        (void)MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
        if (s != NULL && s->open == 0)
                (void)uv_timer_start(&s->timer, on_timer, 0, 0);
}
