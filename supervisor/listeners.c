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
        const char *purpose;
} ports[LISTENERS] = {
        {"ECS_TMDS_PORT", 51679, "task metadata and credentials are"},
        {"ECS_INTROSPECTION_PORT", 51678, "introspection is"},
        {"ECS_LOCAL_PORT", 51670, "the local control plane is"},
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
        return steal_fd(&fd);
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

/* The guard keeps other hosts away; without it only loopback is safe, unless they are welcome. */
static bool listens_everywhere(const struct supervisor *s, size_t i)
{
        return 1u << i == LISTEN_INTROSPECTION &&
               (s->guarded ||
                config_bool(s->config, "ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS", false));
}

static void on_retry(uv_timer_t *t);

static void open_one(struct supervisor *s, size_t i)
{
        int port = (int)config_int(s->config, ports[i].setting, ports[i].fallback);
        int fd = listens_everywhere(s, i) ? listen_everywhere(port) : listen_on_loopback(port);
        if (fd >= 0) {
                s->listeners[i] = fd;
                notice_set(s, listener_names[i], true, NULL);
                return;
        }
        uint32_t wait_ms = backoff_next(&s->listen_backoff[i], 0);
        notice_set(s, listener_names[i], true,
                   mem_printf("cannot listen on port %d (%s), so %s not served: does another agent "
                              "run? Tried again until it works",
                              port, strerror(-fd), ports[i].purpose));
        s->listen_retry[i].data = s;
        (void)uv_timer_start(&s->listen_retry[i], on_retry, clock_wait_ms(wait_ms), 0);
}

/* Workers that lacked the socket are started again with it. */
static void give_to_workers(struct supervisor *s, size_t i)
{
        log_info(NULL, "listening at last", LOG_STR("for", listener_names[i]));
        for (size_t k = 0; k < s->process_count; k++) {
                struct process *p = &s->processes[k];
                if ((p->row->listens & 1u << i) != 0 && p->state != P_STOPPED)
                        process_event(p, E_RESTART);
        }
}

static void on_retry(uv_timer_t *t)
{
        struct supervisor *s = t->data;
        size_t i = (size_t)(t - s->listen_retry);
        if (s->stopping)
                return;
        open_one(s, i);
        if (s->listeners[i] >= 0)
                give_to_workers(s, i);
        supervisor_changed(s);
}

void listeners_open(struct supervisor *s)
{
        for (size_t i = 0; i < LISTENERS; i++) {
                s->listeners[i] = -1;
                s->listen_backoff[i] =
                        (struct backoff){.min_ms = 1000, .max_ms = 60000, .multiple = 2};
                (void)uv_timer_init(&s->loop, &s->listen_retry[i]);
                if (1u << i != LISTEN_LOCAL || s->options.local)
                        open_one(s, i);
        }
}

void listeners_close(struct supervisor *s)
{
        for (size_t i = 0; i < LISTENERS; i++) {
                if (s->listeners[i] >= 0)
                        (void)close(s->listeners[i]);
                s->listeners[i] = -1;
        }
}
