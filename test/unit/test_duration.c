/* Go durations, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "duration.h"

static void parses(void **state)
{
        static const struct {
                const char *text;
                int64_t ns;
        } cases[] = {{"0", 0},           {"1h30m", 5400000000000LL}, {"500ms", 500000000},
                     {"1.5s", 1500000000}, {"-2s", -2000000000},     {"10us", 10000},
                     {"2h0m1s", 7201000000000LL}};
        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                int64_t ns = -1;
                assert_int_equal(duration_parse(cases[i].text, &ns), 0);
                assert_int_equal(ns, cases[i].ns);
        }
}

static void refuses(void **state)
{
        static const char *const bad[] = {"", "s", "1", "1x", "1 s", "h1", "--1s", "1s2", "999999999h"};
        (void)state;
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                int64_t ns = 7;
                assert_int_not_equal(duration_parse(bad[i], &ns), 0);
                assert_int_equal(ns, 7);
        }
}

static void formats_as_go(void **state)
{
        static const struct {
                int64_t ns;
                const char *text;
        } cases[] = {{0, "0s"},           {30000000000LL, "30s"},   {240000000000LL, "4m0s"},
                     {1500000000, "1.5s"}, {250000000, "250ms"},    {3600000000000LL, "1h0m0s"},
                     {60002100000LL, "1m0.0021s"}};
        char buf[DURATION_TEXT];
        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                assert_string_equal(duration_format(cases[i].ns, buf), cases[i].text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(parses), cmocka_unit_test(refuses),
                                           cmocka_unit_test(formats_as_go)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
