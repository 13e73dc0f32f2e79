/* cgroup_v1: the control group of a task in the hierarchies of version 1. Called in a child of the
 * supervisor that may take its time. Source: engine.md 9. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct error;

/* 0 = no limit of this kind. */
struct cgroup_limits {
        int64_t cpu_quota_us, cpu_period_us;
        int64_t cpu_shares;
        int64_t memory_bytes;
        int64_t pids;
};

/* Letters, digits and dashes, 1 to 64 of them: a task's id. */
bool cgroup_id_is_valid(const char *id);
/* 0 when root has what task limits need: hierarchies for cpu and memory. */
int cgroup_v1_check(const char *root, struct error *err);
/* Makes ecs/ID below every hierarchy of root, and writes the limits; what is there is used, its
 * limits are written anew. 0 or negative errno. */
int cgroup_v1_create(const char *root, const char *id, const struct cgroup_limits *l,
                     struct error *err);
/* Removes it; what is gone already is fine. -EBUSY while something runs in it. */
int cgroup_v1_remove(const char *root, const char *id, struct error *err);
