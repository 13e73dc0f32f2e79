/* Hostile and busy peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connection.h"
#include "frame.h"

struct end {
        uv_loop_t loop;
        struct ipc_connection *c;
        bool closed;
        char reason[128];
        unsigned answered, failed;
        bool answer_twice;
};

static void on_close(void *arg, struct ipc_connection *c, const char *reason)
{
        struct end *e = arg;
        (void)c;
        e->closed = true;
        (void)snprintf(e->reason, sizeof e->reason, "%s", reason);
}

static void handle_ping(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        (void)context;
        (void)m;
        Ecs__Pong pong = ECS__PONG__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(PONG, pong, &pong);
        ipc_reply(r, &e);
}

static const struct ipc_handler handlers[IPC_BODY_MAX] = {
        [ECS__ENVELOPE__BODY_PING] = {handle_ping, PEER_ENGINE, WHEN_ANY},
        [ECS__ENVELOPE__BODY_GET_HELD] = {handle_ping, PEER_BACKEND, WHEN_ANY},
};

static int open_end(struct end *e)
{
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        (void)uv_loop_init(&e->loop);
        const struct ipc_connection_options o = {
                .peer = PEER_ENGINE, .handlers = handlers, .context = e, .closed_arg = e,
                .on_close = on_close, .max_queue = 1 << 20};
        e->c = ipc_connection_new(&e->loop, pair[0], &o);
        return pair[1];
}

static void turn(struct end *e)
{
        for (int i = 0; i < 20; i++)
                (void)uv_run(&e->loop, UV_RUN_NOWAIT);
}

static void close_end(struct end *e, int peer)
{
        ipc_connection_close(e->c, "test over");
        turn(e);
        assert_true(e->closed);
        assert_int_equal(uv_loop_close(&e->loop), 0);
        (void)close(peer);
}

static void bad_bytes_end_the_connection(void **state)
{
        static const struct {
                const char *bytes;
                size_t length;
                const char *reason;
        } cases[] = {
                {"\xff\xff\xff\xff", 4, "frame too long"},
                {"\x00\x00\x00\x04\xde\xad\xbe\xef", 8, "frame is not an Envelope"},
                {"\x00\x00\x00\x00", 4, "message without a kind"},
        };
        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct end e = {0};
                int peer = open_end(&e);
                assert_int_equal(write(peer, cases[i].bytes, cases[i].length),
                                 (ssize_t)cases[i].length);
                turn(&e);
                assert_true(e.closed);
                assert_string_equal(e.reason, cases[i].reason);
                assert_int_equal(uv_loop_close(&e.loop), 0);
                (void)close(peer);
        }
}

static void short_frames_wait_for_the_rest(void **state)
{
        struct end e = {0};
        int peer = open_end(&e);
        Ecs__Ping ping = ECS__PING__INIT;
        Ecs__Envelope m = IPC_ENVELOPE(PING, ping, &ping);
        struct buf b = {0};
        char answer[64];
        (void)state;
        m.id = 5;
        m.kind = ECS__ENVELOPE__KIND__REQUEST;
        assert_int_equal(frame_append(&b, IPC_FRAME_MAX, &m), 0);
        for (size_t i = 0; i < b.length; i++) {
                assert_int_equal(write(peer, b.data + i, 1), 1);
                turn(&e);
                ssize_t n = recv(peer, answer, sizeof answer, MSG_DONTWAIT);
                assert_int_equal(n > 0, i == b.length - 1);
        }
        buf_clear(&b);
        close_end(&e, peer);
}

static Ecs__Envelope *ask(struct end *e, int peer, Ecs__Envelope *m)
{
        struct buf b = {0};
        char data[512];
        Ecs__Envelope *reply = NULL;
        assert_int_equal(frame_append(&b, IPC_FRAME_MAX, m), 0);
        assert_int_equal(write(peer, b.data, b.length), (ssize_t)b.length);
        turn(e);
        buf_clear(&b);
        ssize_t n = recv(peer, data, sizeof data, MSG_DONTWAIT);
        assert_true(n > 0);
        buf_append(&b, data, (size_t)n);
        assert_int_equal(frame_take(&b, IPC_FRAME_MAX, &reply), 0);
        buf_clear(&b);
        return reply;
}

static void unlisted_and_forbidden_bodies_get_errors(void **state)
{
        struct end e = {0};
        int peer = open_end(&e);
        Ecs__GetHeld held = ECS__GET_HELD__INIT;
        Ecs__GetTasks tasks = ECS__GET_TASKS__INIT;
        Ecs__Envelope forbidden = IPC_ENVELOPE(GET_HELD, get_held, &held);
        Ecs__Envelope unlisted = IPC_ENVELOPE(GET_TASKS, get_tasks, &tasks);
        (void)state;
        forbidden.id = unlisted.id = 9;
        forbidden.kind = unlisted.kind = ECS__ENVELOPE__KIND__REQUEST;
        Ecs__Envelope *r = ask(&e, peer, &forbidden);
        assert_int_equal(r->error->code, EACCES);
        ecs__envelope__free_unpacked(r, NULL);
        r = ask(&e, peer, &unlisted);
        assert_int_equal(r->error->code, ENOTSUP);
        ecs__envelope__free_unpacked(r, NULL);
        close_end(&e, peer);
}

static void count_reply(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct end *e = arg;
        (void)reply;
        (void)fd;
        if (status == 0)
                e->answered++;
        else
                e->failed++;
}

static void a_request_answered_twice_counts_once(void **state)
{
        struct end e = {0};
        int peer = open_end(&e);
        Ecs__Ping ping = ECS__PING__INIT;
        Ecs__Envelope m = IPC_ENVELOPE(PING, ping, &ping);
        Ecs__Pong pong = ECS__PONG__INIT;
        Ecs__Envelope reply = IPC_ENVELOPE(PONG, pong, &pong);
        struct buf b = {0};
        (void)state;
        assert_int_equal(ipc_send_request(e.c, &m, 0, count_reply, &e), 0);
        reply.id = m.id;
        reply.kind = ECS__ENVELOPE__KIND__REPLY;
        assert_int_equal(frame_append(&b, IPC_FRAME_MAX, &reply), 0);
        assert_int_equal(frame_append(&b, IPC_FRAME_MAX, &reply), 0);
        assert_int_equal(write(peer, b.data, b.length), (ssize_t)b.length);
        turn(&e);
        assert_int_equal(e.answered, 1);
        assert_false(e.closed);
        buf_clear(&b);
        close_end(&e, peer);
        assert_int_equal(e.failed, 0);
}

static void ten_thousand_requests_fail_once_each(void **state)
{
        struct end e = {0};
        int peer = open_end(&e);
        (void)state;
        for (int i = 0; i < 10000; i++) {
                Ecs__Ping ping = ECS__PING__INIT;
                Ecs__Envelope m = IPC_ENVELOPE(PING, ping, &ping);
                assert_int_equal(ipc_send_request(e.c, &m, 60000, count_reply, &e), 0);
        }
        assert_int_equal(e.answered + e.failed, 0);
        close_end(&e, peer);
        assert_int_equal(e.failed, 10000);
}

static void a_peer_that_does_not_read_is_dropped(void **state)
{
        struct end e = {0};
        int peer = open_end(&e);
        static char text[65536];
        (void)state;
        memset(text, 'x', sizeof text - 1);
        for (int i = 0; i < 100 && !e.closed; i++) {
                Ecs__WorkerState s = ECS__WORKER_STATE__INIT;
                s.text = text;
                Ecs__Envelope m = IPC_ENVELOPE(WORKER_STATE, worker_state, &s);
                if (ipc_send_event(e.c, &m) != 0)
                        break;
        }
        turn(&e);
        assert_true(e.closed);
        assert_string_equal(e.reason, "the peer does not read");
        assert_int_equal(uv_loop_close(&e.loop), 0);
        (void)close(peer);
}

static void deadlines_fire(void **state)
{
        struct end e = {0};
        int peer = open_end(&e);
        Ecs__Ping ping = ECS__PING__INIT;
        Ecs__Envelope m = IPC_ENVELOPE(PING, ping, &ping);
        (void)state;
        assert_int_equal(ipc_send_request(e.c, &m, 5, count_reply, &e), 0);
        while (e.failed == 0)
                (void)uv_run(&e.loop, UV_RUN_ONCE);
        assert_int_equal(e.failed, 1);
        close_end(&e, peer);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(bad_bytes_end_the_connection),
                cmocka_unit_test(short_frames_wait_for_the_rest),
                cmocka_unit_test(unlisted_and_forbidden_bodies_get_errors),
                cmocka_unit_test(a_request_answered_twice_counts_once),
                cmocka_unit_test(ten_thousand_requests_fail_once_each),
                cmocka_unit_test(a_peer_that_does_not_read_is_dropped),
                cmocka_unit_test(deadlines_fire)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
