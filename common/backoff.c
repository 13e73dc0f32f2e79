/* backoff: see backoff.h. */
#include "backoff.h"

uint32_t backoff_next(struct backoff *b, double rnd)
{
        if (b->next_ms <= 0)
                b->next_ms = b->min_ms;
        double wait = b->next_ms;
        b->next_ms = wait * b->multiple;
        if (b->next_ms > b->max_ms)
                b->next_ms = b->max_ms;
        return (uint32_t)(wait + wait * b->jitter * rnd);
}

void backoff_reset(struct backoff *b)
{
        b->next_ms = 0;
}
