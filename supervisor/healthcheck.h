/* healthcheck: is the agent up? For 'ecs-supervisor -healthcheck'. Source: host.md 1.5. */
#pragma once

struct supervisor_options;

/* HEAD /v1/metadata on the introspection port of ECS_AGENT_HEALTHCHECK_HOST. 0 for any HTTP answer
 * within 25 s, else 1 and a sentence on standard error. */
int healthcheck(const struct supervisor_options *o);
