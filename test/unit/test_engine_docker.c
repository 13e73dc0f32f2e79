/* The Docker client against a strict stub daemon on the same loop: it answers what its script says,
 * once each, and anything it was not told to expect fails the test. */
#include "unit.h"

#include <errno.h>
#include <signal.h>
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

static void on_peer_closed(uv_handle_t *h)
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

static void close_peer(struct peer *p)
{
        if (!uv_is_closing((uv_handle_t *)&p->pipe))
                uv_close((uv_handle_t *)&p->pipe, on_peer_closed);
}

static void on_written(uv_write_t *w, int status)
{
        struct peer *p = w->data;
        if (status != 0 || p->after == CLOSE)
                close_peer(p);
}

static void send_text(struct peer *p, const char *text)
{
        free(p->answer);
        p->answer = mem_strdup(text);
        uv_buf_t b = uv_buf_init(p->answer, (unsigned)strlen(p->answer));
        p->write.data = p;
        (void)uv_write(&p->write, (uv_stream_t *)&p->pipe, &b, 1, on_written);
}

static void answer(struct peer *p)
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
        if (strstr(p->in.data, "\r\n\r\n") != NULL)
                answer(p);
}

static void on_connection(uv_stream_t *listener, int status)
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

static void listen_now(struct stub *s)
{
        (void)uv_pipe_init(&s->loop, &s->listener, 0);
        s->listener.data = s;
        assert_int_equal(uv_pipe_bind(&s->listener, s->path), 0);
        assert_int_equal(uv_listen((uv_stream_t *)&s->listener, 16, on_connection), 0);
}

/* ---- the client ---- */

static void on_up(void *arg)
{
        ((struct stub *)arg)->ups++;
}

static void on_down(void *arg, const char *reason)
{
        struct stub *s = arg;
        s->downs++;
        (void)snprintf(s->reason, sizeof s->reason, "%s", reason);
}

static void on_event(void *arg, const json_t *event)
{
        struct stub *s = arg;
        const char *action = json_string_value(json_object_get(event, "Action"));
        s->events++;
        (void)snprintf(s->event, sizeof s->event, "%s", action != NULL ? action : "");
}

static void start_client(struct stub *s)
{
        const struct docker_callbacks cb = {on_up, on_down, on_event, s};
        cleanup_free char *host = mem_printf("unix://%s", s->path);
        s->docker = docker_new(&s->loop, host, &cb, NULL);
}

static void on_guard(uv_timer_t *t)
{
        ((struct stub *)t->data)->hurried = true;
}

/* Runs the loop until *counter is at least n; fails after some seconds. */
static void run_until(struct stub *s, const unsigned *counter, unsigned n)
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

static struct stub *stub_new(const struct line *script, size_t length)
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

static struct stub *started(const struct line *script, size_t length)
{
        struct stub *s = stub_new(script, length);
        listen_now(s);
        start_client(s);
        return s;
}

static void stub_end(struct stub *s)
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

/* ---- version ---- */

static void the_version_both_speak_is_used(void **state)
{
        static const struct {
                const char *name, *api, *min, *prefix, *reason;
        } cases[] = {
                {"oldest",                  "1.24", "1.12", "/v1.24/", NULL                      },
                {"Docker 20.10",            "1.41", "1.12", "/v1.41/", NULL                      },
                {"newest known",            "1.44", "1.24", "/v1.44/", NULL                      },
                {"newer than this program", "1.52", "1.44", "/v1.44/", NULL                      },
                {"too old",                 "1.23", "1.12", NULL,      "a newer Docker is needed"},
                {"too new",                 "1.60", "1.45", NULL,      "a newer agent is needed" },
                {"nonsense",                "two",  "",     NULL,      "a newer Docker is needed"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *version = mem_printf(
                        OK("{\"ApiVersion\":\"%s\",\"MinAPIVersion\":\"%s\",\"Version\":\"27\"}"),
                        cases[i].api, cases[i].min);
                cleanup_free char *events = mem_printf("GET %sevents?filters=%%7B%%22type",
                                                       cases[i].prefix ? cases[i].prefix : "-");
                /* more than once: on a busy machine the first try may take too long */
                const struct line script[] = {
                        {"GET /version ", version,    CLOSE},
                        {"GET /version ", version,    CLOSE},
                        {"GET /version ", version,    CLOSE},
                        {"GET /version ", NULL,       HANG },
                        {events,          STREAM(""), KEEP }
                };
                struct stub *s = started(script, ARRAY_SIZE(script));
                run_until(s, cases[i].prefix ? &s->ups : &s->downs, 1);
                if (cases[i].prefix != NULL) {
                        assert_true(docker_is_up(s->docker));
                        assert_string_equal(docker_api_version(s->docker), cases[i].api);
                        assert_string_equal(docker_version(s->docker), "27");
                } else {
                        assert_non_null(strstr(s->reason, cases[i].reason));
                        assert_false(docker_is_up(s->docker));
                }
                stub_end(s);
        }
}

static void bad_answers_to_version_are_tried_again(void **state)
{
        static const struct line script[] = {
                {"GET /version ", OK("{\"ApiVersion\":"),                           CLOSE},
                {"GET /version ", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",   CLOSE},
                {"GET /version ", NULL,                                             CLOSE},
                {"GET /version ", NULL,                                             HANG },
                {"GET /version ", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", CLOSE},
                VERSION("1.41", "1.12"),
                EVENTS
        };
        struct stub *s = started(script, ARRAY_SIZE(script));
        (void)state;
        run_until(s, &s->ups, 1);
        assert_int_equal(s->downs, 1); /* told once, not at each try */
        for (size_t i = 0; i < 6; i++)
                assert_true(s->used[i]);
        stub_end(s);
}

static void a_daemon_that_comes_later_is_found(void **state)
{
        static const struct line script[] = {VERSION("1.41", "1.12"), EVENTS};
        struct stub *s = stub_new(script, ARRAY_SIZE(script));
        (void)state;
        start_client(s);
        run_until(s, &s->downs, 1);
        listen_now(s);
        run_until(s, &s->ups, 1);
        assert_int_equal(s->downs, 1);
        stub_end(s);
}

/* ---- events ---- */

static void write_chunk(struct stub *s, const char *text)
{
        cleanup_free char *chunk = mem_printf("%zx\r\n%s\r\n", strlen(text), text);
        assert_non_null(s->stream);
        send_text(s->stream, chunk);
}

static void wait_for_stream(struct stub *s)
{
        for (int i = 0; i < 10000 && s->stream == NULL; i++)
                (void)uv_run(&s->loop, UV_RUN_ONCE);
        assert_non_null(s->stream);
        while (s->stream->write.data == NULL)
                (void)uv_run(&s->loop, UV_RUN_ONCE);
        (void)uv_run(&s->loop, UV_RUN_NOWAIT);
}

static void events_come_whole_and_the_stream_comes_back(void **state)
{
        static const struct line script[] = {
                VERSION("1.41", "1.12"),
                EVENTS,
                VERSION("1.41", "1.12"),
                {"GET /v1.41/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D&since="
                 "1700000000 ", STREAM(""), KEEP}
        };
        struct stub *s = started(script, ARRAY_SIZE(script));
        (void)state;
        wait_for_stream(s);
        write_chunk(s, "{\"Action\":\"st");
        for (int i = 0; i < 5; i++)
                (void)uv_run(&s->loop, UV_RUN_NOWAIT);
        assert_int_equal(s->events, 0);
        write_chunk(s, "art\",\"time\":1700000000}\n\nno json\n[1]\n{\"Action\":\"die\"}\n{\"Acti");
        run_until(s, &s->events, 2);
        assert_string_equal(s->event, "die");
        /* the daemon goes in the middle of a line: that line is lost, the next stream starts with
         * the last event's time, and everything is to be looked at again */
        close_peer(s->stream);
        run_until(s, &s->ups, 2);
        assert_int_equal(s->downs, 1);
        wait_for_stream(s);
        write_chunk(s, "{\"Action\":\"stop\"}\n");
        run_until(s, &s->events, 3);
        assert_string_equal(s->event, "stop");
        stub_end(s);
}

/* ---- calls ---- */

struct outcome {
        unsigned calls;
        int error, status;
        char text[256], id[64];
};

static void on_done(void *arg, const struct docker_answer *a)
{
        struct outcome *o = arg;
        const char *id = json_string_value(json_object_get(a->body, "Id"));
        o->calls++;
        o->error = a->error;
        o->status = a->status;
        (void)snprintf(o->text, sizeof o->text, "%s", a->text != NULL ? a->text : "");
        (void)snprintf(o->id, sizeof o->id, "%s", id != NULL ? id : "");
}

static void every_call_ends_once_with_what_happened(void **state)
{
        static const struct {
                const char *name, *answer;
                enum after after;
                int error, status;
                const char *text, *id;
        } cases[] = {
                {"good",                 OK("{\"Id\":\"abc\"}"),                                                  CLOSE, 0,           200, "",                      "abc"},
                {"empty",                "HTTP/1.1 204 No Content\r\n\r\n",                                       CLOSE, 0,           204, "",                      ""   },
                {"refused",              "HTTP/1.1 404 X\r\nContent-Length: 21\r\n\r\n{\"message\":\"no such\"}",
                 CLOSE,                                                                                                  0,           404, "no such",               ""   },
                {"refused without JSON", "HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\noops",                       CLOSE,
                 0,                                                                                                                   500, "Docker gave no reason", ""   },
                {"truncated JSON",       OK("{\"Id\":\"ab"),                                                      CLOSE, -EPROTO,     0,
                 "Docker's answer is no JSON",                                                                                                                      ""   },
                {"cut off",              "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"Id\":1}",               CLOSE,
                 -ECONNRESET,                                                                                                         200, NULL,                    ""   },
                {"reset",                NULL,                                                                    CLOSE, -ECONNRESET, 0,   NULL,                    ""   },
                {"garbage",              "SSH-2.0-x\r\n\r\n",                                                     CLOSE, -EIO,        0,   NULL,                    ""   },
                {"hangs",                NULL,                                                                    HANG,  -ETIMEDOUT,  0,   NULL,                    ""   },
                {"hangs in the middle",  "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",                         HANG,
                 -ETIMEDOUT,                                                                                                          200, NULL,                    ""   },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct outcome o = {0};
                const struct line script[] = {
                        VERSION("1.41", "1.12"),
                        EVENTS,
                        {"POST /v1.41/containers/x/start ", cases[i].answer, cases[i].after}
                };
                struct stub *s = started(script, ARRAY_SIZE(script));
                run_until(s, &s->ups, 1);
                docker_call(s->docker, "POST", "/containers/x/start", NULL, 10000, on_done, &o);
                assert_int_equal(o.calls, 0); /* never before the call has returned */
                run_until(s, &o.calls, 1);
                if (o.error != cases[i].error || o.status != cases[i].status)
                        fail_msg("%s: error %d status %d (%s)", cases[i].name, o.error, o.status,
                                 o.text);
                if (cases[i].text != NULL)
                        assert_string_equal(o.text, cases[i].text);
                assert_string_equal(o.id, cases[i].id);
                stub_end(s);
                assert_int_equal(o.calls, 1);
        }
}

static void calls_under_way_end_with_the_client(void **state)
{
        static const struct line script[] = {
                VERSION("1.41", "1.12"), EVENTS, {"GET /v1.41/info ", NULL, HANG}
        };
        struct outcome o = {0};
        struct stub *s = started(script, ARRAY_SIZE(script));
        (void)state;
        run_until(s, &s->ups, 1);
        docker_call(s->docker, "GET", "/info", NULL, 10000, on_done, &o);
        (void)uv_run(&s->loop, UV_RUN_NOWAIT);
        stub_end(s);
        assert_int_equal(o.calls, 1);
        assert_int_equal(o.error, -ECANCELED);
}

/* ---- pull ---- */

static void a_pull_follows_its_stream(void **state)
{
        static const struct {
                const char *name, *answer;
                enum after after;
                int error, status;
                const char *text;
        } cases[] = {
                {"good",         OK("{\"status\":\"Pulling\"}\r\n{\"status\":\"Done\"}\n"), CLOSE, 0,           200,
                 ""                                                                                                                 },
                {"error line",   OK("{\"status\":\"x\"}\n{\"error\":\"no space left\"}\n"), CLOSE,
                 -EIO,                                                                                          0,   "no space left"},
                {"not found",
                 "HTTP/1.1 404 X\r\nContent-Length: 21\r\n\r\n"
                 "{\"message\":\"no such\"}",                                               CLOSE, 0,           404, "no such"      },
                {"never begins", STREAM(""),                                                KEEP,  -EIO,        0,
                 "inactivity time exceeded timeout while pulling image"                                                             },
                {"stalls",       STREAM("e\r\n{\"status\":\"\"}\n\r\n"),                    KEEP,  -EIO,        0,
                 "inactivity time exceeded timeout while pulling image"                                                             },
                {"cut off",      STREAM("e\r\n{\"status\":\"\"}\n\r\n"),                    CLOSE, -ECONNRESET, 200, NULL           },
        };
        const struct docker_pull_limits limits = {7200000, 10000, 10000};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct outcome o = {0};
                const struct line script[] = {
                        VERSION("1.41", "1.12"),
                        EVENTS,
                        {"POST /v1.41/images/create?fromImage=host%3A5000%2Fa%2Fb&tag=1 ",
                          cases[i].answer, cases[i].after}
                };
                struct stub *s = started(script, ARRAY_SIZE(script));
                run_until(s, &s->ups, 1);
                docker_pull(s->docker, "host:5000/a/b:1", &limits, on_done, &o);
                run_until(s, &o.calls, 1);
                if (o.error != cases[i].error || o.status != cases[i].status)
                        fail_msg("%s: error %d status %d (%s)", cases[i].name, o.error, o.status,
                                 o.text);
                if (cases[i].text != NULL)
                        assert_string_equal(o.text, cases[i].text);
                stub_end(s);
                assert_int_equal(o.calls, 1);
        }
}

static void references_are_split(void **state)
{
        static const char *const cases[][3] = {
                {"x",                       "x",           "latest"   },
                {"x:1",                     "x",           "1"        },
                {"host:5000/x",             "host:5000/x", "latest"   },
                {"host:5000/x:1",           "host:5000/x", "1"        },
                {"x@sha256:ab",             "x",           "sha256:ab"},
                {"host:5000/x:1@sha256:ab", "host:5000/x", "sha256:ab"},
                {"",                        "",            "latest"   },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char *name, *tag;
                docker_split_image(cases[i][0], &name, &tag);
                assert_string_equal(name, cases[i][1]);
                assert_string_equal(tag, cases[i][2]);
                free(name);
                free(tag);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_version_both_speak_is_used),
                cmocka_unit_test(bad_answers_to_version_are_tried_again),
                cmocka_unit_test(a_daemon_that_comes_later_is_found),
                cmocka_unit_test(events_come_whole_and_the_stream_comes_back),
                cmocka_unit_test(every_call_ends_once_with_what_happened),
                cmocka_unit_test(calls_under_way_end_with_the_client),
                cmocka_unit_test(a_pull_follows_its_stream),
                cmocka_unit_test(references_are_split),
        };
        (void)signal(SIGPIPE, SIG_IGN); /* as in every worker */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
