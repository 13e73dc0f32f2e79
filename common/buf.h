/* buf: bytes that grow. Always NUL-terminated behind length. */
#pragma once

#include <stddef.h>

struct buf {
        char *data;
        size_t length, size;
};

/* Room for more bytes behind length, which the caller may fill before raising length. */
void buf_reserve(struct buf *b, size_t more);
void buf_append(struct buf *b, const void *data, size_t length);
void buf_append_str(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* Frees; the struct may be used again. */
void buf_clear(struct buf *b);
/* Hands the text over (never NULL). Returns owned. */
char *buf_steal(struct buf *b);
