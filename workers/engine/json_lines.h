/* json_lines: a stream of JSON values, one a line, cut at any byte: Docker's events and progress.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

#define JSON_LINES_MAX (1u << 20)

struct json_lines {
        struct buf line; /* begun, not ended */
        bool skips;      /* the line is too long: what is left of it */
};
/* Calls fn for each whole line that is a JSON object; others are passed over. False when a
 * line grew longer than JSON_LINES_MAX: it is passed over too, and the stream may be fed on. */
bool json_lines_feed(struct json_lines *l, const char *data, size_t length,
                     void (*fn)(void *arg, const json_t *object), void *arg);
/* Forgets what was begun. */
void json_lines_clear(struct json_lines *l);
