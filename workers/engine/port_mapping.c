/* port_mapping: the choice lands in facts->ports, one entry a port; what Docker tells after the
 * start replaces it, and adds the addresses. */
#include "port_mapping.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

#define PREFIX "HostConfigError: error retrieving docker port map: "

bool port_mapping_range(const char *text, unsigned *ret_first, unsigned *ret_last)
{
        unsigned first, last;
        char rest;
        if (!isdigit((unsigned char)*text) || sscanf(text, "%5u-%5u%c", &first, &last, &rest) != 2)
                return false;
        if (first == 0 || first > last || last > 65535)
                return false;
        *ret_first = first;
        *ret_last = last;
        return true;
}

/* The container's ports of a mapping: one, or those of the range. */
static void ports_of(const Ecs__PortMapping *m, unsigned *ret_first, unsigned *ret_last)
{
        *ret_first = *ret_last = m->container_port;
        (void)port_mapping_range(m->container_port_range, ret_first, ret_last);
}

const Ecs__PortMapping *port_mapping_find(const struct container *c, unsigned port,
                                          const char *protocol)
{
        for (size_t i = 0; i < c->spec->n_port_mappings; i++) {
                const Ecs__PortMapping *m = c->spec->port_mappings[i];
                unsigned first, last;
                ports_of(m, &first, &last);
                if (port >= first && port <= last && strcmp(m->protocol, protocol) == 0)
                        return m;
        }
        return NULL;
}

bool port_mapping_is_open(const struct container *c)
{
        static const char *const without[] = {"host", "none", "awsvpc"};
        for (size_t i = 0; i < ARRAY_SIZE(without); i++)
                if (strcmp(c->task->spec->network_mode, without[i]) == 0)
                        return false;
        return c->facts->n_ports == 0 && c->spec->n_port_mappings > 0;
}

/* ---- choosing ---- */

struct question {
        port_mapping_fn is_free;
        void *arg;
        const char *protocol;
};

static bool ask(void *arg, uint16_t port)
{
        const struct question *q = arg;
        return q->is_free(q->arg, q->protocol, port);
}

static char *choose_one(struct container *c, struct port_range *range, const Ecs__PortMapping *m,
                        struct question *q)
{
        unsigned first = m->container_port, last = first;
        if (*m->container_port_range != '\0' &&
            !port_mapping_range(m->container_port_range, &first, &last))
                return mem_printf(PREFIX "'%s' is no range of ports", m->container_port_range);
        uint32_t host = m->host_port;
        if (host == 0 || *m->container_port_range != '\0')
                host = port_range_take(range, last - first + 1, ask, q);
        if (host == 0 && *m->container_port_range == '\0')
                return mem_strdup(PREFIX "a host port is unavailable");
        if (host == 0)
                return mem_printf(PREFIX "%u contiguous host ports are unavailable",
                                  last - first + 1);
        for (unsigned i = 0; i <= last - first; i++)
                port_mapping_add(c->facts, first + i, m->protocol, host + i, "");
        return NULL;
}

char *port_mapping_choose(struct container *c, struct port_range *range, port_mapping_fn is_free,
                          void *arg)
{
        for (size_t i = 0; i < c->spec->n_port_mappings; i++) {
                const Ecs__PortMapping *m = c->spec->port_mappings[i];
                struct question q = {is_free, arg, m->protocol};
                char *reason = choose_one(c, range, m, &q);
                if (reason != NULL) {
                        port_mapping_clear(c->facts);
                        return reason;
                }
        }
        c->task->dirty = true;
        return NULL;
}

/* ":PORT" with no digit behind it. */
static bool names_port(const char *message, unsigned port)
{
        char word[16];
        int n = snprintf(word, sizeof word, ":%u", port);
        for (const char *p = strstr(message, word); p != NULL; p = strstr(p + 1, word))
                if (!isdigit((unsigned char)p[n]))
                        return true;
        return false;
}

bool port_mapping_clashes(const struct container *c, const char *message)
{
        if (strstr(message, "port is already allocated") == NULL &&
            strstr(message, "address already in use") == NULL)
                return false;
        for (size_t i = 0; i < c->facts->n_ports; i++) {
                const Ecs__PublishedPort *p = c->facts->ports[i];
                const Ecs__PortMapping *m = port_mapping_find(c, p->container_port, p->protocol);
                bool fixed = m != NULL && m->host_port != 0 && *m->container_port_range == '\0';
                if (!fixed && names_port(message, p->host_port))
                        return true;
        }
        return false;
}

void port_mapping_clear(Ecs__ContainerFacts *f)
{
        for (size_t i = 0; i < f->n_ports; i++)
                ecs__published_port__free_unpacked(f->ports[i], NULL);
        free(f->ports);
        f->ports = NULL;
        f->n_ports = 0;
}

void port_mapping_add(Ecs__ContainerFacts *f, unsigned container_port, const char *protocol,
                      unsigned host_port, const char *ip)
{
        Ecs__PublishedPort *p = mem_alloc(sizeof *p);
        ecs__published_port__init(p);
        p->container_port = container_port;
        p->protocol = mem_strdup(protocol);
        p->host_port = host_port;
        p->host_ip = mem_strdup(ip);
        f->ports = mem_realloc_array(f->ports, f->n_ports + 1, sizeof *f->ports);
        f->ports[f->n_ports++] = p;
}

/* ---- reporting ---- */

static Ecs__NetworkBinding *binding(const Ecs__PublishedPort *p, const Ecs__PortMapping *m)
{
        unsigned first, last;
        Ecs__NetworkBinding *b = mem_alloc(sizeof *b);
        ecs__network_binding__init(b);
        b->bind_ip = mem_strdup(p->host_ip);
        b->protocol = mem_strdup(p->protocol);
        if (m != NULL && port_mapping_range(m->container_port_range, &first, &last)) {
                b->container_port_range = mem_strdup(m->container_port_range);
                b->host_port_range = mem_printf("%u-%u", p->host_port, p->host_port + last - first);
        } else {
                b->container_port = p->container_port;
                b->host_port = p->host_port;
        }
        return b;
}

Ecs__NetworkBinding **port_mapping_bindings(const struct container *c, size_t *ret_count)
{
        const Ecs__ContainerFacts *f = c->facts;
        Ecs__NetworkBinding **list = mem_zalloc((f->n_ports + 1) * sizeof *list);
        size_t n = 0;
        for (size_t i = 0; i < f->n_ports; i++) {
                const Ecs__PublishedPort *p = f->ports[i];
                const Ecs__PortMapping *m = port_mapping_find(c, p->container_port, p->protocol);
                unsigned first = p->container_port, last;
                if (m != NULL)
                        ports_of(m, &first, &last);
                /* the first port of a range speaks for all */
                if (p->container_port == first)
                        list[n++] = binding(p, m);
        }
        *ret_count = n;
        return list;
}
