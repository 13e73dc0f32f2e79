/* Steps of a container against a Docker that fails: what is not known is looked at again, a name in
 * use is waited for, and what Docker refuses is not asked for without a pause. */
#include "stub_daemon.h"

#include "config.h"
#include "engine.h"
#include "engine_tasks.h"

#define FAILS(status) "HTTP/1.1 " status " No\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
#define INSPECT "GET /v1.41/containers/c1/json "
#define STOP "POST /v1.41/containers/c1/stop?t=30 "
#define RUNS                                                                                       \
        OK("{\"Id\":\"c1\",\"State\":{\"Running\":true,\"StartedAt\":\"2026-01-01T00:00:00Z\"}}")
#define MADE OK("{\"Id\":\"c1\",\"State\":{\"StartedAt\":\"0001-01-01T00:00:00Z\"}}")
#define EXITED                                                                                     \
        OK("{\"Id\":\"c1\",\"State\":{\"StartedAt\":\"2026-01-01T00:00:00Z\",\"ExitCode\":7,"      \
           "\"FinishedAt\":\"2026-01-01T00:00:01Z\"}}")

struct bench {
        struct stub *stub;
        struct engine engine;
        struct container *container;
};

/* An engine with one task of one container, which has got as far as known. */
static void bench_start(struct bench *b, const struct line *script, size_t length,
                        enum status known)
{
        const bool essential = true;
        *b = (struct bench){.stub = started(script, length)};
        run_until(b->stub, &b->stub->ups, 1);
        b->engine = (struct engine){.docker = b->stub->docker,
                                    .config = config_new(),
                                    .adopted = true,
                                    .tasks = make_task(1, &essential)};
        (void)uv_timer_init(&b->stub->loop, &b->engine.wake);
        b->engine.wake.data = &b->engine;
        b->container = &b->engine.tasks->containers[0];
        b->container->known = known;
        if (known >= S_CREATED)
                text_set(&b->container->facts->docker_id, "c1");
        text_set(&b->container->facts->docker_name, "name");
}

static void on_end(uv_timer_t *t)
{
        *(bool *)t->data = true;
}

/* Runs until the container is known to be so, at most some seconds. */
static void bench_until(struct bench *b, enum status known)
{
        bool over = false;
        uv_timer_t end;
        (void)uv_timer_init(&b->stub->loop, &end);
        end.data = &over;
        (void)uv_timer_start(&end, on_end, 20000, 0);
        while (b->container->known != known && !over)
                (void)uv_run(&b->stub->loop, UV_RUN_ONCE);
        uv_close((uv_handle_t *)&end, NULL);
        (void)uv_run(&b->stub->loop, UV_RUN_NOWAIT);
        assert_int_equal(b->container->known, known);
}

static void bench_end(struct bench *b)
{
        b->engine.stopping = true;
        uv_close((uv_handle_t *)&b->engine.wake, NULL);
        stub_end(b->stub);
        task_free(b->engine.tasks);
        config_free((struct config *)(uintptr_t)b->engine.config);
}

static void a_look_that_fails_is_repeated(void **state)
{
        static const struct line script[] = {
                VERSION("1.41", "1.12"),
                EVENTS,
                {INSPECT, FAILS("500"), CLOSE},
                {INSPECT, NULL,         CLOSE},
                {INSPECT, EXITED,       CLOSE}
        };
        struct bench b;
        (void)state;
        bench_start(&b, script, ARRAY_SIZE(script), S_RUNNING);
        step_inspect(&b.engine, b.container);
        bench_until(&b, S_STOPPED);
        assert_int_equal(b.container->facts->exit_code->value, 7);
        bench_end(&b);
}

static void a_name_in_use_is_waited_for(void **state)
{
        static const struct line script[] = {
                VERSION("1.41", "1.12"),
                EVENTS,
                {"POST /v1.41/containers/create?name=name ", FAILS("409"), CLOSE},
                {"GET /v1.41/containers/name/json ",         FAILS("404"), CLOSE},
                {"POST /v1.41/containers/create?name=name ", FAILS("409"), CLOSE},
                {"GET /v1.41/containers/name/json ",         MADE,         CLOSE}
        };
        struct bench b;
        (void)state;
        bench_start(&b, script, ARRAY_SIZE(script), S_PULLED);
        engine_progress(&b.engine, b.engine.tasks);
        bench_until(&b, S_CREATED);
        assert_string_equal(b.container->facts->docker_id, "c1");
        bench_end(&b);
}

/* Turns of the loop until the script has come to its line'th line and the container is known so. */
static void bench_until_line(struct bench *b, size_t line, enum status known)
{
        uint64_t until = uv_hrtime() + 20000000000u;
        while ((!b->stub->used[line] || b->container->known != known ||
                b->container->step != STEP_NONE) &&
               uv_hrtime() < until) {
                (void)uv_run(&b->stub->loop, UV_RUN_ONCE);
                if (b->engine.touched) /* what the end of a loop turn does, without a database */
                        engine_progress(&b->engine, b->engine.tasks);
                b->engine.touched = false;
        }
        assert_true(b->stub->used[line]);
        assert_int_equal(b->container->known, known);
}

#define REFUSED                                                                                    \
        {                                                                                          \
                STOP, FAILS("500"), CLOSE                                                          \
        }
#define PING "GET /v1.41/_ping "

/* E65: five tries with pauses between them; then a Docker that answers is believed. */
static void a_refused_stop_ends_after_five_tries(void **state)
{
        static const struct line script[] = {
                VERSION("1.41", "1.12"), EVENTS, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED,
                {PING, OK("{}"), CLOSE}
        };
        struct bench b;
        (void)state;
        bench_start(&b, script, ARRAY_SIZE(script), S_RUNNING);
        b.container->desired = S_STOPPED;
        engine_progress(&b.engine, b.engine.tasks);
        bench_until_line(&b, ARRAY_SIZE(script) - 1, S_STOPPED);
        assert_string_equal(b.container->facts->reason,
                            "CannotStopContainerError: Error response from daemon: ");
        bench_end(&b);
}

/* E65: a Docker that gives no sign of life has said nothing about the container. */
static void a_stop_without_docker_is_no_news(void **state)
{
        static const struct line script[] = {
                VERSION("1.41", "1.12"), EVENTS, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED,
                {PING, NULL, CLOSE}
        };
        struct bench b;
        (void)state;
        bench_start(&b, script, ARRAY_SIZE(script), S_RUNNING);
        b.container->desired = S_STOPPED;
        engine_progress(&b.engine, b.engine.tasks);
        bench_until_line(&b, ARRAY_SIZE(script) - 1, S_RUNNING);
        assert_true(b.container->retry_at_ms > 0);
        assert_string_equal(b.container->facts->reason, "");
        bench_end(&b);
}

/* E64: a start that ends in EOF may have started it. */
static void an_unclear_start_is_followed_by_a_stop(void **state)
{
        static const struct line script[] = {
                VERSION("1.41", "1.12"),
                EVENTS,
                {"POST /v1.41/containers/c1/start ",
                  "HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 23\r\n\r\n"
                 "{\"message\":\"read: EOF\"}",                                                               CLOSE},
                {STOP,                               "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", CLOSE},
                {INSPECT,                            EXITED,                                                 CLOSE}
        };
        struct bench b;
        (void)state;
        bench_start(&b, script, ARRAY_SIZE(script), S_CREATED);
        engine_progress(&b.engine, b.engine.tasks);
        bench_until_line(&b, ARRAY_SIZE(script) - 1, S_STOPPED);
        assert_string_equal(b.container->facts->reason,
                            "CannotStartContainerError: Error response from daemon: read: EOF");
        bench_end(&b);
}

/* The engine was killed after a start had found its port taken: what is known then is PULLED, with
 * the id of the one that is to go. */
static void one_made_with_a_taken_port_is_made_again(void **state)
{
        static const struct line script[] = {
                VERSION("1.41", "1.12"),
                EVENTS,
                {"DELETE /v1.41/containers/c1?v=1 ",
                  "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", CLOSE},
                {"POST /v1.41/containers/create?name=name ",
                  "HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 11\r\n\r\n"
                 "{\"Id\":\"c2\"}",                                       CLOSE},
        };
        struct bench b;
        (void)state;
        bench_start(&b, script, ARRAY_SIZE(script), S_PULLED);
        text_set(&b.container->facts->docker_id, "c1");
        reconcile(&b.engine);
        bench_until(&b, S_CREATED);
        assert_string_equal(b.container->facts->docker_id, "c2");
        bench_end(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_look_that_fails_is_repeated),
                cmocka_unit_test(a_name_in_use_is_waited_for),
                cmocka_unit_test(one_made_with_a_taken_port_is_made_again),
                cmocka_unit_test(a_refused_stop_ends_after_five_tries),
                cmocka_unit_test(a_stop_without_docker_is_no_news),
                cmocka_unit_test(an_unclear_start_is_followed_by_a_stop),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
