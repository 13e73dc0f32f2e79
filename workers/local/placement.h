/* placement: which container instance a task goes to: active, connected, with room for cpu, memory
 * and host ports, with the attributes the definition requires, within the constraints; of those the
 * one the strategy likes best. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct answer;
struct local;

struct placement {
        const json_t *cluster, *definition;
        const json_t *taken;       /* placement_taken of the definition and overrides */
        const json_t *constraints; /* beside the definition's own; may be NULL */
        const json_t *strategy;    /* may be NULL: spread over instances */
        const char *group;         /* of the task, for distinctInstance and spread */
};

/* What a task takes of its instance: {cpu, memory (MiB), tcp: [ports], udp: [ports]}. Owned. */
json_t *placement_taken(const json_t *definition, const json_t *overrides);

/* Why the task cannot go to this instance (an ECS failure reason), or NULL. *ret_detail: NULL or an
 * owned sentence. */
const char *placement_misfit(struct local *l, const struct placement *p, const json_t *instance,
                             char **ret_detail);
/* The best instance, borrowed, or NULL with a row in failures for every instance that was looked
 * at. failures may be NULL. */
json_t *placement_find(struct local *l, const struct placement *p, json_t *failures);
/* Constraints and strategy of a request are well formed. */
bool placement_check(const json_t *q, struct answer *a);
/* One constraint list alone. */
bool placement_check_constraints(const json_t *constraints, struct answer *a);
/* Whether the filter of ListContainerInstances holds; -EINVAL with a sentence. */
int placement_filter(struct local *l, const json_t *instance, const char *filter, char **ret_error);
