/* backend: the order of things: identity, then the inventories of host and Docker, then
 * registration, then session and outbox. Source: backend.md 0, 4.4. */
#include "backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acs_messages.h"
#include "backend_private.h"
#include "clock.h"
#include "cleanup.h"
#include "error.h"
#include "mem.h"
#include "random.h"

static void begin(struct backend *b);

void backend_text(char **field, const char *value)
{
        char *copy = mem_strdup(value != NULL ? value : "");
        free(*field);
        *field = copy;
}

void backend_set_error(struct backend *b, const char *text)
{
        backend_text(&b->last_error, text);
}

/* ---- registration ---- */

static void on_retry(uv_timer_t *t)
{
        begin(t->data);
}

static void retry_after(struct backend *b, struct backoff *backoff, const char *what,
                        const char *why)
{
        uint32_t wait = backoff_next(backoff, random_unit());
        cleanup_free char *text = mem_printf("%s: %s", what, why);
        if (b->stopping)
                return;
        log_warn(b->log, "not registered yet, trying again", LOG_STR("reason", text),
                 LOG_INT("next_ms", wait));
        backend_set_error(b, text);
        worker_state(b->worker, true, text);
        (void)uv_timer_start(&b->retry, on_retry, clock_wait_ms(wait), 0);
}

static void retry(struct backend *b, const char *what, const char *why)
{
        retry_after(b, &b->register_backoff, what, why);
}

static const char *attribute(const json_t *instance, const char *name)
{
        size_t i;
        json_t *e;
        json_array_foreach(json_object_get(instance, "attributes"), i, e) {
                const char *n = json_string_value(json_object_get(e, "name"));
                if (n != NULL && strcmp(n, name) == 0)
                        return json_string_value(json_object_get(e, "value"));
        }
        return NULL;
}

static void registered(struct backend *b, const json_t *instance)
{
        struct error err = {0};
        const char *arn = json_string_value(json_object_get(instance, "containerInstanceArn"));
        if (*b->identity.instance_arn == '\0')
                backend_text(&b->identity.instance_arn, arn);
        backend_text(&b->identity.availability_zone,
                     attribute(instance, "ecs.availability-zone"));
        if (identity_store(b, &err) != 0) {
                retry(b, "identity", err.text);
                return;
        }
        b->registered = true;
        backoff_reset(&b->register_backoff);
        backoff_reset(&b->throttle_backoff);
        log_info(b->log, "registered", LOG_STR("instance", b->identity.instance_arn),
                 LOG_STR("cluster", b->identity.cluster));
        worker_state(b->worker, false, "");
        identity_announce(b);
        if (b->acs == NULL)
                acs_start(b);
        outbox_read(b);
}

/* No retry can mend this: the service ends and is not started again. */
static void refused(struct backend *b, const char *code, const char *reason)
{
        log_crit(b->log, "ECS refuses this instance; correct the settings and start again",
                 LOG_STR("code", code), LOG_STR("reason", reason));
        worker_exit(b->worker, 5);
}

static void on_cluster_created(void *arg, const struct ecs_answer *a)
{
        struct backend *b = arg;
        if (b->stopping)
                return;
        if (a->error == 0 && a->status == 200)
                begin(b);
        else
                retry(b, "CreateCluster", a->text);
}

static void create_default_cluster(struct backend *b)
{
        cleanup_json json_t *body = json_pack("{s:s}", "clusterName", b->identity.cluster);
        log_info(b->log, "the default cluster is missing, creating it");
        ecs_api_call(b, "CreateCluster", body, 3, on_cluster_created, b);
}

static void not_registered(struct backend *b, const struct ecs_answer *a)
{
        enum register_outcome outcome =
                a->error == 0 ? register_outcome(a->code, a->text) : REGISTER_AGAIN;
        bool configured = *config_text(b->config, "ECS_CLUSTER", "") != '\0';
        cleanup_free char *why = mem_printf("%s%s%s", a->code, *a->code != '\0' ? ": " : "",
                                            a->text);
        if (outcome == REGISTER_NO_CLUSTER && !configured)
                create_default_cluster(b);
        else if (outcome == REGISTER_REFUSED ||
                 (outcome == REGISTER_NO_CLUSTER && strcmp(a->code, "ClientException") == 0))
                refused(b, a->code, a->text);
        else if (outcome == REGISTER_THROTTLED)
                retry_after(b, &b->throttle_backoff, "RegisterContainerInstance", why);
        else
                retry(b, "RegisterContainerInstance", why);
}

static void on_registered(void *arg, const struct ecs_answer *a)
{
        struct backend *b = arg;
        const json_t *instance = json_object_get(a->body, "containerInstance");
        if (b->stopping)
                return;
        if (a->error != 0 || a->status != 200 ||
            !json_is_string(json_object_get(instance, "containerInstanceArn"))) {
                not_registered(b, a);
                return;
        }
        cleanup_json json_t *sent = register_body(b);
        const char *missing = register_missing_attribute(sent, instance);
        if (missing != NULL) {
                cleanup_free char *why = mem_printf("attribute '%s' did not come back", missing);
                refused(b, "attributes", why);
                return;
        }
        registered(b, instance);
}

static void on_docker_inventory(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct backend *b = arg;
        (void)fd;
        if (b->stopping)
                return;
        if (status != 0) {
                retry(b, "docker inventory", strerror(-status));
                return;
        }
        backend_text(&b->docker_version, reply->inventory->docker_version);
        backend_text(&b->api_version, reply->inventory->api_version);
        backend_text(&b->min_api_version, reply->inventory->min_api_version);
        struct error err = {0};
        cleanup_json json_t *body = register_body(b);
        if (identity_settle_token(b, body, &err) != 0) {
                retry(b, "identity", err.text);
                return;
        }
        ecs_api_call(b, "RegisterContainerInstance", body, 3, on_registered, b);
}

static void on_host_inventory(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct backend *b = arg;
        (void)fd;
        if (b->stopping)
                return;
        if (status != 0) {
                retry(b, "host inventory", strerror(-status));
                return;
        }
        b->cpus = reply->host_inventory->cpus;
        b->memory_mib = reply->host_inventory->memory_mib;
        Ecs__GetInventory m = ECS__GET_INVENTORY__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(GET_INVENTORY, get_inventory, &m);
        ipc_link_request(b->engine, &e, 0, on_docker_inventory, b);
}

static void begin(struct backend *b)
{
        Ecs__GetHostInventory m = ECS__GET_HOST_INVENTORY__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(GET_HOST_INVENTORY, get_host_inventory, &m);
        if (worker_supervisor(b->worker) == NULL ||
            ipc_send_request(worker_supervisor(b->worker), &e, 10000, on_host_inventory, b) != 0)
                retry(b, "host inventory", "the supervisor has gone");
}

void backend_register_again(struct backend *b)
{
        if (!b->registered || b->stopping)
                return;
        b->registered = false;
        log_warn(b->log, "ECS does not know this instance, registering it again",
                 LOG_STR("instance", b->identity.instance_arn));
        begin(b);
}

/* ---- links ---- */

static void on_engine_up(void *arg)
{
        struct backend *b = arg;
        outbox_reload(b);
}

/* ---- life ---- */

static const char *const migrations[] = {
        "CREATE TABLE sent(id INTEGER PRIMARY KEY)",
        "CREATE TABLE number(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE identity(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        /* the registration that has been asked for and not been stored */
        "CREATE TABLE registration(token TEXT NOT NULL, request TEXT NOT NULL)",
        NULL,
};
static const char *const statements[] = {
        [INSERT_SENT] = "INSERT OR IGNORE INTO sent(id) VALUES(?1)",
        [DELETE_SENT] = "DELETE FROM sent WHERE id = ?1",
        [LOAD_SENT] = "SELECT id FROM sent ORDER BY id",
        [STORE_NUMBER] = ("INSERT INTO number(name, value) VALUES(?1, ?2)"
                          " ON CONFLICT(name) DO UPDATE SET value = ?2"),
        [LOAD_NUMBER] = "SELECT value FROM number WHERE name = ?1",
        [STORE_IDENTITY] = ("INSERT INTO identity(name, value) VALUES(?1, ?2)"
                            " ON CONFLICT(name) DO UPDATE SET value = ?2"),
        [LOAD_IDENTITY] = "SELECT name, value FROM identity",
        [STORE_REGISTRATION] = "INSERT INTO registration(token, request) VALUES(?1, ?2)",
        [LOAD_REGISTRATION] = "SELECT token FROM registration WHERE request = ?1",
        [DELETE_REGISTRATION] = "DELETE FROM registration",
};
const struct state_db_spec backend_db_spec = {.file = "backend.db",
                                              .migrations = migrations,
                                              .statements = statements,
                                              .statement_count = ARRAY_SIZE(statements)};

bool backend_store_number(struct backend *b, const char *name, int64_t value)
{
        sqlite3_stmt *s = state_db_statement(b->db, STORE_NUMBER);
        state_db_bind_text(s, 1, name);
        (void)sqlite3_bind_int64(s, 2, value);
        if (state_db_run(b->db, s) == 0)
                return true;
        log_error(b->log, "a number cannot be stored", LOG_STR("name", name),
                  LOG_STR("reason", state_db_error(b->db)));
        return false;
}

static int64_t load_number(struct backend *b, const char *name)
{
        sqlite3_stmt *s = state_db_statement(b->db, LOAD_NUMBER);
        int64_t value = 0;
        state_db_bind_text(s, 1, name);
        while (state_db_row(b->db, s) > 0)
                value = sqlite3_column_int64(s, 0);
        return value;
}

/* curl reads proxies from the environment; a worker's is empty but for what is set here. */
static void set_proxies(const struct config *c)
{
        static const char *const names[] = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"};
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (*config_text(c, names[i], "") != '\0')
                        (void)setenv(names[i], config_text(c, names[i], ""), 1);
}

static int load(struct backend *b, struct error *err)
{
        char token[RANDOM_UUID];
        cleanup_free char *dir = mem_printf("%s/backend", worker_data_dir(b->worker));
        if (*b->region == '\0')
                return error_set(err, -EINVAL,
                                 "no region: set AWS_DEFAULT_REGION in /etc/ecs/ecs.config");
        int r = state_db_open(dir, &backend_db_spec, b->log, &b->db, err);
        if (r >= 0) {
                b->sequence = load_number(b, "manifest-sequence");
                r = identity_load(b, err);
        }
        backend_text(&b->identity.registration_token, random_uuid(token));
        return r;
}

static void release(struct backend *b)
{
        char **secrets[] = {&b->access_key_id, &b->secret_access_key, &b->session_token};
        for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
                if (*secrets[i] != NULL)
                        explicit_bzero(*secrets[i], strlen(*secrets[i]));
                free(*secrets[i]);
        }
        char *const texts[] = {b->identity.cluster,       b->identity.instance_arn,
                               b->identity.availability_zone, b->identity.registration_token,
                               b->identity.ec2_instance_id, b->docker_version,
                               b->api_version,            b->min_api_version,
                               b->acs_endpoint,           b->telemetry_endpoint,
                               b->last_error,             b->manifest_id};
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                free(texts[i]);
        task_credentials_drop(b, NULL);
        acs_payloads_free(b);
        state_db_close(b->db);
        free(b);
}

int backend_start(struct worker *w, void **ret_state, struct error *err)
{
        struct backend *b = mem_zalloc(sizeof *b);
        b->worker = w;
        b->log = worker_log(w);
        b->config = worker_config(w);
        b->region = config_text(b->config, "REGION", "");
        int r = load(b, err);
        if (r < 0) {
                release(b);
                return r;
        }
        set_proxies(b->config);
        backend_text(&b->access_key_id, config_text(b->config, "AWS_ACCESS_KEY_ID", ""));
        backend_text(&b->secret_access_key, config_text(b->config, "AWS_SECRET_ACCESS_KEY", ""));
        backend_text(&b->session_token, config_text(b->config, "AWS_SESSION_TOKEN", ""));
        backend_text(&b->last_error, "");
        b->register_backoff = (struct backoff){
                .min_ms = 500, .max_ms = 15000, .jitter = 0.1, .multiple = 2};
        b->throttle_backoff = (struct backoff){
                .min_ms = 3000, .max_ms = 192000, .jitter = 0.2, .multiple = 2};
        b->retry_tokens = ECS_API_RETRY_TOKENS;
        b->http = http_client_new(worker_loop(w));
        (void)uv_timer_init(worker_loop(w), &b->retry);
        b->retry.data = b;
        *ret_state = b;
        b->engine = worker_link(w, "engine", on_engine_up, NULL, b);
        b->metadata = worker_link(w, "metadata", task_credentials_metadata_up, NULL, b);
        outbox_start(b);
        worker_ready(w);
        (void)uv_timer_start(&b->retry, on_retry, 0, 0);
        return 0;
}

void backend_stop(struct worker *w, void *state, uint32_t deadline_ms)
{
        struct backend *b = state;
        (void)deadline_ms;
        b->stopping = true;
        worker_stopped(w);
}

void backend_destroy(void *state)
{
        struct backend *b = state;
        b->stopping = true;
        acs_stop(b);
        http_client_close(b->http);
        outbox_stop(b);
        uv_close((uv_handle_t *)&b->retry, NULL);
        (void)uv_run(worker_loop(b->worker), UV_RUN_NOWAIT);
        release(b);
}

const struct worker_spec backend_spec = {
        .name = "backend",
        .summary = "speaks to ECS for the whole agent",
        .start = backend_start,
        .stop = backend_stop,
        .destroy = backend_destroy,
        .handlers = backend_handlers,
};
