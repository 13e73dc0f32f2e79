/* mem: allocation that cannot fail; the message goes to standard error, which is captured. */
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *p)
{
        if (p == NULL) {
                (void)fputs("out of memory\n", stderr);
                abort();
        }
        return p;
}

void *mem_alloc(size_t size)
{
        return check(malloc(size > 0 ? size : 1));
}

void *mem_zalloc(size_t size)
{
        return check(calloc(1, size > 0 ? size : 1));
}

void *mem_realloc_array(void *p, size_t count, size_t size)
{
        return check(reallocarray(p, count > 0 ? count : 1, size));
}

char *mem_strdup(const char *s)
{
        return s != NULL ? check(strdup(s)) : NULL;
}

char *mem_strndup(const char *s, size_t n)
{
        return s != NULL ? check(strndup(s, n)) : NULL;
}

char *mem_vprintf(const char *format, va_list ap)
{
        char *text = NULL;
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        return check(text);
}

char *mem_printf(const char *format, ...)
{
        va_list ap;
        va_start(ap, format);
        char *text = mem_vprintf(format, ap);
        va_end(ap);
        return text;
}
