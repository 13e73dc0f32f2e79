/* acs_server: the other end of an agent's sessions: the upgrade, then what is said. Payloads are
 * kept until acknowledged: those of tasks an agent has not taken are sent again when it connects.
 * Every frame of TCS is signed: it is judged, recorded and acknowledged. */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authenticate.h"
#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "local.h"
#include "mem.h"
#include "random.h"
#include "record.h"
#include "session.h"
#include "tcs_frame.h"
#include "validate.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static void set_connected(struct local *l, const char *arn, bool connected)
{
        json_t *i = store_find(l, K_INSTANCE, arn);
        if (i == NULL)
                return;
        (void)json_object_set_new(i, "agentConnected", json_boolean(connected));
        (void)store_changed(l, K_INSTANCE, arn);
}

void acs_ended(struct session *s)
{
        struct local *l = s->local;
        bool other = false;
        for (const struct session *o = l->sessions; o != NULL; o = o->next)
                other = other || (!o->telemetry && strcmp(o->instance_arn, s->instance_arn) == 0);
        if (!s->telemetry && !other)
                set_connected(l, s->instance_arn, false);
}

/* ---- what agents say ---- */

/* An acknowledged payload is not sent again. Noted in memory: after a restart it may be sent once
 * more, which does no harm. */
static void handle_ack(struct session *s, const json_t *message)
{
        const char *id = text_of(message, "messageId");
        const char *arn;
        json_t *t;
        json_object_foreach (store_tasks_of(s->local, s->instance_arn), arn, t)
                if (*id != '\0' && has_text(t, "x-pending-message", id))
                        (void)json_object_del(t, "x-pending-message");
}

/* ---- TCS ---- */

static const char *frame_header(const void *frame, const char *name)
{
        return tcs_frame_header(frame, name);
}

/* NULL when all is well, else the error TCS would answer, with its text in a. */
static const char *judge_frame(struct session *s, const struct tcs_frame *f, struct answer *a)
{
        const struct signed_request q = {.method = "GET",
                                         .target = s->target,
                                         .body = f->body,
                                         .length = f->body_length,
                                         .header = frame_header,
                                         .source = f};
        const char *host = tcs_frame_header(f, "Host");
        if (authenticate(s->local, &q, a) != CALLER_AGENT)
                return a->code != NULL ? a->code : "AccessDeniedException";
        if (host == NULL || strcmp(host, s->host) != 0) {
                answer_error(a, "BadRequestException", "Host is not that of the session");
                return a->code;
        }
        return NULL;
}

static const struct {
        const char *type, *ack;
} telemetry[] = {
        {"PublishMetricsRequest",        "AckPublishMetric"        },
        {"PublishHealthRequest",         "AckPublishHealth"        },
        {"PublishInstanceStatusRequest", "AckPublishInstanceStatus"},
};

static const char *ack_of(const char *type)
{
        for (size_t i = 0; i < ARRAY_SIZE(telemetry); i++)
                if (strcmp(telemetry[i].type, type) == 0)
                        return telemetry[i].ack;
        return NULL;
}

static void telemetry_received(struct session *s, const char *text, size_t length)
{
        struct tcs_frame f = {0};
        struct answer a = {0};
        const char *error = "BadRequestException", *ack = NULL;
        bool is_frame = tcs_frame_parse(text, length, &f) == 0;
        if (is_frame)
                error = judge_frame(s, &f, &a);
        else
                answer_error(&a, error, "no signed headers, empty line and JSON");
        cleanup_json json_t *j = json_loadb(is_frame ? f.body : "", f.body_length, 0, NULL);
        if (error == NULL)
                ack = ack_of(text_of(j, "type"));
        if (error == NULL && ack == NULL) {
                error = "InvalidParameterException";
                answer_error(&a, error, "no message of TCS");
        }
        if (error == NULL && !validate(text_of(j, "type"), json_object_get(j, "message"), &a))
                error = a.code;
        record_message(s->local->record, session_name(s), is_frame ? f.body : text,
                       is_frame ? f.body_length : length, error != NULL ? error : "");
        session_send(s, error != NULL ? error : ack,
                     json_pack("{s:s}", "message", error != NULL ? a.text : "OK"));
        free(a.text);
        tcs_frame_clear(&f);
}

void acs_received(struct session *s, const char *text, size_t length)
{
        if (s->telemetry) {
                telemetry_received(s, text, length);
                return;
        }
        cleanup_json json_t *j = json_loadb(text, length, 0, NULL);
        record_message(s->local->record, session_name(s), text, length, "");
        if (strcmp(text_of(j, "type"), "AckRequest") == 0)
                handle_ack(s, json_object_get(j, "message"));
}

/* ---- payloads ---- */

static void send_task(struct session *s, json_t *task, const char *desired)
{
        char id[RANDOM_UUID];
        struct local *l = s->local;
        const json_t *i = store_find(l, K_INSTANCE, s->instance_arn);
        json_t *payload = task_payload(l, task, desired);
        (void)json_object_set_new(task, "x-pending-message", json_string(random_uuid(id)));
        (void)store_changed(l, K_TASK, text_of(task, "taskArn"));
        session_send(s, "PayloadMessage",
                     json_pack("{s:s, s:s, s:s, s:[o], s:i, s:I}", "messageId", id, "clusterArn",
                               text_of(i, "clusterArn"), "containerInstanceArn", s->instance_arn,
                               "tasks", payload, "seqNum", 1, "generatedAt",
                               (json_int_t)clock_wall_ms()));
}

static struct session *session_of(struct local *l, const char *instance_arn)
{
        for (struct session *s = l->sessions; s != NULL; s = s->next)
                if (!s->telemetry && strcmp(s->instance_arn, instance_arn) == 0)
                        return s;
        return NULL;
}

void acs_deliver(struct local *l, const json_t *task, const char *desired_status)
{
        struct session *s = session_of(l, text_of(task, "containerInstanceArn"));
        json_t *own = store_find(l, K_TASK, text_of(task, "taskArn"));
        if (s != NULL)
                send_task(s, own, desired_status);
}

/* What the agent may have missed: tasks whose payload was not acknowledged, stops, and, when it
 * lost its credentials, every task with a role. */
static void catch_up(struct session *s, bool send_credentials)
{
        struct local *l = s->local;
        const char *arn;
        json_t *t;
        store_begin(l);
        json_object_foreach (store_tasks_of(l, s->instance_arn), arn, t) {
                const json_t *d = store_find(l, K_TASK_DEFINITION, text_of(t, "taskDefinitionArn"));
                bool has_role = *text_of(d, "taskRoleArn") != '\0' ||
                                *text_of(d, "executionRoleArn") != '\0';
                bool stops = strcmp(text_of(t, "desiredStatus"), "STOPPED") == 0;
                if (has_text(t, "lastStatus", "STOPPED"))
                        continue;
                if (stops || json_object_get(t, "x-pending-message") != NULL ||
                    strcmp(text_of(t, "lastStatus"), "PENDING") == 0 ||
                    (has_role && send_credentials))
                        send_task(s, t, stops ? "STOPPED" : "RUNNING");
        }
        (void)store_commit(l);
}

/* The slot of l->roles is "task role". The keys change, the id stays. */
static void renew(struct session *s, const char *slot, json_t *made, int64_t until_ms)
{
        char id[RANDOM_UUID], secret[RANDOM_UUID], expiration[CLOCK_TEXT];
        struct local *l = s->local;
        cleanup_free char *arn = mem_strndup(slot, strcspn(slot, " "));
        const json_t *t = store_find(l, K_TASK, arn);
        const json_t *d = store_find(l, K_TASK_DEFINITION, text_of(t, "taskDefinitionArn"));
        bool own = strcmp(slot + strlen(arn) + 1, text_of(d, "taskRoleArn")) == 0;
        (void)json_object_set_new(made, "secretAccessKey", json_string(random_uuid(secret)));
        (void)json_object_set_new(
                made, "expiration",
                json_string(clock_format_ms(until_ms - until_ms % 1000, expiration)));
        session_send(s, "IAMRoleCredentialsMessage",
                     json_pack("{s:s, s:s, s:s, s:O}", "messageId", random_uuid(id), "taskArn", arn,
                               "roleType", own ? "TaskApplication" : "TaskExecution",
                               "roleCredentials", made));
}

unsigned acs_renew_credentials(struct local *l, const char *task_arn, int64_t until_ms)
{
        unsigned count = 0;
        const char *slot;
        json_t *made;
        json_object_foreach (l->roles, slot, made) {
                cleanup_free char *arn = mem_strndup(slot, strcspn(slot, " "));
                const json_t *t = store_find(l, K_TASK, arn);
                struct session *s = session_of(l, text_of(t, "containerInstanceArn"));
                if ((strcmp(task_arn, "*") != 0 && strcmp(task_arn, arn) != 0) || s == NULL ||
                    strcmp(text_of(t, "lastStatus"), "STOPPED") == 0)
                        continue;
                renew(s, slot, made, until_ms);
                count++;
        }
        return count;
}

void acs_heartbeat(struct local *l)
{
        char id[RANDOM_UUID];
        for (struct session *s = l->sessions; s != NULL; s = s->next)
                session_send(s, "HeartbeatMessage",
                             json_pack("{s:b, s:s}", "healthy", 1, "messageId", random_uuid(id)));
}

void acs_disconnect(struct local *l, const char *instance_arn)
{
        struct session *s, *next;
        for (s = l->sessions; s != NULL; s = next) {
                next = s->next;
                if (strcmp(s->instance_arn, instance_arn) == 0)
                        session_close(s);
        }
}

void acs_close_all(struct local *l)
{
        while (l->sessions != NULL)
                session_close(l->sessions);
}

/* ---- upgrade ---- */

struct upgrade {
        struct local *local;
        char *instance_arn, *host, *target;
        bool telemetry, send_credentials;
};

static void on_upgraded(void *arg, int fd, const void *extra, size_t length, void *handle)
{
        struct upgrade *u = arg;
        struct local *l = u->local;
        bool send_credentials = u->send_credentials;
        struct session *s = session_new(l, fd, handle, extra, length);
        s->instance_arn = u->instance_arn;
        s->host = u->host;
        s->target = u->target;
        s->telemetry = u->telemetry;
        free(u);
        if (s->telemetry)
                return;
        log_info(l->log, "agent connected", LOG_STR("instance", s->instance_arn));
        set_connected(l, s->instance_arn, true);
        catch_up(s, send_credentials);
}

/* Value of a form-encoded parameter, decoded, owned; "" when absent. */
static char *parameter(const char *query, const char *name)
{
        struct buf b = {0};
        size_t n = strlen(name);
        buf_append(&b, "", 0);
        for (const char *p = query; p != NULL && *p != '\0';
             p = strchr(p, '&') != NULL ? strchr(p, '&') + 1 : NULL) {
                if (strncmp(p, name, n) != 0 || p[n] != '=')
                        continue;
                for (p += n + 1; *p != '\0' && *p != '&'; p++) {
                        char c = *p == '+' ? ' ' : *p;
                        unsigned value;
                        if (*p == '%' && sscanf(p + 1, "%2x", &value) == 1) {
                                c = (char)value;
                                p += 2;
                        }
                        buf_append(&b, &c, 1);
                }
                break;
        }
        return buf_steal(&b);
}

static void refuse(struct local *l, struct http_exchange *x, const char *code, const char *text)
{
        cleanup_json json_t *body =
                json_pack("{s:s, s:{s:s}}", "type", code, "message", "message", text);
        cleanup_free char *json = json_dumps(body, JSON_COMPACT);
        record_answer(l->record, http_tag(x), 400, code);
        http_answer(x, 400, NULL, json, strlen(json));
}

void acs_accept(struct local *l, struct http_exchange *x)
{
        unsigned char hash[SHA_DIGEST_LENGTH];
        char accept[64];
        const char *key = http_request_header(x, "Sec-WebSocket-Key");
        const char *query = strchr(http_target(x), '?');
        query = query != NULL ? query + 1 : "";
        cleanup_free char *acs = parameter(query, "containerInstanceArn");
        cleanup_free char *tcs = parameter(query, "containerInstance");
        cleanup_free char *credentials = parameter(query, "sendCredentials");
        const char *arn = *acs != '\0' ? acs : tcs;
        if (key == NULL || strlen(key) > 128) {
                refuse(l, x, "BadRequestException", "not a websocket request");
                return;
        }
        const json_t *instance = store_find(l, K_INSTANCE, arn);
        if (instance == NULL) {
                refuse(l, x, "InvalidInstanceException",
                       "the container instance is not registered here");
                return;
        }
        if (has_text(instance, "status", "INACTIVE")) {
                refuse(l, x, "InactiveInstanceException",
                       "the container instance was deregistered");
                return;
        }
        cleanup_free char *joined = mem_printf("%s" GUID, key);
        (void)SHA1((const unsigned char *)joined, strlen(joined), hash);
        (void)EVP_EncodeBlock((unsigned char *)accept, hash, sizeof hash);
        const struct http_answer_header headers[] = {
                {"Upgrade",              "websocket"},
                {"Sec-WebSocket-Accept", accept     },
                {NULL,                   NULL       }
        };
        struct upgrade *u = mem_zalloc(sizeof *u);
        *u = (struct upgrade){.local = l,
                              .instance_arn = mem_strdup(arn),
                              .host = mem_strdup(http_request_header(x, "Host")),
                              .target = mem_strdup(http_target(x)),
                              .telemetry = *acs == '\0',
                              .send_credentials = strcmp(credentials, "true") == 0};
        record_answer(l->record, http_tag(x), 101, "");
        http_upgrade(x, headers, on_upgraded, u);
}
