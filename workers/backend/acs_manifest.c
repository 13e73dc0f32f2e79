/* acs_manifest: ECS says which tasks should run here. A task of ours that is missing becomes a stop
 * candidate, and is stopped only when ECS confirms it for the very manifest that was pending.
 * Source: backend.md 6.6. */
#include <stdlib.h>
#include <string.h>

#include "acs_messages.h"
#include "backend.h"
#include "cleanup.h"
#include "mem.h"
#include "payload_json.h"

#define WAIT_MS 60000

struct manifest {
        struct backend *backend;
        json_t *tasks;  /* of the message */
        char *message_id, *cluster_arn;
};

static void manifest_free(struct manifest *m)
{
        json_decref(m->tasks);
        free(m->message_id);
        free(m->cluster_arn);
        free(m);
}

static bool wants_running(const json_t *tasks, const char *arn)
{
        bool mistyped = false;
        size_t i;
        json_t *e;
        json_array_foreach(tasks, i, e)
                if (strcmp(payload_json_text(e, "taskArn", &mistyped), arn) == 0 &&
                    strcmp(payload_json_text(e, "desiredStatus", &mistyped), "RUNNING") == 0)
                        return true;
        return false;
}

static bool named(const json_t *tasks, const char *arn)
{
        bool mistyped = false;
        size_t i;
        json_t *e;
        json_array_foreach(tasks, i, e)
                if (strcmp(payload_json_text(e, "taskArn", &mistyped), arn) == 0)
                        return true;
        return false;
}

static const Ecs__GetTasksReply *tasks_of(int status, const Ecs__Envelope *reply)
{
        if (status != 0 || reply->body_case != ECS__ENVELOPE__BODY_GET_TASKS_REPLY)
                return NULL;
        return reply->get_tasks_reply;
}

static void ask_tasks(struct manifest *m, ipc_reply_fn done)
{
        Ecs__GetTasks get = ECS__GET_TASKS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(GET_TASKS, get_tasks, &get);
        ipc_link_request(m->backend->engine, &e, WAIT_MS, done, m);
}

static struct manifest *manifest_new(struct backend *b, const json_t *tasks, const char *message_id,
                                     const char *cluster_arn)
{
        struct manifest *m = mem_zalloc(sizeof *m);
        *m = (struct manifest){.backend = b,
                               .tasks = json_deep_copy(tasks),
                               .message_id = mem_strdup(message_id),
                               .cluster_arn = mem_strdup(cluster_arn)};
        return m;
}

/* ---- the manifest ---- */

static void on_local_tasks(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct manifest *m = arg;
        struct acs *a = m->backend->acs;
        const Ecs__GetTasksReply *local = tasks_of(status, reply);
        json_t *candidates = json_array();
        (void)fd;
        for (size_t i = 0; local != NULL && i < local->n_tasks; i++) {
                const Ecs__TaskFacts *t = local->tasks[i];
                if (strcmp(t->desired_status, "RUNNING") != 0 || wants_running(m->tasks, t->arn))
                        continue;
                log_warn(m->backend->log, "task is not in the manifest of ECS, asking",
                         LOG_TASK(t->arn));
                (void)json_array_append_new(
                        candidates, json_pack("{s:s, s:s, s:s}", "taskArn", t->arn,
                                              "taskClusterArn", m->cluster_arn, "desiredStatus",
                                              "STOPPED"));
        }
        if (json_array_size(candidates) > 0 && a != NULL)
                acs_send(a, "TaskStopVerificationMessage",
                         json_pack("{s:s, s:O}", "messageId", m->message_id, "stopCandidates",
                                   candidates));
        json_decref(candidates);
        manifest_free(m);
}

static bool entries_whole(const json_t *tasks, bool *ret_mistyped)
{
        size_t i;
        json_t *e;
        json_array_foreach(tasks, i, e) {
                if (!json_is_object(e))
                        *ret_mistyped = true;
                if (*payload_json_text(e, "taskArn", ret_mistyped) == '\0' ||
                    *payload_json_text(e, "desiredStatus", ret_mistyped) == '\0')
                        return false;
        }
        return true;
}

enum acs_verdict acs_handle_manifest(struct acs *a, const json_t *m)
{
        struct backend *b = acs_backend(a);
        bool mistyped = false;
        const char *message_id = payload_json_text(m, "messageId", &mistyped);
        const char *cluster = payload_json_text(m, "clusterArn", &mistyped);
        const char *instance = payload_json_text(m, "containerInstanceArn", &mistyped);
        const json_t *tasks = payload_json_list(m, "tasks", &mistyped);
        json_int_t timeline = payload_json_integer(m, "timeline", &mistyped);
        (void)payload_json_integer(m, "generatedAt", &mistyped);
        bool whole = entries_whole(tasks, &mistyped);
        if (mistyped)
                return ACS_MISTYPED;
        if (!whole || *message_id == '\0')
                return ACS_INVALID;
        if (timeline <= b->sequence)
                return ACS_HANDLED; /* older than what we know */
        if (!backend_store_number(b, "manifest-sequence", timeline))
                return ACS_HANDLED; /* not acknowledged: it comes again */
        b->sequence = timeline;
        backend_text(&b->manifest_id, message_id);
        acs_send_ack(a, cluster, instance, message_id);
        cleanup_json json_t *none = json_array();
        ask_tasks(manifest_new(b, tasks != NULL ? tasks : none, message_id, cluster),
                  on_local_tasks);
        return ACS_HANDLED;
}

/* ---- its confirmation ---- */

static void on_stopped(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct manifest *m = arg;
        (void)reply;
        (void)fd;
        if (status != 0 && !m->backend->stopping)
                log_error(m->backend->log, "confirmed stops did not reach the engine",
                          LOG_STR("reason", strerror(-status)));
        manifest_free(m);
}

static void on_known_tasks(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct manifest *m = arg;
        const Ecs__GetTasksReply *local = tasks_of(status, reply);
        size_t count = local != NULL ? local->n_tasks : 0;
        Ecs__TaskSpec *specs = mem_zalloc((count + 1) * sizeof *specs);
        Ecs__RunTasks run = ECS__RUN_TASKS__INIT;
        run.tasks = mem_zalloc((count + 1) * sizeof *run.tasks);
        (void)fd;
        for (size_t i = 0; i < count; i++) {
                if (!named(m->tasks, local->tasks[i]->arn))
                        continue;
                Ecs__TaskSpec *s = &specs[run.n_tasks];
                ecs__task_spec__init(s);
                s->arn = local->tasks[i]->arn;
                s->desired_status = ECS__DESIRED_STATUS__DESIRED_STOPPED;
                run.tasks[run.n_tasks++] = s;
                log_info(m->backend->log, "ECS confirms that the task is to stop",
                         LOG_TASK(s->arn));
        }
        Ecs__Envelope e = IPC_ENVELOPE(RUN_TASKS, run_tasks, &run);
        if (run.n_tasks > 0 && !m->backend->stopping)
                ipc_link_request(m->backend->engine, &e, WAIT_MS, on_stopped, m);
        else
                manifest_free(m);
        free(run.tasks);
        free(specs);
}

enum acs_verdict acs_handle_stop_verification_ack(struct acs *a, const json_t *m)
{
        struct backend *b = acs_backend(a);
        bool mistyped = false;
        const char *message_id = payload_json_text(m, "messageId", &mistyped);
        const json_t *tasks = payload_json_list(m, "stopTasks", &mistyped);
        size_t i;
        json_t *e;
        json_array_foreach(tasks, i, e)
                (void)payload_json_text(e, "taskArn", &mistyped);
        if (mistyped)
                return ACS_MISTYPED;
        if (*message_id == '\0' || b->manifest_id == NULL ||
            strcmp(b->manifest_id, message_id) != 0)
                return ACS_HANDLED; /* of another manifest, or used */
        backend_text(&b->manifest_id, "");
        if (json_array_size(tasks) > 0)
                ask_tasks(manifest_new(b, tasks, message_id, ""), on_known_tasks);
        return ACS_HANDLED;
}
