/* backoff: how long to wait before the next try. No I/O, no clock of its own.
 * First wait is min_ms, each next multiplied up to max_ms; a random 0…jitter share is added. */
#pragma once

#include <stdint.h>

struct backoff {
        uint32_t min_ms, max_ms;
        double jitter, multiple;
        double next_ms;  /* 0 = start anew */
};

/* Milliseconds to wait now. rnd: uniform in [0,1). Source: backend.md conventions. */
uint32_t backoff_next(struct backoff *b, double rnd);
void backoff_reset(struct backoff *b);
