/* acs_messages: what ACS may send: one handler a message type. Source: backend.md 6.3–6.6. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "metadata.pb-c.h"

struct acs;
struct backend;

enum acs_verdict {
        ACS_HANDLED,   /* recognised: counts as activity */
        ACS_INVALID,   /* recognised, but lacks what it needs: no answer */
        ACS_MISTYPED,  /* a member of the wrong type: as if it had never come */
};
/* message is an object, borrowed. */
typedef enum acs_verdict (*acs_message_fn)(struct acs *a, const json_t *message);

enum acs_verdict acs_handle_payload(struct acs *a, const json_t *m);
enum acs_verdict acs_handle_manifest(struct acs *a, const json_t *m);
enum acs_verdict acs_handle_stop_verification_ack(struct acs *a, const json_t *m);
/* Frees the payloads that still wait. */
void acs_payloads_free(struct backend *b);

/* Reads credentials; texts are borrowed from c, task_arn and role_type. False without their id or
 * the task's ARN. */
bool acs_read_credentials(const json_t *c, const char *task_arn, const char *role_type,
                          Ecs__TaskCredentials *ret, bool *ret_mistyped);
