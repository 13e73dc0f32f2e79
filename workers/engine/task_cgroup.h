/* task_cgroup: what the control group of a task limits. Arithmetic only. Source: engine.md 9. */
#pragma once

#include "control.pb-c.h"
#include "model.h"

/* CgroupParent of the task's containers: /ecs/ID. Owned. */
char *task_cgroup_parent(const char *arn);
/* Fills the limits into m, strings excepted. period_us: of the CPU quota; pids: 0 = no limit. */
void task_cgroup_limits(const struct task *t, int64_t period_us, int64_t pids, Ecs__TaskCgroup *m);
/* The reason when a container is larger than its task (E49), else NULL. Owned. */
char *task_cgroup_check(const struct task *t);
