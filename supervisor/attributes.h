/* attributes: what this instance would offer to ECS, for 'ecs-supervisor -ecs-attributes'. */
#pragma once

struct supervisor_options;

/* Runs ecs-attributes without privilege but with access to Docker's socket. Exit code: 0, or 1
 * after a sentence on standard error. Source: host.md 1.5. */
int attributes_print(const struct supervisor_options *o);
