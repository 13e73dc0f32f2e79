/* ports: a cursor over the range, so that successive tasks get rising ports. */
#include "ports.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "cleanup.h"

void port_range_init(struct port_range *r, const char *setting)
{
        unsigned first = 0, last = 0;
        cleanup_file FILE *f = NULL;
        if (setting == NULL || sscanf(setting, "%u-%u", &first, &last) != 2) {
                f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
                if (f == NULL || fscanf(f, "%u %u", &first, &last) != 2) {
                        first = 49153;
                        last = 65535;
                }
        }
        *r = (struct port_range){(uint16_t)first, (uint16_t)last, (uint16_t)first};
}

uint16_t port_range_take(struct port_range *r, bool (*is_free)(void *arg, uint16_t port), void *arg)
{
        unsigned count = (unsigned)r->last - r->first + 1;
        for (unsigned i = 0; i < count; i++) {
                uint16_t port = r->next;
                r->next = port >= r->last ? r->first : (uint16_t)(port + 1);
                if (is_free(arg, port))
                        return port;
        }
        return 0;
}

bool port_is_free(uint16_t port, bool udp)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
        cleanup_fd int fd = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
        return fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
}
