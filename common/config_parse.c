/* config_parse: decides row by row what the texts of the layers come to. What a bad value means is
 * said by the row's flags; the values themselves are judged in config_convert. */
#include "config_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config_convert.h"
#include "config_layers.h"
#include "config_table.h"
#include "error.h"
#include "mem.h"

#define WARNINGS_MAX 200
#define SHOWN 120 /* of a value from anywhere */

struct load {
        struct config *raw;
        struct config_warnings *warnings;
};

void config_warn(struct config_warnings *w, char *text)
{
        if (w->count > WARNINGS_MAX) {
                free(text);
                return;
        }
        if (w->count == WARNINGS_MAX) {
                free(text);
                text = mem_strdup("further mistakes in the configuration are not listed");
        }
        w->texts = mem_realloc_array(w->texts, w->count + 1, sizeof *w->texts);
        w->texts[w->count++] = text;
}

bool config_warnings_have_room(const struct config_warnings *w)
{
        return w->count <= WARNINGS_MAX;
}

void config_warnings_clear(struct config_warnings *w)
{
        for (size_t i = 0; i < w->count; i++)
                free(w->texts[i]);
        free(w->texts);
        *w = (struct config_warnings){0};
}

static bool bounds_apply(const struct load *l, const struct config_row *row)
{
        if (row->bounded_if == NULL)
                return true;
        const struct config_row *condition = config_row_find(row->bounded_if);
        struct config_verdict ignored;
        cleanup_free char *value =
                config_convert(condition, config_text(l->raw, condition->name, condition->fallback),
                               true, &ignored);
        return value != NULL && strcmp(value, "true") == 0;
}

static bool is_from_json(const struct load *l, const struct config_row *row)
{
        const char *origin = config_origin(l->raw, row->name);
        return strcmp(origin, CONFIG_FROM_JSON) == 0 || strcmp(origin, CONFIG_FROM_USER_DATA) == 0;
}

static bool is_fatal(const struct load *l, const struct config_row *row, const char *value,
                     const struct config_verdict *v)
{
        if ((row->flags & CONFIG_FATAL) != 0 && value == NULL)
                return true;
        if ((row->flags & CONFIG_FATAL_MEMBER) != 0 && v->unknown_member)
                return true;
        return (row->flags & CONFIG_STRICT_JSON) != 0 && v->outside && is_from_json(l, row);
}

/* Does a value ask for what the row does? A switch that is off does not, nor does the default. */
static bool asks(const struct config_row *row, const char *value)
{
        if ((row->flags & CONFIG_OFF_SWITCH) != 0)
                return false;
        if (row->type == CONFIG_BOOL && row->moot == NULL)
                return strcmp(value, "true") == 0;
        return row->fallback == NULL || strcmp(value, row->fallback) != 0;
}

/* Why a setting is refused, after its name; NULL when it is not. Returns owned. */
static char *refusal(const struct config_row *row, const char *value)
{
        if ((!config_row_lacks(row, value) && row->moot == NULL) || !asks(row, value))
                return NULL;
        if (row->moot != NULL)
                return mem_printf("has no effect: %s", row->moot);
        return mem_printf("is refused: this build does not have %s", row->absent);
}

static void keep_default(const struct config_row *row, struct config *ret)
{
        if (row->fallback != NULL)
                config_set_from(ret, row->name, row->fallback, CONFIG_FROM_DEFAULT);
}

static int decide(struct load *l, const struct config_row *row, struct config *ret,
                  struct error *err)
{
        const char *raw = config_text(l->raw, row->name, NULL);
        if (raw != NULL && (row->flags & CONFIG_WINDOWS) != 0)
                config_warn(l->warnings, mem_printf("%s is for Windows only, ignored", row->name));
        if (raw == NULL || (row->flags & CONFIG_WINDOWS) != 0) {
                keep_default(row, ret);
                return 0;
        }
        struct config_verdict v;
        bool secret = (row->flags & CONFIG_SECRET) != 0;
        const char *shown = secret ? "(secret)" : raw;
        cleanup_free char *value = config_convert(row, raw, bounds_apply(l, row), &v);
        if (is_fatal(l, row, value, &v))
                return error_set(err, -EINVAL, "%s=%.*s (%s) %s; correct it and start again",
                                 row->name, SHOWN, shown, config_origin(l->raw, row->name),
                                 v.wrong);
        const char *used = value != NULL ? value : row->fallback;
        cleanup_free char *refused = value != NULL ? refusal(row, value) : NULL;
        if (v.wrong != NULL)
                config_warn(l->warnings, mem_printf("%s=%.*s %s; using %.*s", row->name, SHOWN,
                                                    shown, v.wrong, SHOWN,
                                                    used == NULL ? "no value"
                                                    : secret     ? "none"
                                                                 : used));
        if (refused != NULL)
                config_warn(l->warnings,
                            mem_printf("%s=%.*s %s", row->name, SHOWN, shown, refused));
        if (value == NULL || (refused != NULL && row->type == CONFIG_BOOL))
                keep_default(row, ret);
        else
                config_set_from(ret, row->name, value, config_origin(l->raw, row->name));
        return 0;
}

int config_load(const struct config_sources *s, struct config *ret, struct config_warnings *w,
                struct error *err)
{
        struct load l = {.raw = config_new(), .warnings = w};
        int r = config_layers_read(s, l.raw, w, err);
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
