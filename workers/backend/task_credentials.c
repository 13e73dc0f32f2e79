/* task_credentials: the roles of tasks as ACS sent them, in memory only, so that a metadata worker
 * that was started again is filled at once. A backend that was started again asks metadata for
 * what it holds. A task's go when ECS has taken its STOPPED. Source: backend.md 6.1, 6.4. */
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "mem.h"

struct held_credentials {
        struct held_credentials *next;
        Ecs__TaskCredentials *value;
};

void task_credentials_free(Ecs__TaskCredentials *c)
{
        explicit_bzero(c->secret_access_key, strlen(c->secret_access_key));
        explicit_bzero(c->session_token, strlen(c->session_token));
        ecs__task_credentials__free_unpacked(c, NULL);
}

Ecs__TaskCredentials *task_credentials_copy(const Ecs__TaskCredentials *c)
{
        size_t size = ecs__task_credentials__get_packed_size(c);
        uint8_t *packed = mem_alloc(size + 1);
        ecs__task_credentials__pack(c, packed);
        Ecs__TaskCredentials *copy = ecs__task_credentials__unpack(NULL, size, packed);
        explicit_bzero(packed, size);
        free(packed);
        return copy;
}

static struct held_credentials *find(const struct backend *b, const char *id)
{
        struct held_credentials *h = b->held;
        while (h != NULL && strcmp(h->value->id, id) != 0)
                h = h->next;
        return h;
}

void task_credentials_hold(struct backend *b, const Ecs__TaskCredentials *c)
{
        struct held_credentials *h = find(b, c->id);
        if (h == NULL) {
                h = mem_zalloc(sizeof *h);
                h->next = b->held;
                b->held = h;
        } else {
                task_credentials_free(h->value);
        }
        h->value = task_credentials_copy(c);
}

/* arn NULL: all. */
void task_credentials_drop(struct backend *b, const char *arn)
{
        for (struct held_credentials **at = &b->held; *at != NULL;) {
                struct held_credentials *h = *at;
                if (arn != NULL && strcmp(h->value->task_arn, arn) != 0) {
                        at = &h->next;
                        continue;
                }
                *at = h->next;
                task_credentials_free(h->value);
                free(h);
        }
}

static void on_put(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        (void)arg;
        (void)status;
        (void)reply;
        (void)fd;
}

void task_credentials_put_all(struct backend *b)
{
        size_t count = 0;
        for (const struct held_credentials *h = b->held; h != NULL; h = h->next)
                count++;
        Ecs__PutCredentials put = ECS__PUT_CREDENTIALS__INIT;
        put.credentials = mem_zalloc((count + 1) * sizeof *put.credentials);
        for (const struct held_credentials *h = b->held; h != NULL; h = h->next)
                put.credentials[put.n_credentials++] = h->value;
        Ecs__Envelope e = IPC_ENVELOPE(PUT_CREDENTIALS, put_credentials, &put);
        ipc_link_request(b->metadata, &e, TASK_CREDENTIALS_MS, on_put, NULL);
        free(put.credentials);
}

static void on_got(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct backend *b = arg;
        (void)fd;
        if (b->stopping)
                return;
        const Ecs__GetCredentialsReply *got =
                status == 0 && reply->body_case == ECS__ENVELOPE__BODY_GET_CREDENTIALS_REPLY
                        ? reply->get_credentials_reply
                        : NULL;
        /* what ACS sent meanwhile is newer */
        for (size_t i = 0; got != NULL && i < got->n_credentials; i++)
                if (find(b, got->credentials[i]->id) == NULL)
                        task_credentials_hold(b, got->credentials[i]);
        task_credentials_put_all(b);
}

static void on_held(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct backend *b = arg;
        (void)fd;
        if (b->stopping)
                return;
        if (status != 0 || reply->body_case != ECS__ENVELOPE__BODY_HELD ||
            reply->held->n_ids == 0) {
                task_credentials_put_all(b);
                return;
        }
        Ecs__GetCredentials get = ECS__GET_CREDENTIALS__INIT;
        get.n_ids = reply->held->n_ids;
        get.ids = reply->held->ids;
        Ecs__Envelope e = IPC_ENVELOPE(GET_CREDENTIALS, get_credentials, &get);
        ipc_link_request(b->metadata, &e, TASK_CREDENTIALS_MS, on_got, b);
}

void task_credentials_metadata_up(void *backend)
{
        struct backend *b = backend;
        b->metadata_ups++;
        if (b->asked_held) {
                task_credentials_put_all(b);
                return;
        }
        b->asked_held = true;
        Ecs__GetHeld get = ECS__GET_HELD__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(GET_HELD, get_held, &get);
        ipc_link_request(b->metadata, &e, TASK_CREDENTIALS_MS, on_held, b);
}

/* ---- refresh, the message ---- */

struct refresh {
        struct backend *backend;
        char *message_id;
        Ecs__TaskCredentials *value;
};

static void refresh_free(struct refresh *r)
{
        free(r->message_id);
        task_credentials_free(r->value);
        free(r);
}

static void on_served(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct refresh *r = arg;
        (void)reply;
        (void)fd;
        if (status == 0 && r->backend->acs != NULL)
                acs_send_credentials_ack(r->backend->acs, r->message_id, r->value->id,
                                         r->value->expiration);
        refresh_free(r);
}

static void on_task_known(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct refresh *r = arg;
        struct backend *b = r->backend;
        (void)fd;
        if (status != 0 || b->stopping || reply->body_case != ECS__ENVELOPE__BODY_GET_TASKS_REPLY ||
            reply->get_tasks_reply->n_tasks == 0) {
                log_warn(b->log, "credentials for an unknown task ignored",
                         LOG_TASK(r->value->task_arn));
                refresh_free(r);
                return;
        }
        task_credentials_hold(b, r->value);
        Ecs__TaskCredentials *list[] = {r->value};
        Ecs__PutCredentials put = ECS__PUT_CREDENTIALS__INIT;
        put.n_credentials = 1;
        put.credentials = list;
        Ecs__Envelope e = IPC_ENVELOPE(PUT_CREDENTIALS, put_credentials, &put);
        ipc_link_request(b->metadata, &e, TASK_CREDENTIALS_MS, on_served, r);
}

void task_credentials_refresh(struct backend *b, const char *message_id,
                              const Ecs__TaskCredentials *c)
{
        struct refresh *r = mem_zalloc(sizeof *r);
        *r = (struct refresh){.backend = b,
                              .message_id = mem_strdup(message_id),
                              .value = task_credentials_copy(c)};
        Ecs__GetTasks get = ECS__GET_TASKS__INIT;
        get.arn = r->value->task_arn;
        Ecs__Envelope e = IPC_ENVELOPE(GET_TASKS, get_tasks, &get);
        ipc_link_request(b->engine, &e, TASK_CREDENTIALS_MS, on_task_known, r);
}
