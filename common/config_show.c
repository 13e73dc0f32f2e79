/* config_show: words for rows, by type. */
#include "config_show.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "config_table.h"
#include "duration.h"
#include "mem.h"

#define NS_PER_MS 1000000

static const char *const types[] = {
        [CONFIG_TEXT] = "text",
        [CONFIG_TRIMMED] = "text",
        [CONFIG_BOOL] = "true or false",
        [CONFIG_DURATION] = "duration",
        [CONFIG_INT] = "number",
        [CONFIG_FLOAT] = "number",
        [CONFIG_WORD] = "word",
        [CONFIG_JSON_PORTS] = "JSON list of ports",
        [CONFIG_JSON_STRINGS] = "JSON list of strings",
        [CONFIG_JSON_CIDRS] = "JSON list of networks",
        [CONFIG_JSON_MAP] = "JSON object of strings",
        [CONFIG_RANGE] = "range of ports",
        [CONFIG_PAIR] = "two numbers",
};

const char *config_show_type(const struct config_row *row)
{
        return types[row->type];
}

char *config_show_value(const struct config_row *row, const char *value)
{
        char text[DURATION_TEXT];
        if (value == NULL)
                return mem_strdup("");
        if (row->type != CONFIG_DURATION || *value == '\0')
                return mem_strdup(value);
        long long ms = strtoll(value, NULL, 10);
        if (ms > INT64_MAX / NS_PER_MS || ms < INT64_MIN / NS_PER_MS)
                return mem_printf("%lldms", ms);
        return mem_strdup(duration_format(ms * NS_PER_MS, text));
}

static char *number(const struct config_row *row, int64_t n)
{
        cleanup_free char *text = mem_printf("%lld", (long long)n);
        return config_show_value(row, text);
}

char *config_show_bounds(const struct config_row *row)
{
        struct buf b = {0};
        if (row->choices != NULL) {
                buf_append_str(&b, "one of ");
                for (const char *p = row->choices; *p != '\0';) {
                        size_t n = strcspn(p, "|");
                        buf_append(&b, p, n);
                        p += n + (p[n] == '|');
                        buf_append_str(&b, *p != '\0' ? ", " : "");
                }
                return buf_steal(&b);
        }
        cleanup_free char *low = number(row, row->min);
        cleanup_free char *high = number(row, row->max);
        if (row->max != 0)
                return mem_printf("from %s to %s", low, high);
        return row->min != 0 ? mem_printf("at least %s", low) : mem_strdup("");
}

char *config_show_recipients(unsigned recipients)
{
        static const char *const names[] = {"supervisor", "backend", "engine", "metadata",
                                            "stats",      "imagegc", "local"};
        struct buf b = {0};
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if ((recipients & (1u << i)) != 0)
                        buf_printf(&b, "%s%s", b.length > 0 ? ", " : "", names[i]);
        return buf_steal(&b);
}

char *config_show_obstacle(const struct config_row *row, const char *value)
{
        if ((row->flags & CONFIG_WINDOWS) != 0)
                return mem_strdup("for Windows only");
        if (row->moot != NULL)
                return mem_strdup(row->moot);
        bool off = (row->flags & CONFIG_OFF_SWITCH) != 0 && value != NULL &&
                   strcmp(value, "true") == 0;
        if (config_row_lacks(row, value) && !off)
                return mem_printf("this build does not have %s", row->absent);
        return NULL;
}
