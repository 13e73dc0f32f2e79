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
#include <fcntl.h>
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
        bool ready, strict;
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

/* A reply whose descriptor cannot be passed on. */
static void handle_get_identity(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        static const int none = -1;
        (void)context;
        (void)m;
        Ecs__Identity identity = ECS__IDENTITY__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(IDENTITY, identity, &identity);
        ipc_reply_fds(r, &e, &none, 1);
}

static const struct ipc_handler handlers[IPC_BODY_MAX] = {
        [ECS__ENVELOPE__BODY_GET_IDENTITY] = {handle_get_identity, PEER_ENGINE,  WHEN_ANY  },
        [ECS__ENVELOPE__BODY_PING] = {handle_ping,         PEER_ENGINE,  WHEN_ANY  },
        [ECS__ENVELOPE__BODY_GET_HELD] = {handle_ping,         PEER_BACKEND, WHEN_ANY  },
        [ECS__ENVELOPE__BODY_GET_LINK] = {handle_ping,         PEER_ENGINE,  WHEN_READY},
};

static int open_end(struct end *e)
{
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        (void)uv_loop_init(&e->loop);
        const struct ipc_connection_options o = {
                .peer = PEER_ENGINE, .handlers = handlers, .context = e, .closed_arg = e,
                .on_close = on_close, .max_queue = 1 << 20, .ready = &e->ready,
                .strict = e->strict};
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

/* Towards the supervisor nothing is argued about. */
static void a_strict_connection_ends_at_the_first_refusal(void **state)
{
        struct end e = {.strict = true};
        int peer = open_end(&e);
        struct buf b = {0};
        Ecs__GetHeld held = ECS__GET_HELD__INIT;
        Ecs__Envelope forbidden = IPC_ENVELOPE(GET_HELD, get_held, &held);
        (void)state;
        forbidden.kind = ECS__ENVELOPE__KIND__REQUEST;
        assert_int_equal(frame_append(&b, IPC_FRAME_MAX, &forbidden), 0);
        assert_int_equal(write(peer, b.data, b.length), (ssize_t)b.length);
        turn(&e);
        assert_true(e.closed);
        assert_string_equal(e.reason, "not allowed to this peer");
        assert_int_equal(uv_loop_close(&e.loop), 0);
        buf_clear(&b);
        (void)close(peer);
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

static void a_reply_that_cannot_be_sent_is_an_error(void **state)
{
        struct end e = {0};
        int peer = open_end(&e);
        Ecs__GetIdentity get = ECS__GET_IDENTITY__INIT;
        Ecs__Envelope m = IPC_ENVELOPE(GET_IDENTITY, get_identity, &get);
        (void)state;
        m.kind = ECS__ENVELOPE__KIND__REQUEST;
        Ecs__Envelope *answer = ask(&e, peer, &m);
        assert_int_equal(answer->body_case, ECS__ENVELOPE__BODY_ERROR);
        assert_int_equal(answer->error->code, EBADF);
        ecs__envelope__free_unpacked(answer, NULL);
        close_end(&e, peer);
}

static void phase_of_a_row_is_kept(void **state)
{
        struct end e = {0};
        int peer = open_end(&e);
        Ecs__GetLink link = ECS__GET_LINK__INIT;
        Ecs__Ping ping = ECS__PING__INIT;
        Ecs__Envelope later = IPC_ENVELOPE(GET_LINK, get_link, &link);
        Ecs__Envelope any = IPC_ENVELOPE(PING, ping, &ping);
        (void)state;
        later.id = any.id = 3;
        later.kind = any.kind = ECS__ENVELOPE__KIND__REQUEST;
        Ecs__Envelope *r = ask(&e, peer, &later);
        assert_int_equal(r->body_case, ECS__ENVELOPE__BODY_ERROR);
        assert_int_equal(r->error->code, EAGAIN);
        ecs__envelope__free_unpacked(r, NULL);
        r = ask(&e, peer, &any);
        assert_int_equal(r->body_case, ECS__ENVELOPE__BODY_PONG);
        ecs__envelope__free_unpacked(r, NULL);
        e.ready = true;
        r = ask(&e, peer, &later);
        assert_int_equal(r->body_case, ECS__ENVELOPE__BODY_PONG);
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

/* The peer puts them all in before it reads one answer. */
static void ten_thousand_requests_of_a_peer_are_answered_in_order(void **state)
{
        enum { COUNT = 10000 };
        struct end e = {0};
        int peer = open_end(&e);
        struct buf in = {0}, out = {0};
        size_t sent = 0;
        uint64_t next = 1;
        char data[65536];
        (void)state;
        for (uint64_t id = 1; id <= COUNT; id++) {
                Ecs__Ping ping = ECS__PING__INIT;
                Ecs__Envelope m = IPC_ENVELOPE(PING, ping, &ping);
                m.id = id;
                m.kind = ECS__ENVELOPE__KIND__REQUEST;
                assert_int_equal(frame_append(&out, IPC_FRAME_MAX, &m), 0);
        }
        while (sent < out.length) {
                ssize_t n = send(peer, out.data + sent, out.length - sent, MSG_DONTWAIT);
                sent += n > 0 ? (size_t)n : 0;
                (void)uv_run(&e.loop, UV_RUN_NOWAIT);
        }
        while (next <= COUNT) {
                Ecs__Envelope *reply = NULL;
                turn(&e);
                ssize_t n = recv(peer, data, sizeof data, MSG_DONTWAIT);
                assert_true(n > 0);
                buf_append(&in, data, (size_t)n);
                while (frame_take(&in, IPC_FRAME_MAX, &reply) == 0) {
                        assert_int_equal(reply->id, next++);
                        ecs__envelope__free_unpacked(reply, NULL);
                }
        }
        assert_false(e.closed);
        buf_clear(&in);
        buf_clear(&out);
        close_end(&e, peer);
}

/* ---- descriptors ---- */

static unsigned open_descriptors(void)
{
        unsigned count = 0;
        for (int fd = 0; fd < 1024; fd++)
                count += fcntl(fd, F_GETFD) >= 0;
        return count;
}

/* One byte string with copies of standard input beside it. */
static void send_with_fds(int peer, const void *bytes, size_t length, size_t fd_count)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * 64)];
        } control = {0};
        struct iovec iov = {(void *)(uintptr_t)bytes, length};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = CMSG_SPACE(sizeof(int) * fd_count)};
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memset(CMSG_DATA(h), 0, sizeof(int) * fd_count);
        assert_int_equal(sendmsg(peer, &m, 0), (ssize_t)length);
}

static void a_flood_of_descriptors_ends_the_connection(void **state)
{
        static const struct {
                const char *name;
                uint32_t named;      /* in the frame */
                size_t sent;
                const char *reason;  /* NULL: it is served */
        } cases[] = {
                {"as named", 2, 2, NULL},
                {"one unnamed", 0, 1, "more descriptors than its frames name"},
                {"one too many", 2, 3, "more descriptors than its frames name"},
                {"more than a message may carry", 8, 60, "more descriptors than its frames name"},
                {"fewer than named", 3, 2, "descriptors missing"},
                {"an impossible number", 1u << 31, 1, "descriptors missing"},
        };
        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct end e = {0};
                int peer = open_end(&e);
                unsigned before = open_descriptors();
                Ecs__Ping ping = ECS__PING__INIT;
                Ecs__Envelope m = IPC_ENVELOPE(PING, ping, &ping);
                struct buf b = {0};
                m.kind = ECS__ENVELOPE__KIND__REQUEST;
                m.fds = cases[i].named;
                assert_int_equal(frame_append(&b, IPC_FRAME_MAX, &m), 0);
                send_with_fds(peer, b.data, b.length, cases[i].sent);
                turn(&e);
                print_message("%s: %s\n", cases[i].name, e.closed ? e.reason : "served");
                assert_int_equal(e.closed, cases[i].reason != NULL);
                if (e.closed)
                        assert_string_equal(e.reason, cases[i].reason);
                /* our end of a closed connection is closed, too */
                assert_int_equal(open_descriptors(), before - (e.closed ? 1 : 0));
                buf_clear(&b);
                if (!e.closed)
                        ipc_connection_close(e.c, "test over");
                turn(&e);
                assert_int_equal(uv_loop_close(&e.loop), 0);
                (void)close(peer);
        }
}

/* A frame that never ends, with descriptors at each byte. */
static void descriptors_of_an_unfinished_frame_are_bounded(void **state)
{
        struct end e = {0};
        int peer = open_end(&e);
        unsigned before = open_descriptors();
        (void)state;
        for (int i = 0; i < 64 && !e.closed; i++) {
                send_with_fds(peer, i == 0 ? "\0\0\1\0" : "x", i == 0 ? 4 : 1, 8);
                turn(&e);
                assert_in_range(open_descriptors(), before - 1, before + 32);
        }
        assert_true(e.closed);
        assert_int_equal(open_descriptors(), before - 1);
        assert_int_equal(uv_loop_close(&e.loop), 0);
        (void)close(peer);
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
                cmocka_unit_test(a_strict_connection_ends_at_the_first_refusal),
                cmocka_unit_test(a_reply_that_cannot_be_sent_is_an_error),
                cmocka_unit_test(phase_of_a_row_is_kept),
                cmocka_unit_test(ten_thousand_requests_of_a_peer_are_answered_in_order),
                cmocka_unit_test(a_flood_of_descriptors_ends_the_connection),
                cmocka_unit_test(descriptors_of_an_unfinished_frame_are_bounded),
                cmocka_unit_test(deadlines_fire)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
