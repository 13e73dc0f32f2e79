/* mem: allocation that cannot fail. Out of memory ends the process (crash-only). */
#pragma once

#include <stdarg.h>
#include <stddef.h>

void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
/* Grows an array; aborts when count × size overflows. */
void *mem_realloc_array(void *p, size_t count, size_t size);
/* NULL gives NULL. Returns owned. */
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
/* Returns owned text. */
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *mem_vprintf(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));
