/* acs_messages: one row a message type. Long work is asynchronous: a payload is acknowledged once
 * the metadata worker serves its credentials and the engine has its tasks on disk.
 * Source: backend.md 6.3–6.5. */
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "cleanup.h"
#include "mem.h"
#include "payload_json.h"

typedef void (*message_fn)(struct acs *a, const json_t *m);

/* ---- credentials ---- */

static bool take_credentials(const json_t *c, const char *task_arn, const char *role_type,
                             Ecs__TaskCredentials *ret, bool *ret_mistyped)
{
        const struct {
                char **field;
                const char *name;
        } texts[] = {
                {&ret->id, "credentialsId"},
                {&ret->role_arn, "roleArn"},
                {&ret->access_key_id, "accessKeyId"},
                {&ret->secret_access_key, "secretAccessKey"},
                {&ret->session_token, "sessionToken"},
                {&ret->expiration, "expiration"},
        };
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                *texts[i].field = (char *)payload_json_text(c, texts[i].name, ret_mistyped);
        ret->task_arn = (char *)task_arn;
        ret->role_type = (char *)role_type;
        return *ret->id != '\0' && *task_arn != '\0';
}

static void send_credentials_ack(struct acs *a, const char *message_id, const char *id,
                                 const char *expiration)
{
        acs_send(a, "IAMRoleCredentialsAckRequest",
                 json_pack("{s:s, s:s, s:s}", "messageId", message_id, "expiration", expiration,
                           "credentialsId", id));
}

/* ---- payload ---- */

struct credential_ack {
        char *id, *expiration;
};

struct payload {
        struct backend *backend;
        char *message_id, *cluster_arn, *instance_arn;
        Ecs__TaskSpec **tasks;
        size_t task_count;
        struct credential_ack *acks;
        size_t ack_count;
        bool all_good;
};

static void payload_free(struct payload *p)
{
        for (size_t i = 0; i < p->task_count; i++)
                ecs__task_spec__free_unpacked(p->tasks[i], NULL);
        for (size_t i = 0; i < p->ack_count; i++) {
                free(p->acks[i].id);
                free(p->acks[i].expiration);
        }
        free(p->tasks);
        free(p->acks);
        free(p->message_id);
        free(p->cluster_arn);
        free(p->instance_arn);
        free(p);
}

static void on_tasks_stored(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct payload *p = arg;
        struct acs *a = p->backend->acs;
        (void)reply;
        (void)fd;
        if (status == 0 && p->all_good && a != NULL) {
                acs_send(a, "AckRequest",
                         json_pack("{s:s, s:s, s:s}", "cluster", p->cluster_arn,
                                   "containerInstance", p->instance_arn, "messageId",
                                   p->message_id));
                for (size_t i = 0; i < p->ack_count; i++)
                        send_credentials_ack(a, p->message_id, p->acks[i].id,
                                             p->acks[i].expiration);
        }
        payload_free(p);
}

static void hand_to_engine(struct payload *p)
{
        Ecs__RunTasks run = ECS__RUN_TASKS__INIT;
        run.n_tasks = p->task_count;
        run.tasks = p->tasks;
        Ecs__Envelope e = IPC_ENVELOPE(RUN_TASKS, run_tasks, &run);
        ipc_link_request(p->backend->engine, &e, 0, on_tasks_stored, p);
}

static void on_credentials_served(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct payload *p = arg;
        (void)reply;
        (void)fd;
        if (status == 0)
                hand_to_engine(p);
        else
                payload_free(p); /* not acknowledged: ACS sends it again */
}

/* The credentials of one task, for metadata; notes their ids in the task. */
static size_t task_credentials(struct payload *p, const json_t *task, Ecs__TaskSpec *spec,
                               Ecs__TaskCredentials *out, bool *ret_mistyped)
{
        const struct {
                const char *member, *role_type;
                char **id;
        } kinds[] = {
                {"roleCredentials", "TaskApplication", &spec->credentials_id},
                {"executionRoleCredentials", "TaskExecution", &spec->execution_credentials_id},
        };
        size_t n = 0;
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                const json_t *c = payload_json_get(task, kinds[i].member);
                if (!json_is_object(c))
                        continue;
                ecs__task_credentials__init(&out[n]);
                if (!take_credentials(c, spec->arn, kinds[i].role_type, &out[n], ret_mistyped)) {
                        p->all_good = false;
                        continue;
                }
                *kinds[i].id = mem_strdup(out[n].id);
                p->acks = mem_realloc_array(p->acks, p->ack_count + 1, sizeof *p->acks);
                p->acks[p->ack_count++] = (struct credential_ack){mem_strdup(out[n].id),
                                                                  mem_strdup(out[n].expiration)};
                n++;
        }
        return n;
}

static void put_credentials(struct payload *p, Ecs__TaskCredentials *credentials, size_t count)
{
        Ecs__TaskCredentials **refs = mem_zalloc((count + 1) * sizeof(void *));
        Ecs__PutCredentials put = ECS__PUT_CREDENTIALS__INIT;
        for (size_t i = 0; i < count; i++)
                refs[i] = &credentials[i];
        put.n_credentials = count;
        put.credentials = refs;
        Ecs__Envelope e = IPC_ENVELOPE(PUT_CREDENTIALS, put_credentials, &put);
        ipc_link_request(p->backend->metadata, &e, 0, on_credentials_served, p);
        free(refs);
}

static void handle_payload(struct acs *a, const json_t *m)
{
        bool mistyped = false;
        const char *message_id = payload_json_text(m, "messageId", &mistyped);
        const char *cluster = payload_json_text(m, "clusterArn", &mistyped);
        const char *instance = payload_json_text(m, "containerInstanceArn", &mistyped);
        const json_t *tasks = payload_json_get(m, "tasks");
        size_t count = json_array_size(tasks), credential_count = 0;
        if (*message_id == '\0' || *cluster == '\0' || *instance == '\0') {
                log_warn(acs_backend(a)->log, "payload without its ids ignored");
                return;
        }
        struct payload *p = mem_zalloc(sizeof *p);
        *p = (struct payload){.backend = acs_backend(a),
                              .message_id = mem_strdup(message_id),
                              .cluster_arn = mem_strdup(cluster),
                              .instance_arn = mem_strdup(instance),
                              .all_good = true};
        Ecs__TaskCredentials *credentials = mem_zalloc((count * 2 + 1) * sizeof *credentials);
        p->tasks = mem_zalloc((count + 1) * sizeof(void *));
        for (size_t i = 0; i < count; i++) {
                const json_t *task = json_array_get(tasks, i);
                Ecs__TaskSpec *spec = payload_json_task(task, &mistyped);
                if (spec == NULL) {
                        p->all_good = false;
                        continue;
                }
                if (*spec->arn == '\0' || *spec->invalid_reason != '\0')
                        p->all_good = false;
                if (*spec->arn == '\0') {
                        log_warn(p->backend->log, "task without an ARN ignored");
                        ecs__task_spec__free_unpacked(spec, NULL);
                        continue;
                }
                credential_count += task_credentials(p, task, spec, credentials + credential_count,
                                                     &mistyped);
                p->tasks[p->task_count++] = spec;
        }
        if (mistyped) {
                log_warn(p->backend->log, "payload with a member of the wrong type ignored");
                payload_free(p);
        } else if (credential_count > 0) {
                put_credentials(p, credentials, credential_count);
        } else {
                hand_to_engine(p);
        }
        free(credentials);
}

/* ---- refresh of credentials ---- */

struct refresh {
        struct backend *backend;
        char *message_id, *id, *expiration;
};

static void on_refreshed(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct refresh *r = arg;
        (void)reply;
        (void)fd;
        if (status == 0 && r->backend->acs != NULL)
                send_credentials_ack(r->backend->acs, r->message_id, r->id, r->expiration);
        free(r->message_id);
        free(r->id);
        free(r->expiration);
        free(r);
}

static void handle_refresh(struct acs *a, const json_t *m)
{
        struct backend *b = acs_backend(a);
        bool mistyped = false;
        const char *message_id = payload_json_text(m, "messageId", &mistyped);
        const char *role_type = payload_json_text(m, "roleType", &mistyped);
        Ecs__TaskCredentials c = ECS__TASK_CREDENTIALS__INIT, *list[] = {&c};
        bool known_type = strcmp(role_type, "TaskApplication") == 0 ||
                          strcmp(role_type, "TaskExecution") == 0;
        if (!take_credentials(payload_json_get(m, "roleCredentials"),
                              payload_json_text(m, "taskArn", &mistyped), role_type, &c,
                              &mistyped) ||
            *message_id == '\0' || !known_type || mistyped) {
                log_warn(b->log, "credentials message that is not whole ignored");
                return;
        }
        struct refresh *r = mem_zalloc(sizeof *r);
        *r = (struct refresh){.backend = b,
                              .message_id = mem_strdup(message_id),
                              .id = mem_strdup(c.id),
                              .expiration = mem_strdup(c.expiration)};
        Ecs__PutCredentials put = ECS__PUT_CREDENTIALS__INIT;
        put.n_credentials = 1;
        put.credentials = list;
        Ecs__Envelope e = IPC_ENVELOPE(PUT_CREDENTIALS, put_credentials, &put);
        ipc_link_request(b->metadata, &e, 0, on_refreshed, r);
}

/* ---- the small ones ---- */

static void handle_heartbeat(struct acs *a, const json_t *m)
{
        bool mistyped = false;
        acs_send(a, "HeartbeatAckRequest",
                 json_pack("{s:s}", "messageId", payload_json_text(m, "messageId", &mistyped)));
}

/* Counts as activity, asks for nothing. */
static void handle_nothing(struct acs *a, const json_t *m)
{
        (void)a;
        (void)m;
}

static const struct {
        const char *type;
        message_fn fn;
} messages[] = {
        {"PayloadMessage", handle_payload},
        {"HeartbeatMessage", handle_heartbeat},
        {"IAMRoleCredentialsMessage", handle_refresh},
        {"CloseMessage", handle_nothing},
        {"ErrorMessage", handle_nothing},
        {"InactiveInstanceException", handle_nothing},
};

void acs_message(struct acs *a, const char *text, size_t length)
{
        cleanup_json json_t *j = json_loadb(text, length, 0, NULL);
        const char *type = json_string_value(payload_json_get(j, "type"));
        const json_t *m = payload_json_get(j, "message");
        for (size_t i = 0; type != NULL && i < ARRAY_SIZE(messages); i++)
                if (strcmp(messages[i].type, type) == 0) {
                        acs_saw_activity(a);
                        messages[i].fn(a, m);
                        return;
                }
        log_warn(acs_backend(a)->log, "message of ACS ignored",
                 LOG_STR("type", type != NULL ? type : "not JSON"));
}
