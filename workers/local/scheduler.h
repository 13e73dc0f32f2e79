/* scheduler: keeps services at their desired count, replaces their tasks in a rolling way, watches
 * deployments, and forgets what ECS forgets. It has no state of its own: each turn looks at the
 * services and tasks as they are stored, so it goes on after a kill as if nothing had happened. */
#pragma once

struct local;
struct scheduler;

struct scheduler *scheduler_new(struct local *l);
/* Ends the timer; frees in the loop's next turn. NULL is fine. */
void scheduler_close(struct scheduler *s);
/* Something changed: a turn follows soon. */
void scheduler_wake(struct local *l);
