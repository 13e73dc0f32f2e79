/* sweep: some time after a task has stopped, and once ECS has accepted that, its containers and
 * volumes go, then the task is forgotten. What Docker fails to remove is tried again. One task at a
 * time, so that a burst of old tasks does not load the host. Source: engine.md 11. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "engine.h"
#include "mem.h"
#include "resource.h"
#include "task_db.h"

#define REMOVE_MS     300000
#define RETRY_MS      30000
#define TRIES_MAX     20  /* then what Docker cannot remove is left behind, and said so */

struct sweep_run {
        struct engine *engine;
        char *arn;
        size_t container, resource;
        bool failed;  /* something is still there */
};

static void next(struct sweep_run *s);

static void note_failure(struct sweep_run *s, const char *reason)
{
        log_warn(s->engine->log, "clean-up: something could not be removed", LOG_TASK(s->arn),
                 LOG_STR("reason", reason));
        s->failed = true;
}

static void on_removed(void *arg, const struct docker_answer *a)
{
        struct sweep_run *s = arg;
        if (a->error != 0 || (a->status >= 400 && a->status != 404))
                note_failure(s, a->text);
        next(s);
}

static void on_resource_removed(void *arg, const char *error)
{
        struct sweep_run *s = arg;
        if (error != NULL)
                note_failure(s, error);
        next(s);
}

static void forget(struct sweep_run *s, struct task *t)
{
        struct engine *e = s->engine;
        int64_t sequence;
        if (state_db_begin(e->db) == 0 && task_db_delete(e->db, t->spec->arn, &sequence) == 0 &&
            state_db_commit(e->db) == 0) {
                struct task **at = &e->tasks;
                while (*at != t)
                        at = &(*at)->next;
                *at = t->next;
                for (size_t i = 0; i < t->container_count; i++)
                        images_used(&e->images, t->containers[i].facts->image_id, clock_wall_ms());
                e->touched = true;
                log_info(&t->log, "task is cleaned up");
                task_free(t);
                engine_announce(e);
        } else {
                state_db_rollback(e->db);
                log_error(&t->log, "clean-up cannot be stored, trying again",
                          LOG_STR("reason", state_db_error(e->db)));
                t->sweep_at_ms = clock_wall_ms() + (int64_t)clock_wait_ms(RETRY_MS);
        }
}

static void end(struct sweep_run *s)
{
        s->engine->sweeping = false;
        free(s->arn);
        free(s);
}

static void next(struct sweep_run *s)
{
        struct engine *e = s->engine;
        struct task *t = engine_find_task(e, s->arn);
        if (e->stopping) {
                /* calls end because the client closes: nothing has been removed */
                end(s);
                return;
        }
        while (t != NULL && s->container < t->container_count) {
                const struct container *c = &t->containers[s->container++];
                /* one whose create was not heard of any more has its name alone */
                cleanup_free char *id = docker_escape(
                        *c->facts->docker_id != '\0' ? c->facts->docker_id : c->facts->docker_name);
                cleanup_free char *path = mem_printf("/containers/%s?v=1", id);
                docker_call(e->docker, "DELETE", path, NULL, REMOVE_MS, on_removed, s);
                return;
        }
        if (t != NULL)
                resource_plan(t);
        if (t != NULL && s->resource < t->resource_count) {
                resource_remove(e, t, &t->resources[s->resource++], on_resource_removed, s);
                return;
        }
        if (t != NULL && s->failed && ++t->sweep_tries < TRIES_MAX)
                t->sweep_at_ms = clock_wall_ms() + (int64_t)clock_wait_ms(RETRY_MS);
        else if (t != NULL)
                forget(s, t);
        end(s);
        engine_wake(e);
}

uint64_t sweep(struct engine *e)
{
        uint64_t soonest = 0;
        int64_t now = clock_wall_ms();
        int64_t wait = (int64_t)clock_wait_ms((uint64_t)config_int(
                e->config, "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", 10800000));
        for (struct task *t = e->tasks; t != NULL; t = t->next) {
                if (t->stopped_ms == 0)
                        continue;
                int64_t left = t->stopped_ms + wait - now;
                if (t->sweep_at_ms - now > left)
                        left = t->sweep_at_ms - now;
                if (left <= 0 && task_db_has_unsent(e->db, t->spec->arn))
                        left = (int64_t)clock_wait_ms(RETRY_MS);
                if (left <= 0 && !e->sweeping && !t->resource_busy && docker_is_up(e->docker)) {
                        struct sweep_run *s = mem_zalloc(sizeof *s);
                        *s = (struct sweep_run){.engine = e, .arn = mem_strdup(t->spec->arn)};
                        e->sweeping = true;
                        next(s);
                        return soonest > 0 ? soonest : 1000;
                }
                if (left <= 0)
                        left = 1000;
                if (soonest == 0 || (uint64_t)left < soonest)
                        soonest = (uint64_t)left;
        }
        return soonest;
}
