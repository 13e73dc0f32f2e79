/* ecsctl exec: a command in a running container. The engine has Docker make it and hands its
 * connection over; input and output go over that, sizes and the exit code over the engine. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "client.h"
#include "connection.h"
#include "error.h"
#include "log_view.h"
#include "mem.h"
#include "stream.h"
#include "task_list.h"

#define ASK_MS 30000
#define IN_PIECE 4096
#define STATUS_US 50000
#define STATUS_TRIES 100

static volatile sig_atomic_t resized;

static void on_resize(int number)
{
        (void)number;
        resized = 1;
}

struct session {
        struct ctl *ctl;
        struct client engine;
        char *id;
        int fd; /* Docker's connection */
        bool tty, input_open;
        struct termios before;
        struct stream stream;
        struct buf to_docker; /* read, not yet written */
};

static void write_all(int fd, const char *data, size_t length)
{
        while (length > 0) {
                ssize_t n = write(fd, data, length);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return;
                data += n;
                length -= (size_t)n;
        }
}

static void on_output(void *arg, int descriptor, const char *data, size_t length)
{
        (void)arg;
        write_all(descriptor, data, length);
}

/* ---- begin and end ---- */

/* The container meant: by name, or the only one. NULL after telling why. */
static const char *choose(const struct ctl *c, const Ecs__TaskFacts *t)
{
        const char *wanted = ctl_option(c, "container");
        struct buf names = {0};
        if (wanted != NULL)
                return wanted;
        if (t->n_containers == 1)
                return t->containers[0]->name;
        for (size_t i = 0; i < t->n_containers; i++)
                buf_printf(&names, "%s%s", i > 0 ? ", " : "", t->containers[i]->name);
        (void)command_fail("task %s has several containers; choose one with -c: %s",
                           task_list_id(t->arn), names.data);
        buf_clear(&names);
        return NULL;
}

static int start(struct session *s, const char *task, const char *container, size_t argc,
                 char **argv)
{
        static char *const shell[] = {(char *)"/bin/sh"};
        Ecs__ExecStart m = ECS__EXEC_START__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(EXEC_START, exec_start, &m), *reply = NULL;
        struct error err = {0};
        const char *term = getenv("TERM");
        m.task = (char *)(uintptr_t)task;
        m.container = (char *)(uintptr_t)container;
        m.n_command = argc > 0 ? argc : 1;
        m.command = argc > 0 ? argv : (char **)(uintptr_t)shell;
        m.tty = s->tty;
        m.interactive = true;
        if (s->tty && term != NULL)
                m.term = (char *)(uintptr_t)term;
        if (client_open_peer(s->ctl->client, "engine", &s->engine, &err) != 0 ||
            client_ask(&s->engine, &e, ASK_MS, &reply, &err) != 0)
                return command_fail("%s", err.text);
        s->id = mem_strdup(reply->exec_start_reply->exec_id);
        ecs__envelope__free_unpacked(reply, NULL);
        s->fd = client_take_fd(&s->engine, 0);
        return s->fd >= 0 ? 0 : command_fail("the engine sent no connection");
}

/* A request to the engine on its way; a broken connection is opened anew once. */
static Ecs__Envelope *ask(struct session *s, Ecs__Envelope *e, struct error *err)
{
        Ecs__Envelope *reply = NULL;
        for (int attempt = 0; attempt < 2; attempt++) {
                if (s->engine.fd < 0 &&
                    client_open_peer(s->ctl->client, "engine", &s->engine, err) != 0)
                        continue;
                if (client_ask(&s->engine, e, ASK_MS, &reply, err) == 0)
                        return reply;
                client_close(&s->engine);
        }
        return NULL;
}

static void tell_size(struct session *s)
{
        struct winsize size;
        struct error err = {0};
        Ecs__ExecResize m = ECS__EXEC_RESIZE__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(EXEC_RESIZE, exec_resize, &m);
        resized = 0;
        if (!s->tty || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
                return;
        m.exec_id = s->id;
        m.rows = size.ws_row;
        m.columns = size.ws_col;
        Ecs__Envelope *reply = ask(s, &e, &err);
        if (reply != NULL)
                ecs__envelope__free_unpacked(reply, NULL);
}

/* Docker closes the connection a moment before it knows the exit code. */
static int exit_code(struct session *s)
{
        Ecs__ExecStatus m = ECS__EXEC_STATUS__INIT;
        struct error err = {0};
        m.exec_id = s->id;
        for (int attempt = 0; attempt < STATUS_TRIES; attempt++) {
                Ecs__Envelope e = IPC_ENVELOPE(EXEC_STATUS, exec_status, &m);
                Ecs__Envelope *reply = ask(s, &e, &err);
                if (reply == NULL)
                        return command_fail("the exit code is not known: %s", err.text);
                bool running = reply->exec_status_reply->running;
                int code = reply->exec_status_reply->exit_code & 0xff;
                ecs__envelope__free_unpacked(reply, NULL);
                if (!running)
                        return code;
                (void)usleep(STATUS_US);
        }
        return command_fail("the connection ended while the command still runs");
}

/* ---- while it runs ---- */

static void make_raw(struct session *s)
{
        struct termios raw;
        const struct sigaction a = {.sa_handler = on_resize};
        if (!s->tty || tcgetattr(STDIN_FILENO, &s->before) != 0) {
                s->tty = false;
                return;
        }
        raw = s->before;
        cfmakeraw(&raw);
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
        (void)sigaction(SIGWINCH, &a, NULL);
}

static void take_input(struct session *s)
{
        char data[IN_PIECE];
        ssize_t n = read(STDIN_FILENO, data, sizeof data);
        if (n > 0)
                buf_append(&s->to_docker, data, (size_t)n);
        else if (n == 0 || (errno != EINTR && errno != EAGAIN))
                s->input_open = false;
        if (!s->input_open && s->to_docker.length == 0)
                (void)shutdown(s->fd, SHUT_WR);
}

static void give_input(struct session *s)
{
        ssize_t n =
                send(s->fd, s->to_docker.data, s->to_docker.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
                buf_consume(&s->to_docker, (size_t)n);
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
                s->to_docker.length = 0; /* it reads no more */
        if (!s->input_open && s->to_docker.length == 0)
                (void)shutdown(s->fd, SHUT_WR);
}

/* False at the end. */
static bool take_output(struct session *s)
{
        char data[16384];
        bool begun = s->stream.state != STREAM_HEAD;
        ssize_t n = recv(s->fd, data, sizeof data, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return true;
        if (n <= 0 || !stream_feed(&s->stream, data, (size_t)n))
                return false;
        if (!begun && s->stream.state != STREAM_HEAD)
                resized = 1; /* only now Docker takes a size */
        return true;
}

/* Trap: Docker drops what it has read behind the request, so no input goes out, and its end is not
 * told, before the answer's head has come. */
static bool takes_input(const struct session *s)
{
        return s->input_open && s->stream.state != STREAM_HEAD && s->to_docker.length < IN_PIECE;
}

static void pass_on(struct session *s)
{
        for (bool open = true; open;) {
                short wanted = (short)(POLLIN | (s->to_docker.length > 0 ? POLLOUT : 0));
                struct pollfd p[2] = {
                        {s->fd,                              wanted, 0},
                        {takes_input(s) ? STDIN_FILENO : -1, POLLIN, 0}
                };
                if (resized)
                        tell_size(s);
                if (poll(p, 2, -1) < 0)
                        continue;
                if (p[1].revents != 0)
                        take_input(s);
                if ((p[0].revents & POLLOUT) != 0)
                        give_input(s);
                if ((p[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
                        open = take_output(s);
        }
        stream_end(&s->stream);
}

static int run_session(struct session *s)
{
        bool raw = s->tty;
        make_raw(s);
        pass_on(s);
        if (raw)
                (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &s->before);
        cleanup_free char *refusal = stream_refusal(&s->stream);
        return refusal != NULL ? command_fail("%s", refusal) : exit_code(s);
}

static int run(struct ctl *c, int argc, char **argv)
{
        bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
        Ecs__Envelope *reply = task_list_find(c, argv[0]);
        if (reply == NULL)
                return 1;
        const Ecs__TaskFacts *t = reply->get_tasks_reply->tasks[0];
        const char *container = choose(c, t);
        struct session s = {.ctl = c,
                            .engine = {.fd = -1},
                            .fd = -1,
                            .tty = terminal && ctl_option(c, "no-tty") == NULL,
                            .input_open = true,
                            .stream = {.output = on_output}};
        int code = container != NULL ? start(&s, t->arn, container, (size_t)argc - 1, argv + 1) : 1;
        if (code == 0)
                code = run_session(&s);
        ecs__envelope__free_unpacked(reply, NULL);
        client_close(&s.engine);
        if (s.fd >= 0)
                (void)close(s.fd);
        stream_clear(&s.stream);
        buf_clear(&s.to_docker);
        free(s.id);
        return code;
}

static const struct command_option options[] = {
        {"container", 'c', "NAME", "in this container; needed when the task has several"},
        {"no-tty",    'T', NULL,   "no terminal in the container, although this is one" },
        {NULL,        0,   NULL,   NULL                                                 },
};
static const struct command_example examples[] = {
        {"ecsctl exec 4f1c",                           "a shell in the only container of the task"},
        {"ecsctl exec -c web 4f1c -- ps aux",          "a command in one of several"              },
        {"echo 'select 1' | ecsctl exec 4f1c -- psql", "with input"                               },
        {NULL,                                         NULL                                       },
};

const struct command command_exec = {
        .name = "exec",
        .usage = "[-c NAME] ID|ARN [-- COMMAND...]",
        .summary = "runs a command in a running container",
        .text = "COMMAND is /bin/sh when none is given. The container gets a terminal when "
                "standard\n"
                "input and output are one. Needs root, as every change does.\n\n"
                "The exit code is the command's.",
        .options = options,
        .examples = examples,
        .min_args = 1,
        .max_args = -1,
        .complete = COMPLETE_TASK,
        .run = run,
};
