/* error: texts are cut, never overrun; a NULL error is allowed everywhere. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(struct error *err, int code, const char *name, const char *format, va_list ap)
        __attribute__((format(printf, 4, 0)));

static void fill(struct error *err, int code, const char *name, const char *format, va_list ap)
{
        if (err == NULL)
                return;
        err->code = code;
        (void)snprintf(err->name, sizeof err->name, "%s", name);
        (void)vsnprintf(err->text, sizeof err->text, format, ap);
}

int error_set(struct error *err, int code, const char *format, ...)
{
        va_list ap;
        va_start(ap, format);
        fill(err, code, "", format, ap);
        va_end(ap);
        return code;
}

int error_set_name(struct error *err, int code, const char *name, const char *format, ...)
{
        va_list ap;
        va_start(ap, format);
        fill(err, code, name, format, ap);
        va_end(ap);
        return code;
}

int error_wrap(struct error *err, const char *format, ...)
{
        if (err == NULL)
                return 0;
        char old[sizeof err->text];
        memcpy(old, err->text, sizeof old);
        va_list ap;
        va_start(ap, format);
        int n = vsnprintf(err->text, sizeof err->text, format, ap);
        va_end(ap);
        size_t used = n < 0 ? 0 : (size_t)n;
        if (used < sizeof err->text - 1) {
                size_t room = sizeof err->text - used;
                (void)snprintf(err->text + used, room, ": %.*s", (int)room, old);
        }
        return err->code;
}
