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
struct outbox;

struct identity {
        char *cluster;              /* as configured */
        char *instance_arn;         /* "" before registration */
        char *availability_zone;
        char *registration_token;   /* client token of this process's registration */
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
        struct backoff register_backoff;
        struct acs *acs;
        struct outbox *outbox;
};

extern const struct ipc_handler backend_handlers[IPC_BODY_MAX];

/* backend.c */
int backend_start(struct worker *w, void **ret_state, struct error *err);
void backend_stop(struct worker *w, void *state, uint32_t deadline_ms);
void backend_destroy(void *state);
void backend_set_error(struct backend *b, const char *text);
/* Replaces an owned text; NULL becomes "". */
void backend_text(char **field, const char *value);

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
char *ecs_api_endpoint(const char *backend_host, const char *region);

/* register.c */
json_t *register_body(const struct backend *b);
/* capability_table.c: appends the attributes whose condition holds. */
void capabilities_put(const struct backend *b, json_t *attributes);
/* identity.c */
int identity_load(struct backend *b, struct error *err);
int identity_store(struct backend *b, struct error *err);
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
char *acs_url_query(const struct backend *b, bool send_credentials);

/* outbox.c */
void outbox_start(struct backend *b);
void outbox_stop(struct backend *b);
/* There may be new rows. */
void outbox_read(struct backend *b);
size_t outbox_waiting(const struct backend *b);
