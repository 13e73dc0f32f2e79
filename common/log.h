/* log: one line with a constant message and fields. Context is inherited: a struct log names its
 * parent, and every line carries the fields of all ancestors. Where lines go is set once. */
#pragma once

#include <stddef.h>
#include <stdint.h>

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
#define LOG_STR(k, v) log_field_str(k, v)
#define LOG_INT(k, v) ((struct log_field){.key = (k), .number = (int64_t)(v)})

#define LOG_AT(level, ctx, msg, ...)                                                               \
        do {                                                                                       \
                if (log_enabled(level)) {                                                          \
                        const struct log_field log_fields[] = {{0}, ##__VA_ARGS__};                \
                        log_write(level, ctx, msg, log_fields + 1,                                 \
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
void log_set_sink(log_sink_fn sink, void *arg);

/* ctx may be NULL. */
void log_write(enum log_level level, const struct log *ctx, const char *message,
               const struct log_field *fields, size_t count);
