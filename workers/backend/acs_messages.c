/* acs_messages: the envelope, one row a message type, and the small handlers. What cannot be read
 * is dropped and the session lives; a member of the wrong type counts as unreadable.
 * Source: backend.md 6.3, 6.4, 6.9. */
#include "acs_messages.h"

#include <string.h>

#include "backend.h"
#include "cleanup.h"
#include "payload_json.h"

/* ---- answers ---- */

void acs_send_ack(struct acs *a, const char *cluster, const char *instance, const char *message_id)
{
        acs_send(a, "AckRequest",
                 json_pack("{s:s, s:s, s:s}", "cluster", cluster, "containerInstance", instance,
                           "messageId", message_id));
}

void acs_send_credentials_ack(struct acs *a, const char *message_id, const char *id,
                              const char *expiration)
{
        acs_send(a, "IAMRoleCredentialsAckRequest",
                 json_pack("{s:s, s:s, s:s}", "messageId", message_id, "expiration", expiration,
                           "credentialsId", id));
}

/* ---- credentials ---- */

bool acs_read_credentials(const json_t *c, const char *task_arn, const char *role_type,
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
        if (c != NULL && !json_is_object(c))
                *ret_mistyped = true;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                *texts[i].field = (char *)payload_json_text(c, texts[i].name, ret_mistyped);
        ret->task_arn = (char *)task_arn;
        ret->role_type = (char *)role_type;
        return *ret->id != '\0' && *task_arn != '\0';
}

static enum acs_verdict handle_refresh(struct acs *a, const json_t *m)
{
        bool mistyped = false;
        const char *message_id = payload_json_text(m, "messageId", &mistyped);
        const char *role_type = payload_json_text(m, "roleType", &mistyped);
        const char *task_arn = payload_json_text(m, "taskArn", &mistyped);
        Ecs__TaskCredentials c = ECS__TASK_CREDENTIALS__INIT;
        bool whole = acs_read_credentials(payload_json_get(m, "roleCredentials"), task_arn,
                                          role_type, &c, &mistyped);
        bool known_type = strcmp(role_type, "TaskApplication") == 0 ||
                          strcmp(role_type, "TaskExecution") == 0;
        if (mistyped)
                return ACS_MISTYPED;
        if (!whole || !known_type || *message_id == '\0')
                return ACS_INVALID;
        task_credentials_refresh(acs_backend(a), message_id, &c);
        return ACS_HANDLED;
}

/* ---- the small ones ---- */

static enum acs_verdict handle_heartbeat(struct acs *a, const json_t *m)
{
        bool mistyped = false;
        const json_t *healthy = payload_json_get(m, "healthy");
        const char *message_id = payload_json_text(m, "messageId", &mistyped);
        if (mistyped || (healthy != NULL && !json_is_boolean(healthy)))
                return ACS_MISTYPED;
        acs_send(a, "HeartbeatAckRequest", json_pack("{s:s}", "messageId", message_id));
        return ACS_HANDLED;
}

/* This agent is updated by its package, never by ECS. */
static enum acs_verdict handle_update(struct acs *a, const json_t *m)
{
        bool mistyped = false;
        const char *message_id = payload_json_text(m, "messageId", &mistyped);
        const char *cluster = payload_json_text(m, "clusterArn", &mistyped);
        const char *instance = payload_json_text(m, "containerInstanceArn", &mistyped);
        if (mistyped)
                return ACS_MISTYPED;
        acs_send(a, "NackRequest",
                 json_pack("{s:s, s:s, s:s, s:s}", "cluster", cluster, "containerInstance",
                           instance, "messageId", message_id, "reason", "Updates are disabled"));
        return ACS_HANDLED;
}

/* Counts as activity, asks for nothing. */
static enum acs_verdict handle_nothing(struct acs *a, const json_t *m)
{
        (void)a;
        (void)m;
        return ACS_HANDLED;
}

static const struct {
        const char *type;
        acs_message_fn fn;
} messages[] = {
        {"PayloadMessage", acs_handle_payload},
        {"HeartbeatMessage", handle_heartbeat},
        {"IAMRoleCredentialsMessage", handle_refresh},
        {"TaskManifestMessage", acs_handle_manifest},
        {"TaskStopVerificationAck", acs_handle_stop_verification_ack},
        {"StageUpdateMessage", handle_update},
        {"PerformUpdateMessage", handle_update},
        {"CloseMessage", handle_nothing},
        {"ErrorMessage", handle_nothing},
        {"ServerException", handle_nothing},
        {"BadRequestException", handle_nothing},
        {"InvalidClusterException", handle_nothing},
        {"InvalidInstanceException", handle_nothing},
        {"AccessDeniedException", handle_nothing},
        {"InactiveInstanceException", handle_nothing},
};

static acs_message_fn handler_of(const char *type)
{
        for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
                if (strcmp(messages[i].type, type) == 0)
                        return messages[i].fn;
        return NULL;
}

void acs_message(struct acs *a, const char *text, size_t length)
{
        static const char *const why[] = {
                [ACS_INVALID] = "something it needs is missing",
                [ACS_MISTYPED] = "a member has the wrong type",
        };
        const struct log *log = acs_backend(a)->log;
        cleanup_json json_t *j = json_loadb(text, length, 0, NULL);
        const char *type = json_string_value(payload_json_get(j, "type"));
        const json_t *m = payload_json_get(j, "message");
        acs_message_fn fn = type != NULL ? handler_of(type) : NULL;
        if (fn == NULL) {
                log_warn(log, "message of ACS ignored: not one this agent knows",
                         LOG_STR("type", type != NULL ? type : "not JSON"));
                return;
        }
        enum acs_verdict verdict = json_is_object(m) ? fn(a, m) : ACS_MISTYPED;
        if (verdict != ACS_HANDLED)
                log_warn(log, "message of ACS ignored", LOG_STR("type", type),
                         LOG_STR("reason", why[verdict]));
        if (verdict != ACS_MISTYPED)
                acs_saw_activity(a);
}
