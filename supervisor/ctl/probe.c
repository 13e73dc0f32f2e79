/* probe: see the header. A child that hangs in the kernel is left behind: it is killed, not waited
 * for longer than the deadline. */
#include "probe.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "mem.h"

#define ANSWER_MAX (4u << 20)

/* Reads until the end; false at the deadline. */
static bool read_until(int fd, uint64_t until, struct buf *b)
{
        char data[16384];
        for (;;) {
                uint64_t now = clock_now_ms();
                struct pollfd p = {.fd = fd, .events = POLLIN};
                if (now >= until || poll(&p, 1, (int)(until - now)) == 0)
                        return false;
                ssize_t n = read(fd, data, sizeof data);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n == 0;
                if (b->length + (size_t)n > ANSWER_MAX)
                        return false;
                buf_append(b, data, (size_t)n);
        }
}

char *probe_run(void (*fn)(void *arg), void *arg, uint32_t timeout_ms)
{
        int pipes[2];
        struct buf b = {0};
        if (pipe(pipes) != 0)
                return NULL;
        (void)fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                (void)dup2(pipes[1], STDOUT_FILENO);
                (void)close(pipes[0]);
                (void)close(pipes[1]);
                (void)signal(SIGPIPE, SIG_IGN);
                fn(arg);
                (void)fflush(stdout);
                _exit(0);
        }
        (void)close(pipes[1]);
        bool whole = pid > 0 && read_until(pipes[0], clock_now_ms() + timeout_ms, &b);
        (void)close(pipes[0]);
        if (pid > 0) {
                int status = 0;
                if (!whole)
                        (void)kill(pid, SIGKILL);
                /* one that cannot even be killed is left to init */
                for (int i = 0; i < 50 && waitpid(pid, &status, WNOHANG) == 0; i++)
                        (void)usleep(10000);
        }
        if (whole)
                return buf_steal(&b);
        buf_clear(&b);
        return NULL;
}

int probe_connect_unix(const char *path)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof a.sun_path)
                return -ENAMETOOLONG;
        memcpy(a.sun_path, path, strlen(path) + 1);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
                return fd;
        int r = -errno;
        if (fd >= 0)
                (void)close(fd);
        return r;
}

int probe_connect_tcp(const char *host, const char *port, char **ret_text)
{
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
        struct addrinfo *list = NULL;
        int r = getaddrinfo(host, port, &hints, &list);
        if (r != 0) {
                *ret_text = mem_strdup(gai_strerror(r));
                return -ENOENT;
        }
        int fd = -1, error = -ECONNREFUSED;
        for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
                fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
                if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) == 0)
                        continue;
                error = -errno;
                (void)close(fd);
                fd = -1;
        }
        freeaddrinfo(list);
        return fd >= 0 ? fd : error;
}

char *probe_http(int fd, const char *request, int *ret_status)
{
        struct buf b = {0};
        char data[16384];
        ssize_t n = send(fd, request, strlen(request), MSG_NOSIGNAL);
        *ret_status = 0;
        while (n > 0 && b.length < ANSWER_MAX && (n = read(fd, data, sizeof data)) > 0)
                buf_append(&b, data, (size_t)n);
        const char *body = b.data != NULL ? strstr(b.data, "\r\n\r\n") : NULL;
        char *text = NULL;
        if (body != NULL && sscanf(b.data, "HTTP/1.%*1[01] %3d", ret_status) == 1 &&
            *ret_status / 100 == 2)
                text = mem_strdup(body + 4);
        buf_clear(&b);
        return text;
}
