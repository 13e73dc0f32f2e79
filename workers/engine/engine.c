/* engine: start, commit, progress. A task changes in memory and is settled; at the end of the loop
 * turn all that changed is stored, with the events it causes, in one transaction, announced, and
 * only then acted on: twenty containers that start together cost one fsync, not twenty. */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "images_db.h"
#include "mem.h"
#include "published.h"
#include "task_db.h"

struct task *engine_find_task(struct engine *e, const char *arn)
{
        for (struct task *t = e->tasks; t != NULL; t = t->next)
                if (strcmp(t->spec->arn, arn) == 0)
                        return t;
        return NULL;
}

void engine_add_task(struct engine *e, struct task *t)
{
        struct task **at = &e->tasks;
        while (*at != NULL)
                at = &(*at)->next;
        t->pull_upfront = config_bool(e->config, "ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT", false);
        *at = t;
}

/* ---- storing ---- */

int engine_store(struct engine *e, struct task *t, bool is_new)
{
        int64_t number;
        Ecs__StateChange *change = task_report(t);
        if (!t->dirty && change == NULL)
                return 0;
        int r = state_db_begin(e->db);
        if (r == 0 && change != NULL)
                r = published_write_outbox(e->db, t->spec->arn, change, &number);
        if (r == 0)
                r = task_db_store(e->db, t, is_new, &number);
        if (r == 0)
                r = state_db_commit(e->db);
        else
                state_db_rollback(e->db);
        state_change_free(change);
        if (r != 0) {
                log_error(&t->log, "state cannot be stored, nothing is done until it can",
                          LOG_STR("reason", strerror(-r)));
                worker_state(e->worker, true, "state cannot be stored: check the disk");
                return r;
        }
        t->dirty = false;
        return 0;
}

void engine_announce(struct engine *e)
{
        Ecs__TasksChanged tasks = ECS__TASKS_CHANGED__INIT;
        Ecs__Envelope to_metadata = IPC_ENVELOPE(TASKS_CHANGED, tasks_changed, &tasks);
        worker_broadcast(e->worker, PEER_METADATA | PEER_CTL, &to_metadata);
        Ecs__OutboxChanged outbox = ECS__OUTBOX_CHANGED__INIT;
        Ecs__Envelope to_backend = IPC_ENVELOPE(OUTBOX_CHANGED, outbox_changed, &outbox);
        worker_broadcast(e->worker, PEER_BACKEND, &to_backend);
}

void engine_commit(struct engine *e, struct task *t)
{
        task_settle(t, clock_wall_ms());
        t->touched = e->touched = true;
}

static int store_touched(struct engine *e)
{
        int r = state_db_begin(e->db);
        for (struct task *t = e->tasks; r == 0 && t != NULL; t = t->next)
                if (t->touched)
                        r = engine_store(e, t, false);
        if (r == 0)
                r = images_db_store(e->db, &e->images);
        if (r == 0)
                r = state_db_commit(e->db);
        else
                state_db_rollback(e->db);
        if (r == 0)
                images_db_stored(&e->images);
        return r;
}

static void take_further(struct engine *e, struct task *t)
{
        t->touched = false;
        engine_tell_changes(e, t);
        engine_progress(e, t);
}

/* Ends a loop turn: one transaction for all that changed in it, then the next steps. Those may
 * end at once and change something again. */
static void flush(struct engine *e)
{
        while (e->touched) {
                e->touched = false;
                if (store_touched(e) != 0) {
                        /* a crash-only program: the disk is the truth, so start from it again */
                        worker_exit(e->worker, 1);
                        return;
                }
                engine_announce(e);
                for (struct task *t = e->tasks; t != NULL; t = t->next)
                        if (t->touched)
                                take_further(e, t);
        }
}

static void on_before_poll(uv_prepare_t *h)
{
        flush(h->data);
}

static void on_after_poll(uv_check_t *h)
{
        flush(h->data);
}

/* ---- progress ---- */

/* Gives up waiting where a startTimeout has passed. Returns ms until the next one, 0 = none. */
static uint64_t watch_starts(struct engine *e)
{
        int64_t now = clock_wall_ms(), soonest = 0;
        for (struct task *t = e->tasks; t != NULL; t = t->next) {
                int64_t at = task_start_deadline(t);
                if (at == 0)
                        continue;
                if (at <= now)
                        engine_commit(e, t);
                else if (soonest == 0 || at - now < soonest)
                        soonest = at - now;
        }
        return (uint64_t)soonest;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
        return a == 0 || (b != 0 && b < a) ? b : a;
}

static void on_wake(uv_timer_t *timer)
{
        struct engine *e = timer->data;
        uint64_t now = clock_now_ms(), soonest = sooner(sweep(e), watch_starts(e));
        if (e->adopt_at_ms != 0 && e->adopt_at_ms <= now && docker_is_up(e->docker)) {
                e->adopt_at_ms = 0;
                if (!e->adopted && !e->adopting)
                        adopt(e);
        } else if (e->adopt_at_ms > now) {
                soonest = sooner(soonest, e->adopt_at_ms - now);
        }
        for (struct task *t = e->tasks, *next; t != NULL; t = next) {
                next = t->next;
                for (size_t i = 0; i < t->container_count; i++) {
                        struct container *c = &t->containers[i];
                        if (c->retry_at_ms == 0)
                                continue;
                        if (c->retry_at_ms <= now) {
                                c->retry_at_ms = 0;
                                engine_progress(e, t);
                        } else {
                                soonest = sooner(soonest, c->retry_at_ms - now);
                        }
                }
        }
        if (soonest > 0 && !e->stopping &&
            (!uv_is_active((uv_handle_t *)&e->wake) || uv_timer_get_due_in(&e->wake) > soonest))
                (void)uv_timer_start(&e->wake, on_wake, soonest, 0);
}

void engine_wake(struct engine *e)
{
        if (!e->stopping)
                (void)uv_timer_start(&e->wake, on_wake, 0, 0);
}

void engine_progress(struct engine *e, struct task *t)
{
        bool waits = t->stopped_ms != 0 || task_start_deadline(t) != 0;
        if (e->stopping || !e->adopted || !docker_is_up(e->docker))
                return;
        resource_progress(e, t);
        for (size_t i = 0; i < t->container_count; i++) {
                struct container *c = &t->containers[i];
                /* what has not been made need not be tried again to be stopped */
                if (c->desired == S_STOPPED && c->known < S_CREATED)
                        c->retry_at_ms = 0;
                if (c->retry_at_ms != 0) {
                        waits = true;
                        continue;
                }
                if (c->look_again && c->step == STEP_NONE) {
                        c->look_again = false;
                        step_inspect(e, c);
                        continue;
                }
                if (c->desired == S_STOPPED)
                        (void)pull_give_up(c);
                enum step step = container_next_step(c, e->metadata_peers > 0);
                if (step != STEP_NONE)
                        step_start(e, c, step);
        }
        if (waits)
                engine_wake(e);
}

/* ---- Docker ---- */

static void on_docker_up(void *arg)
{
        struct engine *e = arg;
        log_info(e->log, "docker answers", LOG_STR("version", docker_version(e->docker)),
                 LOG_STR("api", docker_api_version(e->docker)));
        worker_state(e->worker, false, "");
        engine_answer_inventories(e);
        if (e->adopted)
                reconcile(e);
        else if (!e->adopting)
                adopt(e);
}

static void on_docker_down(void *arg, const char *reason)
{
        struct engine *e = arg;
        cleanup_free char *text =
                mem_printf("docker unreachable at %s: %s",
                           config_text(e->config, "DOCKER_HOST", ""), reason);
        log_warn(e->log, "docker does not answer, trying again", LOG_STR("reason", reason));
        worker_state(e->worker, true, text);
}

static void on_docker_event(void *arg, const json_t *event)
{
        reconcile_event(arg, event);
}

/* ---- peers ---- */

void engine_peer_up(void *state, struct ipc_connection *c, unsigned peer)
{
        struct engine *e = state;
        (void)c;
        if (peer != PEER_METADATA)
                return;
        e->metadata_peers++;
        for (struct task *t = e->tasks, *next; t != NULL; t = next) {
                next = t->next;
                engine_progress(e, t);
        }
}

void engine_peer_down(void *state, struct ipc_connection *c, unsigned peer)
{
        struct engine *e = state;
        (void)c;
        if (peer == PEER_METADATA && e->metadata_peers > 0)
                e->metadata_peers--;
        for (size_t i = 0; i < e->inventory_count; i++)
                if (ipc_request_connection(e->inventories[i]) == NULL) {
                        ipc_reply(e->inventories[i], NULL);
                        e->inventories[i--] = e->inventories[--e->inventory_count];
                }
}

/* ---- life ---- */

static void take_task(void *arg, struct task *t)
{
        engine_add_task(arg, t);
}

static void free_tasks(struct engine *e)
{
        while (e->tasks != NULL) {
                struct task *t = e->tasks;
                e->tasks = t->next;
                task_free(t);
        }
}

/* What a container's image says is not kept with the container. */
static void restore_images(struct engine *e)
{
        for (struct task *t = e->tasks; t != NULL; t = t->next)
                for (size_t i = 0; i < t->container_count; i++) {
                        struct container *c = &t->containers[i];
                        const struct image *m = images_find(&e->images, c->facts->image_id);
                        c->image_has_region = m != NULL && m->has_region;
                }
}

static int open_db(struct engine *e, struct error *err)
{
        cleanup_free char *dir = mem_printf("%s/engine", worker_data_dir(e->worker));
        int r = task_db_open(dir, e->log, &e->db, err);
        if (r >= 0)
                r = adopt_load_id(dir, &e->agent_id, err);
        if (r < 0)
                return r;
        r = task_db_load(e->db, e->log, take_task, e);
        if (r == -EUCLEAN) {
                /* sqlite finds the file whole, we do not: the tasks come back from their labels */
                free_tasks(e);
                r = state_db_begin_anew(e->db, dir, e->log, err);
        } else if (r < 0) {
                (void)error_set(err, r, "engine.db cannot be read: %s", strerror(-r));
        }
        if (r >= 0) {
                r = images_db_load(e->db, &e->images);
                if (r < 0)
                        (void)error_set(err, r, "engine.db: images cannot be read: %s",
                                        strerror(-r));
        }
        restore_images(e);
        e->adopted = r == 0 && task_db_is_adopted(e->db);
        return r;
}

int engine_start(struct worker *w, void **ret_state, struct error *err)
{
        struct engine *e = mem_zalloc(sizeof *e);
        e->worker = w;
        e->log = worker_log(w);
        e->config = worker_config(w);
        int r = open_db(e, err);
        if (r < 0) {
                free_tasks(e);
                state_db_close(e->db);
                free(e->agent_id);
                free(e);
                return r;
        }
        port_range_init(&e->ports, config_find(e->config, "ECS_DYNAMIC_HOST_PORT_RANGE"),
                        PORT_RANGE_KERNEL);
        (void)uv_timer_init(worker_loop(w), &e->wake);
        (void)uv_prepare_init(worker_loop(w), &e->before_poll);
        (void)uv_check_init(worker_loop(w), &e->after_poll);
        e->wake.data = e->before_poll.data = e->after_poll.data = e;
        (void)uv_prepare_start(&e->before_poll, on_before_poll);
        (void)uv_check_start(&e->after_poll, on_after_poll);
        const struct docker_callbacks cb = {.up = on_docker_up,
                                            .down = on_docker_down,
                                            .event = on_docker_event,
                                            .connect = docker_socket_ask,
                                            .arg = e};
        e->docker = docker_new(worker_loop(w),
                               config_text(e->config, "DOCKER_HOST", "unix:///var/run/docker.sock"),
                               &cb, e->log);
        e->fetches = pull_new_fetches(e, worker_loop(w));
        *ret_state = e;
        worker_ready(w);
        return 0;
}

void engine_stop(struct worker *w, void *state, uint32_t deadline_ms)
{
        struct engine *e = state;
        (void)deadline_ms;
        e->stopping = true;
        worker_stopped(w);
}

void engine_destroy(void *state)
{
        struct engine *e = state;
        e->stopping = true;
        stream_relay_close_all(e);
        for (struct task *t = e->tasks; t != NULL; t = t->next)
                for (size_t i = 0; i < t->container_count; i++)
                        (void)pull_give_up(&t->containers[i]);
        fetches_close(e->fetches);
        docker_close(e->docker);
        uv_close((uv_handle_t *)&e->wake, NULL);
        uv_close((uv_handle_t *)&e->before_poll, NULL);
        uv_close((uv_handle_t *)&e->after_poll, NULL);
        for (size_t i = 0; i < e->inventory_count; i++)
                ipc_reply(e->inventories[i], NULL);
        engine_drop_held(e);
        free_tasks(e);
        state_db_close(e->db);
        uv_run(worker_loop(e->worker), UV_RUN_NOWAIT);
        fetches_free(e->fetches);
        images_free(&e->images);
        free(e->agent_id);
        free(e);
}
