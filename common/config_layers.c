/* config_layers: one function a layer, from the lowest file to the flags. A layer from JSON only
 * fills what those above left empty; its values become the text a variable would hold, so that one
 * judge serves all. */
#include "config_layers.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "cleanup.h"
#include "config_names.h"
#include "config_parse.h"
#include "config_table.h"
#include "error.h"
#include "mem.h"

#define FILE_MAX (1 << 20)

struct layer {
        struct config *raw;
        struct config_warnings *warnings;
        const char *origin;
};

static bool is_set(const struct layer *l, const char *name)
{
        return config_text(l->raw, name, NULL) != NULL;
}

/* ---- lines and variables ---- */

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

/* Is it a variable of ours, and may it come from here? An unknown ECS_* name is warned about. */
static bool is_ours(const struct layer *l, const char *name, unsigned barred)
{
        const struct config_row *row = config_row_find(name);
        if (row != NULL)
                return (row->flags & barred) == 0;
        if (strncmp(name, "ECS_", 4) == 0 && strcmp(name, "ECS_CONFIG_FILE") != 0 &&
            config_warnings_have_room(l->warnings))
                config_warn(l->warnings, config_names_unknown(name));
        return false;
}

/* In a file the last of several lines counts, even an empty one. */
static void take_line(void *arg, const char *name, const char *value)
{
        const struct layer *l = arg;
        if (is_ours(l, name, CONFIG_JSON_ONLY | CONFIG_FLAG_ONLY))
                config_set_from(l->raw, name, value, l->origin);
}

static void take_pair(const struct layer *l, const char *pair, unsigned barred)
{
        const char *eq = strchr(pair, '=');
        if (eq == NULL || eq[1] == '\0')
                return;
        cleanup_free char *name = mem_strndup(pair, (size_t)(eq - pair));
        if (is_ours(l, name, barred))
                config_set_from(l->raw, name, eq + 1, l->origin);
}

static const char *find_variable(char *const *environment, const char *name)
{
        size_t n = strlen(name);
        for (; *environment != NULL; environment++)
                if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
                        return *environment + n + 1;
        return NULL;
}

static void take_environment(const struct layer *l, char *const *environment)
{
        /* the lower-case twins count where the upper-case variable is unset */
        static const char *const twins[][2] = {
                {"HTTP_PROXY",  "http_proxy" },
                {"HTTPS_PROXY", "https_proxy"},
                {"NO_PROXY",    "no_proxy"   }
        };
        for (size_t i = 0; environment != NULL && environment[i] != NULL; i++)
                take_pair(l, environment[i], CONFIG_JSON_ONLY | CONFIG_FLAG_ONLY);
        for (size_t i = 0; environment != NULL && i < ARRAY_SIZE(twins); i++) {
                const char *value = find_variable(environment, twins[i][1]);
                if (value != NULL && *value != '\0' && !is_set(l, twins[i][0]))
                        config_set_from(l->raw, twins[i][0], value, l->origin);
        }
}

/* Text (owned) or NULL. What cannot be opened counts as absent; what cannot be read is -EIO. Longer
 * than FILE_MAX is cut. */
static char *read_file(const char *path, int *ret_error)
{
        char part[8192];
        size_t n;
        struct buf text = {0};
        cleanup_file FILE *f = fopen(path, "re");
        *ret_error = 0;
        if (f == NULL)
                return NULL;
        while (text.length < FILE_MAX && (n = fread(part, 1, sizeof part, f)) > 0)
                buf_append(&text, part, n);
        if (ferror(f)) {
                *ret_error = -EIO;
                buf_clear(&text);
                return NULL;
        }
        return buf_steal(&text);
}

static void take_file(const struct layer *l, const char *path)
{
        int ignored;
        cleanup_free char *text = read_file(path, &ignored);
        if (text != NULL)
                config_parse_lines(text, take_line, (void *)l);
}

/* ---- JSON ---- */

static const json_t *find_key(const json_t *object, const char *name)
{
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)object, key,
                            value) if (strcasecmp(key, name) == 0) return value;
        return NULL;
}

static char *join(const json_t *list)
{
        struct buf text = {0};
        size_t i;
        json_t *e;
        json_array_foreach(list, i, e)
        {
                const char *item = json_string_value(e);
                buf_printf(&text, "%s%s", i > 0 ? "," : "", item != NULL ? item : "");
        }
        return buf_steal(&text);
}

static char *nth_choice(const char *choices, json_int_t n)
{
        const char *p = choices;
        if (n < 0)
                return mem_printf("%lld", (long long)n);
        for (json_int_t left = n; left > 0 && *p != '\0'; left--) {
                p += strcspn(p, "|");
                p += *p == '|';
        }
        return *p != '\0' ? mem_strndup(p, strcspn(p, "|")) : mem_printf("%lld", (long long)n);
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

static void take_json_text(const struct layer *l, const char *name, const char *value)
{
        if (value != NULL && *value != '\0' && !is_set(l, name))
                config_set_from(l->raw, name, value, l->origin);
}

#define STEADY "TaskMetadataSteadyStateRate"
#define BURST "TaskMetadataBurstRate"

/* Keys that are not one variable each. */
static void take_odd_keys(const struct layer *l, const json_t *object)
{
        const char *arn = json_string_value(find_key(object, "ClusterArn"));
        if (arn != NULL && *arn != '\0') {
                config_warn(
                        l->warnings,
                        mem_printf("%s: the key ClusterArn is deprecated, use Cluster", l->origin));
                take_json_text(l, "ECS_CLUSTER", arn);
        }
        json_int_t steady = json_integer_value(find_key(object, STEADY));
        json_int_t burst = json_integer_value(find_key(object, BURST));
        if (steady != 0 && burst != 0) {
                cleanup_free char *pair =
                        mem_printf("%lld,%lld", (long long)steady, (long long)burst);
                take_json_text(l, "ECS_TASK_METADATA_RPS_LIMIT", pair);
        }
}

static bool is_key(const char *key)
{
        static const char *const odd[] = {"ClusterArn", STEADY, BURST};
        for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
                if (strcasecmp(odd[i], key) == 0)
                        return true;
        for (size_t i = 0; i < config_row_count; i++)
                if (config_rows[i].json_key != NULL &&
                    strcasecmp(config_rows[i].json_key, key) == 0)
                        return true;
        return false;
}

static void take_json(const struct layer *l, const json_t *object)
{
        const char *key;
        json_t *ignored;
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *row = &config_rows[i];
                if (row->json_key == NULL)
                        continue;
                cleanup_free char *value = json_text(row, find_key(object, row->json_key));
                take_json_text(l, row->name, value);
        }
        take_odd_keys(l, object);
        json_object_foreach((json_t *)object, key, ignored) if (!is_key(key))
                config_warn(l->warnings, config_names_unknown_key(l->origin, key));
}

static int take_json_file(const struct layer *l, struct error *err)
{
        const struct config_row *row = config_row_find("ECS_AGENT_CONFIG_FILE_PATH");
        const char *path = config_text(l->raw, row->name, row->fallback);
        int r;
        cleanup_free char *text = read_file(path, &r);
        if (r != 0)
                return error_set(err, -EINVAL,
                                 "%s cannot be read; make it a readable file or "
                                 "remove it",
                                 path);
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
                return error_set(err, -EINVAL,
                                 "%s does not hold a JSON object; correct or "
                                 "remove it",
                                 path);
        take_json(l, j);
        return 0;
}

/* ---- user data ---- */

/* One line a pair: a value with a line break or another control character is left out. */
static void put_line(void *arg, const char *name, const char *value)
{
        struct buf *lines = arg;
        for (const char *p = value; *p != '\0'; p++)
                if (iscntrl((unsigned char)*p))
                        return;
        buf_printf(lines, "%s=%s\n", name, value);
}

/* User data is often a script: what is not our JSON is nobody's mistake. */
char *config_user_data_lines(const char *user_data, struct config_warnings *w)
{
        cleanup_json json_t *j = json_loads(user_data, 0, NULL);
        const json_t *settings = json_is_object(j) ? find_key(j, "ECSAgentConfiguration") : NULL;
        struct buf lines = {0};
        struct layer l = {config_new(), w, CONFIG_FROM_USER_DATA};
        if (json_is_object(settings))
                take_json(&l, settings);
        config_each(l.raw, put_line, &lines);
        config_free(l.raw);
        return buf_steal(&lines);
}

static void take_user_data_line(void *arg, const char *name, const char *value)
{
        const struct layer *l = arg;
        const struct config_row *row = config_row_find(name);
        bool odd = strcmp(name, "ECS_TASK_METADATA_RPS_LIMIT") == 0;
        if (row != NULL && (row->json_key != NULL || odd))
                take_json_text(l, name, value);
}

int config_layers_read(const struct config_sources *s, struct config *raw,
                       struct config_warnings *w, struct error *err)
{
        struct layer l = {.raw = raw, .warnings = w};
        for (size_t i = 0; s->files != NULL && s->files[i] != NULL; i++) {
                l.origin = s->files[i];
                take_file(&l, s->files[i]);
        }
        l.origin = CONFIG_FROM_ENVIRONMENT;
        take_environment(&l, s->environment);
        l.origin = CONFIG_FROM_FLAG;
        for (size_t i = 0; s->flags != NULL && s->flags[i] != NULL; i++)
                take_pair(&l, s->flags[i], CONFIG_JSON_ONLY);
        l.origin = CONFIG_FROM_JSON;
        int r = take_json_file(&l, err);
        l.origin = CONFIG_FROM_USER_DATA;
        if (r == 0 && s->user_data != NULL) {
                cleanup_free char *copy = mem_strdup(s->user_data);
                config_parse_lines(copy, take_user_data_line, &l);
        }
        return r;
}
