/* http_server: MHD in external epoll mode: its epoll descriptor is polled by the loop, its time-out
 * is a timer of the loop. Paths are kept as sent: what means what is the handler's business. */
#include "http_server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "mem.h"

struct http_server {
        struct http_server_options o;
        struct MHD_Daemon *daemon;
        uv_loop_t *loop;
        uv_poll_t poll;
        uv_timer_t timer;
        unsigned open;
        bool running;
};

struct http_exchange {
        struct http_server *server;
        struct MHD_Connection *connection;
        char *target, *method;
        struct buf body;
        bool started, too_long, answered;
        char remote[INET6_ADDRSTRLEN + 8];
        http_upgraded_fn upgraded;
        void *upgraded_arg;
};

/* ---- MHD's callbacks ---- */

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *c)
{
        struct http_exchange *x = mem_zalloc(sizeof *x);
        x->server = arg;
        x->connection = c;
        x->target = mem_strdup(uri);
        return x;
}

static size_t keep_escapes(void *arg, struct MHD_Connection *c, char *text)
{
        (void)arg;
        (void)c;
        return strlen(text);
}

static void set_remote(struct http_exchange *x)
{
        const union MHD_ConnectionInfo *i =
                MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        char ip[INET6_ADDRSTRLEN] = "";
        if (i == NULL || i->client_addr->sa_family != AF_INET)
                return;
        const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)i->client_addr;
        (void)inet_ntop(AF_INET, &a->sin_addr, ip, sizeof ip);
        (void)snprintf(x->remote, sizeof x->remote, "%s:%u", ip, ntohs(a->sin_port));
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
                x->method = mem_strdup(method);
                set_remote(x);
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
        if (x->too_long)
                http_answer(x, 413, NULL, "", 0);
        else
                s->o.handler(s->o.arg, x);
        return x->answered ? MHD_YES : MHD_NO;
}

static void on_completed(void *arg, struct MHD_Connection *c, void **state,
                         enum MHD_RequestTerminationCode code)
{
        struct http_exchange *x = *state;
        (void)arg;
        (void)c;
        (void)code;
        if (x == NULL)
                return;
        *state = NULL;
        free(x->target);
        free(x->method);
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

struct http_server *http_server_new(uv_loop_t *loop, int fd, const struct http_server_options *o)
{
        struct http_server *s = mem_zalloc(sizeof *s);
        s->o = *o;
        s->loop = loop;
        s->daemon = MHD_start_daemon(
                MHD_USE_EPOLL | MHD_ALLOW_UPGRADE | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                on_request, s, MHD_OPTION_LISTEN_SOCKET, dup(fd), MHD_OPTION_URI_LOG_CALLBACK,
                on_uri, s, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
                MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_CONNECTION_TIMEOUT,
                o->timeout_s, MHD_OPTION_CONNECTION_LIMIT,
                o->connections > 0 ? o->connections : 1000u, MHD_OPTION_END);
        if (s->daemon == NULL) {
                free(s);
                return NULL;
        }
        const union MHD_DaemonInfo *i = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        (void)uv_poll_init(loop, &s->poll, i->epoll_fd);
        (void)uv_timer_init(loop, &s->timer);
        s->poll.data = s->timer.data = s;
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
        s->open = 2;
        uv_close((uv_handle_t *)&s->poll, on_closed);
        uv_close((uv_handle_t *)&s->timer, on_closed);
}

/* ---- requests and answers ---- */

const char *http_method(const struct http_exchange *x)
{
        return x->method;
}

const char *http_target(const struct http_exchange *x)
{
        return x->target;
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

const char *http_remote(const struct http_exchange *x)
{
        return x->remote;
}

static void add_headers(struct MHD_Response *r, const struct http_answer_header *headers)
{
        for (; headers != NULL && headers->name != NULL; headers++)
                (void)MHD_add_response_header(r, headers->name, headers->value);
}

void http_answer(struct http_exchange *x, int status, const struct http_answer_header *headers,
                 const void *body, size_t length)
{
        struct MHD_Response *r = MHD_create_response_from_buffer(
                length, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
        add_headers(r, headers);
        x->answered = MHD_queue_response(x->connection, (unsigned)status, r) == MHD_YES;
        MHD_destroy_response(r);
}

static void on_upgraded(void *arg, struct MHD_Connection *c, void *state, const char *extra,
                        size_t extra_length, MHD_socket fd, struct MHD_UpgradeResponseHandle *h)
{
        struct http_exchange *x = state;
        (void)arg;
        (void)c;
        x->upgraded(x->upgraded_arg, fd, extra, extra_length, h);
}

void http_upgrade(struct http_exchange *x, const struct http_answer_header *headers,
                  http_upgraded_fn done, void *arg)
{
        struct MHD_Response *r = MHD_create_response_for_upgrade(on_upgraded, NULL);
        x->upgraded = done;
        x->upgraded_arg = arg;
        add_headers(r, headers);
        x->answered = MHD_queue_response(x->connection, 101, r) == MHD_YES;
        MHD_destroy_response(r);
}

void http_upgraded_close(struct http_server *s, void *handle)
{
        (void)MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
        if (s != NULL && s->open == 0)
                (void)uv_timer_start(&s->timer, on_timer, 0, 0);
}
