/* authenticate: who signed this, by SigV4. */
#pragma once

#include <stddef.h>

struct answer;
struct local;

/* What was signed. header: value of a header by name in any case, or NULL. All borrowed. */
struct signed_request {
        const char *method, *target;
        const char *body;
        size_t length;
        const char *(*header)(const void *source, const char *name);
        const void *source;
};
/* enum caller, or 0 with a filled. */
unsigned authenticate(struct local *l, const struct signed_request *r, struct answer *a);
