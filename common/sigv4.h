/* sigv4: AWS Signature Version 4 by header, and its verification (ecs-local).
 * Source: backend.md 2.3; checked against the published test suite. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct sigv4_header {
        const char *name, *value;
};
struct sigv4_request {
        const char *method;
        const char *path;               /* as sent on the wire, with query: "/ws?a=b" */
        const struct sigv4_header *headers;  /* all that are to be signed; host must be there */
        size_t header_count;
        const void *body;
        size_t body_length;
        bool no_normalize;              /* keep the path as it is (S3) */
        bool double_encode;             /* the sent path is encoded again: all but S3 */
};
struct sigv4_credentials {
        const char *access_key_id, *secret_access_key;
        const char *session_token;      /* NULL or "" when none */
};
#define SIGV4_SIGNATURE 65
/* time: "20240101T000000Z". Any ret_ may be NULL; texts are returned owned. */
int sigv4_sign(const struct sigv4_request *r, const struct sigv4_credentials *c, const char *time,
               const char *region, const char *service, char **ret_canonical,
               char **ret_string_to_sign, char **ret_authorization);
/* Now, as SigV4 wants it, from ms since the epoch. */
#define SIGV4_TIME 17
const char *sigv4_time(long long wall_ms, char buf[SIGV4_TIME]);
