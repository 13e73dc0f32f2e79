/* log_source: what a worker says: records of its log channel, and lines of its standard error (a
 * sanitizer's report, an abort). Each source has a budget, so that a worker gone wild takes
 * neither the log's files nor the other workers' lines away. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "mem.h"

#define RECORD_MAX 8192
#define OUTPUT_MAX 4096 /* of one line of standard error */
#define READ_MAX 64     /* records of one wake */
#define BURST 2000      /* lines at once … */
#define PER_SECOND 200  /* … and then so many */

struct log_source {
        struct supervisor *supervisor;
        char *worker;
        uv_poll_t poll;
        int fd;
        bool records;
        struct buf line;
        uint64_t filled_ms;
        unsigned budget, suppressed;
};

/* ---- the budget ---- */

static void refill(struct log_source *l)
{
        uint64_t now = clock_now_ms();
        uint64_t more = (now - l->filled_ms) * clock_scale() * PER_SECOND / 1000;
        if (more == 0)
                return;
        l->filled_ms = now;
        l->budget = more >= BURST - l->budget ? BURST : l->budget + (unsigned)more;
}

/* One line in our words on what was left out. */
static void tell_suppressed(struct log_source *l)
{
        if (l->suppressed > 0)
                log_warn(NULL, "the worker says too much", LOG_STR("from", l->worker),
                         LOG_INT("suppressed", l->suppressed));
        l->suppressed = 0;
}

static bool admit(struct log_source *l)
{
        refill(l);
        if (l->budget == 0) {
                l->suppressed++;
                return false;
        }
        tell_suppressed(l);
        l->budget--;
        return true;
}

/* ---- lines ---- */

/* A record is one line, whatever a worker that was taken over puts into it. */
static void take_record(struct log_source *l, char *text)
{
        for (char *p = text; *p != '\0'; p++)
                if ((unsigned char)*p < ' ')
                        *p = ' ';
        if (admit(l))
                log_writer_line(l->supervisor, l->worker, text);
}

static void tell_output(struct log_source *l)
{
        const struct log_field fields[] = {LOG_STR("from", l->worker),
                                           LOG_STR("text", l->line.data)};
        if (l->line.length > 0 && admit(l))
                log_write(NULL, LOG_LEVEL_ERROR, NULL, "output of the worker", fields, 2);
        buf_clear(&l->line);
}

static void take_output(struct log_source *l, const char *data, size_t length)
{
        for (size_t i = 0; i < length; i++) {
                if (data[i] != '\n')
                        buf_append(&l->line, &data[i], 1);
                if (data[i] == '\n' || l->line.length >= OUTPUT_MAX)
                        tell_output(l);
        }
}

static void on_source(uv_poll_t *h, int status, int events)
{
        struct log_source *l = h->data;
        char data[RECORD_MAX + 1];
        (void)events;
        for (int i = 0; i < READ_MAX; i++) {
                ssize_t n = status < 0 ? 0 : read(l->fd, data, RECORD_MAX);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                if (n <= 0) {
                        tell_output(l); /* what had no newline */
                        tell_suppressed(l);
                        log_source_close(l);
                        return;
                }
                data[n] = '\0';
                if (l->records && n > 1)
                        take_record(l, data + 1);
                else if (!l->records)
                        take_output(l, data, (size_t)n);
        }
}

/* ---- life ---- */

static void on_closed(uv_handle_t *h)
{
        struct log_source *l = h->data;
        (void)close(l->fd);
        buf_clear(&l->line);
        free(l->worker);
        free(l);
}

void log_source_close(struct log_source *l)
{
        if (!uv_is_closing((uv_handle_t *)&l->poll))
                uv_close((uv_handle_t *)&l->poll, on_closed);
}

struct log_source *log_source_new(struct supervisor *s, const char *worker, int fd, bool records)
{
        struct log_source *l = mem_zalloc(sizeof *l);
        *l = (struct log_source){.supervisor = s,
                                 .worker = mem_strdup(worker),
                                 .fd = fd,
                                 .records = records,
                                 .filled_ms = clock_now_ms(),
                                 .budget = BURST};
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        (void)uv_poll_init(&s->loop, &l->poll, fd);
        l->poll.data = l;
        (void)uv_poll_start(&l->poll, UV_READABLE, on_source);
        return l;
}
