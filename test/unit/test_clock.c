/* RFC 3339 both ways, backoff, the scale of timers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backoff.h"
#include "clock.h"

static void times_round_trip(void **state)
{
        static const struct {
                int64_t ms;
                const char *text;
        } cases[] = {{0, "1970-01-01T00:00:00Z"},
                     {1772359205120LL, "2026-03-01T10:00:05.12Z"},
                     {1772359205001LL, "2026-03-01T10:00:05.001Z"}};
        char buf[CLOCK_TEXT];
        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                int64_t back = -1;
                assert_string_equal(clock_format_ms(cases[i].ms, buf), cases[i].text);
                assert_int_equal(clock_parse(cases[i].text, &back), 0);
                assert_int_equal(back, cases[i].ms);
        }
}

static void offsets_are_read(void **state)
{
        int64_t a = 0, b = 0;
        (void)state;
        assert_int_equal(clock_parse("2026-03-01T12:00:00+02:00", &a), 0);
        assert_int_equal(clock_parse("2026-03-01T10:00:00Z", &b), 0);
        assert_int_equal(a, b);
        assert_int_not_equal(clock_parse("2026-13-01T10:00:00Z", &a), 0);
        assert_int_not_equal(clock_parse("yesterday", &a), 0);
        assert_int_not_equal(clock_parse("2026-03-01T10:00:00", &a), 0);
}

static void backoff_grows_to_its_cap(void **state)
{
        struct backoff b = {.min_ms = 250, .max_ms = 1000, .jitter = 0.2, .multiple = 1.5};
        (void)state;
        assert_int_equal(backoff_next(&b, 0), 250);
        assert_int_equal(backoff_next(&b, 0), 375);
        assert_int_equal(backoff_next(&b, 0), 562);
        assert_int_equal(backoff_next(&b, 0), 843);
        assert_int_equal(backoff_next(&b, 0), 1000);
        assert_int_equal(backoff_next(&b, 0.5), 1100);
        backoff_reset(&b);
        assert_int_equal(backoff_next(&b, 0), 250);
}

static void waits_are_scaled(void **state)
{
        (void)state;
        clock_set_scale(100);
        assert_int_equal(clock_wait_ms(10000), 100);
        assert_int_equal(clock_wait_ms(10), 1);
        assert_int_equal(clock_wait_ms(0), 0);
        clock_set_scale(1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(times_round_trip), cmocka_unit_test(offsets_are_read),
                cmocka_unit_test(backoff_grows_to_its_cap), cmocka_unit_test(waits_are_scaled)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
