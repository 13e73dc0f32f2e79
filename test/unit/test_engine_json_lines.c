/* Lines of JSON cut anywhere; one that is too long is passed over and the next is read. */
#include "unit.h"

#include <string.h>

#include "cleanup.h"
#include "json_lines.h"
#include "mem.h"

static void add(void *arg, const json_t *object)
{
        *(json_int_t *)arg += json_integer_value(json_object_get(object, "n"));
}

static void lines_are_put_together(void **state)
{
        static const char text[] = "{\"n\":1}\n\nno json\n[5]\n{\"n\":10}\n{\"n\":100}";
        (void)state;
        for (size_t cut = 0; cut < sizeof text; cut++) {
                struct json_lines l = {0};
                json_int_t sum = 0;
                assert_true(json_lines_feed(&l, text, cut, add, &sum));
                assert_true(json_lines_feed(&l, text + cut, sizeof text - 1 - cut, add, &sum));
                assert_int_equal(sum, 11);
                assert_true(json_lines_feed(&l, "\n", 1, add, &sum));
                assert_int_equal(sum, 111);
                json_lines_clear(&l);
        }
}

static void a_line_too_long_is_passed_over(void **state)
{
        const size_t size = JSON_LINES_MAX / 2 + 2;
        struct json_lines l = {0};
        json_int_t sum = 0;
        cleanup_free char *blanks = mem_alloc(size);
        (void)state;
        memset(blanks, ' ', size);
        assert_true(json_lines_feed(&l, "{\"n\":1}\n{\"n\":10,", 16, add, &sum));
        assert_true(json_lines_feed(&l, blanks, size, add, &sum));
        assert_false(json_lines_feed(&l, blanks, size, add, &sum)); /* told once */
        assert_int_equal(l.line.size, 0);
        assert_true(json_lines_feed(&l, blanks, size, add, &sum));
        assert_true(json_lines_feed(&l, "\"n\":10}", 7, add, &sum));
        assert_true(json_lines_feed(&l, "\n{\"n\":100}\n", 11, add, &sum));
        assert_int_equal(sum, 101);
        json_lines_clear(&l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_are_put_together),
                cmocka_unit_test(a_line_too_long_is_passed_over),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
