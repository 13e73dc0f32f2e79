/* One line a message, whatever the values hold. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "log.h"
#include "logfmt.h"

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

struct counted {
        unsigned lines;
        unsigned suppressed; /* sum of suppressed=N */
};

static void count(void *arg, enum log_level level, const char *line, size_t length)
{
        struct counted *c = arg;
        const char *p = strstr(line, " suppressed=");
        (void)level;
        (void)length;
        c->lines++;
        if (p != NULL)
                c->suppressed += (unsigned)strtoul(p + strlen(" suppressed="), NULL, 10);
}

static void storm(int lines, bool same)
{
        for (int i = 0; i < lines; i++)
                log_warn(NULL, "it fails", LOG_INT("number", same ? 1 : i));
}

/* One call site: what is not written is counted, and the count is told. */
static void a_storm_is_folded(void **state)
{
        static const struct {
                const char *name;
                bool same;
                unsigned written;
        } cases[] = {{"one line again and again", true, 3}, {"lines that differ", false, 50}};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct counted c = {0};
                clock_set_scale(20); /* a window of 10 s is 500 ms */
                uint64_t until = clock_now_ms() + clock_wait_ms(10000) + 20;
                log_set_sink(count, &c);
                while (clock_now_ms() < until)
                        ; /* the window of the case before */
                log_tell_suppressed();
                c = (struct counted){0};
                storm(1000, cases[i].same);
                assert_int_equal(c.lines, cases[i].written);
                log_tell_suppressed();
                assert_int_equal(c.lines, cases[i].written); /* not while the window lasts */
                until = clock_now_ms() + clock_wait_ms(10000) + 20;
                while (clock_now_ms() < until)
                        ;
                log_tell_suppressed();
                assert_int_equal(c.lines, cases[i].written + 1);
                assert_int_equal(c.suppressed, 1000 - cases[i].written);
                log_tell_suppressed();
                assert_int_equal(c.lines, cases[i].written + 1);
                clock_set_scale(1);
        }
        log_set_sink(NULL, NULL);
}

static void debug_is_never_folded(void **state)
{
        struct counted c = {0};
        (void)state;
        log_set_level(LOG_LEVEL_DEBUG);
        log_set_sink(count, &c);
        for (int i = 0; i < 1000; i++)
                log_debug(NULL, "same");
        assert_int_equal(c.lines, 1000);
        log_set_sink(NULL, NULL);
        log_set_level(LOG_LEVEL_INFO);
}

static void lines_are_read_back(void **state)
{
        static const struct {
                const char *line, *key, *value;
        } cases[] = {
                {"a=b", "a", "b"},
                {"level=info msg=\"two words\" n=7", "msg", "two words"},
                {"msg=\"a\\\"b\\\\c\\n\\x1b\" k=v", "msg", "a\"b\\c\n\x1b"},
                {"msg=\"breaks off", "msg", "breaks off"},
                {"msg=\"breaks off\\", "msg", "breaks off"},
                {"alone k=", "alone", ""},
                {"alone k=", "k", ""},
                {"=v", "", "v"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf value = {0};
                struct logfmt_pair pair = {.value = &value};
                const char *at = cases[i].line;
                bool found = false;
                while (logfmt_next(&at, &pair))
                        if (pair.key_length == strlen(cases[i].key) &&
                            memcmp(pair.key, cases[i].key, pair.key_length) == 0) {
                                assert_string_equal(value.data, cases[i].value);
                                found = true;
                        }
                assert_true(found);
                buf_clear(&value);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(context_is_inherited),
                cmocka_unit_test(values_cannot_break_the_line),
                cmocka_unit_test(levels_have_words),
                cmocka_unit_test(a_storm_is_folded),
                cmocka_unit_test(debug_is_never_folded),
                cmocka_unit_test(lines_are_read_back),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
