/* log_view: follows the output of several containers at once and writes it by lines. */
#pragma once

#include <poll.h>

#include "client.h"
#include "command.h"
#include "stream.h"

#define LOG_VIEW_MAX 16

struct log_view_options {
        bool follow, timestamps;
        const char *tail; /* lines from the end, "" = all */
        bool prefix;      /* "name | " before each line */
};

struct log_entry {
        struct log_view *view;
        char *task, *container;
        int fd; /* -1 once it has ended */
        struct stream stream;
        struct buf lines[3]; /* by descriptor; what has no newline yet */
};

struct log_view {
        struct ctl *ctl;
        struct log_view_options options;
        struct log_entry entries[LOG_VIEW_MAX];
        size_t count;
        char *refusal; /* the first thing Docker refused with */
};

void log_view_init(struct log_view *v, struct ctl *c, const struct log_view_options *o);
void log_view_clear(struct log_view *v);
/* Adds a container's output. 0, or 1 after telling why not. */
int log_view_add(struct log_view *v, const char *task, const char *container);
/* Fills one pollfd an entry (count of them), for poll. */
void log_view_poll(const struct log_view *v, struct pollfd *ret);
/* Reads what is there. */
void log_view_read(struct log_view *v, const struct pollfd *polled);
bool log_view_is_open(const struct log_view *v);
