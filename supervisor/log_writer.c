/* log_writer: collects the lines of all processes and writes them outside the loop, to standard
 * error and to ECS_LOGFILE. Each sink has a bounded queue: a full or frozen disk costs lines, which
 * are counted, never the loop. Rolling by size or hour happens where the write happens. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "mem.h"

#define QUEUE_MAX  (1u << 20)
#define RECORD_MAX 8192
#define FROZEN_MS  5000
#define CLOSE_MS   1000
#define OUTPUT_MAX 4096 /* of one line of a worker's standard error */

enum roll { ROLL_SIZE, ROLL_HOURLY, ROLL_NONE };

struct sink {
        struct supervisor *supervisor;
        char *path;              /* NULL: standard error */
        enum log_level level;
        enum roll roll;
        size_t max_size;
        int max_rolls;
        bool json;
        struct buf queue;        /* filled by the loop */
        struct buf writing;      /* owned by the pool while busy */
        bool busy;
        unsigned dropped;
        int error;               /* of the last write; set in the pool, read once it is done */
        unsigned lost;           /* lines of it that did not get out */
        uv_timer_t frozen;
        uv_work_t work;
};

struct log_writer {
        struct sink sinks[2];
};

struct log_source {
        struct supervisor *supervisor;
        char *worker;
        uv_poll_t poll;
        int fd;
        bool records;
        struct buf line;
};

/* ---- in the pool ---- */

static long highest_roll(const char *path, long **ret_list, size_t *ret_count)
{
        glob_t g;
        long highest = 0;
        cleanup_free char *pattern = mem_printf("%s.[0-9]*", path);
        *ret_list = NULL;
        *ret_count = 0;
        if (glob(pattern, 0, NULL, &g) != 0)
                return 0;
        for (size_t i = 0; i < g.gl_pathc; i++) {
                char *end;
                long n = strtol(g.gl_pathv[i] + strlen(path) + 1, &end, 10);
                if (*end != '\0')
                        continue;
                *ret_list = mem_realloc_array(*ret_list, *ret_count + 1, sizeof **ret_list);
                (*ret_list)[(*ret_count)++] = n;
                if (n > highest)
                        highest = n;
        }
        globfree(&g);
        return highest;
}

static void roll_by_size(const struct sink *k)
{
        size_t count;
        long *list;
        long highest = highest_roll(k->path, &list, &count);
        cleanup_free char *to = mem_printf("%s.%ld", k->path, highest + 1);
        (void)rename(k->path, to);
        for (size_t i = 0; k->max_rolls > 0 && i < count; i++)
                if (list[i] <= highest + 1 - k->max_rolls) {
                        cleanup_free char *old = mem_printf("%s.%ld", k->path, list[i]);
                        (void)unlink(old);
                }
        free(list);
}

/* Named after the local hour that ended. */
static void roll_by_hour(const struct sink *k, time_t last_write)
{
        struct tm then, now;
        time_t t = time(NULL);
        char stamp[32];
        (void)localtime_r(&last_write, &then);
        (void)localtime_r(&t, &now);
        if (then.tm_hour == now.tm_hour && t - last_write < 3600)
                return;
        (void)strftime(stamp, sizeof stamp, "%Y-%m-%d-%H", &then);
        cleanup_free char *to = mem_printf("%s.%s", k->path, stamp);
        (void)rename(k->path, to);
}

static unsigned count_lines(const char *data, size_t length)
{
        unsigned lines = 0;
        for (size_t i = 0; i < length; i++)
                lines += data[i] == '\n';
        return lines;
}

static void write_all(struct sink *k, int fd, const char *data, size_t length)
{
        while (length > 0) {
                ssize_t n = fd >= 0 ? write(fd, data, length) : -1;
                if (n < 0 && fd >= 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        k->error = errno;
                        k->lost = count_lines(data, length);
                        return;
                }
                data += n;
                length -= (size_t)n;
        }
}

static void on_work(uv_work_t *w)
{
        struct sink *k = w->data;
        struct stat st;
        k->error = 0;
        k->lost = 0;
        if (k->path == NULL) {
                write_all(k, STDERR_FILENO, k->writing.data, k->writing.length);
                return;
        }
        bool exists = stat(k->path, &st) == 0 && st.st_size > 0;
        if (exists && k->roll == ROLL_SIZE && (size_t)st.st_size >= k->max_size)
                roll_by_size(k);
        else if (exists && k->roll == ROLL_HOURLY)
                roll_by_hour(k, st.st_mtime);
        cleanup_fd int fd = open(k->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        write_all(k, fd, k->writing.data, k->writing.length);
}

/* ---- on the loop ---- */

static void start_write(struct sink *k);

/* One line and one notice when the file fails, one when it is well again. */
static void tell_health(struct sink *k, const char *problem)
{
        struct supervisor *s = k->supervisor;
        if (k->path == NULL)
                return; /* whoever reads our standard error has gone: nobody to tell */
        notice_set(s, "log file", true,
                   problem == NULL ? NULL
                                   : mem_printf("log file %s: %s; lines are lost until it can be "
                                                "written again",
                                                k->path, problem));
        if (s->writer != NULL)
                supervisor_changed(s);
}

static void on_written(uv_work_t *w, int status)
{
        struct sink *k = w->data;
        (void)status;
        buf_clear(&k->writing);
        k->busy = false;
        k->dropped += k->lost;
        (void)uv_timer_stop(&k->frozen);
        tell_health(k, k->error != 0 ? strerror(k->error) : NULL);
        start_write(k);
}

static void on_frozen(uv_timer_t *t)
{
        tell_health(t->data, "a write does not end: is the disk frozen?");
}

static void start_write(struct sink *k)
{
        if (k->busy || k->queue.length == 0)
                return;
        k->writing = k->queue;
        k->queue = (struct buf){0};
        k->busy = true;
        k->work.data = k;
        (void)uv_timer_start(&k->frozen, on_frozen, FROZEN_MS, 0);
        (void)uv_queue_work(&k->supervisor->loop, &k->work, on_work, on_written);
}

static enum log_level level_of(const char *line)
{
        char word[16];
        enum log_level level = LOG_LEVEL_INFO;
        if (sscanf(line, "level=%15s", word) == 1)
                (void)log_level_from_string(word, &level);
        return level;
}

/* logfmt "k=v k="v v"" to a JSON object of strings. */
static void put_json(struct buf *b, const char *line)
{
        cleanup_json json_t *o = json_object();
        while (*line != '\0') {
                size_t key = strcspn(line, "= ");
                cleanup_free char *name = mem_strndup(line, key);
                struct buf value = {0};
                line += key + (line[key] == '=');
                if (*line == '"') {
                        for (line++; *line != '\0' && *line != '"'; line++) {
                                bool escaped = *line == '\\' && line[1] != '\0';
                                char c = escaped ? *++line : *line;
                                if (escaped && c == 'n')
                                        c = '\n';
                                buf_append(&value, &c, 1);
                        }
                        line += *line == '"';
                } else {
                        size_t n = strcspn(line, " ");
                        buf_append(&value, line, n);
                        line += n;
                }
                line += strspn(line, " ");
                cleanup_free char *text = buf_steal(&value);
                (void)json_object_set_new(o, name, json_string(text));
        }
        char *text = json_dumps(o, JSON_COMPACT);
        if (text != NULL)
                buf_append_str(b, text);
        free(text);
}

/* "level=info msg=…" becomes "level=info time=… worker=engine msg=…". */
static void put_line(struct sink *k, const char *worker, const char *line)
{
        if (level_of(line) > k->level)
                return;
        if (k->queue.length > QUEUE_MAX) {
                k->dropped++;
                return;
        }
        char now[CLOCK_TEXT], drops[40] = "";
        int64_t wall = clock_wall_ms();
        size_t first = strcspn(line, " ");
        if (k->dropped > 0)
                (void)snprintf(drops, sizeof drops, " dropped=%u", k->dropped);
        k->dropped = 0;
        cleanup_free char *full =
                mem_printf("%.*s time=%s worker=%s%s%s", (int)first, line,
                           clock_format_ms(wall - wall % 1000, now), worker, line + first, drops);
        if (k->json)
                put_json(&k->queue, full);
        else
                buf_append_str(&k->queue, full);
        buf_append(&k->queue, "\n", 1);
        start_write(k);
}

static void put_everywhere(struct supervisor *s, const char *worker, const char *line)
{
        if (s->writer == NULL) {
                (void)fprintf(stderr, "%s worker=%s\n", line, worker);
                return;
        }
        for (size_t i = 0; i < ARRAY_SIZE(s->writer->sinks); i++)
                if (s->writer->sinks[i].supervisor != NULL)
                        put_line(&s->writer->sinks[i], worker, line);
}

static void own_line(void *arg, enum log_level level, const char *line, size_t length)
{
        (void)level;
        (void)length;
        put_everywhere(arg, "supervisor", line);
}

/* ---- sources ---- */

static void on_source_closed(uv_handle_t *h)
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
                uv_close((uv_handle_t *)&l->poll, on_source_closed);
}

static void tell_line(struct log_source *l)
{
        if (l->line.length > 0)
                log_error(NULL, "output of the worker", LOG_STR("from", l->worker),
                          LOG_STR("text", l->line.data));
        buf_clear(&l->line);
}

static void take_stderr(struct log_source *l, const char *data, size_t length)
{
        for (size_t i = 0; i < length; i++) {
                if (data[i] != '\n')
                        buf_append(&l->line, &data[i], 1);
                if (data[i] == '\n' || l->line.length >= OUTPUT_MAX)
                        tell_line(l);
        }
}

static void on_source(uv_poll_t *h, int status, int events)
{
        struct log_source *l = h->data;
        char data[RECORD_MAX + 1];
        (void)events;
        for (int i = 0; i < 64; i++) {
                ssize_t n = status < 0 ? 0 : read(l->fd, data, RECORD_MAX);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                if (n <= 0) {
                        tell_line(l); /* what had no newline */
                        log_source_close(l);
                        return;
                }
                data[n] = '\0';
                if (l->records && n > 1)
                        put_everywhere(l->supervisor, l->worker, data + 1);
                else if (!l->records)
                        take_stderr(l, data, (size_t)n);
        }
}

struct log_source *log_source_new(struct supervisor *s, const char *worker, int fd, bool records)
{
        struct log_source *l = mem_zalloc(sizeof *l);
        *l = (struct log_source){
                .supervisor = s, .worker = mem_strdup(worker), .fd = fd, .records = records};
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        (void)uv_poll_init(&s->loop, &l->poll, fd);
        l->poll.data = l;
        (void)uv_poll_start(&l->poll, UV_READABLE, on_source);
        return l;
}

/* ---- public ---- */

static enum log_level level_setting(const struct config *c, const char *name,
                                    enum log_level fallback)
{
        enum log_level level = fallback;
        (void)log_level_from_string(config_text(c, name, ""), &level);
        return level;
}

static void open_frozen_timer(struct sink *k)
{
        (void)uv_timer_init(&k->supervisor->loop, &k->frozen);
        uv_unref((uv_handle_t *)&k->frozen);
        k->frozen.data = k;
}

int log_writer_open(struct supervisor *s)
{
        const struct config *c = s->config;
        enum log_level out = level_setting(c, "ECS_LOGLEVEL", LOG_LEVEL_INFO);
        bool driver = *config_text(c, "ECS_LOG_DRIVER", "") != '\0';
        enum log_level file = level_setting(c, "ECS_LOGLEVEL_ON_INSTANCE",
                                            driver ? LOG_LEVEL_NONE : out);
        if (s->options.log_level != NULL) {
                (void)log_level_from_string(s->options.log_level, &out);
                file = out;
        }
        const char *path = config_text(c, "ECS_LOGFILE", NULL);
        const char *roll = config_text(c, "ECS_LOG_ROLLOVER_TYPE", "size");
        struct log_writer *w = mem_zalloc(sizeof *w);
        struct sink common = {
                .supervisor = s,
                .json = strcmp(config_text(c, "ECS_LOG_OUTPUT_FORMAT", ""), "json") == 0,
                .max_size = (size_t)(atof(config_text(c, "ECS_LOG_MAX_FILE_SIZE_MB", "5")) * 1e6),
                .max_rolls = (int)config_int(c, "ECS_LOG_MAX_ROLL_COUNT", 24),
                .roll = strcmp(roll, "size") == 0   ? ROLL_SIZE
                        : strcmp(roll, "none") == 0 ? ROLL_NONE
                                                    : ROLL_HOURLY,
        };
        w->sinks[0] = common;
        w->sinks[0].level = out;
        open_frozen_timer(&w->sinks[0]);
        if (path != NULL) {
                w->sinks[1] = common;
                w->sinks[1].level = file;
                w->sinks[1].path = mem_strdup(path);
                open_frozen_timer(&w->sinks[1]);
        }
        log_set_level(path != NULL && file > out ? file : out);
        s->writer = w;
        log_set_sink(own_line, s);
        return 0;
}

/* Waits for the write under way, then writes what is queued. False when the write does not end. */
static bool drain(struct supervisor *s, struct sink *k)
{
        uint64_t until = clock_now_ms() + CLOSE_MS;
        while (k->busy && clock_now_ms() < until) {
                (void)uv_run(&s->loop, UV_RUN_NOWAIT);
                (void)usleep(1000);
        }
        if (k->busy)
                return false;
        k->writing = k->queue;
        k->queue = (struct buf){0};
        k->work.data = k;
        if (k->writing.length > 0)
                on_work(&k->work);
        buf_clear(&k->writing);
        return true;
}

bool log_writer_close(struct supervisor *s)
{
        struct log_writer *w = s->writer;
        bool all_drained = true;
        if (w == NULL)
                return true;
        log_set_sink(NULL, NULL);
        s->writer = NULL;
        for (size_t i = 0; i < ARRAY_SIZE(w->sinks); i++)
                if (w->sinks[i].supervisor != NULL)
                        all_drained = drain(s, &w->sinks[i]) && all_drained;
        if (!all_drained)
                return false; /* the pool still uses a sink */
        for (size_t i = 0; i < ARRAY_SIZE(w->sinks); i++) {
                if (w->sinks[i].supervisor == NULL)
                        continue;
                uv_close((uv_handle_t *)&w->sinks[i].frozen, NULL);
                free(w->sinks[i].path);
        }
        (void)uv_run(&s->loop, UV_RUN_NOWAIT); /* the timers are part of w */
        free(w);
        return true;
}
