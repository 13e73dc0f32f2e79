/* metadata: start, peers, messages. The servers open once all credentials of running tasks are
 * held, or after a second: what is still missing then is answered with 503. */
#include "metadata.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "mem.h"

#define REFILL_MS 1000
#define TIMEOUT_S 5
#define BODY_MAX 65536
#define HEADERS_MAX 8192
#define CREDENTIALS_MAX 4096

static void set_text(char **field, const char *value)
{
        char *copy = mem_strdup(value != NULL ? value : "");
        free(*field);
        *field = copy;
}

/* ---- identity ---- */

static void load_identity(struct metadata *m)
{
        cleanup_free char *path =
                mem_printf("%s/backend/identity.json", worker_data_dir(m->worker));
        cleanup_json json_t *j = json_load_file(path, 0, NULL);
        set_text(&m->cluster, config_text(m->config, "ECS_CLUSTER", "default"));
        set_text(&m->instance_arn, json_string_value(json_object_get(j, "containerInstanceArn")));
        set_text(&m->availability_zone, json_string_value(json_object_get(j, "availabilityZone")));
        set_text(&m->availability_zone_id, NULL);
        set_text(&m->vpc_id, NULL);
}

static void take_identity(struct metadata *m, const Ecs__Identity *i)
{
        set_text(&m->cluster, i->cluster);
        set_text(&m->instance_arn, i->container_instance_arn);
        set_text(&m->availability_zone, i->availability_zone);
        set_text(&m->availability_zone_id, i->availability_zone_id);
        set_text(&m->vpc_id, i->vpc_id);
        tasks_forget_answers(m);
}

static void on_identity(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        (void)fd;
        if (status == 0)
                take_identity(arg, reply->identity);
}

static void on_backend_up(void *arg)
{
        struct metadata *m = arg;
        Ecs__GetIdentity get = ECS__GET_IDENTITY__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(GET_IDENTITY, get_identity, &get);
        ipc_link_request(m->backend, &e, 10000, on_identity, m);
}

/* An engine that found its database damaged has begun a new file: ours may be the old one. */
static void on_engine_up(void *arg)
{
        tasks_reopen(arg);
}

/* ---- messages ---- */

static void handle_identity(void *context, struct ipc_request *r, const Ecs__Envelope *e)
{
        (void)r;
        take_identity(context, e->identity);
}

static void handle_tasks_changed(void *context, struct ipc_request *r, const Ecs__Envelope *e)
{
        (void)r;
        (void)e;
        tasks_refresh(context);
}

static void open_servers(struct metadata *m);

static bool lacks(const struct metadata *m, const char *id)
{
        return *id != '\0' && credentials_find(m, id) == NULL;
}

/* A stopped task's are not given back. */
static bool waits_for_credentials(const struct metadata *m)
{
        for (const struct shown_task *t = m->tasks; t != NULL; t = t->next)
                if (strcmp(t->facts->known_status, "STOPPED") != 0 &&
                    (lacks(m, t->facts->credentials_id) ||
                     lacks(m, t->facts->execution_credentials_id)))
                        return true;
        return false;
}

static void handle_put_credentials(void *context, struct ipc_request *r, const Ecs__Envelope *e)
{
        struct metadata *m = context;
        const Ecs__PutCredentials *put = e->put_credentials;
        for (size_t i = 0; i < put->n_credentials; i++)
                credentials_put(m, put->credentials[i]);
        credentials_prune(m);
        if (!waits_for_credentials(m))
                open_servers(m);
        Ecs__PutCredentialsReply reply = ECS__PUT_CREDENTIALS_REPLY__INIT;
        Ecs__Envelope answer = IPC_ENVELOPE(PUT_CREDENTIALS_REPLY, put_credentials_reply, &reply);
        ipc_reply(r, &answer);
}

static void handle_get_held(void *context, struct ipc_request *r, const Ecs__Envelope *e)
{
        const Ecs__TaskCredentials **list = mem_alloc(CREDENTIALS_MAX * sizeof *list);
        (void)e;
        Ecs__Held held = ECS__HELD__INIT;
        held.n_ids = credentials_list(context, list, CREDENTIALS_MAX);
        if (held.n_ids == CREDENTIALS_MAX)
                log_warn(((struct metadata *)context)->log,
                         "more credentials are held than are told; the rest is kept here only",
                         LOG_INT("told", CREDENTIALS_MAX));
        held.ids = mem_zalloc((held.n_ids + 1) * sizeof *held.ids);
        for (size_t i = 0; i < held.n_ids; i++)
                held.ids[i] = list[i]->id;
        Ecs__Envelope answer = IPC_ENVELOPE(HELD, held, &held);
        ipc_reply(r, &answer);
        free(held.ids);
        free(list);
}

static void handle_get_credentials(void *context, struct ipc_request *r, const Ecs__Envelope *e)
{
        const Ecs__GetCredentials *get = e->get_credentials;
        Ecs__GetCredentialsReply reply = ECS__GET_CREDENTIALS_REPLY__INIT;
        reply.credentials = mem_zalloc((get->n_ids + 1) * sizeof *reply.credentials);
        for (size_t i = 0; i < get->n_ids; i++) {
                const Ecs__TaskCredentials *c = credentials_find(context, get->ids[i]);
                if (c != NULL)
                        reply.credentials[reply.n_credentials++] =
                                (Ecs__TaskCredentials *)(uintptr_t)c;
        }
        Ecs__Envelope answer = IPC_ENVELOPE(GET_CREDENTIALS_REPLY, get_credentials_reply, &reply);
        ipc_reply(r, &answer);
        free(reply.credentials);
}

const struct ipc_handler metadata_handlers[IPC_BODY_MAX] = {
        [ECS__ENVELOPE__BODY_IDENTITY] = {handle_identity,        PEER_BACKEND, WHEN_ANY},
        [ECS__ENVELOPE__BODY_TASKS_CHANGED] = {handle_tasks_changed,   PEER_ENGINE,  WHEN_ANY},
        [ECS__ENVELOPE__BODY_PUT_CREDENTIALS] = {handle_put_credentials, PEER_BACKEND, WHEN_ANY},
        [ECS__ENVELOPE__BODY_GET_HELD] = {handle_get_held,        PEER_BACKEND, WHEN_ANY},
        [ECS__ENVELOPE__BODY_GET_CREDENTIALS] = {handle_get_credentials, PEER_BACKEND, WHEN_ANY},
};

/* ---- life ---- */

static struct http_server *serve(struct metadata *m, const char *name, http_handler_fn handler)
{
        int fd = worker_listener(m->worker, name);
        const struct http_server_options o = {.handler = handler,
                                              .arg = m,
                                              .max_body = BODY_MAX,
                                              .timeout_s = TIMEOUT_S,
                                              .memory = HEADERS_MAX};
        return fd >= 0 ? http_server_new(worker_loop(m->worker), fd, &o) : NULL;
}

static void open_servers(struct metadata *m)
{
        if (m->task_server == NULL)
                m->task_server = serve(m, "tmds", task_routes);
        if (m->introspection_server == NULL)
                m->introspection_server = serve(m, "introspection", introspection_routes);
}

static void on_accept(uv_timer_t *t)
{
        open_servers(t->data);
}

int metadata_start(struct worker *w, void **ret_state, struct error *err)
{
        struct metadata *m = mem_zalloc(sizeof *m);
        (void)err;
        m->worker = w;
        m->log = worker_log(w);
        m->config = worker_config(w);
        load_identity(m);
        tasks_refresh(m);
        (void)uv_timer_init(worker_loop(w), &m->accept);
        m->accept.data = m;
        (void)uv_timer_start(&m->accept, on_accept,
                             waits_for_credentials(m) ? clock_wait_ms(REFILL_MS) : 0, 0);
        *ret_state = m;
        m->engine = worker_link(w, "engine", on_engine_up, NULL, m);
        m->backend = worker_link(w, "backend", on_backend_up, NULL, m);
        worker_ready(w);
        return 0;
}

void metadata_stop(struct worker *w, void *state, uint32_t deadline_ms)
{
        (void)state;
        (void)deadline_ms;
        worker_stopped(w);
}

void metadata_destroy(void *state)
{
        struct metadata *m = state;
        http_server_close(m->task_server);
        http_server_close(m->introspection_server);
        uv_close((uv_handle_t *)&m->accept, NULL);
        (void)uv_run(worker_loop(m->worker), UV_RUN_NOWAIT);
        tasks_free(m);
        credentials_free(m);
        free(m->cluster);
        free(m->instance_arn);
        free(m->availability_zone);
        free(m->availability_zone_id);
        free(m->vpc_id);
        free(m);
}
