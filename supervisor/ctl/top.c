/* ecsctl top: a live view in the terminal. Each second a screen is made in memory and written at
 * once; lines are cut to the terminal's width. Without a terminal, one screen as plain text. */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "client.h"
#include "clock.h"
#include "command.h"
#include "connection.h"
#include "error.h"
#include "mem.h"
#include "task_list.h"

#define EVERY_MS 1000
#define ASK_MS 800 /* a worker that hangs must not stop the view */
#define WORKERS 16
#define TASKS_MAX 200

#define SCREEN_ON "\033[?1049h\033[?25l"
#define SCREEN_OFF "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define TO_END "\033[K" /* clears the rest of the line */
#define BELOW "\033[J"
#define BOLD "\033[1m"
#define REVERSE "\033[7m"
#define PLAIN "\033[0m"

struct usage {
        unsigned pid;
        uint64_t ticks, at_ms;
        double percent;
        long rss_kib;
};

struct top {
        struct ctl *ctl;
        struct client engine, backend;
        struct usage usage[WORKERS];
        Ecs__Envelope *status, *tasks, *link;
        struct termios before;
        bool terminal;
        unsigned rows, columns;
        const char *gone; /* why there is nothing new */
};

static volatile sig_atomic_t ended;

static void on_end(int number)
{
        (void)number;
        ended = 1;
}

static void on_resize(int number)
{
        (void)number; /* interrupts poll; the size is read anew each time */
}

/* ---- asking ---- */

static void drop(Ecs__Envelope **e)
{
        if (*e != NULL)
                ecs__envelope__free_unpacked(*e, NULL);
        *e = NULL;
}

static bool is_ready(const struct top *t, const char *worker)
{
        const Ecs__CtlStatusReply *s = t->status->ctl_status_reply;
        for (size_t i = 0; i < s->n_workers; i++)
                if (strcmp(s->workers[i]->name, worker) == 0)
                        return strcmp(s->workers[i]->state, "ready") == 0;
        return false;
}

/* Keeps the last answer while the worker is away. */
static void ask_worker(struct top *t, struct client *c, const char *worker, Ecs__Envelope *q,
                       Ecs__Envelope **answer)
{
        struct error err = {0};
        Ecs__Envelope *reply = NULL;
        if (!is_ready(t, worker)) {
                client_close(c);
                return;
        }
        if (c->fd < 0 && client_open_peer(t->ctl->client, worker, c, &err) != 0)
                return;
        if (client_ask(c, q, ASK_MS, &reply, &err) != 0) {
                client_close(c);
                return;
        }
        drop(answer);
        *answer = reply;
}

static void ask_all(struct top *t)
{
        struct error err = {0};
        Ecs__CtlStatus status = ECS__CTL_STATUS__INIT;
        Ecs__GetTasks tasks = ECS__GET_TASKS__INIT;
        Ecs__GetLink link = ECS__GET_LINK__INIT;
        Ecs__Envelope ask_status = IPC_ENVELOPE(CTL_STATUS, ctl_status, &status), *reply = NULL;
        Ecs__Envelope ask_tasks = IPC_ENVELOPE(GET_TASKS, get_tasks, &tasks);
        Ecs__Envelope ask_link = IPC_ENVELOPE(GET_LINK, get_link, &link);
        t->gone = NULL;
        if (client_ask(t->ctl->client, &ask_status, ASK_MS, &reply, &err) != 0) {
                t->gone = "the agent does not answer; waiting for it";
                client_close(&t->engine);
                client_close(&t->backend);
                client_close(t->ctl->client);
                (void)client_open(t->ctl->client, t->ctl->run_dir, &err);
                return;
        }
        drop(&t->status);
        t->status = reply;
        ask_worker(t, &t->engine, "engine", &ask_tasks, &t->tasks);
        ask_worker(t, &t->backend, "backend", &ask_link, &t->link);
}

/* ---- processes ---- */

/* CPU ticks and resident size from /proc. False when the process has gone. */
static bool read_proc(unsigned pid, uint64_t *ret_ticks, long *ret_rss_kib)
{
        unsigned long user, system;
        long pages;
        cleanup_free char *path = mem_printf("/proc/%u/stat", pid);
        cleanup_file FILE *f = fopen(path, "re");
        char line[1024];
        if (f == NULL || fgets(line, sizeof line, f) == NULL)
                return false;
        const char *behind = strrchr(line, ')'); /* the name may hold anything */
        if (behind == NULL ||
            sscanf(behind,
                   ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d "
                   "%*d %*d %*u %*u %ld",
                   &user, &system, &pages) != 3)
                return false;
        *ret_ticks = user + system;
        *ret_rss_kib = pages * (sysconf(_SC_PAGESIZE) / 1024);
        return true;
}

static void measure(struct usage *u, unsigned pid)
{
        uint64_t ticks, now = clock_now_ms();
        long rss = 0;
        if (pid == 0 || !read_proc(pid, &ticks, &rss)) {
                *u = (struct usage){0};
                return;
        }
        double seconds = (double)(now - u->at_ms) / 1000;
        double used = (double)(ticks - u->ticks) / (double)sysconf(_SC_CLK_TCK);
        u->percent = u->pid == pid && seconds > 0 ? used * 100 / seconds : 0;
        u->pid = pid;
        u->ticks = ticks;
        u->at_ms = now;
        u->rss_kib = rss;
}

/* ---- the screen ---- */

/* One line, cut to the width; style may be "". */
static void put(const struct top *t, struct buf *b, unsigned *row, const char *style,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
static void put(const struct top *t, struct buf *b, unsigned *row, const char *style,
                const char *format, ...)
{
        va_list ap;
        if (t->terminal && *row + 1 >= t->rows)
                return;
        va_start(ap, format);
        cleanup_free char *line = mem_vprintf(format, ap);
        va_end(ap);
        if (t->terminal && strlen(line) > t->columns)
                line[t->columns] = '\0';
        for (char *p = line; *p != '\0'; p++)
                if ((unsigned char)*p < ' ')
                        *p = ' ';
        if (t->terminal)
                buf_printf(b, "%s%s" PLAIN TO_END "\r\n", style, line);
        else
                buf_printf(b, "%s\n", line);
        (*row)++;
}

static void put_header(struct top *t, struct buf *b, unsigned *row)
{
        const Ecs__CtlStatusReply *s = t->status->ctl_status_reply;
        put(t, b, row, BOLD, "ecs-agent %s  up %llu s  cluster %s  region %s%s", s->version,
            (unsigned long long)s->uptime_ms / 1000, s->cluster[0] != '\0' ? s->cluster : "default",
            s->region, s->local_mode ? "  local" : "");
        if (t->link != NULL)
                put(t, b, row, "", "link %s%s  queue %u%s%s", t->link->link->acs,
                    t->link->link->registered ? "" : " (not registered)", t->link->link->outbox,
                    t->link->link->last_error[0] != '\0' ? "  last error: " : "",
                    t->link->link->last_error);
        if (t->gone != NULL)
                put(t, b, row, BOLD, "%s", t->gone);
        for (size_t i = 0; i < s->n_notices; i++)
                put(t, b, row, "", "! %s", s->notices[i]);
}

static void put_workers(struct top *t, struct buf *b, unsigned *row)
{
        const Ecs__CtlStatusReply *s = t->status->ctl_status_reply;
        put(t, b, row, "", "%s", "");
        put(t, b, row, REVERSE, "%-10s %-9s %8s %6s %9s %9s  %s", "WORKER", "STATE", "PID", "CPU%",
            "RSS KiB", "RESTARTS", "");
        for (size_t i = 0; i < s->n_workers && i < WORKERS; i++) {
                const Ecs__WorkerStatus *w = s->workers[i];
                measure(&t->usage[i], w->pid);
                put(t, b, row, "", "%-10s %-9s %8u %6.1f %9ld %9u  %s%s", w->name, w->state, w->pid,
                    t->usage[i].percent, t->usage[i].rss_kib, w->restarts,
                    w->degraded ? "degraded: " : "", w->text);
        }
}

static void put_container(struct top *t, struct buf *b, unsigned *row, const Ecs__ContainerFacts *f)
{
        char code[24] = "";
        if (f->exit_code != NULL)
                (void)snprintf(code, sizeof code, " exit %d", f->exit_code->value);
        put(t, b, row, "", "  %-30s %-16s %s%s%s%s", f->name, f->known_status, f->image, code,
            f->health != NULL && f->health->status[0] != '\0' ? " " : "",
            f->health != NULL ? f->health->status : "");
}

static void put_tasks(struct top *t, struct buf *b, unsigned *row)
{
        const Ecs__GetTasksReply *r = t->tasks != NULL ? t->tasks->get_tasks_reply : NULL;
        size_t running = 0, stopped = 0;
        for (size_t i = 0; r != NULL && i < r->n_tasks; i++) {
                running += strcmp(r->tasks[i]->known_status, "RUNNING") == 0;
                stopped += strcmp(r->tasks[i]->known_status, "STOPPED") == 0;
        }
        size_t all = r != NULL ? r->n_tasks : 0;
        put(t, b, row, "", "%s", "");
        put(t, b, row, REVERSE, "TASK  %zu running, %zu on the way, %zu stopped", running,
            all - running - stopped, stopped);
        /* the living first */
        for (int dead = 0; dead <= 1; dead++)
                for (size_t i = 0; i < all && i < TASKS_MAX; i++) {
                        const Ecs__TaskFacts *k = r->tasks[i];
                        if ((strcmp(k->known_status, "STOPPED") == 0) != dead)
                                continue;
                        put(t, b, row, "", "%-32s %-16s %s:%s%s%s", task_list_id(k->arn),
                            k->known_status, k->family, k->version,
                            k->waiting_for[0] != '\0' ? "  waits for " : "", k->waiting_for);
                        for (size_t n = 0; n < k->n_containers; n++)
                                put_container(t, b, row, k->containers[n]);
                }
}

static void read_size(struct top *t)
{
        struct winsize w;
        t->rows = 24;
        t->columns = 80;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 0 && w.ws_col > 0) {
                t->rows = w.ws_row;
                t->columns = w.ws_col;
        }
}

static void draw(struct top *t)
{
        struct buf b = {0};
        unsigned row = 0;
        read_size(t);
        if (t->terminal)
                buf_append_str(&b, HOME);
        if (t->status == NULL) {
                put(t, &b, &row, BOLD, "%s", t->gone != NULL ? t->gone : "");
        } else {
                put_header(t, &b, &row);
                put_workers(t, &b, &row);
                put_tasks(t, &b, &row);
        }
        if (t->terminal)
                buf_append_str(&b, BELOW "q quits");
        (void)fwrite(b.data, 1, b.length, stdout);
        (void)fflush(stdout);
        buf_clear(&b);
}

static json_t *worker_json(const Ecs__WorkerStatus *w, const struct usage *u)
{
        return json_pack("{ss ss si sf sI si}", "name", w->name, "state", w->state, "pid",
                         (int)w->pid, "cpuPercent", u->percent, "rssKib", (json_int_t)u->rss_kib,
                         "restarts", (int)w->restarts);
}

static void print_json(struct top *t)
{
        const Ecs__CtlStatusReply *s = t->status->ctl_status_reply;
        json_t *workers = json_array(), *tasks = json_array();
        for (size_t i = 0; i < s->n_workers && i < WORKERS; i++) {
                measure(&t->usage[i], s->workers[i]->pid);
                (void)json_array_append_new(workers, worker_json(s->workers[i], &t->usage[i]));
        }
        for (size_t i = 0; t->tasks != NULL && i < t->tasks->get_tasks_reply->n_tasks; i++) {
                const Ecs__TaskFacts *k = t->tasks->get_tasks_reply->tasks[i];
                (void)json_array_append_new(tasks, json_pack("{ss ss ss}", "arn", k->arn,
                                                             "knownStatus", k->known_status,
                                                             "desiredStatus", k->desired_status));
        }
        cleanup_json json_t *o =
                json_pack("{so so ss si}", "workers", workers, "tasks", tasks, "acs",
                          t->link != NULL ? t->link->link->acs : "", "outbox",
                          t->link != NULL ? (int)t->link->link->outbox : 0);
        (void)json_dumpf(o, stdout, JSON_INDENT(2));
        (void)putchar('\n');
}

/* ---- keys and signals ---- */

static void open_screen(struct top *t)
{
        const struct sigaction end = {.sa_handler = on_end}, size = {.sa_handler = on_resize};
        struct termios raw;
        (void)tcgetattr(STDIN_FILENO, &t->before);
        raw = t->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
        (void)sigaction(SIGINT, &end, NULL);
        (void)sigaction(SIGTERM, &end, NULL);
        (void)sigaction(SIGHUP, &end, NULL);
        (void)sigaction(SIGWINCH, &size, NULL);
        (void)fputs(SCREEN_ON, stdout);
}

static void close_screen(struct top *t)
{
        (void)fputs(SCREEN_OFF, stdout);
        (void)fflush(stdout);
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &t->before);
}

/* Waits for the next screen; a resize brings it at once. False when it is to end. */
static bool wait_key(void)
{
        struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
        char key = 0;
        if (poll(&p, 1, EVERY_MS) > 0 && (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q'))
                return false;
        return !ended;
}

static int run(struct ctl *c, int argc, char **argv)
{
        struct top t = {.ctl = c,
                        .engine = {.fd = -1},
                        .backend = {.fd = -1},
                        .terminal = !c->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
        (void)argc;
        (void)argv;
        ask_all(&t);
        int code = 0;
        if (t.status == NULL)
                code = command_fail("the agent does not answer");
        else if (c->json)
                print_json(&t);
        else if (!t.terminal)
                draw(&t);
        else {
                open_screen(&t);
                draw(&t);
                while (wait_key()) {
                        ask_all(&t);
                        draw(&t);
                }
                close_screen(&t);
        }
        drop(&t.status);
        drop(&t.tasks);
        drop(&t.link);
        client_close(&t.engine);
        client_close(&t.backend);
        return code;
}

static const struct command_example examples[] = {
        {"ecsctl top",        "until q is pressed" },
        {"ecsctl top | head", "one screen, as text"},
        {NULL,                NULL                 },
};

const struct command command_top = {
        .name = "top",
        .usage = "",
        .summary = "a live view of tasks, containers, workers and the session",
        .text = "Shows each second: the session with ECS and the changes it has yet to report, "
                "the\n"
                "workers with their CPU time and memory, the tasks with their containers, those "
                "that\n"
                "run first. q quits. Without a terminal, or with --json, it is shown once.",
        .examples = examples,
        .run = run,
};
