/* acs_payload: a PayloadMessage on its way: metadata serves its credentials, then the engine stores
 * its tasks, then it is acknowledged. A payload overtakes an earlier one that still waits only if
 * they have no task in common. Nothing is acknowledged if anything in it was wrong: ACS sends it
 * again. Source: backend.md 6.5. */
#include <stdlib.h>
#include <string.h>

#include "acs_messages.h"
#include "backend.h"
#include "cleanup.h"
#include "mem.h"
#include "payload_json.h"

#define WAIT_MS 60000  /* by then ACS has sent the payload again */

struct payload {
        struct payload *next;
        struct backend *backend;
        char *message_id, *cluster_arn, *instance_arn;
        Ecs__TaskSpec **tasks;
        size_t task_count;
        Ecs__TaskCredentials **credentials;
        size_t credential_count;
        bool all_good;
        bool served;  /* metadata has its credentials */
        unsigned metadata_ups; /* when it took them */
};

static void payload_free(struct payload *p)
{
        for (size_t i = 0; i < p->task_count; i++)
                ecs__task_spec__free_unpacked(p->tasks[i], NULL);
        for (size_t i = 0; i < p->credential_count; i++)
                task_credentials_free(p->credentials[i]);
        free(p->tasks);
        free(p->credentials);
        free(p->message_id);
        free(p->cluster_arn);
        free(p->instance_arn);
        free(p);
}

/* ---- to the engine ---- */

/* The engine has the tasks: from now on their credentials are kept until the tasks have ended. */
static void hold_credentials(const struct payload *p)
{
        struct backend *b = p->backend;
        for (size_t i = 0; i < p->credential_count; i++)
                task_credentials_hold(b, p->credentials[i]);
        if (p->credential_count > 0 && p->metadata_ups != b->metadata_ups)
                task_credentials_put_all(b); /* it was started again meanwhile */
}

static void on_tasks_stored(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct payload *p = arg;
        struct acs *a = p->backend->acs;
        (void)reply;
        (void)fd;
        if (status == 0)
                hold_credentials(p);
        if (status == 0 && p->all_good && a != NULL) {
                acs_send_ack(a, p->cluster_arn, p->instance_arn, p->message_id);
                for (size_t i = 0; i < p->credential_count; i++)
                        acs_send_credentials_ack(a, p->message_id, p->credentials[i]->id,
                                                 p->credentials[i]->expiration);
        } else if (status != 0 && !p->backend->stopping) {
                log_warn(p->backend->log, "the engine did not store a payload, not acknowledged",
                         LOG_STR("message", p->message_id), LOG_STR("reason", strerror(-status)));
        }
        payload_free(p);
}

static void hand_to_engine(struct payload *p)
{
        Ecs__RunTasks run = ECS__RUN_TASKS__INIT;
        run.n_tasks = p->task_count;
        run.tasks = p->tasks;
        Ecs__Envelope e = IPC_ENVELOPE(RUN_TASKS, run_tasks, &run);
        ipc_link_request(p->backend->engine, &e, WAIT_MS, on_tasks_stored, p);
}

static bool has_task(const struct payload *p, const char *arn)
{
        for (size_t i = 0; i < p->task_count; i++)
                if (strcmp(p->tasks[i]->arn, arn) == 0)
                        return true;
        return false;
}

/* True when an earlier payload that still waits has a task of p. */
static bool must_wait(const struct payload *first, const struct payload *p)
{
        for (; first != p; first = first->next)
                for (size_t i = 0; i < p->task_count; i++)
                        if (has_task(first, p->tasks[i]->arn))
                                return true;
        return false;
}

static void advance(struct backend *b)
{
        for (struct payload **at = &b->payloads; *at != NULL;) {
                struct payload *p = *at;
                if (!p->served || must_wait(b->payloads, p)) {
                        at = &p->next;
                        continue;
                }
                *at = p->next;
                hand_to_engine(p);
        }
}

/* ---- credentials ---- */

static void on_credentials_served(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct payload *p = arg;
        struct backend *b = p->backend;
        (void)reply;
        (void)fd;
        if (status == 0) {
                p->served = true;
                p->metadata_ups = b->metadata_ups;
        } else {
                struct payload **at = &b->payloads;
                while (*at != p)
                        at = &(*at)->next;
                *at = p->next;
                payload_free(p);
        }
        if (!b->stopping)
                advance(b);
}

/* The credentials of one task, for metadata; notes their ids in the task. Returns how many, or
 * -1 when one is not whole. */
static int task_credentials(const json_t *task, Ecs__TaskSpec *spec, Ecs__TaskCredentials *out,
                            bool *ret_mistyped)
{
        const struct {
                const char *member, *role_type;
                char **id;
        } kinds[] = {
                {"roleCredentials", "TaskApplication", &spec->credentials_id},
                {"executionRoleCredentials", "TaskExecution", &spec->execution_credentials_id},
        };
        int n = 0;
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                const json_t *c = payload_json_get(task, kinds[i].member);
                if (c == NULL)
                        continue;
                ecs__task_credentials__init(&out[n]);
                if (!acs_read_credentials(c, spec->arn, kinds[i].role_type, &out[n], ret_mistyped))
                        return -1;
                *kinds[i].id = mem_strdup(out[n].id);
                n++;
        }
        return n;
}

static void put_credentials(struct payload *p, const Ecs__TaskCredentials *credentials,
                            size_t count)
{
        Ecs__PutCredentials put = ECS__PUT_CREDENTIALS__INIT;
        p->credentials = mem_zalloc((count + 1) * sizeof *p->credentials);
        for (size_t i = 0; i < count; i++)
                p->credentials[p->credential_count++] = task_credentials_copy(&credentials[i]);
        put.n_credentials = count;
        put.credentials = p->credentials;
        Ecs__Envelope e = IPC_ENVELOPE(PUT_CREDENTIALS, put_credentials, &put);
        ipc_link_request(p->backend->metadata, &e, WAIT_MS, on_credentials_served, p);
}

/* ---- the message ---- */

/* Reads one task; what cannot be run stays in the payload with its reason. */
static size_t take_task(struct payload *p, const json_t *task, Ecs__TaskCredentials *credentials,
                        bool *ret_mistyped)
{
        Ecs__TaskSpec *spec = payload_json_task(task, ret_mistyped);
        if (spec == NULL || *spec->arn == '\0') {
                log_warn(p->backend->log, "task without an ARN ignored");
                if (spec != NULL)
                        ecs__task_spec__free_unpacked(spec, NULL);
                p->all_good = false;
                return 0;
        }
        int n = 0;
        if (*spec->invalid_reason == '\0') {
                n = task_credentials(task, spec, credentials, ret_mistyped);
                if (n < 0)
                        spec->invalid_reason = payload_json_invalid("credentials without an id");
        }
        if (*spec->invalid_reason != '\0') {
                p->all_good = false;
                log_warn(p->backend->log, "task cannot be run", LOG_TASK(spec->arn),
                         LOG_STR("reason", spec->invalid_reason));
        }
        p->tasks[p->task_count++] = spec;
        return n > 0 ? (size_t)n : 0;
}

static struct payload *payload_new(struct backend *b, const char *message_id, const char *cluster,
                                   const char *instance, size_t task_count)
{
        struct payload *p = mem_zalloc(sizeof *p);
        *p = (struct payload){.backend = b,
                              .message_id = mem_strdup(message_id),
                              .cluster_arn = mem_strdup(cluster),
                              .instance_arn = mem_strdup(instance),
                              .tasks = mem_zalloc((task_count + 1) * sizeof *p->tasks),
                              .all_good = true};
        return p;
}

static void enqueue(struct payload *p)
{
        struct payload **at = &p->backend->payloads;
        while (*at != NULL)
                at = &(*at)->next;
        *at = p;
}

enum acs_verdict acs_handle_payload(struct acs *a, const json_t *m)
{
        struct backend *b = acs_backend(a);
        bool mistyped = false;
        const char *message_id = payload_json_text(m, "messageId", &mistyped);
        const char *cluster = payload_json_text(m, "clusterArn", &mistyped);
        const char *instance = payload_json_text(m, "containerInstanceArn", &mistyped);
        json_int_t sequence = payload_json_integer(m, "seqNum", &mistyped);
        const json_t *tasks = payload_json_list(m, "tasks", &mistyped);
        size_t count = json_array_size(tasks), credential_count = 0;
        (void)payload_json_integer(m, "generatedAt", &mistyped);
        (void)payload_json_integer(m, "timeline", &mistyped);
        if (*message_id == '\0' || *cluster == '\0' || *instance == '\0')
                return mistyped ? ACS_MISTYPED : ACS_INVALID;
        struct payload *p = payload_new(b, message_id, cluster, instance, count);
        Ecs__TaskCredentials *credentials = mem_zalloc((count * 2 + 2) * sizeof *credentials);
        for (size_t i = 0; i < count; i++)
                credential_count += take_task(p, json_array_get(tasks, i),
                                              credentials + credential_count, &mistyped);
        if (mistyped) {
                payload_free(p);
        } else {
                if (sequence > b->sequence)
                        b->sequence = sequence;
                enqueue(p);
                p->served = credential_count == 0;
                if (credential_count > 0)
                        put_credentials(p, credentials, credential_count);
                else
                        advance(b);
        }
        free(credentials);
        return mistyped ? ACS_MISTYPED : ACS_HANDLED;
}

void acs_payloads_free(struct backend *b)
{
        while (b->payloads != NULL) {
                struct payload *p = b->payloads;
                b->payloads = p->next;
                payload_free(p);
        }
}
