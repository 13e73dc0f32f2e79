/* healthcheck: one request on a plain socket; only the answer's first bytes are looked at. */
#include "healthcheck.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "clock.h"
#include "config.h"
#include "configuration.h"
#include "error.h"
#include "mem.h"

#define LIMIT_MS 25000

static int wait_for(int fd, short events, uint64_t until)
{
        struct pollfd p = {.fd = fd, .events = events};
        uint64_t now = clock_now_ms();
        int n = now < until ? poll(&p, 1, (int)(until - now)) : 0;
        return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

static int connect_to(const struct addrinfo *a, uint64_t until)
{
        int error = 0;
        socklen_t size = sizeof error;
        cleanup_fd int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
                int r = errno == EINPROGRESS ? wait_for(fd, POLLOUT, until) : -errno;
                if (r != 0)
                        return r;
        }
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
                return error != 0 ? -error : -errno;
        return steal_fd(&fd);
}

static int ask(int fd, const char *host, uint64_t until)
{
        char answer[16] = "";
        size_t have = 0;
        cleanup_free char *text = mem_printf("HEAD /v1/metadata HTTP/1.1\r\nHost: %s\r\n"
                                             "Connection: close\r\n\r\n",
                                             host);
        if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
                return -EIO;
        while (have < 5) {
                int r = wait_for(fd, POLLIN, until);
                ssize_t n = r == 0 ? recv(fd, answer + have, sizeof answer - 1 - have, 0) : 0;
                if (r != 0 || n <= 0)
                        return r != 0 ? r : -ECONNRESET;
                have += (size_t)n;
        }
        return strncmp(answer, "HTTP/", 5) == 0 ? 0 : -EPROTO;
}

int healthcheck(const struct supervisor_options *o)
{
        struct config *c = configuration_peek(o);
        const char *host = config_text(c, "ECS_AGENT_HEALTHCHECK_HOST", "localhost");
        const char *port = config_text(c, "ECS_INTROSPECTION_PORT", "51678");
        const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
        struct addrinfo *list = NULL;
        uint64_t until = clock_now_ms() + LIMIT_MS;
        int r = -ENOENT;
        int found = getaddrinfo(host, port, &wanted, &list);
        for (const struct addrinfo *a = found == 0 ? list : NULL; a != NULL && r != 0;
             a = a->ai_next) {
                cleanup_fd int fd = connect_to(a, until);
                r = fd >= 0 ? ask(fd, host, until) : fd;
        }
        if (r != 0)
                (void)fprintf(stderr, "ecs-supervisor: no answer from %s, port %s: %s\n", host,
                              port, found != 0 ? gai_strerror(found) : strerror(-r));
        if (found == 0)
                freeaddrinfo(list);
        config_free(c);
        return r != 0;
}
