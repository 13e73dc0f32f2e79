/* backend: the one worker that speaks to AWS. It registers the instance, keeps the ACS session, and
 * reports what the engine's outbox holds. Its state and what its files offer each other. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "backoff.h"
#include "http.h"
#include "sigv4.h"
#include "state_db.h"
#include "worker.h"

struct acs;
struct held_credentials;
struct outbox;
struct payload;

struct identity {
        char *cluster;              /* as configured */
        char *instance_arn;         /* "" before registration */
        char *availability_zone;
        char *registration_token;   /* client token of the registration */
        char *ec2_instance_id;
};

struct backend {
        struct worker *worker;
        const struct log *log;
        const struct config *config;
        const char *region;
        struct http_client *http;
        struct state_db *db;
        struct ipc_link *engine, *metadata;
        struct identity identity;
        char *access_key_id, *secret_access_key, *session_token;
        int64_t credentials_expire_ms;  /* wall clock; 0 = never */
        int64_t clock_skew_ms;          /* server minus ours */
        char *docker_version, *api_version, *min_api_version;
        char *acs_endpoint, *telemetry_endpoint;
        uint64_t endpoints_until_ms;
        uint32_t cpus;
        uint64_t memory_mib;
        bool registered, stopping;
        char *last_error;
        uv_timer_t retry;
        struct backoff register_backoff, throttle_backoff;
        int retry_tokens;               /* what retries of API calls may still cost */
        int64_t sequence;               /* newest of payloads and manifests */
        char *manifest_id;              /* message id of the manifest that may be confirmed */
        struct payload *payloads;       /* not yet with the engine, oldest first */
        struct held_credentials *held;  /* of tasks */
        unsigned metadata_ups;          /* how often its link came up */
        bool asked_held;                /* metadata has told what it held at our start */
        struct acs *acs;
        struct outbox *outbox;
};

/* Statements of backend.db. */
enum {
        INSERT_SENT,
        DELETE_SENT,
        LOAD_SENT,
        STORE_NUMBER,
        LOAD_NUMBER,
        STORE_IDENTITY,
        LOAD_IDENTITY,
        STORE_REGISTRATION,
        LOAD_REGISTRATION,
        DELETE_REGISTRATION,
};
extern const struct state_db_spec backend_db_spec;

extern const struct ipc_handler backend_handlers[IPC_BODY_MAX];

/* backend.c */
int backend_start(struct worker *w, void **ret_state, struct error *err);
void backend_stop(struct worker *w, void *state, uint32_t deadline_ms);
void backend_destroy(void *state);
/* ECS does not know the instance: it is registered again under its ARN, while the session waits for
 * its next try. Nothing while that is under way. */
void backend_register_again(struct backend *b);
void backend_set_error(struct backend *b, const char *text);
/* Replaces an owned text; NULL becomes "". */
void backend_text(char **field, const char *value);
/* Keeps a number over restarts; false (and a log line) when it cannot. */
bool backend_store_number(struct backend *b, const char *name, int64_t value);

/* credentials.c: calls done once credentials are there (0) or not (negative, text). */
typedef void (*credentials_fn)(void *arg, int error, const char *text);
void credentials_need(struct backend *b, credentials_fn done, void *arg);

/* ecs_api.c: one signed call of the ECS JSON API with the standard retries. */
struct ecs_answer {
        int error;               /* 0, or negative errno: no answer from ECS */
        int status;              /* HTTP */
        const json_t *body;      /* may be NULL */
        const char *code;        /* ECS error name, "" when good */
        const char *text;        /* sentence */
};
typedef void (*ecs_done_fn)(void *arg, const struct ecs_answer *a);
/* Borrows body. tries: attempts in all. */
void ecs_api_call(struct backend *b, const char *operation, const json_t *body, unsigned tries,
                  ecs_done_fn done, void *arg);
/* "https://ecs.REGION.SUFFIX" or ECS_BACKEND_HOST. Returns owned. */
#define ECS_API_RETRY_TOKENS 500
/* May a call that ended so be tried again? error: negative errno or 0, code: ECS error name. */
bool ecs_api_is_temporary(int error, int status, const char *code);
/* Value of the User-Agent header. Returns owned. */
char *ecs_api_user_agent(const struct config *c);
/* No slash at its end. */
char *ecs_api_endpoint(const char *backend_host, const char *region);

/* register.c */
json_t *register_body(const struct backend *b);
/* Name of an attribute of the request that the answer does not carry, or NULL. Borrowed. */
const char *register_missing_attribute(const json_t *sent, const json_t *instance);
enum register_outcome {
        REGISTER_AGAIN,       /* soon */
        REGISTER_THROTTLED,   /* later */
        REGISTER_REFUSED,     /* never: the service ends with 5 */
        REGISTER_NO_CLUSTER,  /* refused, but the default cluster may be made */
};
/* What an error of RegisterContainerInstance means. Source: backend.md 3.2, 4.4. */
enum register_outcome register_outcome(const char *code, const char *text);
/* identity.c */
/* From backend.db and identity.json; a copy that is lost or differs is written anew and told.
 * -ENOTRECOVERABLE when the configured cluster is another one. */
int identity_load(struct backend *b, struct error *err);
/* Into both. */
int identity_store(struct backend *b, struct error *err);
/* Gives the body of a first registration its clientToken: that of the same request made before, if
 * need be by a process that was killed, or a new one, stored before it is used. So ECS answers a
 * repeated request with the instance it already made. Lasts until identity_store. */
int identity_settle_token(struct backend *b, json_t *body, struct error *err);
void identity_announce(struct backend *b);

/* acs.c */
void acs_start(struct backend *b);
void acs_stop(struct backend *b);
/* One finished message. Sends JSON text {"type":…,"message":…}. Takes message. */
void acs_send(struct acs *a, const char *type, json_t *message);
bool acs_is_connected(const struct acs *a);
const char *acs_state_text(const struct acs *a);
/* A recognised message came: the timers start again. */
void acs_saw_activity(struct acs *a);
struct backend *acs_backend(const struct acs *a);
/* acs_messages.c: table of message types. text is one whole message. */
void acs_message(struct acs *a, const char *text, size_t length);
void acs_send_ack(struct acs *a, const char *cluster, const char *instance,
                  const char *message_id);
void acs_send_credentials_ack(struct acs *a, const char *message_id, const char *id,
                              const char *expiration);

/* task_credentials.c */
#define TASK_CREDENTIALS_MS 60000
/* Owned copies, with their secrets wiped when they go. */
Ecs__TaskCredentials *task_credentials_copy(const Ecs__TaskCredentials *c);
void task_credentials_free(Ecs__TaskCredentials *c);
/* Keeps a copy, replacing by id. */
void task_credentials_hold(struct backend *b, const Ecs__TaskCredentials *c);
/* Wipes those of one task, or all (NULL). */
void task_credentials_drop(struct backend *b, const char *arn);
/* Gives metadata all that is held. */
void task_credentials_put_all(struct backend *b);
/* The link to metadata is up: fill it. */
void task_credentials_metadata_up(void *backend);
/* New credentials of a known task: served, then acknowledged. */
void task_credentials_refresh(struct backend *b, const char *message_id,
                              const Ecs__TaskCredentials *c);

/* outbox.c */
void outbox_start(struct backend *b);
void outbox_stop(struct backend *b);
/* There may be new rows. */
void outbox_read(struct backend *b);
/* The engine was started again: its rows are read anew. */
void outbox_reload(struct backend *b);
size_t outbox_waiting(const struct backend *b);
