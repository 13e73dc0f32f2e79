/* The client against a small scripted server on the same loop: answers are raw bytes by path, and
 * the server remembers what it was sent. No timers are slept on; every request has a limit. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "http.h"
#include "mem.h"

struct server {
        uv_loop_t *loop;
        union {
                uv_stream_t stream;
                uv_tcp_t tcp;
                uv_pipe_t pipe;
        } listener;
        char url[64];
        struct buf last;  /* the last request, head and body */
};

struct peer {
        union {
                uv_stream_t stream;
                uv_tcp_t tcp;
                uv_pipe_t pipe;
        } h;
        struct server *server;
        struct buf in;
        uv_write_t write;
};

static const struct {
        const char *path, *answer;
} answers[] = {
        {"/ok", "HTTP/1.1 200 OK\r\nX-Id: 7\r\nContent-Length: 5\r\n\r\nhello"},
        {"/interim", "HTTP/1.1 103 Early Hints\r\nX-Id: early\r\n\r\n"
                     "HTTP/1.1 200 OK\r\nX-Id: late\r\nContent-Length: 0\r\n\r\n"},
        {"/missing", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"},
        {"/chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"},
        {"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort"},
        {"/never", NULL},
};

static void on_peer_closed(uv_handle_t *h)
{
        struct peer *p = h->data;
        buf_clear(&p->in);
        free(p);
}

static void close_peer(struct peer *p)
{
        if (!uv_is_closing((uv_handle_t *)&p->h))
                uv_close((uv_handle_t *)&p->h, on_peer_closed);
}

static void on_written(uv_write_t *w, int status)
{
        (void)status;
        close_peer(w->data);
}

static bool is_whole(const struct buf *in)
{
        char length[24] = "0";
        const char *end = in->data != NULL ? strstr(in->data, "\r\n\r\n") : NULL;
        if (end == NULL)
                return false;
        (void)http_header(in->data, "Content-Length", length, sizeof length);
        return in->length - (size_t)(end + 4 - in->data) >= strtoul(length, NULL, 10);
}

static void answer(struct peer *p)
{
        const char *target = strchr(p->in.data, ' ') + 1;
        const char *path = strstr(target, "://") != NULL ? strchr(strstr(target, "://") + 3, '/')
                                                         : target;
        p->server->last.length = 0;
        buf_append(&p->server->last, p->in.data, p->in.length);
        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                size_t n = strlen(answers[i].path);
                if (strncmp(path, answers[i].path, n) != 0 || path[n] != ' ')
                        continue;
                if (answers[i].answer == NULL)
                        return;
                uv_buf_t b = uv_buf_init((char *)(uintptr_t)answers[i].answer,
                                         (unsigned)strlen(answers[i].answer));
                p->write.data = p;
                assert_int_equal(uv_write(&p->write, &p->h.stream, &b, 1, on_written), 0);
                return;
        }
        close_peer(p);
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *b)
{
        struct peer *p = h->data;
        buf_reserve(&p->in, size);
        *b = uv_buf_init(p->in.data + p->in.length, (unsigned)size);
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
        struct peer *p = h->data;
        (void)b;
        if (n < 0) {
                close_peer(p);
                return;
        }
        p->in.length += (size_t)n;
        p->in.data[p->in.length] = '\0';
        if (is_whole(&p->in))
                answer(p);
}

static void on_connection(uv_stream_t *listener, int status)
{
        struct server *s = listener->data;
        struct peer *p = mem_zalloc(sizeof *p);
        assert_int_equal(status, 0);
        p->server = s;
        if (listener->type == UV_TCP)
                (void)uv_tcp_init(s->loop, &p->h.tcp);
        else
                (void)uv_pipe_init(s->loop, &p->h.pipe, 0);
        p->h.stream.data = p;
        assert_int_equal(uv_accept(listener, &p->h.stream), 0);
        (void)uv_read_start(&p->h.stream, on_alloc, on_read);
}

static void serve_tcp(struct server *s, uv_loop_t *loop)
{
        struct sockaddr_in a;
        int n = sizeof a;
        *s = (struct server){.loop = loop};
        (void)uv_tcp_init(loop, &s->listener.tcp);
        s->listener.stream.data = s;
        (void)uv_ip4_addr("127.0.0.1", 0, &a);
        assert_int_equal(uv_tcp_bind(&s->listener.tcp, (struct sockaddr *)&a, 0), 0);
        assert_int_equal(uv_listen(&s->listener.stream, 8, on_connection), 0);
        (void)uv_tcp_getsockname(&s->listener.tcp, (struct sockaddr *)&a, &n);
        (void)snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", ntohs(a.sin_port));
}

struct result {
        int calls, error, status;
        struct buf body, chunks;
        char id[16];
        struct http_client *close_client; /* closed from done */
        bool refuse;                      /* the chunk callback wants no more */
};

static uv_loop_t *running; /* stopped when a request is done */

static void on_done(void *arg, int error, const char *text, const struct http_response *r)
{
        struct result *x = arg;
        (void)text;
        x->calls++;
        if (running != NULL)
                uv_stop(running);
        x->error = error;
        x->status = r->status;
        buf_append(&x->body, r->body, r->body_length);
        (void)http_header(r->headers, "x-id", x->id, sizeof x->id);
        if (x->close_client != NULL)
                http_client_close(x->close_client);
}

static bool on_chunk(void *arg, const char *data, size_t length)
{
        struct result *x = arg;
        buf_append(&x->chunks, data, length);
        return !x->refuse;
}

static void clear(struct result *x)
{
        buf_clear(&x->body);
        buf_clear(&x->chunks);
}

struct fixture {
        uv_loop_t loop;
        struct server server;
        struct http_client *client;
};

static int set_up(void **state)
{
        struct fixture *f = mem_zalloc(sizeof *f);
        static const char *const names[] = {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY",
                                            "https_proxy", "NO_PROXY", "no_proxy"};
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                (void)unsetenv(names[i]);
        (void)uv_loop_init(&f->loop);
        serve_tcp(&f->server, &f->loop);
        f->client = http_client_new(&f->loop);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;
        http_client_close(f->client);
        uv_close((uv_handle_t *)&f->server.listener, NULL);
        (void)uv_run(&f->loop, UV_RUN_DEFAULT);
        int r = uv_loop_close(&f->loop);
        buf_clear(&f->server.last);
        free(f);
        return r;
}

static void run_until_done(struct fixture *f, const struct result *x)
{
        /* a timer's callback may be what finishes: then no wait for input may follow */
        running = &f->loop;
        while (x->calls == 0)
                (void)uv_run(&f->loop, UV_RUN_ONCE);
        running = NULL;
}

static void get(struct fixture *f, const char *path, struct http_options o, struct result *x)
{
        cleanup_free char *url = mem_printf("%s%s", f->server.url, path);
        o.method = o.method != NULL ? o.method : "GET";
        o.url = o.url != NULL ? o.url : url;
        o.timeout_ms = o.timeout_ms > 0 ? o.timeout_ms : 5000;
        o.done = on_done;
        o.arg = x;
        (void)http_start(f->client, &o);
        assert_int_equal(x->calls, 0); /* never before start has returned */
        run_until_done(f, x);
        assert_int_equal(x->calls, 1);
}

static void answers_arrive_whole(void **state)
{
        static const struct {
                const char *path;
                int error, status;
                const char *body, *id;
        } cases[] = {
                {"/ok", 0, 200, "hello", "7"},
                {"/interim", 0, 200, "", "late"},
                {"/missing", 0, 404, "none", ""},
                {"/chunks", 0, 200, "abcdef", ""},
                {"/cut", -ECONNRESET, 200, "short", ""},
                {"/hangs-up", -ECONNRESET, 0, "", ""},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct result x = {0};
                get(*state, cases[i].path, (struct http_options){0}, &x);
                assert_int_equal(x.error, cases[i].error);
                assert_int_equal(x.status, cases[i].status);
                assert_string_equal(x.body.data, cases[i].body);
                assert_string_equal(x.id, cases[i].id);
                clear(&x);
        }
}

static void body_and_headers_are_sent(void **state)
{
        struct fixture *f = *state;
        struct result x = {0};
        static const char *const headers[] = {"Content-Type: application/json", "X-A: 1", NULL};
        get(f, "/ok", (struct http_options){.method = "POST", .headers = headers, .body = "{}",
                                            .body_length = 2},
            &x);
        assert_memory_equal(f->server.last.data, "POST /ok HTTP/1.1\r\n", 19);
        assert_non_null(strstr(f->server.last.data, "\r\nX-A: 1\r\n"));
        assert_non_null(strstr(f->server.last.data, "Content-Type: application/json"));
        assert_null(strstr(f->server.last.data, "Expect"));
        assert_string_equal(strstr(f->server.last.data, "\r\n\r\n") + 4, "{}");
        clear(&x);
}

static void chunks_come_only_for_success(void **state)
{
        struct result x = {0}, y = {0};
        get(*state, "/chunks", (struct http_options){.on_chunk = on_chunk}, &x);
        assert_string_equal(x.chunks.data, "abcdef");
        assert_int_equal(x.body.length, 0);
        get(*state, "/missing", (struct http_options){.on_chunk = on_chunk}, &y);
        assert_string_equal(y.body.data, "none");
        assert_int_equal(y.chunks.length, 0);
        clear(&x);
        clear(&y);
}

static void limits_are_kept(void **state)
{
        struct result x = {0}, y = {0}, z = {.refuse = true};
        get(*state, "/ok", (struct http_options){.max_body = 4}, &x);
        assert_int_equal(x.error, -EMSGSIZE);
        get(*state, "/never", (struct http_options){.timeout_ms = 50}, &y);
        assert_int_equal(y.error, -ETIMEDOUT);
        get(*state, "/chunks", (struct http_options){.on_chunk = on_chunk}, &z);
        assert_int_equal(z.error, -ECANCELED);
        clear(&x);
        clear(&y);
        clear(&z);
}

static void refused_connection_is_named(void **state)
{
        struct result x = {0};
        get(*state, "", (struct http_options){.url = "http://127.0.0.1:1/"}, &x);
        assert_int_equal(x.error, -ECONNREFUSED);
        clear(&x);
}

static void serve_path(struct server *s, uv_loop_t *loop, const char *path)
{
        *s = (struct server){.loop = loop};
        (void)unlink(path);
        (void)uv_pipe_init(loop, &s->listener.pipe, 0);
        s->listener.stream.data = s;
        assert_int_equal(uv_pipe_bind(&s->listener.pipe, path), 0);
        assert_int_equal(uv_listen(&s->listener.stream, 8, on_connection), 0);
}

static void close_path(struct server *s)
{
        uv_close((uv_handle_t *)&s->listener, NULL);
        (void)uv_run(s->loop, UV_RUN_NOWAIT);
        buf_clear(&s->last);
}

static void unix_sockets_work(void **state)
{
        struct fixture *f = *state;
        struct server s;
        struct result x = {0};
        cleanup_free char *path = mem_printf("/tmp/ecs-http-%d.sock", (int)getpid());
        serve_path(&s, &f->loop, path);
        (void)setenv("HTTP_PROXY", "http://127.0.0.1:1", 1); /* must not matter */
        get(f, "", (struct http_options){.url = "http://docker/ok", .unix_socket = path}, &x);
        (void)unsetenv("HTTP_PROXY");
        assert_int_equal(x.error, 0);
        assert_string_equal(x.body.data, "hello");
        clear(&x);
        /* a name with dots leads nowhere else */
        x = (struct result){0};
        get(f, "", (struct http_options){.url = "http://docker/a/../ok", .unix_socket = path}, &x);
        assert_int_equal(strncmp(s.last.data, "GET /a/../ok ", 13), 0);
        close_path(&s);
        clear(&x);
}

/* Stands for who may open the socket: gives it at once, or when told to. */
struct giver {
        const char *path;  /* NULL: refuses */
        bool later;
        unsigned asked;
        http_socket_fn done;
        void *done_arg;
};

static void give(struct giver *g)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = g->path != NULL ? socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0) : -EACCES;
        (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", g->path != NULL ? g->path : "");
        if (fd >= 0)
                assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
        g->done(g->done_arg, fd);
}

static void on_wanted(void *arg, http_socket_fn done, void *done_arg)
{
        struct giver *g = arg;
        g->asked++;
        g->done = done;
        g->done_arg = done_arg;
        if (!g->later)
                give(g);
}

/* The path in the options does not exist: whoever connects to it by itself fails. */
static void sockets_may_be_given(void **state)
{
        struct fixture *f = *state;
        struct server s;
        cleanup_free char *path = mem_printf("/tmp/ecs-http-%d.sock", (int)getpid());
        struct giver now = {.path = path}, refused = {0}, later = {.path = path, .later = true};
        struct result x = {0}, y = {0}, z = {0}, late = {0};
        struct http_options o = {.method = "GET", .url = "http://docker/ok",
                                 .unix_socket = "/nonexistent", .connect = on_wanted,
                                 .connect_arg = &now, .done = on_done, .arg = &late};
        serve_path(&s, &f->loop, path);
        get(f, "", o, &x);
        assert_int_equal(x.error, 0);
        assert_string_equal(x.body.data, "hello");
        get(f, "", o, &y);
        assert_int_equal(y.error, 0);
        assert_int_equal(now.asked, 2);
        o.connect_arg = &refused;
        get(f, "", o, &z);
        assert_int_equal(z.error, -EACCES);
        o.arg = &late;
        o.done = on_done;
        o.connect_arg = &later;
        (void)http_start(f->client, &o);
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
        assert_int_equal(late.calls, 0);
        give(&later);
        run_until_done(f, &late);
        assert_int_equal(late.error, 0);
        close_path(&s);
        clear(&x);
        clear(&y);
        clear(&z);
        clear(&late);
}

/* A request may be gone when its socket comes: cancelled, or with its client. */
static void sockets_may_come_too_late(void **state)
{
        struct fixture *f = *state;
        struct server s;
        cleanup_free char *path = mem_printf("/tmp/ecs-http-%d.sock", (int)getpid());
        struct giver one = {.path = path, .later = true}, two = one, refused = {.later = true};
        struct result x[3] = {0};
        struct giver *const givers[] = {&one, &two, &refused};
        struct http_client *c = http_client_new(&f->loop);
        struct http_request *r = NULL;
        serve_path(&s, &f->loop, path);
        for (size_t i = 0; i < ARRAY_SIZE(x); i++) {
                struct http_options o = {.method = "GET", .url = "http://docker/ok",
                                         .unix_socket = "/nonexistent", .connect = on_wanted,
                                         .connect_arg = givers[i], .done = on_done, .arg = &x[i]};
                struct http_request *started = http_start(c, &o);
                r = i == 0 ? started : r;
        }
        http_cancel(r);
        run_until_done(f, &x[0]);
        http_client_close(c);
        for (size_t i = 0; i < ARRAY_SIZE(x); i++) {
                assert_int_equal(x[i].calls, 1);
                assert_int_equal(x[i].error, -ECANCELED);
                give(givers[i]);
                assert_int_equal(x[i].calls, 1);
                clear(&x[i]);
        }
        close_path(&s);
}

static void proxies_are_honoured_with_their_exemptions(void **state)
{
        struct fixture *f = *state;
        struct result through = {0}, https = {0}, loopback = {0}, link_local = {0},
                      listed = {0};
        (void)setenv("http_proxy", f->server.url, 1);
        get(f, "", (struct http_options){.url = "http://192.0.2.1/ok"}, &through);
        assert_int_equal(through.status, 200);
        assert_memory_equal(f->server.last.data, "GET http://192.0.2.1/ok ", 24);
        get(f, "", (struct http_options){.url = "https://192.0.2.1/ok"}, &https);
        assert_memory_equal(f->server.last.data, "CONNECT 192.0.2.1:443 ", 22);
        f->server.last.length = 0;
        get(f, "/ok", (struct http_options){0}, &loopback);
        assert_memory_equal(f->server.last.data, "GET /ok ", 8);
        f->server.last.length = 0;
        /* addresses that the kernel refuses at once: nothing leaves the machine */
        (void)setenv("NO_PROXY", "example.com,255.255.255.0/24", 1);
        get(f, "", (struct http_options){.url = "http://[fe80::1]/ok"}, &link_local);
        get(f, "", (struct http_options){.url = "http://255.255.255.255/ok"}, &listed);
        assert_int_equal(f->server.last.length, 0);
        assert_int_equal(link_local.status, 0);
        assert_int_equal(listed.status, 0);
        clear(&through);
        clear(&https);
        clear(&loopback);
        clear(&link_local);
        clear(&listed);
}

static void cancel_reports_once(void **state)
{
        struct fixture *f = *state;
        struct result x = {0};
        cleanup_free char *url = mem_printf("%s/never", f->server.url);
        const struct http_options o = {.method = "GET", .url = url, .done = on_done, .arg = &x};
        struct http_request *r = http_start(f->client, &o);
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
        http_cancel(r);
        assert_int_equal(x.calls, 0);
        run_until_done(f, &x);
        assert_int_equal(x.error, -ECANCELED);
        clear(&x);
}

/* done may close the client that calls it, while others still run. */
static void client_may_be_closed_from_done(void **state)
{
        struct fixture *f = *state;
        struct http_client *c = http_client_new(&f->loop);
        struct result ok = {.close_client = c}, waiting = {0};
        cleanup_free char *url = mem_printf("%s/ok", f->server.url);
        cleanup_free char *never = mem_printf("%s/never", f->server.url);
        (void)http_start(c, &(struct http_options){.method = "GET", .url = never, .done = on_done,
                                                   .arg = &waiting});
        (void)http_start(c, &(struct http_options){.method = "GET", .url = url, .done = on_done,
                                                   .arg = &ok});
        run_until_done(f, &ok);
        assert_int_equal(ok.calls, 1);
        assert_int_equal(ok.error, 0);
        assert_int_equal(waiting.calls, 1);
        assert_int_equal(waiting.error, -ECANCELED);
        clear(&ok);
        clear(&waiting);
}

struct nested {
        struct fixture *f;
        struct result inner;
        bool started;
        int done;
        char *url;
};

static bool start_another(void *arg, const char *data, size_t length)
{
        struct nested *n = arg;
        (void)data;
        (void)length;
        if (!n->started)
                (void)http_start(n->f->client,
                                 &(struct http_options){.method = "GET", .url = n->url,
                                                        .done = on_done, .arg = &n->inner});
        n->started = true;
        return true;
}

static void on_outer_done(void *arg, int error, const char *text, const struct http_response *r)
{
        struct nested *n = arg;
        (void)text;
        (void)r;
        assert_int_equal(error, 0);
        n->done++;
}

static void request_may_start_inside_a_chunk(void **state)
{
        struct nested n = {.f = *state};
        n.url = mem_printf("%s/chunks", n.f->server.url);
        (void)http_start(n.f->client,
                         &(struct http_options){.method = "GET", .url = n.url,
                                                .on_chunk = start_another, .done = on_outer_done,
                                                .arg = &n, .timeout_ms = 5000});
        run_until_done(n.f, &n.inner);
        assert_int_equal(n.done, 1);
        assert_string_equal(n.inner.body.data, "abcdef");
        clear(&n.inner);
        free(n.url);
}

static void header_is_found_by_name(void **state)
{
        static const char block[] = "HTTP/1.1 200 OK\r\nDate: now\r\nX-Long:  0123456789 \r\n\r\n";
        char value[8];
        (void)state;
        assert_true(http_header(block, "date", value, sizeof value));
        assert_string_equal(value, "now");
        assert_true(http_header(block, "X-LONG", value, sizeof value));
        assert_string_equal(value, "0123456");
        assert_false(http_header(block, "X", value, sizeof value));
}

#define WITH_SERVER(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_SERVER(answers_arrive_whole),
                WITH_SERVER(body_and_headers_are_sent),
                WITH_SERVER(chunks_come_only_for_success),
                WITH_SERVER(limits_are_kept),
                WITH_SERVER(refused_connection_is_named),
                WITH_SERVER(unix_sockets_work),
                WITH_SERVER(sockets_may_be_given),
                WITH_SERVER(sockets_may_come_too_late),
                WITH_SERVER(proxies_are_honoured_with_their_exemptions),
                WITH_SERVER(cancel_reports_once),
                WITH_SERVER(client_may_be_closed_from_done),
                WITH_SERVER(request_may_start_inside_a_chunk),
                cmocka_unit_test(header_is_found_by_name),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
