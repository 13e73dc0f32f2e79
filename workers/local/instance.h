/* instance: a container instance beyond what its agent registered: what remains of it, and its
 * attributes with those users put. Remaining resources are counted from the tasks each time, so
 * they cannot drift. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct local;

/* By ARN or id in the cluster, whatever its status; NULL when there is none. */
json_t *instance_find(struct local *l, const json_t *cluster, const char *name);
/* An array of {name, value}. Owned. */
json_t *instance_attributes(const json_t *instance);
/* The value of an attribute ("" when it has none), or NULL. Borrowed. */
const char *instance_attribute(const json_t *instance, const char *name);
/* registeredResources less what its tasks take. Owned. */
json_t *instance_remaining(struct local *l, const json_t *instance);
/* As DescribeContainerInstances has it. Owned. */
json_t *instance_shown(struct local *l, const json_t *instance, bool tags);
/* Tasks of an owner (cluster, instance or service) in that state: "RUNNING", "PENDING". */
json_int_t count_tasks(struct local *l, const char *owner_arn, const char *last_status);
