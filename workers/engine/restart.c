/* restart: containers with a restart policy are started again in place, and nobody but the metadata
 * and statistics readers hears of it. A restart is noted with the end of the run that caused it
 * before Docker is asked: after a crash the same end is found noted and is not counted twice, while
 * another one means that the container has been started since. Source: engine.md section 8. */
#include "model.h"

#include <string.h>

#include "clock.h"
#include "mem.h"

static bool is_ignored(const Ecs__RestartPolicy *p, int exit_code)
{
        for (size_t i = 0; i < p->n_ignored_exit_codes; i++)
                if (p->ignored_exit_codes[i] == exit_code)
                        return true;
        return false;
}

/* Since the last restart, else the first start, for as long as the policy asks? It counts how long
 * the container ran: what passes until its end is seen, as while the engine is away, does not. */
static bool ran_long_enough(const struct container *c, int64_t finished_ms)
{
        uint64_t period_ms = (uint64_t)c->spec->restart_policy->restart_attempt_period_s * 1000;
        int64_t since_ms = c->facts->last_restart_ms;
        if (since_ms == 0 && clock_parse(c->facts->started_at, &since_ms) != 0)
                return period_ms == 0;
        return finished_ms - since_ms >= (int64_t)clock_wait_ms(period_ms);
}

static void count(Ecs__ContainerFacts *f)
{
        if (f->restart_count == NULL) {
                f->restart_count = mem_alloc(sizeof *f->restart_count);
                ecs__optional_int__init(f->restart_count);
        }
        f->restart_count->value++;
}

bool container_restarts(struct container *c, int exit_code, const char *finished_at, int64_t now_ms)
{
        const Ecs__RestartPolicy *p = c->spec->restart_policy;
        Ecs__ContainerFacts *f = c->facts;
        int64_t finished_ms;
        if (p == NULL || !p->enabled || c->known == S_STOPPED || c->desired == S_STOPPED)
                return false;
        if (container_is_restarting(c) && strcmp(f->restarting_since, finished_at) == 0)
                return true;
        container_restart_over(c);
        if (clock_parse(finished_at, &finished_ms) != 0 || is_ignored(p, exit_code) ||
            !ran_long_enough(c, finished_ms))
                return false;
        text_set(&f->restarting_since, finished_at);
        f->last_restart_ms = now_ms;
        count(f);
        c->task->dirty = true;
        return true;
}

bool container_is_restarting(const struct container *c)
{
        return *c->facts->restarting_since != '\0';
}

void container_restart_over(struct container *c)
{
        if (!container_is_restarting(c))
                return;
        text_set(&c->facts->restarting_since, NULL);
        c->task->dirty = true;
}
