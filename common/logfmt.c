/* logfmt: a value ends at a blank, or at its closing quote; a line that breaks off ends the value.
 */
#include "logfmt.h"

#include <ctype.h>
#include <string.h>

#include "buf.h"

static int hex(char c)
{
        static const char digits[] = "0123456789abcdef";
        const char *p = c != '\0' ? strchr(digits, c) : NULL;
        return p != NULL ? (int)(p - digits) : -1;
}

/* The character behind a backslash; returns what follows it. */
static const char *take_escape(const char *p, struct buf *value)
{
        char c = *p;
        if (c == 'x' && hex(p[1]) >= 0 && hex(p[2]) >= 0) {
                c = (char)(hex(p[1]) * 16 + hex(p[2]));
                p += 2;
        } else if (c == 'n') {
                c = '\n';
        }
        if (c != '\0')
                buf_append(value, &c, 1);
        return *p != '\0' ? p + 1 : p;
}

static const char *take_quoted(const char *p, struct buf *value)
{
        while (*p != '\0' && *p != '"') {
                if (*p == '\\') {
                        p = take_escape(p + 1, value);
                        continue;
                }
                buf_append(value, p++, 1);
        }
        return *p == '"' ? p + 1 : p;
}

bool logfmt_next(const char **at, struct logfmt_pair *pair)
{
        const char *p = *at + strspn(*at, " ");
        if (*p == '\0')
                return false;
        pair->key = p;
        pair->key_length = strcspn(p, "= ");
        pair->value->length = 0;
        p += pair->key_length;
        if (*p == '=')
                p++;
        if (*p == '"') {
                p = take_quoted(p + 1, pair->value);
        } else {
                size_t n = strcspn(p, " ");
                buf_append(pair->value, p, n);
                p += n;
        }
        buf_append(pair->value, "", 0);
        *at = p;
        return true;
}
