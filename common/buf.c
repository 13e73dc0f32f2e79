/* buf: grows by doubling; the byte behind length is always NUL. */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

void buf_reserve(struct buf *b, size_t more)
{
        size_t needed = b->length + more + 1;
        if (needed <= b->size)
                return;
        size_t size = b->size > 0 ? b->size : 64;
        while (size < needed)
                size *= 2;
        b->data = mem_realloc_array(b->data, size, 1);
        b->size = size;
}

void buf_append(struct buf *b, const void *data, size_t length)
{
        buf_reserve(b, length);
        if (length > 0)
                memcpy(b->data + b->length, data, length);
        b->length += length;
        b->data[b->length] = '\0';
}

void buf_append_str(struct buf *b, const char *text)
{
        buf_append(b, text, strlen(text));
}

void buf_printf(struct buf *b, const char *format, ...)
{
        va_list ap;
        va_start(ap, format);
        char *text = mem_vprintf(format, ap);
        va_end(ap);
        buf_append_str(b, text);
        free(text);
}

void buf_consume(struct buf *b, size_t n)
{
        if (n >= b->length) {
                b->length = 0;
        } else {
                memmove(b->data, b->data + n, b->length - n);
                b->length -= n;
        }
        if (b->data != NULL)
                b->data[b->length] = '\0';
}

void buf_clear(struct buf *b)
{
        free(b->data);
        *b = (struct buf){0};
}

char *buf_steal(struct buf *b)
{
        buf_reserve(b, 0);
        b->data[b->length] = '\0';
        char *text = b->data;
        *b = (struct buf){0};
        return text;
}
