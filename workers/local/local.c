/* local: requests in, answers out: authenticate, find the operation, call it, say what ECS says. */
#include "local.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authenticate.h"
#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "fault.h"
#include "mem.h"
#include "random.h"
#include "record.h"
#include "scheduler.h"
#include "validate.h"

#define TARGET "AmazonEC2ContainerServiceV20141113."
#define BODY_MAX (8u << 20)
#define TIMEOUT_S 60
#define HEARTBEAT_MS 30000

void answer_error(struct answer *a, const char *code, const char *format, ...)
{
        va_list ap;
        va_start(ap, format);
        free(a->text);
        a->text = mem_vprintf(format, ap);
        va_end(ap);
        a->code = code;
        a->status = 400;
}

static bool is_websocket(const struct http_exchange *x)
{
        return strcmp(http_method(x), "GET") == 0 && strncmp(http_target(x), "/ws?", 4) == 0;
}

/* What the answer carries; a handshake's error has a form of its own, and a fault without a code is
 * text as a load balancer writes it. Owned. */
static char *answer_text(const struct http_exchange *x, const struct answer *a)
{
        cleanup_json json_t *body = NULL;
        if (a->code != NULL && *a->code == '\0')
                return mem_strdup(a->text);
        if (a->code != NULL && is_websocket(x)) {
                body = json_pack("{s:s, s:{s:s}}", "type", a->code, "message", "message", a->text);
        } else if (a->code != NULL) {
                body = json_pack("{s:s, s:s}", "__type", a->code, "message", a->text);
        } else {
                body = a->body != NULL ? json_incref(a->body) : json_object();
        }
        if (body == NULL) /* the text quotes a header that is no UTF-8 */
                body = json_pack("{s:s, s:s}", "__type", a->code, "message",
                                 "the request's headers are not UTF-8");
        return json_dumps(body, JSON_COMPACT);
}

static void send_answer(struct local *l, struct http_exchange *x, struct answer *a)
{
        char id[RANDOM_UUID];
        bool plain = a->code != NULL && *a->code == '\0';
        const struct http_answer_header headers[] = {
                {"Content-Type",                                        plain ? "text/plain" : "application/x-amz-json-1.1"},
                {"x-amzn-RequestId",                                    random_uuid(id)                                    },
                {a->code != NULL && !plain ? "x-amzn-ErrorType" : NULL, a->code                                            },
                {NULL,                                                  NULL                                               }
        };
        int status = a->code != NULL ? a->status : 200;
        cleanup_free char *text = answer_text(x, a);
        record_answer(l->record, http_tag(x), status, a->code != NULL ? a->code : "");
        http_answer(x, status, headers, text, strlen(text));
        json_decref(a->body);
        free(a->text);
}

double local_now(void)
{
        return (double)clock_wall_ms() / 1000;
}

/* ---- transactions ---- */

void local_begin(struct local *l)
{
        (void)json_object_clear(l->outgoing);
        store_begin(l);
}

void local_abort(struct local *l)
{
        store_abort(l);
        (void)json_object_clear(l->outgoing);
}

bool local_commit(struct local *l)
{
        const char *arn;
        json_t *v;
        if (!store_commit(l)) {
                (void)json_object_clear(l->outgoing);
                return false;
        }
        /* the delivery's own notes are one more transaction; their loss means delivery again */
        store_begin(l);
        json_object_foreach(l->outgoing, arn, v) {
                const json_t *t = store_find(l, K_TASK, arn);
                if (t != NULL)
                        acs_deliver(l, t, text_of(t, "desiredStatus"));
        }
        (void)store_commit(l);
        (void)json_object_clear(l->outgoing);
        return true;
}

void local_deliver(struct local *l, const json_t *task)
{
        (void)json_object_set_new(l->outgoing, text_of(task, "taskArn"), json_true());
}

/* ---- requests ---- */

static const struct operation *find_operation(const char *name)
{
        for (size_t i = 0; i < operation_count; i++)
                if (strcmp(operations[i].name, name) == 0)
                        return &operations[i];
        return NULL;
}

void local_operate(struct local *l, const char *name, unsigned caller, const char *body,
                   size_t length, struct answer *a)
{
        const struct operation *o = find_operation(name);
        if (o == NULL) {
                answer_error(a, "UnknownOperationException",
                             "%s is not supported by the local control plane",
                             *name != '\0' ? name : "a request without X-Amz-Target");
                return;
        }
        if ((o->callers & caller) == 0) {
                answer_error(a, "AccessDeniedException", "these keys may not call %s", o->name);
                return;
        }
        cleanup_json json_t *q = json_loadb(body, length, 0, NULL);
        if (!json_is_object(q)) {
                answer_error(a, "SerializationException", "the body is no JSON object");
                return;
        }
        if (!validate(o->name, q, a))
                return;
        local_begin(l);
        o->fn(l, q, a);
        if (a->code != NULL) {
                local_abort(l);
        } else if (!local_commit(l)) {
                answer_error(a, "ServerException",
                             "the change could not be stored; see the agent's log");
                a->status = 500;
        }
}

static void call(struct local *l, struct http_exchange *x, unsigned caller, struct answer *a)
{
        const char *target = http_request_header(x, "X-Amz-Target");
        size_t length, prefix = strlen(TARGET);
        const char *body = http_body(x, &length);
        if (target == NULL)
                target = "";
        else if (strncmp(target, TARGET, prefix) == 0)
                target += prefix;
        local_operate(l, target, caller, body, length, a);
}

/* "acs" and "tcs" for handshakes, else the operation's name; "" when it has none. */
static const char *operation_name(const struct http_exchange *x)
{
        const char *target = http_request_header(x, "X-Amz-Target");
        if (is_websocket(x))
                return strstr(http_target(x), "containerInstanceArn=") != NULL ? "acs" : "tcs";
        if (target == NULL || strncmp(target, TARGET, strlen(TARGET)) != 0)
                return "";
        return target + strlen(TARGET);
}

static const char *header_of(const void *x, const char *name)
{
        return http_request_header(x, name);
}

static struct signed_request signed_request(const struct http_exchange *x)
{
        struct signed_request q = {.method = http_method(x),
                                   .target = http_target(x),
                                   .header = header_of,
                                   .source = x};
        q.body = http_body(x, &q.length);
        return q;
}

static void on_request(void *arg, struct http_exchange *x)
{
        struct local *l = arg;
        struct answer a = {0};
        const char *operation = operation_name(x);
        const struct signed_request q = signed_request(x);
        unsigned caller = authenticate(l, &q, &a);
        if (http_tag(x) == 0 && caller != CALLER_USER)
                http_set_tag(x, record_request(l->record, operation, x));
        enum fault_verdict verdict =
                fault_request(l->faults, x, operation, caller != CALLER_USER, &a);
        if (verdict == FAULT_TAKEN)
                return;
        if (verdict == FAULT_NONE && caller == CALLER_AGENT && is_websocket(x)) {
                acs_accept(l, x);
                return;
        }
        if (verdict == FAULT_NONE && caller != 0)
                call(l, x, caller, &a);
        else if (verdict == FAULT_NONE)
                a.status = 403;
        send_answer(l, x, &a);
}

/* ---- life ---- */

static void on_heartbeat(uv_timer_t *t)
{
        acs_heartbeat(t->data);
}

/* Nobody is connected to a control plane that has just started. */
static void forget_connections(struct local *l)
{
        const char *arn;
        json_t *i;
        json_object_foreach(l->objects[K_INSTANCE], arn, i)
                (void)json_object_set_new(i, "agentConnected", json_false());
}

/* Like a fresh account, but with its default cluster made. */
static void make_default_cluster(struct local *l)
{
        struct answer a = {0};
        cleanup_json json_t *q =
                json_pack("{s:s}", "clusterName", config_text(l->config, "ECS_CLUSTER", "default"));
        local_begin(l);
        op_create_cluster(l, q, &a);
        (void)local_commit(l);
        json_decref(a.body);
}

static void release(struct local *l)
{
        store_close(l);
        faults_free(l->faults);
        record_free(l->record);
        json_decref(l->roles);
        json_decref(l->outgoing);
        free(l);
}

int local_start(struct worker *w, void **ret_state, struct error *err)
{
        struct local *l = mem_zalloc(sizeof *l);
        l->worker = w;
        l->log = worker_log(w);
        l->config = worker_config(w);
        l->region = config_text(l->config, "REGION", "us-east-1");
        l->roles = json_object();
        l->outgoing = json_object();
        l->faults = faults_new(l);
        l->record = record_new();
        int r = store_open(l, err);
        const struct http_server_options o = {
                .handler = on_request, .arg = l, .max_body = BODY_MAX, .timeout_s = TIMEOUT_S};
        if (r >= 0) {
                forget_connections(l);
                make_default_cluster(l);
                l->server = http_server_new(worker_loop(w), worker_listener(w, "local"), &o);
                if (l->server == NULL)
                        r = error_set(err, -EADDRINUSE,
                                      "the control plane has no port to listen on: set "
                                      "ECS_LOCAL_PORT to a free one");
        }
        if (r < 0) {
                release(l);
                return r;
        }
        l->scheduler = scheduler_new(l);
        (void)uv_timer_init(worker_loop(w), &l->heartbeat);
        l->heartbeat.data = l;
        (void)uv_timer_start(&l->heartbeat, on_heartbeat, clock_wait_ms(HEARTBEAT_MS),
                             clock_wait_ms(HEARTBEAT_MS));
        *ret_state = l;
        worker_ready(w);
        return 0;
}

void local_stop(struct worker *w, void *state, uint32_t deadline_ms)
{
        struct local *l = state;
        (void)deadline_ms;
        l->stopping = true;
        worker_stopped(w);
}

void local_destroy(void *state)
{
        struct local *l = state;
        struct worker *w = l->worker;
        l->stopping = true;
        acs_close_all(l);
        uv_close((uv_handle_t *)&l->heartbeat, NULL);
        scheduler_close(l->scheduler);
        (void)uv_run(worker_loop(l->worker), UV_RUN_NOWAIT);
        http_server_close(l->server);
        (void)uv_run(worker_loop(l->worker), UV_RUN_NOWAIT);
        release(l);
        (void)uv_run(worker_loop(w), UV_RUN_NOWAIT);
}

const struct worker_spec local_spec = {
        .name = "local",
        .summary = "an ECS control plane for one machine",
        .start = local_start,
        .stop = local_stop,
        .destroy = local_destroy,
        .handlers = local_handlers,
};
