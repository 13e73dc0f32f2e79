/* ports: host ports the agent chooses. Source: engine.md 3.6. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct port_range {
        uint16_t first, last, next;  /* next: where the search goes on */
};
#define PORT_RANGE_KERNEL "/proc/sys/net/ipv4/ip_local_port_range"
/* From ECS_DYNAMIC_HOST_PORT_RANGE's value, else the range in the file kernel, else 49153–65535. */
void port_range_init(struct port_range *r, const char *setting, const char *kernel);
/* The first of the next count neighbours that is_free says yes to; wraps once. 0 when there are
 * none. */
uint16_t port_range_take(struct port_range *r, unsigned count,
                         bool (*is_free)(void *arg, uint16_t port), void *arg);
/* True when nothing on this host listens there, on IPv4 or IPv6: found by listening. */
bool port_is_free(uint16_t port, bool udp);
