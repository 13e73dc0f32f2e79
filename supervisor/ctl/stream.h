/* stream: reads what Docker sends on a connection of logs or of an exec: an HTTP head, then output,
 * either as it is (a terminal) or in frames that name standard output and standard error. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum stream_state { STREAM_HEAD, STREAM_PROBE, STREAM_RAW, STREAM_FRAMES, STREAM_REFUSED };

/* Output: descriptor is 1 or 2. */
typedef void (*stream_output_fn)(void *arg, int descriptor, const char *data, size_t length);

struct stream {
        enum stream_state state;
        struct buf in;  /* the head; frame headers; what Docker refuses with */
        uint32_t left;  /* bytes of the present frame */
        int descriptor; /* of it */
        stream_output_fn output;
        void *arg;
};

/* False: the bytes are no answer of Docker's. */
bool stream_feed(struct stream *s, const char *data, size_t length);
/* At the end. NULL, or what Docker refused with. Owned. */
char *stream_refusal(const struct stream *s);
/* Hands out what was held back to tell frames from plain bytes. */
void stream_end(struct stream *s);
void stream_clear(struct stream *s);
