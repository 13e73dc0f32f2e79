/* listeners: the TCP sockets workers inherit. The supervisor binds them, so that a connection made
 * while a worker restarts waits in the backlog. A port taken is tried again from 1 s to 60 s. */
#include "supervisor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "mem.h"

const char *const listener_names[LISTENERS] = {"tmds", "introspection", "local"};

static const struct {
        const char *setting;
        int fallback;
} ports[LISTENERS] = {
        {"ECS_TMDS_PORT", 51679},
        {"ECS_INTROSPECTION_PORT", 51678},
        {"ECS_LOCAL_PORT", 51670},
};

static int listen_at(const struct sockaddr *a, socklen_t size)
{
        int on = 1, off = 0;
        cleanup_fd int fd = socket(a->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
            (a->sa_family == AF_INET6 &&
             setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
            bind(fd, a, size) != 0 || listen(fd, 1024) != 0)
                return -errno;
        int r = fd;
        fd = -1;
        return r;
}

/* All addresses, of both families where the host has IPv6. */
static int listen_everywhere(int port)
{
        struct sockaddr_in6 six = {.sin6_family = AF_INET6,
                                   .sin6_port = htons((uint16_t)port),
                                   .sin6_addr = IN6ADDR_ANY_INIT};
        struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int r = listen_at((struct sockaddr *)&six, sizeof six);
        return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL
                       ? listen_at((struct sockaddr *)&four, sizeof four)
                       : r;
}

static int listen_on_loopback(int port)
{
        struct sockaddr_in a = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        return listen_at((struct sockaddr *)&a, sizeof a);
}

static void on_retry(uv_timer_t *t);

static void open_one(struct supervisor *s, size_t i, uint64_t wait_ms)
{
        int port = (int)config_int(s->config, ports[i].setting, ports[i].fallback);
        bool everywhere = 1u << i == LISTEN_INTROSPECTION && s->guarded;
        int fd = everywhere ? listen_everywhere(port) : listen_on_loopback(port);
        if (fd < 0) {
                log_warn(NULL, "cannot listen, trying again: is another agent running?",
                         LOG_INT("port", port), LOG_STR("for", listener_names[i]),
                         LOG_STR("reason", strerror(-fd)), LOG_INT("next_ms", wait_ms));
                s->listen_retry[i].data = s;
                (void)uv_timer_start(&s->listen_retry[i], on_retry, clock_wait_ms(wait_ms),
                                     clock_wait_ms(wait_ms * 2 < 60000 ? wait_ms * 2 : 60000));
                return;
        }
        s->listeners[i] = fd;
        (void)uv_timer_stop(&s->listen_retry[i]);
}

/* The worker that lacked the socket is started again with it. */
static void on_retry(uv_timer_t *t)
{
        struct supervisor *s = t->data;
        for (size_t i = 0; i < LISTENERS; i++) {
                if (t != &s->listen_retry[i])
                        continue;
                open_one(s, i, 5000);
                if (s->listeners[i] < 0)
                        return;
                for (size_t k = 0; k < s->process_count; k++)
                        if ((s->processes[k].row->listens & 1u << i) != 0)
                                process_event(&s->processes[k], E_RESTART);
        }
}

void listeners_open(struct supervisor *s)
{
        for (size_t i = 0; i < LISTENERS; i++) {
                s->listeners[i] = -1;
                (void)uv_timer_init(&s->loop, &s->listen_retry[i]);
                if (1u << i == LISTEN_LOCAL && !s->options.local)
                        continue;
                open_one(s, i, 1000);
        }
}
