/* Fetches against a strict stub daemon: tries and waits, limits, one fetch for many, turns, ends.
 */
#include "stub_daemon.h"

#include <signal.h>

#include "fetch.h"

#define ERROR(text) OK("{\"error\":\"" text "\"}\n")
#define DONE OK("{\"status\":\"Done\"}\n")
#define PULL "POST /v1.41/images/create?fromImage=x&tag=1 "

struct end {
        unsigned ends, begun;
        enum fetch_outcome outcome;
        char digest[80], reason[256];
};

static void on_begun(void *arg)
{
        ((struct end *)arg)->begun++;
}

static void on_end(void *arg, enum fetch_outcome outcome, const char *digest, const char *reason)
{
        struct end *e = arg;
        e->ends++;
        e->outcome = outcome;
        (void)snprintf(e->digest, sizeof e->digest, "%s", digest);
        (void)snprintf(e->reason, sizeof e->reason, "%s", reason);
}

static struct stub *up(const struct line *script, size_t length)
{
        struct stub *s = started(script, length);
        run_until(s, &s->ups, 1);
        return s;
}

static struct fetches *fetches(struct stub *s, unsigned at_once)
{
        const struct fetch_settings settings = {
                .manifest_ms = 60000, .pull_ms = 7200000, .silence_ms = 20000, .at_once = at_once};
        return fetches_new(&s->loop, s->docker, &settings);
}

static struct fetch_want *want(struct fetches *f, enum fetch_kind kind, const char *image,
                               const char *digest, struct end *e)
{
        const struct fetch_request r = {.kind = kind,
                                        .image = image,
                                        .digest = digest,
                                        .begun = on_begun,
                                        .done = on_end,
                                        .arg = e};
        return fetch_start(f, &r);
}

static void finish(struct stub *s, struct fetches *f)
{
        fetches_close(f);
        stub_end(s);
        fetches_free(f);
}

/* E66: fails twice, then works; and the fifth failure is the last. */
static void a_pull_is_tried_five_times(void **state)
{
        static const struct line works[] = {
                VERSION("1.41", "1.12"),
                EVENTS,
                {PULL, ERROR("a"), CLOSE},
                {PULL, ERROR("b"), CLOSE},
                {PULL, DONE,       CLOSE}
        };
        static const struct line fails[] = {
                VERSION("1.41", "1.12"),
                EVENTS,
                {PULL, ERROR("a"),             CLOSE},
                {PULL, ERROR("b"),             CLOSE},
                {PULL, ERROR("c"),             CLOSE},
                {PULL, ERROR("d"),             CLOSE},
                {PULL, ERROR("no space left"), CLOSE}
        };
        (void)state;
        for (unsigned bad = 0; bad < 2; bad++) {
                struct end e = {0};
                struct stub *s = bad ? up(fails, ARRAY_SIZE(fails)) : up(works, ARRAY_SIZE(works));
                struct fetches *f = fetches(s, 2);
                (void)want(f, FETCH_IMAGE, "x:1", "", &e);
                uint64_t began = clock_now_ms();
                assert_int_equal(e.ends, 0);
                run_until(s, &e.ends, 1);
                uint64_t waited = (clock_now_ms() - began) * SCALE;
                assert_int_equal(e.begun, 1);
                assert_int_equal(e.outcome, bad ? FETCH_FAILED : FETCH_DONE);
                assert_string_equal(e.reason, bad ? "CannotPullContainerError: no space left" : "");
                /* 1.1 + 2.2 s; with 4.4 and 5 more */
                assert_true(waited >= (bad ? 12700 : 3300));
                finish(s, f);
        }
}

/* E67, and a limit for all tries. */
static void a_pull_that_stalls_is_tried_again(void **state)
{
        static const struct line script[] = {
                VERSION("1.41", "1.12"),
                EVENTS,
                {PULL, STREAM("e\r\n{\"status\":\"\"}\n\r\n"), KEEP },
                {PULL, DONE,                                   CLOSE}
        };
        struct end e = {0};
        struct stub *s = up(script, ARRAY_SIZE(script));
        struct fetches *f = fetches(s, 2);
        (void)state;
        (void)want(f, FETCH_IMAGE, "x:1", "", &e);
        run_until(s, &e.ends, 1);
        assert_int_equal(e.outcome, FETCH_DONE);
        finish(s, f);
}

static void the_limit_is_for_all_tries(void **state)
{
        static const struct line script[] = {
                VERSION("1.41", "1.12"), EVENTS, {PULL, NULL, HANG}
        };
        const struct fetch_settings settings = {
                .manifest_ms = 60000, .pull_ms = 30000, .silence_ms = 20000, .at_once = 1};
        struct end e = {0};
        struct stub *s = up(script, ARRAY_SIZE(script));
        struct fetches *f = fetches_new(&s->loop, s->docker, &settings);
        (void)state;
        (void)want(f, FETCH_IMAGE, "x:1", "", &e);
        run_until(s, &e.ends, 1);
        assert_string_equal(e.reason, "DockerTimeoutError: Could not transition to pulled; timed "
                                      "out after waiting 30s");
        finish(s, f);
}

/* One pull serves all; who joins is told that it has begun; another waits for its turn. */
static void one_pull_serves_all_and_others_wait(void **state)
{
        static const struct line script[] = {
                VERSION("1.41", "1.12"),
                EVENTS,
                {PULL,                                                DONE, CLOSE},
                {"POST /v1.41/images/create?fromImage=y&tag=latest ", DONE, CLOSE}
        };
        struct end a = {0}, b = {0}, y = {0};
        struct stub *s = up(script, ARRAY_SIZE(script));
        struct fetches *f = fetches(s, 1);
        (void)state;
        (void)want(f, FETCH_IMAGE, "x:1", "", &a);
        struct fetch_want *second = want(f, FETCH_IMAGE, "y", "", &y);
        (void)want(f, FETCH_IMAGE, "x:1", "", &b);
        assert_int_equal(a.begun + b.begun, 2);
        assert_int_equal(y.begun, 0);
        char *text = fetch_describe(second);
        assert_string_equal(text, "pulling y: in turn behind 1 other pulls");
        free(text);
        assert_true(fetch_is_under_way(f, "x:1"));
        run_until(s, &y.ends, 1);
        assert_int_equal(a.ends + b.ends, 2);
        assert_int_equal(a.outcome + b.outcome + y.outcome, FETCH_DONE);
        assert_false(fetch_is_under_way(f, "x:1"));
        finish(s, f);
}

/* What nobody wants any more ends: Docker's connection is closed, the turn goes to the next. */
static void a_pull_nobody_wants_ends(void **state)
{
        static const struct line script[] = {
                VERSION("1.41", "1.12"),
                EVENTS,
                {PULL,                                                STREAM("e\r\n{\"status\":\"\"}\n\r\n"), KEEP },
                {"POST /v1.41/images/create?fromImage=y&tag=latest ", DONE,                                   CLOSE}
        };
        struct end a = {0}, b = {0}, y = {0};
        struct stub *s = up(script, ARRAY_SIZE(script));
        struct fetches *f = fetches(s, 1);
        (void)state;
        struct fetch_want *one = want(f, FETCH_IMAGE, "x:1", "", &a);
        struct fetch_want *two = want(f, FETCH_IMAGE, "x:1", "", &b);
        (void)want(f, FETCH_IMAGE, "y", "", &y);
        fetch_leave(one);
        assert_true(fetch_is_under_way(f, "x:1"));
        fetch_leave(two);
        run_until(s, &y.ends, 1);
        assert_int_equal(a.ends + b.ends, 0);
        assert_int_equal(y.outcome, FETCH_DONE);
        finish(s, f);
}

/* E69: pulled by digest, then given the name the container is made from. */
static void a_digest_is_pulled_and_tagged(void **state)
{
        static const struct line script[] = {
                VERSION("1.41", "1.12"),
                EVENTS,
                {"POST /v1.41/images/create?fromImage=x&tag=sha256%3Aab ", DONE,           CLOSE},
                {"POST /v1.41/images/x@sha256:ab/tag?repo=x&tag=1 ",
                  "HTTP/1.1 500 X\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",     CLOSE},
                {"POST /v1.41/images/x@sha256:ab/tag?repo=x&tag=1 ",
                  "HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", CLOSE}
        };
        struct end e = {0};
        struct stub *s = up(script, ARRAY_SIZE(script));
        struct fetches *f = fetches(s, 1);
        (void)state;
        (void)want(f, FETCH_IMAGE, "x:1", "sha256:ab", &e);
        run_until(s, &e.ends, 1);
        assert_int_equal(e.outcome, FETCH_DONE);
        finish(s, f);
}

static void digests_are_looked_up(void **state)
{
#define LOOK "GET /v1.41/distribution/host:5000/x:latest/json "
        static const struct {
                const char *name, *answer, *digest;
        } cases[] = {
                {"good",         OK("{\"Descriptor\":{\"digest\":\"sha256:ab\",\"mediaType\":\"m\"}}"),
                 "sha256:ab"},
                {"old manifest",
                 OK("{\"Descriptor\":{\"digest\":\"sha256:ab\",\"mediaType\":"
                    "\"application/vnd.docker.distribution.manifest.v1+prettyjws\"}}"),
                 ""         },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct line script[] = {
                        VERSION("1.41", "1.12"),
                        EVENTS,
                        {LOOK, "HTTP/1.1 500 X\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
                          CLOSE                                                                            },
                        {LOOK, OK("{}"),                                                             CLOSE},
                        {LOOK, cases[i].answer,                                                      CLOSE}
                };
                struct end e = {0};
                struct stub *s = up(script, ARRAY_SIZE(script));
                struct fetches *f = fetches(s, 1);
                (void)want(f, FETCH_DIGEST, "host:5000/x", "", &e);
                run_until(s, &e.ends, 1);
                assert_int_equal(e.outcome, FETCH_DONE);
                assert_string_equal(e.digest, cases[i].digest);
                finish(s, f);
        }
}

static void the_end_of_docker_is_no_verdict(void **state)
{
        static const struct line script[] = {VERSION("1.41", "1.12"), EVENTS};
        struct end e = {0};
        struct stub *s = up(script, ARRAY_SIZE(script));
        struct fetches *f = fetches(s, 1);
        (void)state;
        uv_close((uv_handle_t *)&s->listener, NULL);
        (void)uv_run(&s->loop, UV_RUN_NOWAIT);
        (void)unlink(s->path);
        (void)want(f, FETCH_IMAGE, "x:1", "", &e);
        run_until(s, &e.ends, 1);
        assert_int_equal(e.outcome, FETCH_OUTAGE);
        finish(s, f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_pull_is_tried_five_times),
                cmocka_unit_test(a_pull_that_stalls_is_tried_again),
                cmocka_unit_test(the_limit_is_for_all_tries),
                cmocka_unit_test(one_pull_serves_all_and_others_wait),
                cmocka_unit_test(a_pull_nobody_wants_ends),
                cmocka_unit_test(a_digest_is_pulled_and_tagged),
                cmocka_unit_test(digests_are_looked_up),
                cmocka_unit_test(the_end_of_docker_is_no_verdict),
        };
        (void)signal(SIGPIPE, SIG_IGN); /* the stub answers who has gone */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
