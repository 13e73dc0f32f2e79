/* config_parse: collects raw texts layer by layer (environment, files, JSON file, user data), then
 * decides row by row. A layer only fills what the layers above left empty. What a bad value means
 * is said by the row's flags; the values themselves are judged in config_convert. */
#include "config_parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "config_convert.h"
#include "config_table.h"
#include "error.h"
#include "mem.h"

#define FILE_MAX (1 << 20)

struct load {
        struct config *raw;       /* as found, the highest layer that is not empty */
        struct config *from_json; /* names whose raw text came from JSON */
        struct config_warnings *warnings;
};

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

static bool is_set(const struct load *l, const char *name)
{
        return config_text(l->raw, name, NULL) != NULL;
}

/* ---- files and environment ---- */

static void take_raw(void *arg, const char *name, const char *value)
{
        struct load *l = arg;
        config_set(l->raw, name, value);
}

static char *trim(char *text)
{
        while (isspace((unsigned char)*text))
                text++;
        size_t n = strlen(text);
        while (n > 0 && isspace((unsigned char)text[n - 1]))
                text[--n] = '\0';
        return text;
}

void config_parse_lines(char *text, void (*fn)(void *arg, const char *name, const char *value),
                        void *arg)
{
        char *save = NULL;
        for (char *line = strtok_r(text, "\n", &save); line != NULL;
             line = strtok_r(NULL, "\n", &save)) {
                char *name = trim(line);
                char *eq = strchr(name, '=');
                if (eq == NULL || eq == name)
                        continue;
                *eq = '\0';
                fn(arg, name, eq + 1);
        }
}

/* Text (owned) or NULL with -errno in ret_error. Longer than FILE_MAX is cut. */
static char *read_file(const char *path, int *ret_error)
{
        cleanup_file FILE *f = fopen(path, "re");
        *ret_error = f != NULL ? 0 : -ENOENT; /* what cannot be opened counts as absent */
        if (f == NULL)
                return NULL;
        cleanup_free char *text = mem_alloc(FILE_MAX + 1);
        size_t n = fread(text, 1, FILE_MAX, f);
        if (ferror(f)) {
                *ret_error = -EIO;
                return NULL;
        }
        text[n] = '\0';
        return STEAL(text);
}

static void take_variable(struct load *l, const char *name, const char *value)
{
        bool ours = config_row_find(name) != NULL || strncmp(name, "ECS_", 4) == 0;
        if (ours && *value != '\0')
                config_set(l->raw, name, value);
}

static const char *find_variable(char *const *environment, const char *name)
{
        size_t n = strlen(name);
        for (; *environment != NULL; environment++)
                if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
                        return *environment + n + 1;
        return NULL;
}

static void take_environment(struct load *l, char *const *environment)
{
        /* the lower-case twins count where the upper-case variable is unset */
        static const char *const twins[][2] = {{"HTTP_PROXY", "http_proxy"},
                                               {"HTTPS_PROXY", "https_proxy"},
                                               {"NO_PROXY", "no_proxy"}};
        if (environment == NULL)
                return;
        for (size_t i = 0; environment[i] != NULL; i++) {
                const char *eq = strchr(environment[i], '=');
                if (eq == NULL)
                        continue;
                size_t n = (size_t)(eq - environment[i]);
                cleanup_free char *name = mem_strndup(environment[i], n);
                take_variable(l, name, eq + 1);
        }
        for (size_t i = 0; i < ARRAY_SIZE(twins); i++) {
                const char *value = find_variable(environment, twins[i][1]);
                if (value != NULL && !is_set(l, twins[i][0]))
                        take_variable(l, twins[i][0], value);
        }
}

/* ---- JSON ---- */

static const json_t *find_key(const json_t *object, const char *name)
{
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)object, key, value)
                if (strcasecmp(key, name) == 0)
                        return value;
        return NULL;
}

static char *join(const json_t *list)
{
        char *text = mem_strdup("");
        size_t i;
        json_t *e;
        json_array_foreach(list, i, e) {
                cleanup_free char *before = text;
                const char *item = json_string_value(e);
                text = mem_printf("%s%s%s", before, i > 0 ? "," : "", item != NULL ? item : "");
        }
        return text;
}

static char *nth_choice(const char *choices, json_int_t n)
{
        const char *p = choices;
        for (; n > 0 && *p != '\0'; n--) {
                p += strcspn(p, "|");
                p += *p == '|';
        }
        return mem_strndup(p, n == 0 ? strcspn(p, "|") : 0);
}

/* The text an environment variable of the same meaning would hold; NULL = not set. */
static char *json_text(const struct config_row *row, const json_t *v)
{
        if (v == NULL || json_is_null(v))
                return NULL;
        if (json_is_string(v))
                return mem_strdup(json_string_value(v));
        if (json_is_integer(v) && row->type == CONFIG_DURATION)
                return mem_printf("%lldns", (long long)json_integer_value(v));
        if (json_is_integer(v) && row->type == CONFIG_WORD)
                return nth_choice(row->choices, json_integer_value(v));
        if (json_is_array(v) && row->type == CONFIG_TEXT)
                return join(v);
        return json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
}

static void take_json_text(struct load *l, const char *name, const char *value)
{
        if (value == NULL || *value == '\0' || is_set(l, name))
                return;
        config_set(l->raw, name, value);
        config_set(l->from_json, name, "yes");
}

/* Keys that are not one variable each. */
static void take_odd_keys(struct load *l, const json_t *object)
{
        const char *arn = json_string_value(find_key(object, "ClusterArn"));
        if (arn != NULL && *arn != '\0') {
                warn(l->warnings, mem_strdup("the JSON key ClusterArn is deprecated, use Cluster"));
                take_json_text(l, "ECS_CLUSTER", arn);
        }
        json_int_t steady = json_integer_value(find_key(object, "TaskMetadataSteadyStateRate"));
        json_int_t burst = json_integer_value(find_key(object, "TaskMetadataBurstRate"));
        if (steady != 0 && burst != 0) {
                cleanup_free char *pair = mem_printf("%lld,%lld", (long long)steady,
                                                     (long long)burst);
                take_json_text(l, "ECS_TASK_METADATA_RPS_LIMIT", pair);
        }
}

static void take_json(struct load *l, const json_t *object)
{
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *row = &config_rows[i];
                if (row->json_key == NULL)
                        continue;
                cleanup_free char *value = json_text(row, find_key(object, row->json_key));
                take_json_text(l, row->name, value);
        }
        take_odd_keys(l, object);
}

static int take_json_file(struct load *l, struct error *err)
{
        const struct config_row *row = config_row_find("ECS_AGENT_CONFIG_FILE_PATH");
        const char *path = config_text(l->raw, row->name, row->fallback);
        int r;
        cleanup_free char *text = read_file(path, &r);
        if (r == -EIO)
                return error_set(err, -EINVAL, "%s cannot be read; make it a readable file or "
                                               "remove it", path);
        if (text == NULL || text[strspn(text, " \t\r\n")] == '\0')
                return 0;
        json_error_t where;
        cleanup_json json_t *j = json_loads(text, 0, &where);
        /* only the place: the parser's own words quote the text, which may be a secret */
        if (j == NULL)
                return error_set(err, -EINVAL,
                                 "%s is not valid JSON at line %d, column %d; correct or remove it",
                                 path, where.line, where.column);
        if (!json_is_object(j))
                return error_set(err, -EINVAL, "%s does not hold a JSON object; correct or "
                                               "remove it", path);
        take_json(l, j);
        return 0;
}

/* User data is often a script: what is not our JSON is nobody's mistake. */
static void take_user_data(struct load *l, const char *user_data)
{
        cleanup_json json_t *j = user_data != NULL ? json_loads(user_data, 0, NULL) : NULL;
        const json_t *settings = json_is_object(j) ? find_key(j, "ECSAgentConfiguration") : NULL;
        if (json_is_object(settings))
                take_json(l, settings);
}

/* ---- unknown names ---- */

/* Edits between two names; 99 when b is longer than any name of ours. */
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
        if (config_row_find(name) != NULL || strncmp(name, "ECS_", 4) != 0 ||
            strcmp(name, "ECS_CONFIG_FILE") == 0)
                return;
        size_t best = 99;
        const char *nearest = "";
        for (size_t i = 0; i < config_row_count; i++) {
                size_t d = distance(name, config_rows[i].name);
                if (d < best && (config_rows[i].flags & CONFIG_INTERNAL) == 0) {
                        best = d;
                        nearest = config_rows[i].name;
                }
        }
        warn(l->warnings, best <= 5 ? mem_printf("%s is no known setting; is %s meant?", name,
                                                 nearest)
                                    : mem_printf("%s is no known setting, ignored", name));
}

/* ---- deciding ---- */

static bool bounds_apply(const struct load *l, const struct config_row *row)
{
        if (row->bounded_if == NULL)
                return true;
        const struct config_row *condition = config_row_find(row->bounded_if);
        struct config_verdict ignored;
        cleanup_free char *value = config_convert(
                condition, config_text(l->raw, condition->name, condition->fallback), true,
                &ignored);
        return value != NULL && strcmp(value, "true") == 0;
}

static bool is_fatal(const struct load *l, const struct config_row *row, const char *value,
                     const struct config_verdict *v)
{
        if ((row->flags & CONFIG_FATAL) != 0 && value == NULL)
                return true;
        if ((row->flags & CONFIG_FATAL_MEMBER) != 0 && v->unknown_member)
                return true;
        return (row->flags & CONFIG_STRICT_JSON) != 0 && v->outside &&
               config_find(l->from_json, row->name) != NULL;
}

static int decide(struct load *l, const struct config_row *row, struct config *ret,
                  struct error *err)
{
        const char *raw = config_text(l->raw, row->name, NULL);
        if (raw != NULL && (row->flags & CONFIG_WINDOWS) != 0) {
                warn(l->warnings, mem_printf("%s is for Windows only, ignored", row->name));
                raw = NULL;
        }
        if (raw == NULL) {
                if (row->fallback != NULL)
                        config_set(ret, row->name, row->fallback);
                return 0;
        }
        struct config_verdict v;
        bool secret = (row->flags & CONFIG_SECRET) != 0;
        const char *shown = secret ? "(secret)" : raw;
        cleanup_free char *value = config_convert(row, raw, bounds_apply(l, row), &v);
        if (is_fatal(l, row, value, &v))
                return error_set(err, -EINVAL, "%s=%s %s; correct it and start again", row->name,
                                 shown, v.wrong);
        const char *used = value != NULL ? value : row->fallback;
        if (v.wrong != NULL && (row->flags & CONFIG_SILENT) == 0)
                warn(l->warnings, mem_printf("%s=%s %s; using %s", row->name, shown, v.wrong,
                                             used == NULL ? "no value" : secret ? "none" : used));
        if (used != NULL)
                config_set(ret, row->name, used);
        return 0;
}

int config_load(const struct config_sources *s, struct config *ret, struct config_warnings *w,
                struct error *err)
{
        struct load l = {.raw = config_new(), .from_json = config_new(), .warnings = w};
        for (size_t i = 0; s->files != NULL && s->files[i] != NULL; i++) {
                int absent;
                cleanup_free char *text = read_file(s->files[i], &absent);
                if (text != NULL)
                        config_parse_lines(text, take_raw, &l);
        }
        take_environment(&l, s->environment);
        int r = take_json_file(&l, err);
        if (r == 0)
                take_user_data(&l, s->user_data);
        config_each(l.raw, check_unknown, &l);
        for (size_t i = 0; r == 0 && i < config_row_count; i++)
                r = decide(&l, &config_rows[i], ret, err);
        config_free(l.raw);
        config_free(l.from_json);
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
