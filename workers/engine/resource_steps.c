/* resource_steps: makes a task's resources, one at a time, before its first container is created;
 * removes them at its clean-up. Each call is harmless when it is repeated: after a crash all of
 * them are made again. What fails for good stops the task; an outage of Docker does not. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "duration.h"
#include "engine.h"
#include "mem.h"
#include "resource.h"
#include "task_cgroup.h"

#define VOLUME_MS 300000
#define CGROUP_MS 60000
#define RETRY_MS 500

struct resource_run {
        struct engine *engine;
        char *arn;
        size_t index;
        void (*removed)(void *arg, const char *error); /* of a removal */
        void *arg;
};

static struct resource_run *run_new(struct engine *e, struct task *t, const struct resource *r)
{
        struct resource_run *s = mem_zalloc(sizeof *s);
        *s = (struct resource_run){
                .engine = e, .arn = mem_strdup(t->spec->arn), .index = (size_t)(r - t->resources)};
        t->resource_busy = true;
        return s;
}

/* Ends the run. The resource it was for, or NULL when its task has gone. */
static struct resource *run_over(struct resource_run *s, struct task **ret_task)
{
        struct task *t = engine_find_task(s->engine, s->arn);
        struct resource *r = t != NULL ? &t->resources[s->index] : NULL;
        if (t != NULL)
                t->resource_busy = false;
        *ret_task = t;
        free(s->arn);
        free(s);
        return r;
}

static void run_made(struct resource_run *s)
{
        struct engine *e = s->engine;
        struct task *t;
        struct resource *r = run_over(s, &t);
        if (r == NULL)
                return;
        r->state = RESOURCE_CREATED;
        engine_progress(e, t);
}

static void run_failed(struct resource_run *s, const char *reason)
{
        struct engine *e = s->engine;
        struct task *t;
        if (run_over(s, &t) == NULL)
                return;
        log_error(&t->log, "a resource of the task cannot be made, it stops",
                  LOG_STR("reason", reason));
        task_want_stopped(t, reason);
        engine_commit(e, t);
}

/* Docker is away: no verdict. A container carries the time of the next try. */
static void run_again(struct resource_run *s)
{
        struct engine *e = s->engine;
        struct task *t;
        if (run_over(s, &t) == NULL || t->container_count == 0)
                return;
        t->containers[0].retry_at_ms = clock_now_ms() + clock_wait_ms(RETRY_MS);
        engine_wake(e);
}

/* error: NULL when it is gone. */
static void run_removed(struct resource_run *s, const char *error)
{
        struct task *t;
        void (*removed)(void *, const char *) = s->removed;
        void *arg = s->arg;
        struct resource *r = run_over(s, &t);
        if (r != NULL && error == NULL)
                r->state = RESOURCE_REMOVED;
        removed(arg, error);
}

static bool is_outage(const struct docker_answer *a)
{
        return a->status == 0 && a->error != -ETIMEDOUT;
}

static char *failure(const struct docker_answer *a, const char *word)
{
        char limit[DURATION_TEXT];
        if (a->error == -ETIMEDOUT)
                return mem_printf("DockerTimeoutError: Could not transition to %s; timed out after "
                                  "waiting %s",
                                  word, duration_format((int64_t)VOLUME_MS * 1000000, limit));
        return mem_printf("Error response from daemon: %s", a->text);
}

/* ---- volumes ---- */

static void on_volume_made(void *arg, const struct docker_answer *a)
{
        struct resource_run *s = arg;
        if (a->status == 201) {
                run_made(s);
        } else if (is_outage(a)) {
                run_again(s);
        } else {
                cleanup_free char *reason = failure(a, "creating volume");
                run_failed(s, reason);
        }
}

static json_t *object_of(Ecs__KeyValue *const *pairs, size_t count)
{
        json_t *o = json_object();
        for (size_t i = 0; i < count; i++)
                (void)json_object_set_new(o, pairs[i]->key, json_string(pairs[i]->value));
        return o;
}

static void make_volume(struct resource_run *s, const struct resource *r)
{
        const Ecs__VolumeSpec *v = r->volume;
        cleanup_json json_t *body =
                json_pack("{s:s, s:s, s:o, s:o}", "Name", r->name, "Driver",
                          *v->driver != '\0' ? v->driver : "local", "DriverOpts",
                          object_of(v->driver_opts, v->n_driver_opts), "Labels",
                          object_of(v->labels, v->n_labels));
        docker_call(s->engine->docker, "POST", "/volumes/create", body, VOLUME_MS, on_volume_made,
                    s);
}

/* A shared volume: there or not, and as it should be? Rows E44, E45, E46. */
static void on_shared_seen(void *arg, const struct docker_answer *a)
{
        struct resource_run *s = arg;
        struct task *t = engine_find_task(s->engine, s->arn);
        cleanup_free char *reason = NULL, *docker = failure(a, "inspecting volume");
        if (t == NULL || is_outage(a)) {
                run_again(s);
                return;
        }
        const struct resource *r = &t->resources[s->index];
        bool strict = config_bool(s->engine->config, "ECS_SHARED_VOLUME_MATCH_FULL_CONFIG", false);
        if (a->status != 200 && !r->volume->autoprovision)
                reason = resource_reason(t,
                                         "initialize volume: volume detection failed, volume '%s' "
                                         "does not exist and autoprovision is set to false: %s",
                                         r->name, docker);
        else if (a->status != 200 && a->status != 404)
                reason = resource_reason(t, "%s", docker);
        else if (a->status == 200 && r->volume->autoprovision && strict &&
                 !resource_volume_matches(r->volume, a->body))
                reason = resource_reason(t,
                                         "initialize volume: volume '%s' exists with labels or "
                                         "options that are not those of the task definition",
                                         r->name);
        if (reason != NULL)
                run_failed(s, reason);
        else if (a->status == 200)
                run_made(s);
        else
                make_volume(s, r);
}

static void start_volume(struct resource_run *s, const struct resource *r)
{
        if (!resource_volume_is_shared(r->volume)) {
                make_volume(s, r);
                return;
        }
        cleanup_free char *name = docker_escape(r->name);
        cleanup_free char *path = mem_printf("/volumes/%s", name);
        docker_call(s->engine->docker, "GET", path, NULL, VOLUME_MS, on_shared_seen, s);
}

static void on_volume_removed(void *arg, const struct docker_answer *a)
{
        run_removed(arg, a->status == 204 || a->status == 404 ? NULL : a->text);
}

static void remove_volume(struct resource_run *s, const struct resource *r)
{
        cleanup_free char *name = docker_escape(r->name);
        cleanup_free char *path = mem_printf("/volumes/%s", name);
        docker_call(s->engine->docker, "DELETE", path, NULL, VOLUME_MS, on_volume_removed, s);
}

/* ---- the control group ---- */

static int ask_cgroup(struct resource_run *s, bool remove, ipc_reply_fn done)
{
        struct engine *e = s->engine;
        const struct task *t = engine_find_task(e, s->arn);
        struct ipc_connection *supervisor = worker_supervisor(e->worker);
        Ecs__TaskCgroup m = ECS__TASK_CGROUP__INIT;
        Ecs__Envelope ask = IPC_ENVELOPE(TASK_CGROUP, task_cgroup, &m);
        m.task_id = (char *)task_id(s->arn);
        m.remove = remove;
        if (!remove)
                task_cgroup_limits(t, config_int(e->config, "ECS_CGROUP_CPU_PERIOD", 100) * 1000,
                                   config_int(e->config, "ECS_TASK_PIDS_LIMIT", 0), &m);
        return supervisor != NULL ? ipc_send_request(supervisor, &ask, CGROUP_MS, done, s)
                                  : -ENOTCONN;
}

static void on_cgroup_made(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct resource_run *s = arg;
        (void)fd;
        if (status == 0) {
                run_made(s);
                return;
        }
        log_error(s->engine->log, "the control group of the task cannot be made", LOG_TASK(s->arn),
                  LOG_STR("reason", reply != NULL && reply->error != NULL ? reply->error->text
                                                                          : strerror(-status)));
        run_failed(s, "CgroupError: Agent could not create task's platform resources");
}

static void make_cgroup(struct resource_run *s, const struct resource *r)
{
        (void)r;
        int error = ask_cgroup(s, false, on_cgroup_made);
        if (error != 0)
                on_cgroup_made(s, error, NULL, -1);
}

static void on_cgroup_removed(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        (void)fd;
        run_removed(arg, status == 0                             ? NULL
                         : reply != NULL && reply->error != NULL ? reply->error->text
                                                                 : strerror(-status));
}

static void remove_cgroup(struct resource_run *s, const struct resource *r)
{
        (void)r;
        int error = ask_cgroup(s, true, on_cgroup_removed);
        if (error != 0)
                on_cgroup_removed(s, error, NULL, -1);
}

/* ---- all kinds ---- */

static const struct {
        void (*make)(struct resource_run *s, const struct resource *r);
        void (*remove)(struct resource_run *s, const struct resource *r);
} kinds[] = {
        [RESOURCE_CGROUP] = {make_cgroup,  remove_cgroup},
        [RESOURCE_VOLUME] = {start_volume, remove_volume},
};

/* Once all containers are created, what they need is there. */
static bool is_needed(const struct task *t)
{
        for (size_t i = 0; i < t->container_count; i++)
                if (t->containers[i].known < S_CREATED && t->containers[i].desired != S_STOPPED)
                        return true;
        return false;
}

void resource_progress(struct engine *e, struct task *t)
{
        resource_plan(t);
        if (t->resource_busy || t->desired == S_STOPPED || !is_needed(t))
                return;
        const struct resource *r = resource_next(t);
        if (r != NULL)
                kinds[r->kind].make(run_new(e, t, r), r);
}

void resource_remove(struct engine *e, struct task *t, const struct resource *r,
                     void (*removed)(void *arg, const char *error), void *arg)
{
        if (r->state == RESOURCE_REMOVED ||
            (r->kind == RESOURCE_VOLUME && resource_volume_is_shared(r->volume))) {
                removed(arg, NULL);
                return;
        }
        struct resource_run *s = run_new(e, t, r);
        s->removed = removed;
        s->arg = arg;
        kinds[r->kind].remove(s, r);
}
