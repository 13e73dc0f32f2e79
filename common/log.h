/* log: one line with a constant message and fields. Context is inherited: a struct log names its
 * parent, and every line carries the fields of all ancestors. Where lines go is set once.
 * Each call site has a limit per 10 s: what is above it, and what only repeats the line before,
 * is counted and shown as suppressed=N on the next line of that site. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum log_level { LOG_LEVEL_NONE, LOG_LEVEL_CRIT, LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO,
                 LOG_LEVEL_DEBUG };

struct log_field {
        const char *key;
        const char *text;  /* NULL: number */
        int64_t number;
};

/* A context. Embedded in the object it speaks for; key and value are borrowed from it. */
struct log {
        const struct log *parent;
        const char *key;    /* e.g. "task" */
        const char *value;  /* e.g. the task's id; may be NULL */
};

static inline struct log_field log_field_str(const char *key, const char *value)
{
        return (struct log_field){.key = key, .text = value != NULL ? value : ""};
}
static inline struct log_field log_field_task(const char *arn)
{
        const char *slash = strrchr(arn, '/');
        return log_field_str("task", slash != NULL ? slash + 1 : arn);
}
#define LOG_STR(k, v) log_field_str(k, v)
/* A task is named by its id, the part of the ARN behind the last slash, in every process. */
#define LOG_TASK(arn) log_field_task(arn)
#define LOG_INT(k, v) ((struct log_field){.key = (k), .number = (int64_t)(v)})

/* What a call site has written in the present window. Zero is its start. */
struct log_site {
        struct log_site *next;    /* among those with something suppressed */
        const char *message;
        enum log_level level;
        uint64_t window_ms;       /* its begin, clock_now_ms */
        unsigned written, repeats, suppressed;
        uint64_t last;            /* hash of the line before */
        int listed;
};

#define LOG_AT(level, ctx, msg, ...)                                                               \
        do {                                                                                       \
                static struct log_site log_site;                                                   \
                if (log_enabled(level)) {                                                          \
                        const struct log_field log_fields[] = {{0}, ##__VA_ARGS__};                \
                        log_write(&log_site, level, ctx, msg, log_fields + 1,                      \
                                  sizeof(log_fields) / sizeof(log_fields[0]) - 1);                 \
                }                                                                                  \
        } while (0)
#define log_debug(ctx, msg, ...) LOG_AT(LOG_LEVEL_DEBUG, ctx, msg, ##__VA_ARGS__)
#define log_info(ctx, msg, ...)  LOG_AT(LOG_LEVEL_INFO, ctx, msg, ##__VA_ARGS__)
#define log_warn(ctx, msg, ...)  LOG_AT(LOG_LEVEL_WARN, ctx, msg, ##__VA_ARGS__)
#define log_error(ctx, msg, ...) LOG_AT(LOG_LEVEL_ERROR, ctx, msg, ##__VA_ARGS__)
#define log_crit(ctx, msg, ...)  LOG_AT(LOG_LEVEL_CRIT, ctx, msg, ##__VA_ARGS__)

/* True when a line of this level would be written. */
int log_enabled(enum log_level level);
void log_set_level(enum log_level level);
/* -EINVAL for an unknown word. Words: debug info warn error crit none, any case. */
int log_level_from_string(const char *text, enum log_level *ret);
const char *log_level_to_string(enum log_level level);

/* Where finished lines go. line has no newline; it is "level=… msg=… k=v …" (logfmt without the
 * time, which the supervisor adds). Default: stderr. Borrowed for the call. */
typedef void (*log_sink_fn)(void *arg, enum log_level level, const char *line, size_t length);
void log_set_sink(log_sink_fn fn, void *arg);

/* ctx may be NULL; site NULL: no limit. Not from other threads than the loop's. */
void log_write(struct log_site *site, enum log_level level, const struct log *ctx,
               const char *message, const struct log_field *fields, size_t count);
/* Tells what sites have suppressed whose window is over and that have been quiet since. To be
 * called now and then, every few seconds. */
void log_tell_suppressed(void);
