/* The small modules: buf, error, clock, backoff, random, config. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "backoff.h"
#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "config.h"
#include "error.h"
#include "mem.h"
#include "random.h"

static void buffer_grows_and_stays_terminated(void **state)
{
        struct buf b = {0};
        (void)state;
        for (int i = 0; i < 1000; i++)
                buf_printf(&b, "%d,", i);
        assert_int_equal(b.length, strlen(b.data));
        buf_consume(&b, 2);
        assert_memory_equal(b.data, "1,2,", 4);
        buf_consume(&b, b.length + 5);
        assert_int_equal(b.length, 0);
        assert_string_equal(b.data, "");
        buf_append_str(&b, "left");
        cleanup_free char *text = buf_steal(&b);
        assert_string_equal(text, "left");
        assert_null(b.data);
        cleanup_free char *empty = buf_steal(&b);
        assert_string_equal(empty, "");
}

static void error_gains_context(void **state)
{
        struct error e = {0};
        (void)state;
        assert_int_equal(error_set_name(&e, -EIO, "CannotStartContainerError", "disk %d", 5), -EIO);
        assert_int_equal(error_wrap(&e, "task %s", "t1"), -EIO);
        assert_string_equal(e.text, "task t1: disk 5");
        assert_string_equal(e.name, "CannotStartContainerError");
        assert_int_equal(error_set(NULL, -EPERM, "nobody listens"), -EPERM);
        assert_int_equal(error_wrap(NULL, "nobody listens"), 0);
}

static void long_error_is_cut(void **state)
{
        struct error e = {0};
        char text[4000];
        (void)state;
        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        (void)error_set(&e, -EIO, "%s", text);
        assert_int_equal(strlen(e.text), sizeof e.text - 1);
        (void)error_wrap(&e, "%s", text);
        assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

static void times_are_printed_and_read(void **state)
{
        static const struct {
                const char *text;
                int64_t ms;
                const char *printed;
        } cases[] = {
                {"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"},
                {"2024-02-29T12:00:00.5Z", 1709208000500, "2024-02-29T12:00:00.5Z"},
                {"2024-01-01T01:00:00.123456789+01:00", 1704067200123, "2024-01-01T00:00:00.123Z"},
                {"2023-12-31T19:00:00-05:00", 1704067200000, "2024-01-01T00:00:00Z"},
                {"1969-12-31T23:59:59.999Z", -1, "1969-12-31T23:59:59.999Z"},
        };
        char buf[CLOCK_TEXT];
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int64_t ms;
                assert_int_equal(clock_parse(cases[i].text, &ms), 0);
                assert_true(ms == cases[i].ms);
                assert_string_equal(clock_format_ms(ms, buf), cases[i].printed);
        }
}

static void false_times_are_refused(void **state)
{
        static const char *const bad[] = {"",
                                          "2024-01-01",
                                          "2024-13-01T00:00:00Z",
                                          "2024-02-30T00:00:00Z",
                                          "2023-02-29T00:00:00Z",
                                          "2024-01-01T24:00:00Z",
                                          "2024-01-01T00:00:00",
                                          "2024-01-01T00:00:00+0100",
                                          "2024-01-01T00:00:00Zx"};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                int64_t ms;
                assert_int_equal(clock_parse(bad[i], &ms), -EINVAL);
        }
}

static void scale_shortens_waits_but_never_to_nothing(void **state)
{
        (void)state;
        clock_set_scale(100);
        assert_int_equal(clock_wait_ms(1000), 10);
        assert_int_equal(clock_wait_ms(5), 1);
        assert_int_equal(clock_wait_ms(0), 0);
        clock_set_scale(0);
        assert_int_equal(clock_wait_ms(1000), 1000);
}

static void backoff_grows_to_its_limit(void **state)
{
        struct backoff b = {.min_ms = 1000, .max_ms = 5000, .jitter = 0.2, .multiple = 2};
        static const uint32_t waits[] = {1000, 2000, 4000, 5000, 5000};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(waits); i++)
                assert_int_equal(backoff_next(&b, 0), waits[i]);
        assert_int_equal(backoff_next(&b, 0.5), 5500);
        backoff_reset(&b);
        assert_int_equal(backoff_next(&b, 0.999), 1199);
}

static void random_texts_are_what_they_say(void **state)
{
        char a[RANDOM_UUID], b[RANDOM_UUID];
        (void)state;
        assert_int_equal(strlen(random_uuid(a)), RANDOM_UUID - 1);
        assert_string_not_equal(a, random_uuid(b));
        assert_int_equal(a[14], '4');
        assert_non_null(strchr("89ab", a[19]));
        for (int i = 0; i < 1000; i++) {
                double d = random_unit();
                assert_true(d >= 0 && d < 1);
        }
}

static void collect(void *arg, const char *name, const char *value)
{
        buf_printf(arg, "%s=%s;", name, value);
}

static void settings_are_found_by_name(void **state)
{
        struct config *c = config_new();
        struct buf all = {0};
        (void)state;
        config_set(c, "A", "1");
        config_set(c, "B", "true");
        config_set(c, "C", "");
        config_set(c, "A", "2500");
        config_set(c, "J", "[1,2]");
        assert_int_equal(config_int(c, "A", 7), 2500);
        assert_int_equal(config_int(c, "B", 7), 7);
        assert_true(config_bool(c, "B", false));
        assert_true(config_bool(c, "C", true));
        assert_string_equal(config_text(c, "C", "x"), "x");
        assert_null(config_find(c, "Z"));
        cleanup_json json_t *j = config_json(c, "J");
        assert_int_equal(json_array_size(j), 2);
        config_each(c, collect, &all);
        assert_string_equal(all.data, "A=2500;B=true;C=;J=[1,2];");
        buf_clear(&all);
        config_free(c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(buffer_grows_and_stays_terminated),
                cmocka_unit_test(error_gains_context),
                cmocka_unit_test(long_error_is_cut),
                cmocka_unit_test(times_are_printed_and_read),
                cmocka_unit_test(false_times_are_refused),
                cmocka_unit_test(scale_shortens_waits_but_never_to_nothing),
                cmocka_unit_test(backoff_grows_to_its_limit),
                cmocka_unit_test(random_texts_are_what_they_say),
                cmocka_unit_test(settings_are_found_by_name),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
