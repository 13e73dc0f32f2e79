/* path: request paths and queries. Routes match the decoded path, so %2F acts as a slash; a path
 * that is not in normal form is redirected to the one that is. Source: endpoints.md 1, 9. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "mem.h"
#include "metadata.h"

/* In place. "%00" and broken escapes stay as they are. */
static void unescape(char *text, bool plus_is_space)
{
        char *out = text;
        for (const char *p = text; *p != '\0'; p++) {
                char c = *p;
                if (c == '%' && isxdigit((unsigned char)p[1]) && isxdigit((unsigned char)p[2])) {
                        const char hex[3] = {p[1], p[2], '\0'};
                        char decoded = (char)strtol(hex, NULL, 16);
                        if (decoded != '\0') {
                                c = decoded;
                                p += 2;
                        }
                } else if (c == '+' && plus_is_space) {
                        c = ' ';
                }
                *out++ = c;
        }
        *out = '\0';
}

char *path_decode(const char *target)
{
        char *path = mem_strndup(target, strcspn(target, "?"));
        if (strchr(path, '%') != NULL)
                unescape(path, false);
        return path;
}

char *path_clean(const char *path)
{
        struct buf b = {0};
        bool trailing = false;
        buf_reserve(&b, strlen(path) + 1);
        while (*path != '\0') {
                path += strspn(path, "/");
                size_t n = strcspn(path, "/");
                trailing = n == 0 || path[n] == '/';
                if (n == 2 && strncmp(path, "..", 2) == 0) {
                        while (b.length > 0 && b.data[b.length - 1] != '/')
                                b.length--;
                        b.length -= b.length > 0;
                } else if (n > 0 && !(n == 1 && *path == '.')) {
                        buf_append(&b, "/", 1);
                        buf_append(&b, path, n);
                }
                path += n;
        }
        if (trailing || b.length == 0)
                buf_append(&b, "/", 1);
        return buf_steal(&b);
}

char *path_location(const char *clean, const char *target)
{
        struct buf b = {0};
        for (const unsigned char *p = (const unsigned char *)clean; *p != '\0'; p++)
                if (*p < 0x80 && (isalnum(*p) || strchr("-_.~/$&+,:;=@", *p) != NULL))
                        buf_append(&b, p, 1);
                else
                        buf_printf(&b, "%%%02X", *p);
        buf_append_str(&b, target + strcspn(target, "?"));
        return buf_steal(&b);
}

char *path_parameter(const char *target, const char *name)
{
        const char *query = target + strcspn(target, "?");
        size_t n = strlen(name);
        while (*query != '\0') {
                query++;
                size_t length = strcspn(query, "&");
                if (length >= n && strncmp(query, name, n) == 0 &&
                    (length == n || query[n] == '=')) {
                        size_t skip = n + (length > n);
                        char *value = mem_strndup(query + skip, length - skip);
                        unescape(value, true);
                        return value;
                }
                query += length;
        }
        return NULL;
}
