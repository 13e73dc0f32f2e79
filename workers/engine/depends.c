/* depends: which container waits for which, and when there is no hope. Conditions come from
 * dependsOn; a link is START, a volumesFrom CREATE. Source: engine.md 7. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "mem.h"

enum condition { NEEDS_CREATE, NEEDS_START, NEEDS_COMPLETE, NEEDS_SUCCESS, NEEDS_HEALTHY };

static const struct {
        const char *name; /* in the task definition */
        const char *word; /* "waits until X is …" */
} conditions[] = {
        [NEEDS_CREATE] = {"CREATE",   "created"      },
          [NEEDS_START] = {"START",    "started"      },
        [NEEDS_COMPLETE] = {"COMPLETE", "finished"     },
          [NEEDS_SUCCESS] = {"SUCCESS",  "finished well"},
        [NEEDS_HEALTHY] = {"HEALTHY",  "healthy"      },
};

static int condition_from_name(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(conditions); i++)
                if (strcmp(conditions[i].name, name) == 0)
                        return (int)i;
        return -1;
}

static bool has_exited(const struct container *d)
{
        return d->known == S_STOPPED && d->facts->exit_code != NULL;
}

static bool is_healthy(const struct container *d)
{
        return d->facts->health != NULL && strcmp(d->facts->health->status, "HEALTHY") == 0;
}

static bool has_run(const struct container *d)
{
        return d->known == S_RUNNING || *d->facts->started_at != '\0' || has_exited(d);
}

static bool is_met(const struct container *d, enum condition condition)
{
        switch (condition) {
        case NEEDS_CREATE:
                return d->known >= S_CREATED;
        case NEEDS_START:
                return d->known >= S_RUNNING;
        case NEEDS_COMPLETE:
                return has_exited(d);
        case NEEDS_SUCCESS:
                return has_exited(d) && d->facts->exit_code->value == 0;
        case NEEDS_HEALTHY:
                return is_healthy(d);
        }
        return false;
}

/* How the condition can never be met any more; NULL while there is hope. The first two sentences
 * are those users know; the official agent waits for ever in the other cases. */
static const char *no_hope(const struct container *d, enum condition condition)
{
        if (d->known != S_STOPPED)
                return NULL;
        if (condition == NEEDS_SUCCESS && (!has_exited(d) || d->facts->exit_code->value != 0))
                return "as dependency did not exit successfully.";
        if (condition == NEEDS_CREATE ? *d->facts->docker_id == '\0' : !has_run(d))
                return "because dependency will never start";
        if (condition == NEEDS_COMPLETE && !has_exited(d))
                return "because dependency stopped without an exit code";
        if (condition == NEEDS_HEALTHY && !is_healthy(d))
                return "because dependency stopped before it was healthy";
        return NULL;
}

/* When d's startTimeout ends waiting for the condition; 0 = never. It counts from d's start, and
 * applies to what takes time after it. */
static int64_t start_deadline(const struct container *d, enum condition condition)
{
        int64_t started_ms;
        if (d->spec->start_timeout_s == 0 || d->known != S_RUNNING || condition < NEEDS_COMPLETE ||
            is_met(d, condition) || clock_parse(d->facts->started_at, &started_ms) != 0)
                return 0;
        return started_ms + (int64_t)clock_wait_ms((uint64_t)d->spec->start_timeout_s * 1000);
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

/* ---- what is waited for ---- */

struct look {
        const struct container *target;
        const struct container *found;
        int condition;
        const char *why;
        bool timed_out;
        int64_t now_ms, deadline_ms;
};

static bool stop_at_unmet(void *arg, const char *name, int condition)
{
        struct look *l = arg;
        const struct container *d = task_find_container(l->target->task, name);
        if (d == NULL || condition < 0 || is_met(d, (enum condition)condition))
                return true;
        l->found = d;
        l->condition = condition;
        return false;
}

const struct container *container_waits_for(const struct container *c, const char **ret_word)
{
        struct look l = {.target = c};
        if (each_dependency(c, stop_at_unmet, &l))
                return NULL;
        *ret_word = conditions[l.condition].word;
        return l.found;
}

static bool stop_at_hopeless(void *arg, const char *name, int condition)
{
        struct look *l = arg;
        const struct container *d = task_find_container(l->target->task, name);
        if (d == NULL || condition < 0)
                return true;
        int64_t deadline_ms = start_deadline(d, (enum condition)condition);
        l->found = d;
        l->why = no_hope(d, (enum condition)condition);
        l->timed_out = l->target->known < S_CREATED && deadline_ms > 0 && deadline_ms <= l->now_ms;
        return l->why == NULL && !l->timed_out;
}

/* "name(image) (KNOWN->DESIRED) - Exit: N" */
static void print_container(struct buf *b, const struct container *c)
{
        buf_printf(b, "%s(%s) (%s->%s)", c->spec->name, c->spec->image, status_name(c->known),
                   status_name(c->desired));
        if (c->facts->exit_code != NULL)
                buf_printf(b, " - Exit: %d", c->facts->exit_code->value);
}

char *container_hopeless(const struct container *c, int64_t now_ms)
{
        struct look l = {.target = c, .now_ms = now_ms};
        struct buf b = {0};
        if (c->known >= S_RUNNING || c->desired == S_STOPPED ||
            each_dependency(c, stop_at_hopeless, &l))
                return NULL;
        buf_printf(&b, "CannotStartContainerError: dependency graph: %scontainer ordering "
                       "dependency [", l.timed_out ? "" : "failed to resolve ");
        print_container(&b, l.found);
        buf_printf(&b, "] for target [");
        print_container(&b, c);
        buf_printf(&b, "] %s", l.timed_out ? "has timed out." : l.why);
        return buf_steal(&b);
}

static bool earliest_deadline(void *arg, const char *name, int condition)
{
        struct look *l = arg;
        const struct container *d = task_find_container(l->target->task, name);
        int64_t at = d != NULL && condition >= 0 ? start_deadline(d, (enum condition)condition) : 0;
        if (at > 0 && (l->deadline_ms == 0 || at < l->deadline_ms))
                l->deadline_ms = at;
        return true;
}

int64_t task_start_deadline(const struct task *t)
{
        struct look l = {0};
        for (size_t i = 0; i < t->container_count; i++) {
                l.target = &t->containers[i];
                /* one with a step under way is looked at when that ends */
                if (l.target->known < S_CREATED && l.target->desired != S_STOPPED &&
                    l.target->step == STEP_NONE)
                        (void)each_dependency(l.target, earliest_deadline, &l);
        }
        return l.deadline_ms;
}

/* ---- who waits for me ---- */

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

bool container_has_dependents(const struct container *c)
{
        for (size_t i = 0; i < c->task->container_count; i++) {
                const struct container *other = &c->task->containers[i];
                struct reverse r = {.name = c->spec->name};
                if (other == c || other->known == S_STOPPED || other->desired != S_STOPPED)
                        continue;
                (void)each_dependency(other, is_named, &r);
                if (r.found)
                        return true;
        }
        return false;
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
                a->ready = a->taken[i] &&
                           (condition != NEEDS_HEALTHY || *d->spec->health_check_type != '\0');
        }
        return a->ready;
}

char *task_check_dependencies(const struct task *t)
{
        bool *taken = mem_zalloc(t->container_count + 1);
        size_t count = 0, before;
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
        free(taken);
        if (count == t->container_count)
                return NULL;
        return mem_printf("Task dependencies cannot be resolved, taskArn: %s", t->spec->arn);
}
