/* The HTTP server on real loopback sockets: one answer many times, slow clients, too many
 * connections, bodies too large. M24. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "http_server.h"

#define LIMIT 4

struct fixture {
        uv_loop_t loop;
        struct http_server *server;
        struct http_prepared *kept;
        struct sockaddr_in address;
        unsigned asked;
};

static void handle(void *arg, struct http_exchange *x)
{
        struct fixture *f = arg;
        size_t length;
        f->asked++;
        if (strcmp(http_target(x), "/kept") == 0) {
                http_answer_prepared(x, f->kept);
                return;
        }
        const char *body = http_body(x, &length);
        const struct http_answer_header headers[] = {
                {"X-Method", http_method(x)},
                {"X-Remote", http_remote(x)},
                {NULL,       NULL          }
        };
        http_answer(x, 200, headers, length > 0 ? body : http_target(x),
                    length > 0 ? length : strlen(http_target(x)));
}

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof *f);
        socklen_t size = sizeof f->address;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        f->address = (struct sockaddr_in){.sin_family = AF_INET,
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        assert_int_equal(bind(fd, (struct sockaddr *)&f->address, size), 0);
        assert_int_equal(listen(fd, 64), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&f->address, &size), 0);
        assert_int_equal(uv_loop_init(&f->loop), 0);
        const struct http_server_options o = {
                .handler = handle, .arg = f, .max_body = 10, .timeout_s = 1, .connections = LIMIT};
        f->server = http_server_new(&f->loop, fd, &o);
        assert_non_null(f->server);
        f->kept = http_prepare(202, NULL, "kept", 4);
        (void)close(fd);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;
        http_server_close(f->server);
        (void)uv_run(&f->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&f->loop), 0);
        http_prepared_free(f->kept);
        free(f);
        return 0;
}

static int dial(const struct fixture *f)
{
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (const struct sockaddr *)&f->address, sizeof f->address), 0);
        return fd;
}

static void say(int fd, const char *text)
{
        assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Runs the loop until the client has something to read, at most ms. */
static ssize_t hear(struct fixture *f, int fd, char *text, size_t size, uint64_t ms)
{
        uint64_t end = clock_now_ms() + ms;
        ssize_t n = -1;
        while (n < 0 && clock_now_ms() < end) {
                (void)uv_run(&f->loop, UV_RUN_NOWAIT);
                n = recv(fd, text, size - 1, MSG_DONTWAIT);
                if (n < 0 && errno != EAGAIN)
                        n = 0;
                (void)usleep(500);
        }
        text[n > 0 ? n : 0] = '\0';
        return n;
}

static void expect(struct fixture *f, int fd, const char *start, const char *end)
{
        char text[1024];
        assert_true(hear(f, fd, text, sizeof text, 5000) > 0);
        assert_memory_equal(text, start, strlen(start));
        assert_true(strlen(text) > strlen(end));
        assert_string_equal(text + strlen(text) - strlen(end), end);
}

static void one_answer_is_sent_many_times(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);
        for (int i = 0; i < 3; i++) {
                say(fd, "GET /kept HTTP/1.1\r\nHost: x\r\n\r\n");
                expect(f, fd, "HTTP/1.1 202 ", "\r\n\r\nkept");
        }
        http_prepared_free(f->kept);
        f->kept = http_prepare(203, NULL, "newer", 5);
        say(fd, "GET /kept HTTP/1.1\r\nHost: x\r\n\r\n");
        expect(f, fd, "HTTP/1.1 203 ", "\r\n\r\nnewer");
        (void)close(fd);
}

static void targets_and_bodies_arrive_as_sent(void **state)
{
        static const struct {
                const char *request, *body;
        } cases[] = {
                {"GET /a%2Fb?c=%26 HTTP/1.1\r\nHost: x\r\n\r\n",                       "/a%2Fb?c=%26"},
                {"GET http://host:1/p?q HTTP/1.1\r\nHost: x\r\n\r\n",                  "/p?q"        },
                {"GET http://host HTTP/1.1\r\nHost: x\r\n\r\n",                        "\r\n\r\n/"   },
                {"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789",
                 "0123456789"                                                                        },
        };
        struct fixture *f = *state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                int fd = dial(f);
                say(fd, cases[i].request);
                expect(f, fd, "HTTP/1.1 200 ", cases[i].body);
                (void)close(fd);
        }
}

static void large_bodies_are_refused(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);
        say(fd, "PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n");
        expect(f, fd, "HTTP/1.1 413 ", "\r\n\r\n");
        (void)close(fd);
        fd = dial(f);
        say(fd, "PUT /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                "b\r\n01234567890\r\n0\r\n\r\n");
        expect(f, fd, "HTTP/1.1 413 ", "\r\n\r\n");
        (void)close(fd);
        assert_int_equal(f->asked, 0);
}

/* A byte now and then is no progress. */
static void slow_clients_are_cut_off(void **state)
{
        static const char *const starts[] = {
                "", "GET /", "GET /x HTTP/1.1\r\nHost",
                "PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"};
        struct fixture *f = *state;
        uint64_t begin = clock_now_ms();
        int fds[4];
        char text[512];
        for (int i = 0; i < 4; i++) {
                fds[i] = dial(f);
                say(fds[i], starts[i]);
        }
        for (int open = 4; open > 0 && clock_now_ms() < begin + 10000;) {
                open = 0;
                for (int i = 0; i < 4; i++) {
                        (void)send(fds[i], "", i > 0, MSG_NOSIGNAL);
                        open += hear(f, fds[i], text, sizeof text, 50) < 0;
                }
        }
        for (int i = 0; i < 4; i++) {
                assert_int_equal(hear(f, fds[i], text, sizeof text, 50), 0);
                (void)close(fds[i]);
        }
        assert_true(clock_now_ms() - begin >= 1000);
}

static void the_longest_idle_goes_when_there_are_too_many(void **state)
{
        struct fixture *f = *state;
        int idle[LIMIT];
        char text[512];
        for (int i = 0; i < LIMIT; i++) {
                idle[i] = dial(f);
                (void)hear(f, idle[i], text, sizeof text, 10);
        }
        int fd = dial(f);
        say(fd, "GET /kept HTTP/1.1\r\nHost: x\r\n\r\n");
        expect(f, fd, "HTTP/1.1 202 ", "\r\n\r\nkept");
        assert_int_equal(hear(f, idle[0], text, sizeof text, 500), 0);
        assert_true(hear(f, idle[LIMIT - 1], text, sizeof text, 10) < 0);
        (void)close(fd);
        for (int i = 0; i < LIMIT; i++)
                (void)close(idle[i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(one_answer_is_sent_many_times, set_up, tear_down),
                cmocka_unit_test_setup_teardown(targets_and_bodies_arrive_as_sent, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(large_bodies_are_refused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(slow_clients_are_cut_off, set_up, tear_down),
                cmocka_unit_test_setup_teardown(the_longest_idle_goes_when_there_are_too_many,
                                                set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
