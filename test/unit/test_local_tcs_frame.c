/* Frames of TCS: signed headers, an empty line, JSON. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "tcs_frame.h"

static void a_frame_is_headers_and_body(void **state)
{
        static const char text[] = "Host: h\r\nX-Amz-Date:d\r\n\r\n{\"a\":1}\r\n\r\n";
        struct tcs_frame f = {0};
        (void)state;
        assert_int_equal(tcs_frame_parse(text, sizeof text - 1, &f), 0);
        assert_string_equal(tcs_frame_header(&f, "host"), "h");
        assert_string_equal(tcs_frame_header(&f, "X-AMZ-DATE"), "d");
        assert_null(tcs_frame_header(&f, "Authorization"));
        assert_string_equal(f.body, "{\"a\":1}\r\n\r\n");
        tcs_frame_clear(&f);
}

static void anything_else_is_refused(void **state)
{
        static const struct {
                const char *text;
                size_t length;
        } cases[] = {
#define TEXT(t) {t, sizeof t - 1}
                TEXT(""),
                TEXT("{}"),
                TEXT("Host: h\r\n{}"),
                TEXT("Host: h\n\n{}"),
                TEXT("no colon\r\n\r\n{}"),
                TEXT(": value\r\n\r\n{}"),
                TEXT("a b: c\r\n\r\n{}"),
                TEXT("Host: h\r\n\r\n{\0}"),
                TEXT("a:1\r\na:1\r\na:1\r\na:1\r\na:1\r\na:1\r\na:1\r\na:1\r\na:1\r\na:1\r\na:1\r\n"
                     "a:1\r\na:1\r\na:1\r\na:1\r\na:1\r\na:1\r\n\r\n{}"),
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct tcs_frame f = {0};
                if (tcs_frame_parse(cases[i].text, cases[i].length, &f) != -EBADMSG ||
                    f.text != NULL)
                        fail_msg("case %zu", i);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_frame_is_headers_and_body),
                cmocka_unit_test(anything_else_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
