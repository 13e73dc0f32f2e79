/* log_sink: the loop fills one buffer while the pool writes the other. A reader of standard error
 * that has stopped is waited for with poll, so that a stop of the service can end the waiting. */
#include "log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "log.h"
#include "log_journal.h"
#include "mem.h"

#define PIPE_PIECE 4096 /* never more at once: poll promises this much */
#define CLOSE_MS 2000
#define GIVE_UP_MS 500
#define FROZEN_MS 5000

struct log_sink {
        uv_loop_t *loop;
        enum log_target target;
        struct log_file file;
        char *path;
        size_t queue_max;
        struct buf queue;   /* filled by the loop */
        struct buf writing; /* the pool's while busy */
        bool busy, ill;
        atomic_bool give_up;
        unsigned dropped, lost; /* lost: of the batch, set by the pool */
        int error;              /* of the batch, set by the pool */
        void (*health)(void *arg, const char *path, const char *problem);
        void *arg;
        uv_timer_t frozen;
        uv_work_t work;
};

/* ---- in the pool ---- */

static size_t write_stderr(const struct log_sink *k)
{
        size_t done = 0;
        while (done < k->writing.length && !atomic_load(&k->give_up)) {
                struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
                size_t left = k->writing.length - done;
                int ready = poll(&p, 1, 100);
                if (ready == 0 || (ready < 0 && errno == EINTR))
                        continue;
                ssize_t n = write(STDERR_FILENO, k->writing.data + done,
                                  left < PIPE_PIECE ? left : PIPE_PIECE);
                if (n < 0 && errno != EINTR && errno != EAGAIN)
                        break;
                done += n > 0 ? (size_t)n : 0;
        }
        return done;
}

static unsigned count_lines(const char *data, size_t length)
{
        unsigned n = 0;
        for (size_t i = 0; i < length; i++)
                n += data[i] == '\n';
        return n;
}

static void on_work(uv_work_t *w)
{
        struct log_sink *k = w->data;
        size_t done = 0;
        k->error = 0;
        if (k->target == TARGET_FILE)
                k->error = log_file_append(&k->file, k->writing.data, k->writing.length, &done);
        else if (k->target == TARGET_JOURNAL)
                done = log_journal_write(k->writing.data, k->writing.length);
        else
                done = write_stderr(k);
        k->lost = count_lines(k->writing.data + done, k->writing.length - done);
}

/* ---- on the loop ---- */

static void start_write(struct log_sink *k);

static void tell_health(struct log_sink *k, const char *problem)
{
        bool changed = k->ill || problem != NULL;
        k->ill = problem != NULL;
        if (changed && k->health != NULL && k->target == TARGET_FILE)
                k->health(k->arg, k->path, problem);
}

static void on_frozen(uv_timer_t *t)
{
        tell_health(t->data, "a write does not end: is the disk frozen?");
}

static void on_written(uv_work_t *w, int status)
{
        struct log_sink *k = w->data;
        (void)status;
        buf_clear(&k->writing);
        k->busy = false;
        k->dropped += k->lost;
        (void)uv_timer_stop(&k->frozen);
        tell_health(k, k->error != 0 ? strerror(-k->error) : NULL);
        start_write(k);
}

static void start_write(struct log_sink *k)
{
        if (k->busy || k->queue.length == 0)
                return;
        k->writing = k->queue;
        k->queue = (struct buf){0};
        k->busy = true;
        k->work.data = k;
        (void)uv_timer_start(&k->frozen, on_frozen, FROZEN_MS, 0);
        (void)uv_queue_work(k->loop, &k->work, on_work, on_written);
}

struct log_sink *log_sink_new(const struct log_sink_options *o)
{
        struct log_sink *k = mem_zalloc(sizeof *k);
        k->loop = o->loop;
        k->target = o->target;
        k->file = o->file;
        k->path = mem_strdup(o->file.path);
        k->file.path = k->path;
        k->queue_max = o->queue_max;
        k->health = o->health;
        k->arg = o->arg;
        (void)uv_timer_init(k->loop, &k->frozen);
        uv_unref((uv_handle_t *)&k->frozen);
        k->frozen.data = k;
        return k;
}

bool log_sink_put(struct log_sink *k, const char *line, size_t length)
{
        if (k->queue.length + length + 1 > k->queue_max) {
                k->dropped++;
                return false;
        }
        buf_append(&k->queue, line, length);
        buf_append(&k->queue, "\n", 1);
        start_write(k);
        return true;
}

unsigned log_sink_take_dropped(struct log_sink *k)
{
        unsigned n = k->dropped;
        k->dropped = 0;
        return n;
}

void log_sink_add_dropped(struct log_sink *k, unsigned dropped)
{
        k->dropped += dropped;
}

size_t log_sink_queued(const struct log_sink *k)
{
        return k->queue.length + k->writing.length;
}

static void wait_quiet(struct log_sink *k, uint64_t ms)
{
        uint64_t until = clock_now_ms() + ms;
        while ((k->busy || k->queue.length > 0) && clock_now_ms() < until) {
                (void)uv_run(k->loop, UV_RUN_NOWAIT);
                if (k->busy)
                        (void)usleep(1000);
        }
}

static void on_closed(uv_handle_t *h)
{
        struct log_sink *k = h->data;
        buf_clear(&k->queue);
        free(k->path);
        free(k);
}

bool log_sink_close(struct log_sink *k)
{
        if (k == NULL)
                return true;
        k->health = NULL;
        start_write(k);
        wait_quiet(k, CLOSE_MS);
        atomic_store(&k->give_up, true);
        wait_quiet(k, GIVE_UP_MS);
        if (k->busy)
                return false;
        uv_close((uv_handle_t *)&k->frozen, on_closed);
        (void)uv_run(k->loop, UV_RUN_NOWAIT);
        return true;
}
