/* log_view: the end of a stream is the container's end, or that of an engine being restarted: while
 * the container runs it is opened again, from the time of the end on. */
#include "log_view.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "connection.h"
#include "error.h"
#include "mem.h"
#include "task_list.h"

#define ASK_MS 10000

/* ---- writing ---- */

static void put_line(const struct log_entry *e, int descriptor, const char *line, size_t length)
{
        FILE *to = descriptor == 2 ? stderr : stdout;
        if (e->view->ctl->json) {
                cleanup_json json_t *text = json_stringn(line, length);
                cleanup_json json_t *o = json_pack("{ss ss sO}", "container", e->container,
                                                   "stream", descriptor == 2 ? "stderr" : "stdout",
                                                   "line", text != NULL ? text : json_null());
                (void)json_dumpf(o, stdout, JSON_COMPACT);
                (void)putchar('\n');
                return;
        }
        if (e->view->options.prefix)
                (void)fprintf(to, "%s | ", e->container);
        (void)fwrite(line, 1, length, to);
        (void)fputc('\n', to);
}

static void on_output(void *arg, int descriptor, const char *data, size_t length)
{
        struct log_entry *e = arg;
        struct buf *b = &e->lines[descriptor];
        if (!e->view->ctl->json && !e->view->options.prefix) {
                (void)fwrite(data, 1, length, descriptor == 2 ? stderr : stdout);
                return;
        }
        buf_append(b, data, length);
        for (char *end; (end = memchr(b->data, '\n', b->length)) != NULL;) {
                size_t n = (size_t)(end - b->data);
                put_line(e, descriptor, b->data, n > 0 && end[-1] == '\r' ? n - 1 : n);
                buf_consume(b, n + 1);
        }
}

static void finish_lines(struct log_entry *e)
{
        for (int d = 1; d <= 2; d++) {
                if (e->lines[d].length > 0)
                        put_line(e, d, e->lines[d].data, e->lines[d].length);
                buf_clear(&e->lines[d]);
        }
}

/* ---- opening ---- */

static int open_stream(struct log_entry *e, const char *tail, const char *since, struct error *err)
{
        const struct log_view_options *o = &e->view->options;
        struct client engine;
        Ecs__OpenLogs m = ECS__OPEN_LOGS__INIT;
        Ecs__Envelope q = IPC_ENVELOPE(OPEN_LOGS, open_logs, &m), *reply = NULL;
        m.task = e->task;
        m.container = e->container;
        m.follow = o->follow;
        m.timestamps = o->timestamps;
        m.tail = (char *)(uintptr_t)tail;
        m.since = (char *)(uintptr_t)since;
        int r = client_open_peer(e->view->ctl->client, "engine", &engine, err);
        if (r == 0)
                r = client_ask(&engine, &q, ASK_MS, &reply, err);
        if (r == 0) {
                ecs__envelope__free_unpacked(reply, NULL);
                e->fd = client_take_fd(&engine, 0);
                stream_clear(&e->stream);
                e->stream = (struct stream){.output = on_output, .arg = e};
                if (e->fd < 0)
                        r = error_set(err, -EPROTO, "the engine sent no connection");
        }
        client_close(&engine);
        return r;
}

int log_view_add(struct log_view *v, const char *task, const char *container)
{
        struct error err = {0};
        if (v->count == LOG_VIEW_MAX)
                return command_fail("more than %d containers at once are not shown", LOG_VIEW_MAX);
        struct log_entry *e = &v->entries[v->count];
        *e = (struct log_entry){
                .view = v, .task = mem_strdup(task), .container = mem_strdup(container), .fd = -1};
        v->count++;
        if (open_stream(e, v->options.tail, "", &err) != 0)
                return command_fail("%s", err.text);
        return 0;
}

static bool still_runs(const struct log_entry *e)
{
        Ecs__Envelope *reply = task_list_get(e->view->ctl, e->task);
        bool running = false;
        for (size_t i = 0; reply != NULL && i < reply->get_tasks_reply->n_tasks; i++) {
                const Ecs__TaskFacts *t = reply->get_tasks_reply->tasks[i];
                for (size_t k = 0; k < t->n_containers; k++)
                        if (strcmp(t->containers[k]->name, e->container) == 0)
                                running = strcmp(t->containers[k]->known_status, "RUNNING") == 0;
        }
        if (reply != NULL)
                ecs__envelope__free_unpacked(reply, NULL);
        return running;
}

static void ended(struct log_entry *e)
{
        struct timespec now;
        char since[40];
        struct error err = {0};
        bool whole = e->stream.state == STREAM_FRAMES || e->stream.state == STREAM_RAW ||
                     e->stream.state == STREAM_PROBE;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        (void)close(e->fd);
        e->fd = -1;
        stream_end(&e->stream);
        if (e->view->refusal == NULL)
                e->view->refusal = stream_refusal(&e->stream);
        if (whole && e->view->options.follow && still_runs(e)) {
                (void)snprintf(since, sizeof since, "%lld.%09ld", (long long)now.tv_sec,
                               now.tv_nsec);
                if (open_stream(e, "", since, &err) == 0)
                        return;
        }
        finish_lines(e);
}

/* ---- reading ---- */

void log_view_init(struct log_view *v, struct ctl *c, const struct log_view_options *o)
{
        *v = (struct log_view){.ctl = c, .options = *o};
}

void log_view_clear(struct log_view *v)
{
        for (size_t i = 0; i < v->count; i++) {
                struct log_entry *e = &v->entries[i];
                if (e->fd >= 0)
                        (void)close(e->fd);
                finish_lines(e);
                stream_clear(&e->stream);
                free(e->task);
                free(e->container);
        }
        free(v->refusal);
        v->count = 0;
}

void log_view_poll(const struct log_view *v, struct pollfd *ret)
{
        for (size_t i = 0; i < v->count; i++)
                ret[i] = (struct pollfd){.fd = v->entries[i].fd, .events = POLLIN};
}

void log_view_read(struct log_view *v, const struct pollfd *polled)
{
        char data[16384];
        for (size_t i = 0, count = v->count; i < count; i++) {
                struct log_entry *e = &v->entries[i];
                if (e->fd < 0 || polled[i].fd != e->fd || polled[i].revents == 0)
                        continue;
                ssize_t n = read(e->fd, data, sizeof data);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0 || !stream_feed(&e->stream, data, (size_t)n))
                        ended(e);
        }
        (void)fflush(stdout);
}

bool log_view_is_open(const struct log_view *v)
{
        for (size_t i = 0; i < v->count; i++)
                if (v->entries[i].fd >= 0)
                        return true;
        return false;
}
