/* config_names: the nearest name by edits. */
#include "config_names.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "config_table.h"
#include "mem.h"

#define FAR 99
#define NEAR_EDITS 5
#define SHOWN 80 /* of a name from anywhere */

/* Edits between two names, whatever their case; FAR when b is longer than any name of ours. */
static size_t distance(const char *a, const char *b)
{
        size_t previous[128], n = strlen(b);
        if (n >= sizeof previous / sizeof previous[0])
                return FAR;
        for (size_t j = 0; j <= n; j++)
                previous[j] = j;
        for (size_t i = 1; a[i - 1] != '\0'; i++) {
                size_t diagonal = previous[0];
                previous[0] = i;
                for (size_t j = 1; j <= n; j++) {
                        size_t best = diagonal + (toupper((unsigned char)a[i - 1]) !=
                                                  toupper((unsigned char)b[j - 1]));
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

static const char *variable_of(const struct config_row *row)
{
        return (row->flags & (CONFIG_INTERNAL | CONFIG_JSON_ONLY)) == 0 ? row->name : NULL;
}

static const char *key_of(const struct config_row *row)
{
        return row->json_key;
}

/* Each edit changes the length by one at most. */
static bool may_be_near(const char *a, const char *b)
{
        size_t m = strlen(a), n = strlen(b);
        return (m > n ? m - n : n - m) <= NEAR_EDITS;
}

/* The nearest of the rows' names, or NULL when none is near. */
static const char *nearest(const char *name, const char *(*name_of)(const struct config_row *))
{
        size_t best = FAR;
        const char *found = NULL;
        /* half of a short name must be right */
        size_t limit = strlen(name) / 2 < NEAR_EDITS ? strlen(name) / 2 : NEAR_EDITS;
        for (size_t i = 0; i < config_row_count; i++) {
                const char *other = name_of(&config_rows[i]);
                size_t d = other != NULL && may_be_near(name, other) ? distance(name, other) : FAR;
                if (d < best) {
                        best = d;
                        found = other;
                }
        }
        return best <= limit ? found : NULL;
}

char *config_names_unknown(const char *name)
{
        const char *near = nearest(name, variable_of);
        if (near != NULL)
                return mem_printf("%.*s is no known setting; is %s meant?", SHOWN, name, near);
        return mem_printf("%.*s is no known setting, ignored", SHOWN, name);
}

char *config_names_unknown_key(const char *origin, const char *key)
{
        const char *near = nearest(key, key_of);
        if (near != NULL)
                return mem_printf("%s: the key %.*s is no known setting; is %s meant?", origin,
                                  SHOWN, key, near);
        return mem_printf("%s: the key %.*s is no known setting, ignored", origin, SHOWN, key);
}
