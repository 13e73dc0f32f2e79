/* duration: decimals with unit suffixes, concatenated. Fractions are kept to the nanosecond. */
#include "duration.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
        const char *name;
        int64_t ns;
} units[] = {
        /* longer names first, so that "ms" is not read as "m" */
        {"ns", 1},       {"us", 1000},        {"\xc2\xb5s", 1000},   {"\xce\xbcs", 1000},
        {"ms", 1000000}, {"s", 1000000000LL}, {"m", 60000000000LL}, {"h", 3600000000000LL},
};

static const char *take_unit(const char *p, int64_t *ret_ns)
{
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
                size_t n = strlen(units[i].name);
                if (strncmp(p, units[i].name, n) == 0) {
                        *ret_ns = units[i].ns;
                        return p + n;
                }
        }
        return NULL;
}

/* One "1.5h" part; NULL when it is not one or overflows. */
static const char *take_part(const char *p, int64_t *total)
{
        int64_t whole = 0, unit, ns;
        double fraction = 0, weight = 0.1;
        bool any = false;
        for (; isdigit((unsigned char)*p); p++, any = true)
                if (__builtin_mul_overflow(whole, 10, &whole) ||
                    __builtin_add_overflow(whole, *p - '0', &whole))
                        return NULL;
        if (*p == '.')
                for (p++; isdigit((unsigned char)*p); p++, weight /= 10, any = true)
                        fraction += (*p - '0') * weight;
        p = any ? take_unit(p, &unit) : NULL;
        if (p == NULL || __builtin_mul_overflow(whole, unit, &ns) ||
            __builtin_add_overflow(ns, (int64_t)(fraction * (double)unit + 0.5), &ns) ||
            __builtin_add_overflow(*total, ns, total))
                return NULL;
        return p;
}

int duration_parse(const char *text, int64_t *ret_ns)
{
        const char *p = text;
        bool negative = *p == '-';
        if (*p == '-' || *p == '+')
                p++;
        if (strcmp(p, "0") == 0) {
                *ret_ns = 0;
                return 0;
        }
        int64_t total = 0;
        if (*p == '\0')
                return -EINVAL;
        while (*p != '\0') {
                p = take_part(p, &total);
                if (p == NULL)
                        return -EINVAL;
        }
        *ret_ns = negative ? -total : total;
        return 0;
}

/* value/unit with the fraction's trailing zeros cut. */
static int put_decimal(char *buf, size_t size, int64_t value, int64_t unit, const char *suffix)
{
        char fraction[32] = "";
        if (value % unit != 0) {
                int width = unit == 1000000000 ? 9 : unit == 1000000 ? 6 : 3;
                (void)snprintf(fraction, sizeof fraction, ".%0*lld", width,
                               (long long)(value % unit));
                for (size_t n = strlen(fraction); fraction[n - 1] == '0'; n--)
                        fraction[n - 1] = '\0';
        }
        return snprintf(buf, size, "%lld%s%s", (long long)(value / unit), fraction, suffix);
}

const char *duration_format(int64_t ns, char buf[DURATION_TEXT])
{
        if (ns == 0)
                return memcpy(buf, "0s", sizeof "0s");
        size_t n = 0;
        if (ns < 0) {
                buf[n++] = '-';
                ns = ns == INT64_MIN ? INT64_MAX : -ns;
        }
        if (ns < 1000) {
                (void)snprintf(buf + n, DURATION_TEXT - n, "%lldns", (long long)ns);
                return buf;
        }
        if (ns < 1000000000) {
                bool ms = ns >= 1000000;
                (void)put_decimal(buf + n, DURATION_TEXT - n, ns, ms ? 1000000 : 1000,
                                  ms ? "ms" : "\xc2\xb5s");
                return buf;
        }
        int64_t hours = ns / 3600000000000LL, minutes = ns / 60000000000LL % 60;
        if (hours > 0)
                n += (size_t)snprintf(buf + n, DURATION_TEXT - n, "%lldh", (long long)hours);
        if (hours > 0 || minutes > 0)
                n += (size_t)snprintf(buf + n, DURATION_TEXT - n, "%lldm", (long long)minutes);
        (void)put_decimal(buf + n, DURATION_TEXT - n, ns % 60000000000LL, 1000000000, "s");
        return buf;
}
