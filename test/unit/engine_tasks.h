/* engine_tasks: task definitions for the engine's unit tests. */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "model.h"

#define TEST_ARN "arn:aws:ecs:r:1:task/c/0123"

static inline Ecs__ContainerSpec *make_container(const char *name, bool essential)
{
        Ecs__ContainerSpec *c = mem_alloc(sizeof *c);
        ecs__container_spec__init(c);
        c->name = mem_strdup(name);
        c->image = mem_strdup("img:1");
        c->essential = essential;
        return c;
}

static inline void make_dependency(Ecs__ContainerSpec *c, const char *on, const char *condition)
{
        Ecs__DependsOn *d = mem_alloc(sizeof *d);
        ecs__depends_on__init(d);
        d->container_name = mem_strdup(on);
        d->condition = mem_strdup(condition);
        c->depends_on = mem_realloc_array(c->depends_on, c->n_depends_on + 1, sizeof d);
        c->depends_on[c->n_depends_on++] = d;
}

/* Exit code 3 ends the container for good when ignores_3. */
static inline void make_restart_policy(Ecs__ContainerSpec *c, unsigned period_s, bool ignores_3)
{
        Ecs__RestartPolicy *p = mem_alloc(sizeof *p);
        ecs__restart_policy__init(p);
        p->enabled = true;
        p->restart_attempt_period_s = period_s;
        p->ignored_exit_codes = mem_zalloc(sizeof *p->ignored_exit_codes);
        p->ignored_exit_codes[0] = 3;
        p->n_ignored_exit_codes = ignores_3;
        c->restart_policy = p;
}

/* Containers a, b, c, … Returns owned. */
static inline Ecs__TaskSpec *make_spec(size_t count, const bool *essential)
{
        Ecs__TaskSpec *s = mem_alloc(sizeof *s);
        ecs__task_spec__init(s);
        s->arn = mem_strdup(TEST_ARN);
        s->family = mem_strdup("fam");
        s->version = mem_strdup("3");
        s->desired_status = ECS__DESIRED_STATUS__DESIRED_RUNNING;
        s->containers = mem_zalloc((count + 1) * sizeof *s->containers);
        for (size_t i = 0; i < count; i++) {
                const char name[2] = {(char)('a' + i), '\0'};
                s->containers[s->n_containers++] = make_container(name, essential[i]);
        }
        return s;
}

static inline struct task *make_task(size_t count, const bool *essential)
{
        return task_new(make_spec(count, essential), 1000, NULL);
}
