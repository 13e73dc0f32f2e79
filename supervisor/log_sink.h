/* log_sink: a bounded queue of lines before a file, standard error or the journal. Putting never
 * blocks; writing happens in libuv's pool, one batch at a time. What does not fit is counted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "log_file.h"

struct log_sink;

enum log_target { TARGET_STDERR, TARGET_FILE, TARGET_JOURNAL };

struct log_sink_options {
        uv_loop_t *loop;
        enum log_target target;
        struct log_file file; /* of TARGET_FILE; the path is copied */
        size_t queue_max;     /* bytes */
        /* The file cannot be written, or a write does not end; NULL when it is well again.
         * Called from the loop. May be NULL. */
        void (*health)(void *arg, const char *path, const char *problem);
        void *arg;
};
struct log_sink *log_sink_new(const struct log_sink_options *o);
/* Adds one line, without its newline. False when the queue is full. */
bool log_sink_put(struct log_sink *k, const char *line, size_t length);
/* Lines lost since the last call. */
unsigned log_sink_take_dropped(struct log_sink *k);
/* Puts them back: the line that was to tell of them did not fit. */
void log_sink_add_dropped(struct log_sink *k, unsigned dropped);
size_t log_sink_queued(const struct log_sink *k);
/* Writes what is queued, waiting at most some seconds, and frees. Runs the loop meanwhile. k may be
 * NULL. False: a write hangs (a frozen disk); the pool keeps the sink, the loop never runs dry and
 * the process has to end with _exit. */
bool log_sink_close(struct log_sink *k);
