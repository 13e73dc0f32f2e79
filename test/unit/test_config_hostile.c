/* A thousand hostile configurations through every layer at once: nothing crashes, every bad value
 * is told with its name and the reason or ends the start, and what comes out is always within the
 * bounds of its row. The seed is printed; ECS_TEST_SEED repeats a run. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "config_convert.h"
#include "config_parse.h"
#include "config_table.h"
#include "error.h"
#include "mem.h"

#define FILES 1000
#define MARKS_MAX 400

static unsigned seed;

static size_t below(size_t n)
{
        return (size_t)rand_r(&seed) % n;
}

/* ---- values: whether each is bad is known from how it was made, not from the parser ---- */

static const char *const bad_values[] = {
        [CONFIG_BOOL] = "maybe",
        [CONFIG_DURATION] = "12 parsecs",
        [CONFIG_INT] = "0x1F",
        [CONFIG_FLOAT] = "-1",
        [CONFIG_WORD] = "no-such-word",
        [CONFIG_JSON_PORTS] = "{\"a\":[}",
        [CONFIG_JSON_STRINGS] = "awslogs",
        [CONFIG_JSON_CIDRS] = "[\"10.0.0.0/99\"]",
        [CONFIG_JSON_MAP] = "{\"a\":1}",
        [CONFIG_RANGE] = "9-1",
        [CONFIG_PAIR] = "1;2",
};

static const char *const good_values[] = {
        [CONFIG_TEXT] = "some text = with more",
        [CONFIG_TRIMMED] = "  word  ",
        [CONFIG_BOOL] = "T",
        [CONFIG_DURATION] = "1h2m3.5s",
        [CONFIG_INT] = "17",
        [CONFIG_FLOAT] = "0.5",
        [CONFIG_JSON_PORTS] = "[1,2,3]",
        [CONFIG_JSON_STRINGS] = "[]",
        [CONFIG_JSON_CIDRS] = "[\"fd00::/8\"]",
        [CONFIG_JSON_MAP] = "{\"key\":\"value\"}",
        [CONFIG_RANGE] = "1 - 65535",
        [CONFIG_PAIR] = "1 , 2",
};

/* Extremes that may be taken, mended or refused; only the result is looked at. */
static const char *const extremes[] = {
        "-9223372036854775808",
        "9223372036854775807ns",
        "99999999999999999999",
        "2562047h47m16.854775807s",
        "-1ns",
        "1e999",
        "nan",
        "inf",
        "%s%n%p",
        "\xff\xfe\xc0\x80",
        "[[[[[[[[[[[[[[[[[[[[[[[[",
        "{\"a\":{\"a\":{\"a\":{}}}}",
        "[1e400]",
        "[-1,65536,\"\"]",
        "0",
        "-0",
        "+5",
        "0.0000000000001s",
        "\x01\x02\x03",
        "\"quoted\"",
        "=",
        "==",
        "1-",
        "0-0",
        "65535-65536",
        ",",
        "1,-1",
        "1000001,1",
};

static void put_noise(struct buf *b)
{
        for (size_t n = below(300); n > 0; n--) {
                char c = (char)(1 + below(255));
                buf_append(b, c == '\n' ? " " : &c, 1);
        }
}

/* What was written: rows whose winning value is certainly bad. */
struct expectation {
        const struct config_row *rows[MARKS_MAX];
        size_t count;
};

static void forget(struct expectation *x, const struct config_row *row)
{
        for (size_t i = 0; i < x->count; i++)
                if (x->rows[i] == row)
                        x->rows[i] = x->rows[--x->count];
}

static void expect(struct expectation *x, const struct config_row *row)
{
        forget(x, row);
        if (x->count < MARKS_MAX)
                x->rows[x->count++] = row;
}

static void put_value(struct buf *b, const struct config_row *row, struct expectation *x)
{
        size_t kind = below(4);
        const char *bad = row->type < ARRAY_SIZE(bad_values) ? bad_values[row->type] : NULL;
        const char *good = row->type < ARRAY_SIZE(good_values) ? good_values[row->type] : NULL;
        forget(x, row);
        if (kind == 0 && bad != NULL) {
                buf_append_str(b, bad);
                expect(x, row);
        } else if (kind == 1 && good != NULL) {
                buf_append_str(b, good);
        } else if (kind == 2) {
                buf_append_str(b, extremes[below(ARRAY_SIZE(extremes))]);
        } else {
                put_noise(b);
        }
}

/* ---- files ---- */

static void put_lines(struct buf *b, struct expectation *x)
{
        for (size_t n = below(40); n > 0; n--) {
                const struct config_row *row = &config_rows[below(config_row_count)];
                bool elsewhere = (row->flags & (CONFIG_JSON_ONLY | CONFIG_FLAG_ONLY)) != 0 ||
                                 strcmp(row->name, "ECS_AGENT_CONFIG_FILE_PATH") == 0;
                size_t kind = below(20);
                if (kind <= 1) {
                        put_noise(b);
                } else if (kind == 2) {
                        buf_printf(b, "ECS_%c%s=", (char)('A' + below(26)), row->name);
                        put_noise(b);
                } else if (!elsewhere) {
                        buf_printf(b, "%s%s=", below(10) == 0 ? " \t" : "", row->name);
                        put_value(b, row, x);
                }
                buf_append_str(b, below(10) == 0 ? "\r\n" : "\n");
        }
}

static json_t *any_json(void)
{
        static const double numbers[] = {0, -1, 1, 65536, 1e18, -1e18, 0.5};
        switch (below(7)) {
        case 0:
                return json_null();
        case 1:
                return json_boolean(below(2));
        case 2:
                return json_integer((json_int_t)numbers[below(6)]);
        case 3:
                return json_real(numbers[below(7)]);
        case 4:
                return json_string(extremes[below(8)]);
        case 5:
                return json_pack("[i,s,n,{s:i}]", 70000, "x", "k", 1);
        default:
                return json_pack("{s:s, s:i}", "a", "b", "c", 1);
        }
}

/* Well-formed JSON with any values, or (when ruined) a text cut short. */
static char *make_json(bool ruined)
{
        cleanup_json json_t *o = json_object();
        for (size_t n = below(6); n > 0; n--) {
                const struct config_row *row = &config_rows[below(config_row_count)];
                json_t *value = any_json();
                if (value == NULL ||
                    json_object_set_new(o, row->json_key != NULL ? row->json_key : row->name,
                                        value) != 0)
                        continue;
        }
        char *text = json_dumps(o, 0);
        if (ruined)
                text[below(strlen(text))] = '\0';
        return text;
}

/* ---- judging ---- */

static bool is_listed(const char *choices, const char *word)
{
        cleanup_free char *padded = mem_printf("|%s|", choices);
        cleanup_free char *wanted = mem_printf("|%s|", word);
        return strstr(padded, wanted) != NULL;
}

static bool within_bounds(const struct config_row *row, const char *value, bool polling)
{
        long low, high;
        double d;
        cleanup_json json_t *j = json_loads(value, 0, NULL);
        switch (row->type) {
        case CONFIG_BOOL:
                return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
        case CONFIG_DURATION:
        case CONFIG_INT:
                if (strspn(value, "-0123456789") != strlen(value) || *value == '\0')
                        return false;
                if ((row->min == 0 && row->max == 0) || (row->bounded_if != NULL && !polling))
                        return row->type == CONFIG_INT || *value != '-';
                return strtoll(value, NULL, 10) >= row->min &&
                       (row->max == 0 || strtoll(value, NULL, 10) <= row->max);
        case CONFIG_FLOAT:
                d = strtod(value, NULL);
                return d > 0 && d < 1e300;
        case CONFIG_WORD:
                return is_listed(row->choices, value);
        case CONFIG_JSON_PORTS:
        case CONFIG_JSON_STRINGS:
        case CONFIG_JSON_CIDRS:
                return json_is_array(j);
        case CONFIG_JSON_MAP:
                return json_is_object(j);
        case CONFIG_RANGE:
                return sscanf(value, "%ld-%ld", &low, &high) == 2 && low > 0 && low < high &&
                       high <= 65535;
        case CONFIG_PAIR:
                return sscanf(value, "%ld,%ld", &low, &high) == 2 && low > 0 && high > 0;
        case CONFIG_TEXT:
        case CONFIG_TRIMMED:
                return true;
        }
        return false;
}

static bool told(const struct config_warnings *w, const char *name)
{
        size_t n = strlen(name);
        for (size_t i = 0; i < w->count; i++)
                if (strncmp(w->texts[i], name, n) == 0 && w->texts[i][n] != '\0')
                        return true;
        return false;
}

static void judge(unsigned round, int r, const struct config *c, const struct config_warnings *w,
                  const struct error *err, const struct expectation *x)
{
        if (r != 0) {
                /* a fatal mistake names the setting or the JSON file, and says what to do */
                assert_int_equal(r, -EINVAL);
                assert_true(strlen(err->text) > 20);
                return;
        }
        for (size_t i = 0; i < x->count; i++)
                if (!told(w, x->rows[i]->name))
                        fail_msg("round %u: nothing is said about the bad %s", round,
                                 x->rows[i]->name);
        for (size_t i = 0; i < config_row_count; i++) {
                const char *value = config_find(c, config_rows[i].name);
                if (value != NULL && !within_bounds(&config_rows[i], value,
                                                    config_bool(c, "ECS_POLL_METRICS", false)))
                        fail_msg("round %u: %s=%s is out of bounds", round, config_rows[i].name,
                                 value);
        }
}

static void write_file(const char *path, const char *text, size_t length)
{
        cleanup_file FILE *f = fopen(path, "we");
        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, length, f), length);
}

static unsigned run_round(unsigned round, const char *lines_path, const char *json_path)
{
        struct buf lines = {0}, variable = {0};
        struct expectation x = {0};
        struct config_warnings w = {0};
        struct error err = {0};
        put_lines(&lines, &x);
        const struct config_row *row = &config_rows[below(config_row_count)];
        bool usable = (row->flags & (CONFIG_JSON_ONLY | CONFIG_FLAG_ONLY)) == 0 &&
                      strcmp(row->name, "ECS_AGENT_CONFIG_FILE_PATH") != 0;
        buf_printf(&variable, "%s=", usable ? row->name : "ECS_NONE");
        if (usable)
                put_value(&variable, row, &x);
        cleanup_free char *json = make_json(below(20) == 0);
        cleanup_free char *inner = make_json(below(20) == 0);
        cleanup_free char *user_data = mem_printf("{\"ECSAgentConfiguration\":%s}", inner);
        cleanup_free char *pairs = config_user_data_lines(user_data, &w);
        cleanup_free char *where = mem_printf("ECS_AGENT_CONFIG_FILE_PATH=%s", json_path);
        write_file(lines_path, lines.data != NULL ? lines.data : "", lines.length);
        write_file(json_path, json, strlen(json));
        char *environment[] = {where, variable.data, NULL};
        const char *files[] = {lines_path, NULL};
        const struct config_sources s = {
                .environment = environment, .files = files, .user_data = pairs};
        struct config *c = config_new();
        int r = config_load(&s, c, &w, &err);
        /* an empty or blank value in the environment hides nothing below it */
        if (strchr(variable.data, '=')[1] == '\0' && usable)
                forget(&x, row);
        if (w.count < 200)
                judge(round, r, c, &w, &err, &x);
        config_free(c);
        config_warnings_clear(&w);
        buf_clear(&lines);
        buf_clear(&variable);
        return r != 0;
}

static void hostile_files_are_survived(void **state)
{
        char dir[] = "/tmp/ecs-hostile-XXXXXX";
        unsigned fatal = 0;
        (void)state;
        const char *given = getenv("ECS_TEST_SEED");
        seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
        print_message("ECS_TEST_SEED=%u\n", seed);
        assert_non_null(mkdtemp(dir));
        cleanup_free char *lines = mem_printf("%s/ecs.config", dir);
        cleanup_free char *json = mem_printf("%s/ecs.config.json", dir);
        for (unsigned i = 0; i < FILES; i++)
                fatal += run_round(i, lines, json);
        print_message("%u of %u ended the start\n", fatal, FILES);
        (void)unlink(lines);
        (void)unlink(json);
        (void)rmdir(dir);
        assert_in_range(fatal, 1, FILES - FILES / 10); /* enough get as far as the values */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hostile_files_are_survived),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
