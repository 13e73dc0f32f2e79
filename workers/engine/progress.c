/* progress: what to do next, decided from the model alone. Source: engine.md 1.2 and 7. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

enum condition { NEEDS_CREATE, NEEDS_START, NEEDS_COMPLETE, NEEDS_SUCCESS, NEEDS_HEALTHY };

/* Is the condition on the dependency met? */
static bool is_met(const struct container *d, enum condition condition)
{
        bool exited = d->known == S_STOPPED && d->facts->exit_code != NULL;
        switch (condition) {
        case NEEDS_CREATE:
                return d->known >= S_CREATED;
        case NEEDS_START:
                return d->known >= S_RUNNING;
        case NEEDS_COMPLETE:
                return exited;
        case NEEDS_SUCCESS:
                return exited && d->facts->exit_code->value == 0;
        case NEEDS_HEALTHY:
                return d->facts->health != NULL &&
                       strcmp(d->facts->health->status, "HEALTHY") == 0;
        }
        return false;
}

static int condition_from_name(const char *name)
{
        static const char *const names[] = {"CREATE", "START", "COMPLETE", "SUCCESS", "HEALTHY"};
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strcmp(names[i], name) == 0)
                        return (int)i;
        return -1;
}

/* Visits every dependency of c, from dependsOn, links and volumesFrom. fn returns false to stop. */
static bool each_dependency(const struct container *c,
                            bool (*fn)(void *arg, const char *name, int condition), void *arg)
{
        const Ecs__ContainerSpec *s = c->spec;
        for (size_t i = 0; i < s->n_depends_on; i++)
                if (!fn(arg, s->depends_on[i]->container_name,
                        condition_from_name(s->depends_on[i]->condition)))
                        return false;
        for (size_t i = 0; i < s->n_links; i++) {
                cleanup_free char *name = mem_strndup(s->links[i], strcspn(s->links[i], ":"));
                if (!fn(arg, name, NEEDS_START))
                        return false;
        }
        for (size_t i = 0; i < s->n_volumes_from; i++)
                if (!fn(arg, s->volumes_from[i]->source_container, NEEDS_CREATE))
                        return false;
        return true;
}

struct look {
        const struct container *target;
        const struct container *unmet;  /* first one */
        int condition;
};

static bool look_at(void *arg, const char *name, int condition)
{
        struct look *l = arg;
        struct container *d = task_find_container(l->target->task, name);
        if (d == NULL || condition < 0 || is_met(d, (enum condition)condition))
                return true;
        l->unmet = d;
        l->condition = condition;
        return false;
}

struct reverse {
        const char *name;
        bool found;
};

static bool is_named(void *arg, const char *name, int condition)
{
        struct reverse *r = arg;
        (void)condition;
        r->found = r->found || strcmp(r->name, name) == 0;
        return !r->found;
}

/* A container stops only after all that depend on it. */
static bool has_running_dependents(const struct container *c)
{
        for (size_t i = 0; i < c->task->container_count; i++) {
                const struct container *other = &c->task->containers[i];
                struct reverse r = {.name = c->spec->name};
                if (other == c || other->known == S_STOPPED)
                        continue;
                (void)each_dependency(other, is_named, &r);
                if (r.found)
                        return true;
        }
        return false;
}

enum step container_next_step(const struct container *c, bool metadata_up)
{
        static const enum step forward[S_STATUSES] = {
                [S_NONE] = STEP_PULL,   [S_MANIFEST_PULLED] = STEP_PULL,
                [S_PULLED] = STEP_CREATE, [S_CREATED] = STEP_START,
                [S_RUNNING] = STEP_NONE, [S_STOPPED] = STEP_NONE,
        };
        struct look l = {.target = c};
        if (c->step != STEP_NONE || c->known == S_STOPPED)
                return STEP_NONE;
        if (c->desired == S_STOPPED)
                return has_running_dependents(c) ? STEP_NONE : STEP_STOP;
        if (!each_dependency(c, look_at, &l))
                return STEP_NONE;
        if (c->known == S_CREATED && !metadata_up && *c->task->spec->credentials_id != '\0')
                return STEP_NONE;
        return forward[c->known];
}

char *task_waiting_for(const struct task *t, bool metadata_up)
{
        static const char *const words[] = {"created", "started", "finished", "finished well",
                                            "healthy"};
        for (size_t i = 0; i < t->container_count; i++) {
                const struct container *c = &t->containers[i];
                struct look l = {.target = c};
                if (c->known >= S_RUNNING || c->desired == S_STOPPED)
                        continue;
                if (!each_dependency(c, look_at, &l))
                        return mem_printf("container %s waits until %s is %s", c->spec->name,
                                          l.unmet->spec->name, words[l.condition]);
                if (c->known == S_CREATED && !metadata_up && *t->spec->credentials_id != '\0')
                        return mem_strdup("the task has a role, and the metadata worker that "
                                          "serves its credentials is not running");
                if (c->step == STEP_PULL)
                        return mem_printf("container %s waits for its image %s", c->spec->name,
                                          c->spec->image);
        }
        return mem_strdup("");
}

/* ---- admission ---- */

struct admission {
        const struct task *task;
        const bool *taken;
        bool ready;
};

static bool is_taken(void *arg, const char *name, int condition)
{
        struct admission *a = arg;
        a->ready = false;
        if (condition < 0)
                return false;
        for (size_t i = 0; i < a->task->container_count; i++) {
                const struct container *d = &a->task->containers[i];
                if (strcmp(d->spec->name, name) != 0)
                        continue;
                a->ready = a->taken[i] && (condition != NEEDS_HEALTHY ||
                                           *d->spec->health_check_type != '\0');
        }
        return a->ready;
}

char *task_check_dependencies(const struct task *t)
{
        bool taken[256] = {false};
        size_t count = 0, before;
        if (t->container_count > ARRAY_SIZE(taken))
                return mem_strdup("too many containers");
        do {
                before = count;
                for (size_t i = 0; i < t->container_count; i++) {
                        struct admission a = {.task = t, .taken = taken, .ready = true};
                        if (taken[i])
                                continue;
                        taken[i] = each_dependency(&t->containers[i], is_taken, &a) && a.ready;
                        count += taken[i];
                }
        } while (count > before);
        if (count == t->container_count)
                return NULL;
        return mem_printf("Task dependencies cannot be resolved, taskArn: %s", t->spec->arn);
}
