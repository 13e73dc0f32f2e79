/* json_lines: see json_lines.h. */
#include "json_lines.h"

#include <string.h>

#include "cleanup.h"

static void take_line(struct json_lines *l, void (*fn)(void *arg, const json_t *object), void *arg)
{
        cleanup_json json_t *j = json_loadb(l->line.data, l->line.length, 0, NULL);
        l->line.length = 0;
        if (json_is_object(j))
                fn(arg, j);
}

bool json_lines_feed(struct json_lines *l, const char *data, size_t length,
                     void (*fn)(void *arg, const json_t *object), void *arg)
{
        bool good = true;
        while (length > 0) {
                const char *end = memchr(data, '\n', length);
                size_t n = end != NULL ? (size_t)(end - data) : length;
                if (!l->skips && l->line.length + n > JSON_LINES_MAX) {
                        buf_clear(&l->line);
                        l->skips = true;
                        good = false;
                }
                if (!l->skips)
                        buf_append(&l->line, data, n);
                if (end == NULL)
                        break;
                if (!l->skips)
                        take_line(l, fn, arg);
                l->skips = false;
                data = end + 1;
                length -= n + 1;
        }
        return good;
}

void json_lines_clear(struct json_lines *l)
{
        buf_clear(&l->line);
        l->skips = false;
}
