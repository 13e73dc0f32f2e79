/* clock: the scale divides waits only; what is shown to users is real time. */
#include "clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static unsigned scale = 1;

uint64_t clock_now_ms(void)
{
        struct timespec t;
        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
        struct timespec t;
        (void)clock_gettime(CLOCK_REALTIME, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

uint64_t clock_wait_ms(uint64_t ms)
{
        if (ms == 0 || scale <= 1)
                return ms;
        return ms / scale > 0 ? ms / scale : 1;
}

void clock_set_scale(unsigned s)
{
#ifdef ECS_TIME_SCALE
        scale = s > 0 ? s : 1;
#else
        (void)s;
#endif
}

unsigned clock_scale(void)
{
        return scale;
}

const char *clock_format_ms(int64_t wall_ms, char buf[CLOCK_TEXT])
{
        int64_t second = wall_ms / 1000, ms = wall_ms % 1000;
        if (ms < 0) {
                ms += 1000;
                second--;
        }
        time_t t = (time_t)second;
        struct tm tm;
        (void)gmtime_r(&t, &tm);
        size_t n = (size_t)snprintf(buf, CLOCK_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d",
                                    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                                    tm.tm_min, tm.tm_sec);
        if (ms > 0) {
                n += (size_t)snprintf(buf + n, CLOCK_TEXT - n, ".%03d", (int)ms);
                while (buf[n - 1] == '0')
                        n--;
        }
        buf[n++] = 'Z';
        buf[n] = '\0';
        return buf;
}

/* Reads exactly width digits; -1 when they are not there. */
static int digits(const char **p, int width)
{
        int value = 0;
        for (int i = 0; i < width; i++) {
                if (!isdigit((unsigned char)**p))
                        return -1;
                value = value * 10 + (**p - '0');
                (*p)++;
        }
        return value;
}

static int separator(const char **p, const char *any)
{
        if (**p == '\0' || strchr(any, **p) == NULL)
                return -1;
        (*p)++;
        return 0;
}

/* "Z" or "+hh:mm"; minutes east of UTC. */
static int offset_minutes(const char *p, int *ret)
{
        if ((*p == 'Z' || *p == 'z') && p[1] == '\0') {
                *ret = 0;
                return 0;
        }
        int sign = *p == '-' ? -1 : 1;
        if (separator(&p, "+-") != 0)
                return -1;
        int hours = digits(&p, 2);
        if (hours < 0 || separator(&p, ":") != 0)
                return -1;
        int minutes = digits(&p, 2);
        if (minutes < 0 || *p != '\0')
                return -1;
        *ret = sign * (hours * 60 + minutes);
        return 0;
}

int clock_parse(const char *text, int64_t *ret_wall_ms)
{
        const char *p = text;
        struct tm tm = {0};
        int year = digits(&p, 4);
        if (year < 0 || separator(&p, "-") != 0)
                return -EINVAL;
        int month = digits(&p, 2);
        if (month < 1 || month > 12 || separator(&p, "-") != 0)
                return -EINVAL;
        tm.tm_mday = digits(&p, 2);
        if (tm.tm_mday < 1 || tm.tm_mday > 31 || separator(&p, "Tt ") != 0)
                return -EINVAL;
        tm.tm_hour = digits(&p, 2);
        if (tm.tm_hour < 0 || tm.tm_hour > 23 || separator(&p, ":") != 0)
                return -EINVAL;
        tm.tm_min = digits(&p, 2);
        if (tm.tm_min < 0 || tm.tm_min > 59 || separator(&p, ":") != 0)
                return -EINVAL;
        tm.tm_sec = digits(&p, 2);
        if (tm.tm_sec < 0 || tm.tm_sec > 60)
                return -EINVAL;
        int ms = 0;
        if (*p == '.') {
                int weight = 100;
                for (p++; isdigit((unsigned char)*p); p++, weight /= 10)
                        ms += (*p - '0') * weight;
        }
        int offset;
        if (offset_minutes(p, &offset) != 0)
                return -EINVAL;
        tm.tm_year = year - 1900;
        tm.tm_mon = month - 1;
        int day = tm.tm_mday, second = tm.tm_sec;
        int64_t t = (int64_t)timegm(&tm);
        if (tm.tm_mday != day && second < 60)
                return -EINVAL; /* no such day: timegm went on to the next month */
        *ret_wall_ms = (t - (int64_t)offset * 60) * 1000 + ms;
        return 0;
}
