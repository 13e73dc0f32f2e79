/* clock: the one place that knows time. Tests divide all timers with clock_set_scale. */
#pragma once

#include <stdint.h>

/* Milliseconds of the monotonic clock. */
uint64_t clock_now_ms(void);
/* Milliseconds since the epoch. */
int64_t clock_wall_ms(void);
/* A wait as given to uv_timer_start: ms divided by the scale, at least 1 unless ms is 0. */
uint64_t clock_wait_ms(uint64_t ms);
/* Divisor of every wait; 0 and 1 mean none. Ignored in release builds. */
void clock_set_scale(unsigned scale);
unsigned clock_scale(void);

/* RFC 3339 in UTC with up to 9 fractional digits, trailing zeros cut; buf of CLOCK_TEXT bytes. */
#define CLOCK_TEXT 40
const char *clock_format_ms(int64_t wall_ms, char buf[CLOCK_TEXT]);
/* Parses RFC 3339 with any offset and fraction. -EINVAL when it is not that. */
int clock_parse(const char *text, int64_t *ret_wall_ms);
