/* One line a message, whatever the values hold. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "log.h"

static void keep(void *arg, enum log_level level, const char *line, size_t length)
{
        struct buf *b = arg;
        (void)level;
        b->length = 0;
        buf_append(b, line, length);
}

static void context_is_inherited(void **state)
{
        struct buf line = {0};
        const struct log worker = {.key = "worker", .value = "engine"};
        const struct log task = {.parent = &worker, .key = "task", .value = "t 1"};
        (void)state;
        log_set_sink(keep, &line);
        log_info(&task, "container exited", LOG_STR("name", "web"), LOG_INT("code", 137));
        assert_string_equal(line.data, "level=info msg=\"container exited\" worker=engine "
                                       "task=\"t 1\" name=web code=137");
        log_set_sink(NULL, NULL);
        buf_clear(&line);
}

static void values_cannot_break_the_line(void **state)
{
        static const struct {
                const char *value, *printed;
        } cases[] = {
                {"plain", "v=plain"},
                {"", "v=\"\""},
                {"a b", "v=\"a b\""},
                {"a\nb", "v=\"a\\nb\""},
                {"a\"b", "v=\"a\\\"b\""},
                {"a=b", "v=\"a=b\""},
                {"a\\b", "v=\"a\\\\b\""},
                {"\x1b[31m", "v=\"\\x1b[31m\""},
                {"\x7f", "v=\"\\x7f\""},
                {"gr\xc3\xbc\xc3\x9f", "v=gr\xc3\xbc\xc3\x9f"},
        };
        struct buf line = {0};
        (void)state;
        log_set_sink(keep, &line);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                log_info(NULL, "m", LOG_STR("v", cases[i].value));
                assert_string_equal(line.data + strlen("level=info msg=m "),
                                    cases[i].printed);
        }
        log_set_sink(NULL, NULL);
        buf_clear(&line);
}

static void levels_have_words(void **state)
{
        static const struct {
                const char *word;
                enum log_level level;
        } cases[] = {{"debug", LOG_LEVEL_DEBUG}, {"INFO", LOG_LEVEL_INFO},
                     {"warn", LOG_LEVEL_WARN},   {"error", LOG_LEVEL_ERROR},
                     {"crit", LOG_LEVEL_CRIT},   {"None", LOG_LEVEL_NONE}};
        enum log_level level;
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(log_level_from_string(cases[i].word, &level), 0);
                assert_int_equal(level, cases[i].level);
        }
        assert_int_equal(log_level_from_string("loud", &level), -EINVAL);
        log_set_level(LOG_LEVEL_WARN);
        assert_false(log_enabled(LOG_LEVEL_INFO));
        assert_true(log_enabled(LOG_LEVEL_ERROR));
        log_set_level(LOG_LEVEL_INFO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(context_is_inherited),
                cmocka_unit_test(values_cannot_break_the_line),
                cmocka_unit_test(levels_have_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
