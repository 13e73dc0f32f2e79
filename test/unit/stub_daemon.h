/* stub_daemon: a strict Docker on the test's own loop: it answers what its script says, once each,
 * and what it was not told to expect fails the test. The client beside it notes what it is told. */
#pragma once

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "docker.h"
#include "mem.h"

#define SCALE 20 /* timers run so much faster; the shortest limit is half a second */

enum after { CLOSE, KEEP, HANG };

/* One expected request: the start of its first line, the raw answer, what becomes of the stream. */
struct line {
        const char *request;
        const char *answer;
        enum after after;
};

#define OK(body) "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" body
#define STREAM(b) "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" b
#define VERSION(api, min)                                                                          \
        {                                                                                          \
                "GET /version ",                                                                   \
                        OK("{\"Version\":\"v\",\"ApiVersion\":\"" api                              \
                           "\",\"MinAPIVersion\":\"" min "\"}"),                                   \
                        CLOSE                                                                      \
        }
#define EVENTS                                                                                     \
        {                                                                                          \
                "GET /v1.41/events?filters=", STREAM(""), KEEP                                     \
        }

struct peer {
        struct peer *next;
        uv_pipe_t pipe;
        struct stub *stub;
        struct buf in;
        uv_write_t write;
        char *answer;
        enum after after;
};

struct stub {
        uv_loop_t loop;
        uv_pipe_t listener;
        char path[64];
        const struct line *script;
        size_t length;
        bool used[16];
        struct peer *peers;
        struct peer *stream; /* the last one kept open */
        char last[512];      /* request line of the last request */
        char *wrong;         /* first request that was not expected */
        bool hurried;        /* the guard has fired */
        /* what the client told */
        struct docker *docker;
        unsigned ups, downs, events;
        char reason[256], event[256];
};

/* ---- the daemon ---- */

static inline void on_peer_closed(uv_handle_t *h)
{
        struct peer *p = h->data;
        for (struct peer **at = &p->stub->peers; *at != NULL; at = &(*at)->next)
                if (*at == p) {
                        *at = p->next;
                        break;
                }
        if (p->stub->stream == p)
                p->stub->stream = NULL;
        buf_clear(&p->in);
        free(p->answer);
        free(p);
}

static inline void close_peer(struct peer *p)
{
        if (!uv_is_closing((uv_handle_t *)&p->pipe))
                uv_close((uv_handle_t *)&p->pipe, on_peer_closed);
}

static inline void on_written(uv_write_t *w, int status)
{
        struct peer *p = w->data;
        if (status != 0 || p->after == CLOSE)
                close_peer(p);
}

static inline void send_text(struct peer *p, const char *text)
{
        free(p->answer);
        p->answer = mem_strdup(text);
        uv_buf_t b = uv_buf_init(p->answer, (unsigned)strlen(p->answer));
        p->write.data = p;
        (void)uv_write(&p->write, (uv_stream_t *)&p->pipe, &b, 1, on_written);
}

static inline void answer(struct peer *p)
{
        struct stub *s = p->stub;
        (void)snprintf(s->last, sizeof s->last, "%.*s", (int)strcspn(p->in.data, "\r"), p->in.data);
        p->in.length = 0;
        for (size_t i = 0; i < s->length; i++) {
                const struct line *l = &s->script[i];
                if (s->used[i] || strncmp(s->last, l->request, strlen(l->request)) != 0)
                        continue;
                s->used[i] = true;
                p->after = l->after;
                if (l->after == KEEP)
                        s->stream = p;
                if (l->answer != NULL)
                        send_text(p, l->answer);
                else if (l->after == CLOSE)
                        close_peer(p);
                return;
        }
        if (s->wrong == NULL)
                s->wrong = mem_strdup(s->last);
        close_peer(p);
}

static inline void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *b)
{
        struct peer *p = h->data;
        buf_reserve(&p->in, size);
        *b = uv_buf_init(p->in.data + p->in.length, (unsigned)size);
}

static inline void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
        struct peer *p = h->data;
        (void)b;
        if (n < 0) {
                close_peer(p);
                return;
        }
        p->in.length += (size_t)n;
        p->in.data[p->in.length] = '\0';
        if (strstr(p->in.data, "\r\n\r\n") != NULL)
                answer(p);
}

static inline void on_connection(uv_stream_t *listener, int status)
{
        struct stub *s = listener->data;
        struct peer *p = mem_zalloc(sizeof *p);
        assert_int_equal(status, 0);
        *p = (struct peer){.stub = s, .next = s->peers};
        s->peers = p;
        (void)uv_pipe_init(&s->loop, &p->pipe, 0);
        p->pipe.data = p;
        assert_int_equal(uv_accept(listener, (uv_stream_t *)&p->pipe), 0);
        (void)uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read);
}

static inline void listen_now(struct stub *s)
{
        (void)uv_pipe_init(&s->loop, &s->listener, 0);
        s->listener.data = s;
        assert_int_equal(uv_pipe_bind(&s->listener, s->path), 0);
        assert_int_equal(uv_listen((uv_stream_t *)&s->listener, 16, on_connection), 0);
}

/* ---- the client ---- */

static inline void on_up(void *arg)
{
        ((struct stub *)arg)->ups++;
}

static inline void on_down(void *arg, const char *reason)
{
        struct stub *s = arg;
        s->downs++;
        (void)snprintf(s->reason, sizeof s->reason, "%s", reason);
}

static inline void on_event(void *arg, const json_t *event)
{
        struct stub *s = arg;
        const char *action = json_string_value(json_object_get(event, "Action"));
        s->events++;
        (void)snprintf(s->event, sizeof s->event, "%s", action != NULL ? action : "");
}

static inline void start_client(struct stub *s)
{
        const struct docker_callbacks cb = {
                .up = on_up, .down = on_down, .event = on_event, .arg = s};
        cleanup_free char *host = mem_printf("unix://%s", s->path);
        s->docker = docker_new(&s->loop, host, &cb, NULL);
}

static inline void on_guard(uv_timer_t *t)
{
        ((struct stub *)t->data)->hurried = true;
}

/* Runs the loop until *counter is at least n; fails after some seconds. */
static inline void run_until(struct stub *s, const unsigned *counter, unsigned n)
{
        uv_timer_t guard;
        (void)uv_timer_init(&s->loop, &guard);
        guard.data = s;
        (void)uv_timer_start(&guard, on_guard, 20000, 0);
        while (*counter < n && !s->hurried)
                (void)uv_run(&s->loop, UV_RUN_ONCE);
        uv_close((uv_handle_t *)&guard, NULL);
        (void)uv_run(&s->loop, UV_RUN_NOWAIT);
        assert_false(s->hurried);
}

static inline struct stub *stub_new(const struct line *script, size_t length)
{
        static unsigned number;
        struct stub *s = mem_zalloc(sizeof *s);
        clock_set_scale(SCALE);
        s->script = script;
        s->length = length;
        (void)uv_loop_init(&s->loop);
        (void)snprintf(s->path, sizeof s->path, "/tmp/ecs-stub-%d-%u.sock", getpid(), number++);
        return s;
}

static inline struct stub *started(const struct line *script, size_t length)
{
        struct stub *s = stub_new(script, length);
        listen_now(s);
        start_client(s);
        return s;
}

static inline void stub_end(struct stub *s)
{
        docker_close(s->docker);
        for (struct peer *p = s->peers; p != NULL; p = p->next)
                close_peer(p);
        if (!uv_is_closing((uv_handle_t *)&s->listener))
                uv_close((uv_handle_t *)&s->listener, NULL);
        (void)uv_run(&s->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&s->loop), 0);
        (void)unlink(s->path);
        if (s->wrong != NULL)
                fail_msg("not expected: %s", s->wrong);
        free(s);
}
