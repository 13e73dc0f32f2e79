/* log: builds one logfmt line and gives it to the sink. Values with blanks, quotes, '=' or control
 * bytes are quoted and escaped, so that a line stays one line whatever a container printed. */
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "buf.h"

static enum log_level threshold = LOG_LEVEL_INFO;
static log_sink_fn sink;
static void *sink_arg;

static const char *const names[] = {
        [LOG_LEVEL_NONE] = "none", [LOG_LEVEL_CRIT] = "critical", [LOG_LEVEL_ERROR] = "error",
        [LOG_LEVEL_WARN] = "warn", [LOG_LEVEL_INFO] = "info",     [LOG_LEVEL_DEBUG] = "debug",
};

int log_enabled(enum log_level level)
{
        return level <= threshold;
}

void log_set_level(enum log_level level)
{
        threshold = level;
}

int log_level_from_string(const char *text, enum log_level *ret)
{
        if (strcasecmp(text, "crit") == 0) {
                *ret = LOG_LEVEL_CRIT;
                return 0;
        }
        for (int i = 0; i <= LOG_LEVEL_DEBUG; i++)
                if (strcasecmp(text, names[i]) == 0) {
                        *ret = (enum log_level)i;
                        return 0;
                }
        return -EINVAL;
}

const char *log_level_to_string(enum log_level level)
{
        return names[level];
}

void log_set_sink(log_sink_fn fn, void *arg)
{
        sink = fn;
        sink_arg = arg;
}

static int is_plain(const char *v)
{
        if (*v == '\0')
                return 0;
        for (; *v != '\0'; v++)
                if ((unsigned char)*v <= ' ' || *v == 0x7f || strchr("\"=\\", *v) != NULL)
                        return 0;
        return 1;
}

static void put_value(struct buf *b, const char *v)
{
        if (is_plain(v)) {
                buf_append_str(b, v);
                return;
        }
        buf_append(b, "\"", 1);
        for (; *v != '\0'; v++) {
                if (*v == '"' || *v == '\\')
                        buf_append(b, "\\", 1);
                if (*v == '\n')
                        buf_append(b, "\\n", 2);
                else if ((unsigned char)*v < ' ' || *v == 0x7f)
                        buf_printf(b, "\\x%02x", (unsigned char)*v);
                else
                        buf_append(b, v, 1);
        }
        buf_append(b, "\"", 1);
}

static void put_context(struct buf *b, const struct log *ctx)
{
        if (ctx == NULL)
                return;
        put_context(b, ctx->parent);
        if (ctx->key == NULL || ctx->value == NULL)
                return;
        buf_printf(b, " %s=", ctx->key);
        put_value(b, ctx->value);
}

void log_write(enum log_level level, const struct log *ctx, const char *message,
               const struct log_field *fields, size_t count)
{
        struct buf b = {0};
        buf_printf(&b, "level=%s msg=", names[level]);
        put_value(&b, message);
        put_context(&b, ctx);
        for (size_t i = 0; i < count; i++) {
                buf_printf(&b, " %s=", fields[i].key);
                if (fields[i].text != NULL)
                        put_value(&b, fields[i].text);
                else
                        buf_printf(&b, "%lld", (long long)fields[i].number);
        }
        if (sink != NULL)
                sink(sink_arg, level, b.data, b.length);
        else
                (void)fprintf(stderr, "%s\n", b.data);
        buf_clear(&b);
}
