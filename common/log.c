/* log: builds one logfmt line and gives it to the sink. Values with blanks, quotes, '=' or control
 * bytes are quoted and escaped, so that a line stays one line whatever a container printed.
 * A storm of errors must not push the history out of the rolled files: hence the limits. */
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "clock.h"

#define WINDOW_MS   10000
#define REPEATS_MAX 3 /* of one line, in a window */

static enum log_level threshold = LOG_LEVEL_INFO;
static log_sink_fn sink;
static void *sink_arg;

static const char *const names[] = {
        [LOG_LEVEL_NONE] = "none", [LOG_LEVEL_CRIT] = "critical", [LOG_LEVEL_ERROR] = "error",
        [LOG_LEVEL_WARN] = "warn", [LOG_LEVEL_INFO] = "info",     [LOG_LEVEL_DEBUG] = "debug",
};

/* Lines of a call site in a window. 0: who asks for debug wants all of it. */
static const unsigned limits[] = {
        [LOG_LEVEL_CRIT] = 50, [LOG_LEVEL_ERROR] = 50, [LOG_LEVEL_WARN] = 50,
        [LOG_LEVEL_INFO] = 500, [LOG_LEVEL_DEBUG] = 0,
};

static struct log_site *quiet_sites;

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

/* ---- limits ---- */

/* FNV-1a */
static uint64_t hash(const char *text, size_t length)
{
        uint64_t h = 0xcbf29ce484222325u;
        for (size_t i = 0; i < length; i++)
                h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
        return h;
}

static void suppress(struct log_site *site, enum log_level level, const char *message)
{
        site->suppressed++;
        if (site->listed)
                return;
        site->level = level;
        site->message = message;
        site->listed = 1;
        site->next = quiet_sites;
        quiet_sites = site;
}

static int window_is_over(const struct log_site *site)
{
        return clock_now_ms() - site->window_ms >= clock_wait_ms(WINDOW_MS);
}

/* Whether the line may be written, and if so how many before it were not. */
static int admit(struct log_site *site, enum log_level level, const char *message,
                 const struct buf *line, unsigned *ret_suppressed)
{
        uint64_t now = hash(line->data, line->length);
        if (window_is_over(site)) {
                site->window_ms = clock_now_ms();
                site->written = site->repeats = 0;
        }
        site->repeats = site->last == now ? site->repeats + 1 : 0;
        if (site->repeats >= REPEATS_MAX || site->written >= limits[level]) {
                suppress(site, level, message);
                return 0;
        }
        site->last = now;
        site->written++;
        *ret_suppressed = site->suppressed;
        site->suppressed = 0;
        return 1;
}

static void emit(enum log_level level, const struct buf *line)
{
        if (sink != NULL)
                sink(sink_arg, level, line->data, line->length);
        else
                (void)fprintf(stderr, "%s\n", line->data);
}

static void begin(struct buf *b, enum log_level level, const char *message)
{
        buf_printf(b, "level=%s msg=", names[level]);
        put_value(b, message);
}

void log_tell_suppressed(void)
{
        for (struct log_site **at = &quiet_sites; *at != NULL;) {
                struct log_site *site = *at;
                struct buf b = {0};
                if (site->suppressed > 0 && !window_is_over(site)) {
                        at = &site->next;
                        continue;
                }
                *at = site->next;
                site->listed = 0;
                if (site->suppressed > 0) {
                        begin(&b, site->level, site->message);
                        buf_printf(&b, " suppressed=%u", site->suppressed);
                        emit(site->level, &b);
                        buf_clear(&b);
                }
                site->suppressed = 0;
        }
}

/* ---- writing ---- */

void log_write(struct log_site *site, enum log_level level, const struct log *ctx,
               const char *message, const struct log_field *fields, size_t count)
{
        struct buf b = {0};
        unsigned suppressed = 0;
        begin(&b, level, message);
        put_context(&b, ctx);
        for (size_t i = 0; i < count; i++) {
                buf_printf(&b, " %s=", fields[i].key);
                if (fields[i].text != NULL)
                        put_value(&b, fields[i].text);
                else
                        buf_printf(&b, "%lld", (long long)fields[i].number);
        }
        if (site == NULL || limits[level] == 0 || admit(site, level, message, &b, &suppressed)) {
                if (suppressed > 0)
                        buf_printf(&b, " suppressed=%u", suppressed);
                emit(level, &b);
        }
        buf_clear(&b);
}
