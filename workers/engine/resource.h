/* resource: what a task needs besides its containers, made before the first of them and removed at
 * its clean-up. Every name follows from the task, so that making a resource again after a crash
 * finds the one that is there. No I/O. Source: engine.md 9, 14. */
#pragma once

#include <jansson.h>

#include "model.h"

enum resource_kind { RESOURCE_CGROUP, RESOURCE_VOLUME };
enum resource_state { RESOURCE_NONE, RESOURCE_CREATED, RESOURCE_REMOVED };

struct resource {
        enum resource_kind kind;
        enum resource_state state;
        const Ecs__VolumeSpec *volume; /* of a volume; borrowed from the definition */
        char *name;                    /* Docker's, of the volume; of the control group */
};

/* Lists what the task needs, once; later calls do nothing. */
void resource_plan(struct task *t);
void resource_clear(struct task *t);
/* The first one to make, NULL when there is none. */
struct resource *resource_next(struct task *t);
/* The reason why the task's resources can never be made, else NULL. Owned. */
char *resource_check(const struct task *t);
/* "resource cannot be initialized for task …: " before what is printed. Owned. */
char *resource_reason(const struct task *t, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Shared volumes outlive the tasks that use them. */
bool resource_volume_is_shared(const Ecs__VolumeSpec *v);
/* What a mount point of this name is bound to: a path of the host or a volume of Docker's. NULL
 * when the task has no such volume. Owned. */
char *resource_bind_source(const struct task *t, const char *volume);
/* Labels and options of a volume (Docker's inspect) are those of the definition; NULL and empty are
 * one. */
bool resource_volume_matches(const Ecs__VolumeSpec *v, const json_t *inspect);
