/* tcs_frame: a message of a TCS session: signed headers, an empty line, JSON. No I/O.
 * Source: backend.md 7.2. */
#pragma once

#include <stddef.h>

#define TCS_HEADERS_MAX 16

struct tcs_frame {
        char *text; /* owned; what follows points into it */
        struct {
                const char *name, *value;
        } headers[TCS_HEADERS_MAX];
        size_t header_count;
        const char *body;
        size_t body_length;
};

/* -EBADMSG, nothing to free: no such frame. */
int tcs_frame_parse(const char *text, size_t length, struct tcs_frame *ret);
void tcs_frame_clear(struct tcs_frame *f);
/* NULL when there is none; names in any case. */
const char *tcs_frame_header(const struct tcs_frame *f, const char *name);
