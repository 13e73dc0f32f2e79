/* sweep: forgets what ECS forgets: an hour after they ended, tasks; an hour after they went,
 * clusters, container instances and services; deleted task definitions that nothing uses. */
#pragma once

struct local;

/* Called in a transaction. */
void sweep_objects(struct local *l);
