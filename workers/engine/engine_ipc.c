/* engine_ipc: what the backend, metadata and ecsctl may ask. Handlers validate, call the model,
 * reply; RunTasks replies only once everything is on disk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "engine.h"
#include "mem.h"
#include "published.h"
#include "resource.h"
#include "task_cgroup.h"

#define HELD_MAX 64

/* A deep copy by way of its packed form. */
static Ecs__TaskSpec *copy_spec(const Ecs__TaskSpec *s)
{
        size_t size = ecs__task_spec__get_packed_size(s);
        uint8_t *packed = mem_alloc(size);
        ecs__task_spec__pack(s, packed);
        Ecs__TaskSpec *copy = ecs__task_spec__unpack(NULL, size, packed);
        free(packed);
        return copy;
}

static struct task *new_task(struct engine *e, const Ecs__TaskSpec *s)
{
        struct task *t = task_new(copy_spec(s), clock_wall_ms(), e->log);
        if (config_bool(e->config, "ECS_ENABLE_TASK_CPU_MEM_LIMIT", false)) {
                cleanup_free char *parent = task_cgroup_parent(s->arn);
                text_set(&t->facts->cgroup_parent, parent);
        }
        cleanup_free char *reason = resource_check(t);
        if (reason != NULL && *t->spec->invalid_reason == '\0')
                text_set(&t->spec->invalid_reason, reason);
        task_admit(t, clock_wall_ms());
        return t;
}

/* One task of the message. *ret_new: the task when it is new. */
static int accept_one(struct engine *e, const Ecs__TaskSpec *s, struct task **ret_new)
{
        struct task *t = engine_find_task(e, s->arn);
        if (t == NULL) {
                t = new_task(e, s);
                int r = engine_store(e, t, true);
                if (r != 0) {
                        task_free(t);
                        return r;
                }
                *ret_new = t;
                return 0;
        }
        if (s->desired_status != ECS__DESIRED_STATUS__DESIRED_STOPPED)
                return 0;
        task_want_stopped(t, NULL);
        task_settle(t, clock_wall_ms());
        return engine_store(e, t, false);
}

static int accept_tasks(struct engine *e, const Ecs__RunTasks *m)
{
        /* stops free resources before starts need them */
        static const bool passes[] = {true, false};
        for (size_t p = 0; p < ARRAY_SIZE(passes); p++)
                for (size_t i = 0; i < m->n_tasks; i++) {
                        const Ecs__TaskSpec *s = m->tasks[i];
                        struct task *t = NULL;
                        bool stops = s->desired_status == ECS__DESIRED_STATUS__DESIRED_STOPPED;
                        if (stops != passes[p])
                                continue;
                        int r = accept_one(e, s, &t);
                        if (r != 0)
                                return r;
                        if (t != NULL)
                                engine_add_task(e, t);
                }
        return 0;
}

static void log_accepted(const struct task *t)
{
        for (; t != NULL; t = t->next)
                log_info(&t->log, "task accepted", LOG_STR("family", t->spec->family),
                         LOG_STR("version", t->spec->version));
}

static void run_tasks(struct engine *e, struct ipc_request *r, const Ecs__RunTasks *m)
{
        struct task **end = &e->tasks;
        while (*end != NULL)
                end = &(*end)->next;
        int error = state_db_begin(e->db);
        if (error == 0)
                error = accept_tasks(e, m);
        if (error == 0)
                error = state_db_commit(e->db);
        if (error != 0) {
                /* memory and disk differ now: start again from the disk */
                state_db_rollback(e->db);
                ipc_reply_error(r, error, "the tasks could not be stored");
                worker_exit(e->worker, 1);
                return;
        }
        log_accepted(*end);
        Ecs__RunTasksReply reply = ECS__RUN_TASKS_REPLY__INIT;
        Ecs__Envelope answer = IPC_ENVELOPE(RUN_TASKS_REPLY, run_tasks_reply, &reply);
        ipc_reply(r, &answer);
        engine_announce(e);
        for (size_t i = 0; i < m->n_tasks; i++) {
                struct task *t = engine_find_task(e, m->tasks[i]->arn);
                if (t == NULL)
                        continue;
                engine_tell_changes(e, t);
                engine_progress(e, t);
        }
}

/* A RunTasks that came before the labelled containers were known. */
struct held_request {
        struct held_request *next;
        struct ipc_request *request;
        Ecs__RunTasks *message;
};

static void hold(struct engine *e, struct ipc_request *r, const Ecs__RunTasks *m)
{
        struct held_request **at = &e->held;
        size_t count = 0;
        for (; *at != NULL; at = &(*at)->next)
                count++;
        if (count >= HELD_MAX) {
                ipc_reply_error(r, -EBUSY, "Docker has not answered since the state was lost");
                return;
        }
        size_t size = ecs__run_tasks__get_packed_size(m);
        uint8_t *packed = mem_alloc(size + 1);
        ecs__run_tasks__pack(m, packed);
        struct held_request *h = mem_zalloc(sizeof *h);
        *h = (struct held_request){.request = r,
                                   .message = ecs__run_tasks__unpack(NULL, size, packed)};
        free(packed);
        *at = h;
}

static struct held_request *take_held(struct engine *e)
{
        struct held_request *h = e->held;
        if (h != NULL)
                e->held = h->next;
        return h;
}

static void free_held(struct held_request *h)
{
        ecs__run_tasks__free_unpacked(h->message, NULL);
        free(h);
}

void engine_serve_held(struct engine *e)
{
        struct held_request *h;
        while ((h = take_held(e)) != NULL) {
                run_tasks(e, h->request, h->message);
                free_held(h);
        }
}

void engine_drop_held(struct engine *e)
{
        struct held_request *h;
        while ((h = take_held(e)) != NULL) {
                ipc_reply_error(h->request, -ECANCELED, "the engine stops");
                free_held(h);
        }
}

static void handle_run_tasks(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct engine *e = context;
        if (e->adopted)
                run_tasks(e, r, m->run_tasks);
        else
                hold(e, r, m->run_tasks);
}

static void handle_outbox_sent(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct engine *e = context;
        int error = state_db_begin(e->db);
        for (size_t i = 0; error == 0 && i < m->outbox_sent->n_ids; i++)
                error = published_delete_outbox(e->db, m->outbox_sent->ids[i]);
        if (error == 0)
                error = state_db_commit(e->db);
        if (error != 0) {
                state_db_rollback(e->db);
                ipc_reply_error(r, error, "the sent marks could not be stored");
                return;
        }
        Ecs__OutboxSentReply reply = ECS__OUTBOX_SENT_REPLY__INIT;
        Ecs__Envelope answer = IPC_ENVELOPE(OUTBOX_SENT_REPLY, outbox_sent_reply, &reply);
        ipc_reply(r, &answer);
        engine_wake(e);
}

/* What a task waits for is told as it is now, not as it was when something was last stored. */
static void refresh_waiting(const struct engine *e, struct task *t)
{
        cleanup_free char *waiting = pull_describe(t);
        if (waiting == NULL)
                waiting = task_waiting_for(t, e->metadata_peers > 0);
        if (strcmp(waiting, t->facts->waiting_for) != 0)
                text_set(&t->facts->waiting_for, waiting);
}

static void handle_get_tasks(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct engine *e = context;
        const char *wanted = m->get_tasks->arn;
        Ecs__GetTasksReply reply = ECS__GET_TASKS_REPLY__INIT;
        size_t count = 0;
        for (const struct task *t = e->tasks; t != NULL; t = t->next)
                count++;
        reply.tasks = mem_zalloc((count + 1) * sizeof *reply.tasks);
        for (struct task *t = e->tasks; t != NULL; t = t->next) {
                if (*wanted != '\0' && strcmp(t->spec->arn, wanted) != 0 &&
                    strncmp(task_id(t->spec->arn), wanted, strlen(wanted)) != 0)
                        continue;
                refresh_waiting(e, t);
                reply.tasks[reply.n_tasks++] = t->facts;
        }
        Ecs__Envelope answer = IPC_ENVELOPE(GET_TASKS_REPLY, get_tasks_reply, &reply);
        ipc_reply(r, &answer);
        free(reply.tasks);
}

static void answer_inventory(struct engine *e, struct ipc_request *r)
{
        Ecs__Inventory i = ECS__INVENTORY__INIT;
        i.docker_version = (char *)docker_version(e->docker);
        i.api_version = (char *)docker_api_version(e->docker);
        i.min_api_version = (char *)docker_min_api_version(e->docker);
        Ecs__Envelope answer = IPC_ENVELOPE(INVENTORY, inventory, &i);
        ipc_reply(r, &answer);
}

void engine_answer_inventories(struct engine *e)
{
        while (e->inventory_count > 0)
                answer_inventory(e, e->inventories[--e->inventory_count]);
}

static void handle_get_inventory(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct engine *e = context;
        (void)m;
        if (docker_is_up(e->docker))
                answer_inventory(e, r);
        else if (e->inventory_count < ARRAY_SIZE(e->inventories))
                e->inventories[e->inventory_count++] = r;
        else
                ipc_reply_error(r, -EBUSY, "asked too often while Docker does not answer");
}

const struct ipc_handler engine_handlers[IPC_BODY_MAX] = {
        [ECS__ENVELOPE__BODY_RUN_TASKS] = {handle_run_tasks, PEER_BACKEND, WHEN_READY},
        [ECS__ENVELOPE__BODY_OUTBOX_SENT] = {handle_outbox_sent, PEER_BACKEND, WHEN_READY},
        [ECS__ENVELOPE__BODY_GET_TASKS] = {handle_get_tasks,
                                           PEER_BACKEND | PEER_METADATA | PEER_CTL, WHEN_READY},
        [ECS__ENVELOPE__BODY_GET_INVENTORY] = {handle_get_inventory, PEER_BACKEND, WHEN_READY},
        [ECS__ENVELOPE__BODY_LIST_IMAGES] = {handle_list_images, PEER_CTL_ROOT, WHEN_READY},
        [ECS__ENVELOPE__BODY_REMOVE_IMAGE] = {handle_remove_image, PEER_CTL_ROOT, WHEN_READY},
        [ECS__ENVELOPE__BODY_OPEN_LOGS] = {handle_open_logs, PEER_CTL, WHEN_READY},
        [ECS__ENVELOPE__BODY_EXEC_START] = {handle_exec_start, PEER_CTL_ROOT, WHEN_READY},
        [ECS__ENVELOPE__BODY_EXEC_RESIZE] = {handle_exec_resize, PEER_CTL_ROOT, WHEN_READY},
        [ECS__ENVELOPE__BODY_EXEC_STATUS] = {handle_exec_status, PEER_CTL_ROOT, WHEN_READY},
};
