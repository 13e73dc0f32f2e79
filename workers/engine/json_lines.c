/* json_lines: see json_lines.h. */
#include "json_lines.h"

#include <string.h>

#include "cleanup.h"

bool json_lines_feed(struct json_lines *l, const char *data, size_t length,
                     void (*fn)(void *arg, const json_t *object), void *arg)
{
        while (length > 0) {
                const char *end = memchr(data, '\n', length);
                size_t n = end != NULL ? (size_t)(end - data) : length;
                if (l->line.length + n > JSON_LINES_MAX)
                        return false;
                buf_append(&l->line, data, n);
                if (end == NULL)
                        break;
                cleanup_json json_t *j = json_loadb(l->line.data, l->line.length, 0, NULL);
                l->line.length = 0;
                if (json_is_object(j))
                        fn(arg, j);
                data = end + 1;
                length -= n + 1;
        }
        return true;
}

void json_lines_clear(struct json_lines *l)
{
        buf_clear(&l->line);
}
