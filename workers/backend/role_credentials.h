/* role_credentials: what IMDS answers about the instance's role. No I/O. Source: backend.md 1. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct role_credentials {
        char *access_key_id, *secret_access_key, *session_token;
        int64_t until_ms; /* wall clock; 0 = IMDS did not say */
};

/* Fills ret (owned: role_credentials_clear). -EBADMSG, ret untouched: no good credentials. */
int role_credentials_parse(const char *text, size_t length, struct role_credentials *ret);
/* Wipes and frees. */
void role_credentials_clear(struct role_credentials *c);
