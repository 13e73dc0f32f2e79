/* Durations as Go reads and prints them. */
#include "unit.h"

#include <errno.h>

#include "cleanup.h"
#include "duration.h"

#define S 1000000000LL

static void texts_are_read(void **state)
{
        static const struct {
                const char *text;
                int64_t ns;
        } good[] = {
                {"0", 0},
                {"+0", 0},
                {"30s", 30 * S},
                {"1h30m", 5400 * S},
                {"-2s", -2 * S},
                {"1.5s", 1500000000},
                {".5m", 30 * S},
                {"1.s", S},
                {"250ms", 250000000},
                {"7us", 7000},
                {"7\xc2\xb5s", 7000},
                {"7\xce\xbcs", 7000},
                {"9ns", 9},
                {"1m1ms", 60 * S + 1000000},
                {"9223372036854775807ns", INT64_MAX},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                int64_t ns = -1;
                assert_int_equal(duration_parse(good[i].text, &ns), 0);
                assert_true(ns == good[i].ns);
        }
}

static void nonsense_is_refused(void **state)
{
        static const char *const bad[] = {"",   "s",    "5",   "5 s",  " 5s", "5s ", "1d",
                                          "-",  "--1s", ".s",  "1h30", "0x1s", "1e3s",
                                          "9223372036854775808ns", "2562048h", "9999999999999999999s"};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                int64_t ns;
                assert_int_equal(duration_parse(bad[i], &ns), -EINVAL);
        }
}

static void texts_are_printed(void **state)
{
        static const struct {
                int64_t ns;
                const char *text;
        } cases[] = {
                {0, "0s"},
                {30 * S, "30s"},
                {240 * S, "4m0s"},
                {1500000000, "1.5s"},
                {250000000, "250ms"},
                {1500, "1.5\xc2\xb5s"},
                {9, "9ns"},
                {7200 * S, "2h0m0s"},
                {-90 * S, "-1m30s"},
                {INT64_MIN, "-2562047h47m16.854775807s"},
        };
        char buf[DURATION_TEXT];
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_string_equal(duration_format(cases[i].ns, buf), cases[i].text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(texts_are_read),
                cmocka_unit_test(nonsense_is_refused),
                cmocka_unit_test(texts_are_printed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
