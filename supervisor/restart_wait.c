/* restart_wait: how long a worker that ended stays down. Waits grow only while it dies young; how
 * they grow depends on how it died. Source: DESIGN section 3, backend.md 8.3. */
#include <sys/wait.h>

#include "supervisor.h"

#define STABLE_MS 2000

/* exit 1: it said why and expects the reason to last; all else is a crash. */
static const struct {
        uint32_t min_ms, max_ms;
        bool free_first; /* the first young death costs nothing */
} waits[] = {
        [DEATH_CRASH] = {100, 30000, true },
        [DEATH_EXIT_1] = {500, 15000, false},
        [DEATH_REOPEN] = {0,   0,     true },
};

enum death death_of(int status)
{
        if (!WIFEXITED(status))
                return DEATH_CRASH;
        return WEXITSTATUS(status) == 1             ? DEATH_EXIT_1
               : WEXITSTATUS(status) == EXIT_REOPEN ? DEATH_REOPEN
                                                    : DEATH_CRASH;
}

uint32_t restart_wait_ms(struct restart_history *h, enum death how, bool reached_ready,
                         uint64_t lived_ms, double rnd)
{
        if (reached_ready && lived_ms >= STABLE_MS) {
                backoff_reset(&h->backoff);
                h->young_deaths = 0;
        }
        h->backoff.min_ms = waits[how].min_ms;
        h->backoff.max_ms = waits[how].max_ms;
        h->backoff.jitter = 0.2;
        h->backoff.multiple = 2;
        if (how == DEATH_REOPEN || (h->young_deaths++ == 0 && waits[how].free_first))
                return 0;
        return backoff_next(&h->backoff, rnd);
}
