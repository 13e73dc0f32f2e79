/* Who may talk to whom, who the official agent is, what a region looks like: decisions of the
 * supervisor that need no process. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "error.h"
#include "imds.h"
#include "mem.h"
#include "supervisor.h"

static const unsigned all_peers[] = {PEER_SUPERVISOR, PEER_BACKEND, PEER_ENGINE,  PEER_METADATA,
                                     PEER_LOCAL,      PEER_CTL,     PEER_CTL_ROOT};

static bool expected(unsigned asker, unsigned peer)
{
        static const unsigned pairs[][2] = {
                {PEER_BACKEND, PEER_ENGINE},  {PEER_BACKEND, PEER_METADATA},
                {PEER_METADATA, PEER_ENGINE}, {PEER_METADATA, PEER_BACKEND},
                {PEER_CTL, PEER_BACKEND},     {PEER_CTL, PEER_ENGINE},
                {PEER_CTL, PEER_METADATA},    {PEER_CTL_ROOT, PEER_BACKEND},
                {PEER_CTL_ROOT, PEER_ENGINE}, {PEER_CTL_ROOT, PEER_METADATA},
                {PEER_CTL_ROOT, PEER_LOCAL},
        };
        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
                if (pairs[i][0] == asker && pairs[i][1] == peer)
                        return true;
        return false;
}

static void only_listed_pairs_may_talk(void **state)
{
        (void)state;
        for (size_t a = 0; a < ARRAY_SIZE(all_peers); a++) {
                assert_false(broker_may_connect(all_peers[a], 0));
                for (size_t b = 0; b < ARRAY_SIZE(all_peers); b++)
                        assert_int_equal(broker_may_connect(all_peers[a], all_peers[b]),
                                         expected(all_peers[a], all_peers[b]));
        }
}

/* Connect requests of one asker whose peer is not ready. */
static void handle_connect(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct process *p = context;
        broker_connect(p->supervisor, r, PEER_BACKEND, m->connect->peer);
}

static void note_status(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        int *counts = arg;
        (void)reply;
        (void)fd;
        counts[status == -EBUSY ? 0 : 1]++;
}

static struct ipc_connection *asker(struct process *p, uv_loop_t *loop,
                                    struct ipc_connection **ret_served)
{
        static const struct ipc_handler handlers[IPC_BODY_MAX] = {
                [ECS__ENVELOPE__BODY_CONNECT] = {handle_connect, PEER_BACKEND, WHEN_ANY}};
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        const struct ipc_connection_options here = {
                .peer = PEER_BACKEND, .handlers = handlers, .context = p};
        const struct ipc_connection_options there = {.peer = PEER_SUPERVISOR};
        *ret_served = ipc_connection_new(loop, pair[0], &here);
        return ipc_connection_new(loop, pair[1], &there);
}

static void ask_often(struct ipc_connection *c, int times, int counts[2])
{
        for (int i = 0; i < times; i++) {
                Ecs__Connect m = ECS__CONNECT__INIT;
                m.peer = (char *)"engine";
                Ecs__Envelope e = IPC_ENVELOPE(CONNECT, connect, &m);
                assert_int_equal(ipc_send_request(c, &e, 0, note_status, counts), 0);
        }
}

static void requests_for_an_absent_peer_are_bounded(void **state)
{
        static const struct worker_row row = {.name = "engine", .peer = PEER_ENGINE};
        struct supervisor s = {0};
        struct process p = {.supervisor = &s, .row = &row, .state = P_BACKOFF};
        struct ipc_connection *served, *c;
        int counts[2] = {0, 0};
        (void)state;
        s.processes = &p;
        s.process_count = 1;
        (void)uv_loop_init(&s.loop);
        c = asker(&p, &s.loop, &served);
        ask_often(c, 200, counts);
        while (counts[0] < 136)
                (void)uv_run(&s.loop, UV_RUN_ONCE);
        assert_int_equal(counts[1], 0);
        /* whoever has gone makes room */
        ipc_connection_close(served, "gone");
        ipc_connection_close(c, "gone");
        (void)uv_run(&s.loop, UV_RUN_DEFAULT);
        counts[0] = counts[1] = 0;
        c = asker(&p, &s.loop, &served);
        ask_often(c, 65, counts);
        while (counts[0] < 1)
                (void)uv_run(&s.loop, UV_RUN_ONCE);
        broker_drop(&p);
        while (counts[1] < 64)
                (void)uv_run(&s.loop, UV_RUN_ONCE);
        assert_int_equal(counts[0], 1);
        ipc_connection_close(served, "end");
        ipc_connection_close(c, "end");
        (void)uv_run(&s.loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&s.loop), 0);
}

static void rows_are_complete_and_distinct(void **state)
{
        (void)state;
        for (size_t i = 0; i < worker_row_count; i++) {
                assert_non_null(worker_rows[i].exec);
                assert_int_equal(ipc_peer_from_name(worker_rows[i].name), worker_rows[i].peer);
                assert_int_not_equal(worker_rows[i].recipient, 0);
                for (size_t k = 0; k < i; k++)
                        assert_int_not_equal(worker_rows[k].peer, worker_rows[i].peer);
        }
}

static void one_word_is_a_region(void **state)
{
        static const struct {
                const char *text;
                bool valid;
        } cases[] = {
                {"us-east-1", true},       {"eu-isoe-west-1", true}, {"", false},
                {"US-EAST-1", false},      {"a b", false},           {"x\n", false},
                {"us-east-1;rm", false},   {"../../etc", false},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(region_is_valid(cases[i].text), cases[i].valid);
}

/* ---- the official agent, in a /proc of our own ---- */

static void write_file(const char *dir, const char *name, const char *data, size_t size)
{
        cleanup_free char *path = mem_printf("%s/%s", dir, name);
        cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, size), (ssize_t)size);
}

static void official_agent_is_recognised(void **state)
{
        static const struct {
                const char *cmdline;
                size_t size;
                const char *environment;
                int expected;
        } cases[] = {
                {"/agent", 7, "A=b\0ECS_DATADIR=/data", -EEXIST},
                {"/agent", 7, "A=b\0NOTHING=to-see----", 0},
                {"/agent-of-others", 17, "A=b\0ECS_DATADIR=/data", 0},
                {"/usr/libexec/amazon-ecs-init\0start", 35, "A=b\0NOTHING=to-see----", -EEXIST},
                {"", 0, "A=b\0NOTHING=to-see----", 0},
        };
        char dir[] = "/tmp/test-rival-XXXXXX";
        (void)state;
        assert_non_null(mkdtemp(dir));
        cleanup_free char *process = mem_printf("%s/77", dir);
        cleanup_free char *cmdline = mem_printf("%s/cmdline", process);
        cleanup_free char *environment = mem_printf("%s/environ", process);
        assert_int_equal(mkdir(process, 0700), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = {0};
                write_file(process, "cmdline", cases[i].cmdline, cases[i].size);
                write_file(process, "environ", cases[i].environment, 21);
                assert_int_equal(rival_check(dir, &err), cases[i].expected);
                if (cases[i].expected != 0)
                        assert_non_null(strstr(err.text, "stop it first"));
        }
        (void)unlink(cmdline);
        (void)unlink(environment);
        (void)rmdir(process);
        (void)rmdir(dir);
}

static void programs_are_told_by_their_executable(void **state)
{
        (void)state;
        assert_true(takeover_is_program(getpid(), "test_supervisor_policy"));
        assert_false(takeover_is_program(getpid(), "ecs-engine"));
        assert_false(takeover_is_program(1 << 22, "ecs-engine"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_listed_pairs_may_talk),
                cmocka_unit_test(requests_for_an_absent_peer_are_bounded),
                cmocka_unit_test(rows_are_complete_and_distinct),
                cmocka_unit_test(one_word_is_a_region),
                cmocka_unit_test(official_agent_is_recognised),
                cmocka_unit_test(programs_are_told_by_their_executable),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
