/* The Docker client against a strict stub daemon. */
#include "stub_daemon.h"

#include <errno.h>
#include <signal.h>

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
                {"never begins", STREAM(""),                                                KEEP,  -ETIME,      0,
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
                (void)docker_pull(s->docker, "host:5000/a/b", "1", "e30=", &limits, NULL, on_done, &o);
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
        };
        (void)signal(SIGPIPE, SIG_IGN); /* as in every worker */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
