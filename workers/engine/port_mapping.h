/* port_mapping: which host ports a container gets, and how they are reported. Source: engine.md
 * 3.6, 16. */
#pragma once

#include "model.h"
#include "ports.h"

/* "a-b" with 1 ≤ a ≤ b ≤ 65535; false for anything else, outputs untouched. */
bool port_mapping_range(const char *text, unsigned *ret_first, unsigned *ret_last);
/* The mapping a container port belongs to, alone or as part of a range; NULL when to none. */
const Ecs__PortMapping *port_mapping_find(const struct container *c, unsigned port,
                                          const char *protocol);
/* False once the ports are chosen, and where there is nothing to choose: without mappings, and in
 * networks that have no port of the host. */
bool port_mapping_is_open(const struct container *c);

/* Asked about one port; true when it may be used. */
typedef bool (*port_mapping_fn)(void *arg, const char *protocol, uint16_t port);
/* Chooses all of them into facts->ports. Returns NULL, or the reason why it cannot (owned). */
char *port_mapping_choose(struct container *c, struct port_range *range, port_mapping_fn is_free,
                          void *arg);
/* True when Docker's message says that a port the agent has chosen is in use. */
bool port_mapping_clashes(const struct container *c, const char *message);
/* Forgets the choice. */
void port_mapping_clear(Ecs__ContainerFacts *f);
void port_mapping_add(Ecs__ContainerFacts *f, unsigned container_port, const char *protocol,
                      unsigned host_port, const char *ip);

/* As ECS is told: a range is one binding per address. Owned; *ret_count entries. */
Ecs__NetworkBinding **port_mapping_bindings(const struct container *c, size_t *ret_count);
