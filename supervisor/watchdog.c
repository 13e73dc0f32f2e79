/* watchdog: decides when a worker that does not answer pings is ended. No I/O: process.c asks at
 * each tick and does what it hears. Source: DESIGN section 3. */
#include "supervisor.h"

#define MISSED_MAX 6
#define LAG_MAX_MS 1000

enum watchdog_verdict watchdog_tick(struct watchdog *w, uint64_t now_ms)
{
        /* our own loop was held up: pongs may lie unread, so nothing is counted */
        bool late = w->due_ms != 0 && now_ms > w->due_ms + LAG_MAX_MS;
        if (!w->open)
                return WATCHDOG_PING;
        if (!late)
                w->missed++;
        if (late || w->missed < MISSED_MAX || w->missed > MISSED_MAX + 1)
                return WATCHDOG_WAIT;
        return w->missed == MISSED_MAX ? WATCHDOG_ABORT : WATCHDOG_KILL;
}

void watchdog_pong(struct watchdog *w)
{
        w->open = false;
        w->missed = 0;
}
