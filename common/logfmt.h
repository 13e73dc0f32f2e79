/* logfmt: reads back the lines that log.c builds: k=v k="v with \"escapes\"". Any bytes may come: a
 * worker that has been taken over chooses them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct buf;

struct logfmt_pair {
        const char *key;      /* borrowed from the line, key_length bytes */
        size_t key_length;
        struct buf *value;    /* decoded; NUL-terminated */
};

/* Takes the next pair from *at and moves it on; pair->value is replaced. False at the end. */
bool logfmt_next(const char **at, struct logfmt_pair *pair);
