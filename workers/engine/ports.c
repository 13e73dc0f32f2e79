/* ports: a cursor over the range, so that successive tasks get rising ports. */
#include "ports.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "cleanup.h"

void port_range_init(struct port_range *r, const char *setting, const char *kernel)
{
        unsigned first = 0, last = 0;
        cleanup_file FILE *f = NULL;
        if (setting == NULL || sscanf(setting, "%u-%u", &first, &last) != 2) {
                f = fopen(kernel, "re");
                if (f == NULL || fscanf(f, "%u %u", &first, &last) != 2) {
                        first = 49153;
                        last = 65535;
                }
        }
        *r = (struct port_range){(uint16_t)first, (uint16_t)last, (uint16_t)first};
}

/* How many ports from first on are free, up to count. */
static unsigned free_run(uint16_t first, unsigned count, bool (*is_free)(void *arg, uint16_t port),
                         void *arg)
{
        unsigned n = 0;
        while (n < count && is_free(arg, (uint16_t)(first + n)))
                n++;
        return n;
}

uint16_t port_range_take(struct port_range *r, unsigned count,
                         bool (*is_free)(void *arg, uint16_t port), void *arg)
{
        unsigned size = (unsigned)r->last - r->first + 1, seen = 0;
        unsigned at = r->next;
        if (count == 0 || count > size)
                return 0;
        /* once round; a run that began before the cursor is found when it is passed again */
        while (seen < size + count) {
                if (at + count - 1 > r->last) {
                        seen += r->last - at + 1;
                        at = r->first;
                        continue;
                }
                unsigned n = free_run((uint16_t)at, count, is_free, arg);
                if (n == count) {
                        unsigned end = at + count;
                        r->next = end > r->last ? r->first : (uint16_t)end;
                        return (uint16_t)at;
                }
                seen += n + 1;
                at += n + 1;
                if (at > r->last)
                        at = r->first;
        }
        return 0;
}

static int try_port(int family, uint16_t port, bool udp)
{
        const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
        const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        const struct sockaddr *a = family == AF_INET6 ? (const struct sockaddr *)&v6
                                                      : (const struct sockaddr *)&v4;
        const int on = 1, off = 0;
        cleanup_fd int fd = socket(family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        /* a connection in TIME_WAIT does not keep a listener from the port */
        if (!udp)
                (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (family == AF_INET6)
                (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        if (bind(fd, a, family == AF_INET6 ? sizeof v6 : sizeof v4) != 0 ||
            (!udp && listen(fd, 1) != 0))
                return -errno;
        return 0;
}

bool port_is_free(uint16_t port, bool udp)
{
        /* one socket for both families; hosts without IPv6 have only the other */
        int r = try_port(AF_INET6, port, udp);
        if (r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL)
                r = try_port(AF_INET, port, udp);
        return r == 0;
}
