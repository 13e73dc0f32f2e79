/* config_parse: one converter a type, chosen by the row. A converter either gives the normalised
 * text or says what is wrong; the row's flags decide what a wrong value means. */
#include "config_parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "cleanup.h"
#include "config_table.h"
#include "duration.h"
#include "error.h"
#include "mem.h"

#define FILE_MAX (1 << 20)

static void warn(struct config_warnings *w, char *text)
{
        w->texts = mem_realloc_array(w->texts, w->count + 1, sizeof *w->texts);
        w->texts[w->count++] = text;
}

void config_warnings_clear(struct config_warnings *w)
{
        for (size_t i = 0; i < w->count; i++)
                free(w->texts[i]);
        free(w->texts);
        *w = (struct config_warnings){0};
}

/* ---- converters: normalised text (owned), or NULL and what is wrong ---- */

static char *trimmed(const char *v)
{
        while (isspace((unsigned char)*v))
                v++;
        size_t n = strlen(v);
        while (n > 0 && isspace((unsigned char)v[n - 1]))
                n--;
        return mem_strndup(v, n);
}

static char *convert_bool(const struct config_row *row, const char *v, const char **ret_wrong)
{
        static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
        static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
        (void)row;
        cleanup_free char *t = trimmed(v);
        for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
                if (strcmp(t, yes[i]) == 0)
                        return mem_strdup("true");
                if (strcmp(t, no[i]) == 0)
                        return mem_strdup("false");
        }
        *ret_wrong = "is neither true nor false";
        return NULL;
}

/* A number outside the row's bounds becomes the bound, or the default where the row says so. */
static char *bounded(const struct config_row *row, int64_t n, const char **ret_wrong)
{
        bool low = (row->min != 0 || row->max != 0) && n < row->min;
        bool high = row->max != 0 && n > row->max;
        if (row->type == CONFIG_DURATION && n == 0 && (row->flags & CONFIG_DEFAULT_BELOW) == 0)
                return mem_strdup(row->fallback);
        if (low || high) {
                *ret_wrong = low ? "is too small" : "is too large";
                if ((row->flags & CONFIG_DEFAULT_BELOW) != 0)
                        return row->fallback != NULL ? mem_strdup(row->fallback) : NULL;
                n = low ? row->min : row->max;
        }
        return mem_printf("%lld", (long long)n);
}

static char *convert_int(const struct config_row *row, const char *v, const char **ret_wrong)
{
        char *end;
        errno = 0;
        long long n = strtoll(v, &end, 10);
        if (end == v || *end != '\0' || errno != 0) {
                *ret_wrong = "is not a whole number";
                return NULL;
        }
        return bounded(row, n, ret_wrong);
}

static char *convert_duration(const struct config_row *row, const char *v, const char **ret_wrong)
{
        int64_t ns;
        if (duration_parse(v, &ns) != 0) {
                *ret_wrong = "is not a duration such as 30s or 1h30m";
                return NULL;
        }
        return bounded(row, ns / 1000000, ret_wrong);
}

static char *convert_float(const struct config_row *row, const char *v, const char **ret_wrong)
{
        char *end;
        double d = strtod(v, &end);
        (void)row;
        if (end == v || *end != '\0' || !(d > 0)) {
                *ret_wrong = "is not a number above 0";
                return NULL;
        }
        return mem_strdup(v);
}

static bool is_choice(const char *choices, const char *word)
{
        size_t n = strlen(word);
        for (const char *p = choices; n > 0 && *p != '\0';) {
                size_t length = strcspn(p, "|");
                if (length == n && strncasecmp(p, word, n) == 0)
                        return true;
                p += length + (p[length] == '|');
        }
        return false;
}

static char *convert_word(const struct config_row *row, const char *v, const char **ret_wrong)
{
        cleanup_free char *t = trimmed(v);
        if (is_choice(row->choices, t))
                return mem_strdup(t);
        *ret_wrong = "is not one of the known words";
        return NULL;
}

static char *compact(const json_t *j)
{
        return json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
}

static char *convert_ports(const struct config_row *row, const char *v, const char **ret_wrong)
{
        cleanup_json json_t *j = json_loads(v, JSON_DISABLE_EOF_CHECK, NULL);
        (void)row;
        size_t i;
        json_t *e;
        *ret_wrong = "is not a JSON list of ports";
        if (!json_is_array(j))
                return NULL;
        json_array_foreach(j, i, e)
                if (!json_is_integer(e) || json_integer_value(e) < 0 ||
                    json_integer_value(e) > 65535)
                        return NULL;
        *ret_wrong = NULL;
        return compact(j);
}

static char *convert_strings(const struct config_row *row, const char *v, const char **ret_wrong)
{
        cleanup_json json_t *j = json_loads(v, JSON_DISABLE_EOF_CHECK, NULL);
        size_t i;
        json_t *e;
        *ret_wrong = "is not a JSON list of strings";
        if (!json_is_array(j))
                return NULL;
        json_array_foreach(j, i, e) {
                if (!json_is_string(e))
                        return NULL;
                if (row->choices != NULL && !is_choice(row->choices, json_string_value(e))) {
                        *ret_wrong = "names something unknown";
                        return NULL;
                }
        }
        *ret_wrong = NULL;
        return compact(j);
}

static char *convert_map(const struct config_row *row, const char *v, const char **ret_wrong)
{
        cleanup_json json_t *j = json_loads(v, 0, NULL);
        (void)row;
        const char *key;
        json_t *e;
        *ret_wrong = "is not a JSON object of strings";
        if (!json_is_object(j))
                return NULL;
        json_object_foreach(j, key, e)
                if (!json_is_string(e))
                        return NULL;
        *ret_wrong = NULL;
        return compact(j);
}

/* Two numbers with a separator between; both at least 1. */
static char *convert_two(const char *v, char separator, long max, const char **ret_wrong)
{
        char *end;
        long a = strtol(v, &end, 10);
        while (isspace((unsigned char)*end))
                end++;
        bool good = end != v && *end == separator;
        const char *second = good ? end + 1 : v;
        long b = strtol(second, &end, 10);
        while (isspace((unsigned char)*end))
                end++;
        good = good && end != second && *end == '\0' && a > 0 && b > 0 && a <= max && b <= max;
        if (separator == '-')
                good = good && a < b;
        if (!good) {
                *ret_wrong = separator == '-' ? "is not a range of ports such as 32768-60999"
                                              : "is not two numbers above 0 such as 40,60";
                return NULL;
        }
        return mem_printf("%ld%c%ld", a, separator, b);
}

static char *convert_range(const struct config_row *row, const char *v, const char **ret_wrong)
{
        (void)row;
        return convert_two(v, '-', 65535, ret_wrong);
}

static char *convert_pair(const struct config_row *row, const char *v, const char **ret_wrong)
{
        (void)row;
        return convert_two(v, ',', 1000000, ret_wrong);
}

static char *convert_text(const struct config_row *row, const char *v, const char **ret_wrong)
{
        (void)ret_wrong;
        return row->type == CONFIG_TRIMMED ? trimmed(v) : mem_strdup(v);
}

static char *(*const converters[])(const struct config_row *, const char *, const char **) = {
        [CONFIG_TEXT] = convert_text,          [CONFIG_TRIMMED] = convert_text,
        [CONFIG_BOOL] = convert_bool,          [CONFIG_DURATION] = convert_duration,
        [CONFIG_INT] = convert_int,            [CONFIG_FLOAT] = convert_float,
        [CONFIG_WORD] = convert_word,          [CONFIG_JSON_PORTS] = convert_ports,
        [CONFIG_JSON_STRINGS] = convert_strings, [CONFIG_JSON_MAP] = convert_map,
        [CONFIG_RANGE] = convert_range,        [CONFIG_PAIR] = convert_pair,
};

/* ---- collecting ---- */

struct load {
        struct config *raw;   /* as found, environment over files */
        struct config_warnings *warnings;
};

static void take_raw(void *arg, const char *name, const char *value)
{
        struct load *l = arg;
        config_set(l->raw, name, value);
}

void config_parse_lines(char *text, void (*fn)(void *arg, const char *name, const char *value),
                        void *arg)
{
        char *save = NULL;
        for (char *line = strtok_r(text, "\n", &save); line != NULL;
             line = strtok_r(NULL, "\n", &save)) {
                cleanup_free char *t = trimmed(line);
                char *eq = strchr(t, '=');
                if (eq == NULL || eq == t)
                        continue;
                *eq = '\0';
                fn(arg, t, eq + 1);
        }
}

/* NULL when it cannot be opened; longer than FILE_MAX is cut. */
static char *read_file(const char *path)
{
        cleanup_file FILE *f = fopen(path, "re");
        if (f == NULL)
                return NULL;
        char *text = mem_alloc(FILE_MAX + 1);
        size_t n = fread(text, 1, FILE_MAX, f);
        text[n] = '\0';
        return text;
}

static void take_environment(struct load *l, char *const *environment)
{
        for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
                const char *eq = strchr(environment[i], '=');
                if (eq == NULL)
                        continue;
                cleanup_free char *name =
                        mem_strndup(environment[i], (size_t)(eq - environment[i]));
                if (config_row_find(name) != NULL || strncmp(name, "ECS_", 4) == 0)
                        config_set(l->raw, name, eq + 1);
        }
        /* the lower-case twins of the proxy variables, where the upper is unset */
        static const char *const proxies[] = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"};
        static const char *const lower[] = {"http_proxy", "https_proxy", "no_proxy"};
        for (size_t p = 0; p < ARRAY_SIZE(proxies); p++)
                for (size_t i = 0; environment != NULL && environment[i] != NULL; i++)
                        if (strncmp(environment[i], lower[p], strlen(lower[p])) == 0 &&
                            environment[i][strlen(lower[p])] == '=' &&
                            config_find(l->raw, proxies[p]) == NULL)
                                config_set(l->raw, proxies[p],
                                           environment[i] + strlen(lower[p]) + 1);
}

/* A value of the JSON file as the text its environment variable would hold; NULL = not set. */
static char *json_text(const struct config_row *row, const json_t *v)
{
        if (json_is_string(v))
                return mem_strdup(json_string_value(v));
        if (json_is_integer(v) && row->type == CONFIG_DURATION)
                return mem_printf("%lldns", (long long)json_integer_value(v));
        if (json_is_null(v) || v == NULL)
                return NULL;
        return json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
}

static const json_t *find_key(const json_t *object, const char *name)
{
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)object, key, value)
                if (strcasecmp(key, name) == 0)
                        return value;
        return NULL;
}

static int take_json_file(struct load *l, struct error *err)
{
        const struct config_row *path_row = config_row_find("ECS_AGENT_CONFIG_FILE_PATH");
        const char *path = config_text(l->raw, path_row->name, path_row->fallback);
        cleanup_free char *text = read_file(path);
        if (text == NULL || text[strspn(text, " \t\r\n")] == '\0')
                return 0;
        json_error_t where;
        cleanup_json json_t *j = json_loads(text, 0, &where);
        if (!json_is_object(j))
                return error_set(err, -EINVAL, "%s is not a JSON object: %s (line %d)", path,
                                 where.text, where.line);
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *row = &config_rows[i];
                const char *set = config_find(l->raw, row->name);
                if (row->json_key == NULL || (set != NULL && *set != '\0'))
                        continue;
                cleanup_free char *value = json_text(row, find_key(j, row->json_key));
                if (value != NULL && *value != '\0')
                        config_set(l->raw, row->name, value);
        }
        return 0;
}

/* ---- unknown names ---- */

static size_t distance(const char *a, const char *b)
{
        size_t previous[128], n = strlen(b);
        if (n >= ARRAY_SIZE(previous))
                return 99;
        for (size_t j = 0; j <= n; j++)
                previous[j] = j;
        for (size_t i = 1; a[i - 1] != '\0'; i++) {
                size_t diagonal = previous[0];
                previous[0] = i;
                for (size_t j = 1; j <= n; j++) {
                        size_t best = diagonal + (a[i - 1] != b[j - 1]);
                        if (previous[j] + 1 < best)
                                best = previous[j] + 1;
                        if (previous[j - 1] + 1 < best)
                                best = previous[j - 1] + 1;
                        diagonal = previous[j];
                        previous[j] = best;
                }
        }
        return previous[n];
}

static void check_unknown(void *arg, const char *name, const char *value)
{
        struct load *l = arg;
        (void)value;
        if (config_row_find(name) != NULL || strncmp(name, "ECS_", 4) != 0)
                return;
        if (strcmp(name, "ECS_CONFIG_FILE") == 0)
                return;
        size_t best = 99;
        const char *nearest = "";
        for (size_t i = 0; i < config_row_count; i++) {
                size_t d = distance(name, config_rows[i].name);
                if (d < best) {
                        best = d;
                        nearest = config_rows[i].name;
                }
        }
        warn(l->warnings, best <= 5 ? mem_printf("%s is no known setting; is %s meant?", name,
                                                 nearest)
                                    : mem_printf("%s is no known setting, ignored", name));
}

/* ---- deciding ---- */

static int decide(struct load *l, const struct config_row *row, struct config *ret,
                  struct error *err)
{
        const char *raw = config_find(l->raw, row->name);
        if (raw == NULL || *raw == '\0') {
                if (row->fallback != NULL)
                        config_set(ret, row->name, row->fallback);
                return 0;
        }
        if ((row->flags & CONFIG_WINDOWS) != 0) {
                warn(l->warnings, mem_printf("%s is for Windows only, ignored", row->name));
                return 0;
        }
        const char *wrong = NULL;
        const char *shown = (row->flags & CONFIG_SECRET) != 0 ? "(secret)" : raw;
        cleanup_free char *value = converters[row->type](row, raw, &wrong);
        if (value == NULL && (row->flags & CONFIG_FATAL) != 0)
                return error_set(err, -EINVAL, "%s=%s %s; correct it and start again", row->name,
                                 shown, wrong);
        if (wrong != NULL && (row->flags & CONFIG_SILENT) == 0) {
                const char *used = value != NULL         ? value
                                   : row->fallback != NULL ? row->fallback
                                                           : "unset";
                warn(l->warnings,
                     mem_printf("%s=%s %s; using %s", row->name, shown, wrong,
                                (row->flags & CONFIG_SECRET) != 0 ? "no value" : used));
        }
        if (value != NULL)
                config_set(ret, row->name, value);
        else if (row->fallback != NULL)
                config_set(ret, row->name, row->fallback);
        return 0;
}

int config_load(const struct config_sources *s, struct config *ret, struct config_warnings *w,
                struct error *err)
{
        struct load l = {.raw = config_new(), .warnings = w};
        for (size_t i = 0; s->files != NULL && s->files[i] != NULL; i++) {
                cleanup_free char *text = read_file(s->files[i]);
                if (text != NULL)
                        config_parse_lines(text, take_raw, &l);
        }
        take_environment(&l, s->environment);
        int r = take_json_file(&l, err);
        config_each(l.raw, check_unknown, &l);
        for (size_t i = 0; r == 0 && i < config_row_count; i++)
                r = decide(&l, &config_rows[i], ret, err);
        config_free(l.raw);
        return r;
}

struct config *config_for(const struct config *all, unsigned recipient)
{
        struct config *c = config_new();
        for (size_t i = 0; i < config_row_count; i++) {
                const char *v = config_find(all, config_rows[i].name);
                if (v != NULL && (config_rows[i].recipients & recipient) != 0)
                        config_set(c, config_rows[i].name, v);
        }
        return c;
}
