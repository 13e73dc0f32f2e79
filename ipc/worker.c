/* worker: the life of a worker process: options, Hello, privileges, the loop, ordered stop.
 * Everything that may fail before Hello ends the process with a sentence on standard error, which
 * the supervisor captures. After the control channel closes the worker has 2 s to end its work. */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "frame.h"
#include "mem.h"
#include "worker_private.h"

#define ORPHAN_MS 2000

/* ---- the supervisor's messages ---- */

static void begin_stop(struct worker *w, uint32_t deadline_ms);

static void on_deadline(uv_timer_t *t)
{
        struct worker *w = t->data;
        log_warn(&w->log, "stop deadline passed, ending hard");
        _exit(w->exit_code != 0 ? w->exit_code : 0);
}

static void begin_stop(struct worker *w, uint32_t deadline_ms)
{
        if (w->stopping)
                return;
        w->stopping = true;
        (void)uv_timer_start(&w->deadline, on_deadline, deadline_ms, 0);
        if (w->spec->stop != NULL && w->state != NULL)
                w->spec->stop(w, w->state, deadline_ms);
        else
                worker_stopped(w);
}

static void handle_ping(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        (void)context;
        (void)m;
        log_tell_suppressed();
        Ecs__Pong pong = ECS__PONG__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(PONG, pong, &pong);
        ipc_reply(r, &e);
}

static void handle_stop(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        (void)r;
        begin_stop(context, m->stop->deadline_ms);
}

static void handle_log_level(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        (void)context;
        (void)r;
        if (m->log_level->level <= LOG_LEVEL_DEBUG)
                log_set_level((enum log_level)m->log_level->level);
}

static void on_peer_closed(void *arg, struct ipc_connection *c, const char *reason);

static void handle_peer_connected(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct worker *w = context;
        int fd = ipc_request_take_fd(r);
        unsigned peer = ipc_peer_from_name(m->peer_connected->peer);
        if (fd < 0 || peer == 0 || w->peer_count == WORKER_PEERS_MAX || w->stopping) {
                if (fd >= 0)
                        (void)close(fd);
                return;
        }
        struct peer_slot *slot = mem_zalloc(sizeof *slot);
        slot->worker = w;
        if (peer == PEER_CTL_ROOT)
                peer |= PEER_CTL; /* root may do what any operator may */
        struct ipc_connection_options o = {.peer = peer,
                                           .handlers = w->spec->handlers,
                                           .context = w->state,
                                           .ready = &w->ready,
                                           .log = &w->log,
                                           .closed_arg = slot,
                                           .on_close = on_peer_closed};
        slot->connection = ipc_connection_new(&w->loop, fd, &o);
        w->peers[w->peer_count++] = slot;
        if (w->spec->peer_up != NULL)
                w->spec->peer_up(w->state, slot->connection, peer);
}

static void on_peer_closed(void *arg, struct ipc_connection *c, const char *reason)
{
        struct peer_slot *slot = arg;
        struct worker *w = slot->worker;
        (void)reason;
        for (size_t i = 0; i < w->peer_count; i++)
                if (w->peers[i] == slot)
                        w->peers[i] = w->peers[--w->peer_count];
        if (w->spec->peer_down != NULL && w->state != NULL)
                w->spec->peer_down(w->state, c, ipc_connection_peer(c));
        free(slot);
}

const struct ipc_handler worker_control_handlers[IPC_BODY_MAX] = {
        [ECS__ENVELOPE__BODY_PING] = {handle_ping, PEER_SUPERVISOR, WHEN_ANY},
        [ECS__ENVELOPE__BODY_STOP] = {handle_stop, PEER_SUPERVISOR, WHEN_ANY},
        [ECS__ENVELOPE__BODY_LOG_LEVEL] = {handle_log_level, PEER_SUPERVISOR, WHEN_ANY},
        [ECS__ENVELOPE__BODY_PEER_CONNECTED] = {handle_peer_connected, PEER_SUPERVISOR, WHEN_ANY},
};

static void on_control_closed(void *arg, struct ipc_connection *c, const char *reason)
{
        struct worker *w = arg;
        (void)c;
        w->control = NULL;
        if (!w->finished)
                log_warn(&w->log, "the supervisor has gone, ending", LOG_STR("reason", reason));
        begin_stop(w, ORPHAN_MS);
}

/* ---- the first message ---- */

/* Waits for Hello, blocking: nothing else can be done before it. Takes no byte more than its frame:
 * a Stop may stand right behind it, and that is the loop's to read. */
static Ecs__Hello *read_hello(struct buf *b, Ecs__Envelope **ret_envelope)
{
        int r;
        while ((r = frame_take(b, IPC_FRAME_MAX_CONTROL, ret_envelope)) == FRAME_INCOMPLETE) {
                size_t missing = frame_missing(b);
                buf_reserve(b, missing);
                ssize_t n = read(WORKER_CONTROL_FD, b->data + b->length, missing);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return NULL;
                b->length += (size_t)n;
        }
        if (r != 0)
                return NULL;
        return (*ret_envelope)->body_case == ECS__ENVELOPE__BODY_HELLO ? (*ret_envelope)->hello
                                                                        : NULL;
}

static int check_hello(const struct worker_spec *spec, const Ecs__Hello *h, struct error *err)
{
        if (h->protocol != ECS_PROTOCOL_VERSION)
                return error_set(err, -EPROTO,
                                 "the supervisor speaks protocol %u, this worker %u: restart the "
                                 "service so that both come from one package",
                                 h->protocol, ECS_PROTOCOL_VERSION);
        if (strcmp(h->build, ECS_VERSION) != 0)
                return error_set(err, -EPROTO,
                                 "the supervisor is build %s, this worker %s: restart the service "
                                 "so that both come from one package",
                                 h->build, ECS_VERSION);
        if (strcmp(h->worker, spec->name) != 0)
                return error_set(err, -EPROTO, "asked to be worker '%s' but this is '%s'",
                                 h->worker, spec->name);
        return 0;
}

static void take_hello(struct worker *w, const Ecs__Hello *h)
{
        for (size_t i = 0; i < h->n_config; i++)
                config_set(w->config, h->config[i]->name, h->config[i]->value);
        for (size_t i = 0; i < h->n_listeners && i < WORKER_LISTENERS_MAX; i++) {
                struct worker_listener *l = &w->listeners[w->listener_count++];
                l->name = mem_strdup(h->listeners[i]->name);
                l->fd = (int)h->listeners[i]->fd;
                (void)fcntl(l->fd, F_SETFD, FD_CLOEXEC);
        }
        w->data_dir = mem_strdup(h->data_dir);
        w->run_dir = mem_strdup(h->run_dir);
        log_set_level(h->log_level <= LOG_LEVEL_DEBUG ? (enum log_level)h->log_level
                                                      : LOG_LEVEL_INFO);
        clock_set_scale(h->time_scale);
}

/* ---- main ---- */

static void print_help(const struct worker_spec *spec)
{
        (void)printf("ecs-%s: %s\n\n"
                     "This is a worker of the ECS agent. ecs-supervisor starts it, with its control\n"
                     "channel as descriptor 3 and its log channel as descriptor 4.\n"
                     "To run it under a debugger: ecsctl debug %s -- gdb --args\n\n"
                     "  --help     this text\n"
                     "  --version  the build\n",
                     spec->name, spec->summary, spec->name);
}

static int options(const struct worker_spec *spec, int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                if (strcmp(argv[i], "--help") == 0) {
                        print_help(spec);
                        return 0;
                }
                if (strcmp(argv[i], "--version") == 0) {
                        (void)printf("ecs-%s %s\n", spec->name, ECS_VERSION);
                        return 0;
                }
                (void)fprintf(stderr, "ecs-%s: unknown option '%s', see --help\n", spec->name,
                              argv[i]);
                return 1;
        }
        int type = 0;
        socklen_t size = sizeof type;
        if (getsockopt(WORKER_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
                (void)fprintf(stderr,
                              "ecs-%s is started by ecs-supervisor, not by hand: there is no "
                              "control channel on descriptor 3. See --help.\n",
                              spec->name);
                return 1;
        }
        return -1;
}

static void close_handle(uv_handle_t *h, void *arg)
{
        (void)arg;
        if (!uv_is_closing(h))
                uv_close(h, NULL);
}

static void destroy(struct worker *w)
{
        worker_links_close(w);
        for (size_t i = 0; i < w->peer_count; i++)
                ipc_connection_close(w->peers[i]->connection, "worker stops");
        if (w->control != NULL)
                ipc_connection_close(w->control, "worker stops");
        if (w->spec->destroy != NULL && w->state != NULL)
                w->spec->destroy(w->state);
        w->state = NULL;
        uv_walk(&w->loop, close_handle, NULL);
        (void)uv_run(&w->loop, UV_RUN_DEFAULT);
        worker_links_free(w);
        (void)uv_loop_close(&w->loop);
        for (size_t i = 0; i < w->listener_count; i++) {
                (void)close(w->listeners[i].fd);
                free(w->listeners[i].name);
        }
        config_free(w->config);
        free(w->data_dir);
        free(w->run_dir);
        free(w->last_state);
}

static void open_loop(struct worker *w)
{
        (void)uv_loop_init(&w->loop);
        (void)uv_timer_init(&w->loop, &w->deadline);
        w->deadline.data = w;
        struct ipc_connection_options o = {.peer = PEER_SUPERVISOR,
                                           .max_frame = IPC_FRAME_MAX_CONTROL,
                                           .handlers = worker_control_handlers,
                                           .context = w,
                                           .closed_arg = w,
                                           .log = &w->log,
                                           .on_close = on_control_closed};
        w->control = ipc_connection_new(&w->loop, WORKER_CONTROL_FD, &o);
}

static int start(struct worker *w, const Ecs__Hello *h)
{
        struct error err = {0};
        int r = check_hello(w->spec, h, &err);
        if (r == 0) {
                take_hello(w, h);
                r = worker_drop_privileges(h, &err);
        }
        if (r == 0) {
                open_loop(w);
                r = w->spec->start(w, &w->state, &err);
        }
        if (r < 0) {
                log_error(&w->log, "cannot start", LOG_STR("reason", err.text));
                w->exit_code = r == -ENOTRECOVERABLE ? 5 : 1;
        }
        return r;
}

int worker_main(const struct worker_spec *spec, int argc, char **argv)
{
        int code = options(spec, argc, argv);
        if (code >= 0)
                return code;
        struct worker w = {.spec = spec, .log = {.key = NULL}};
        struct buf first = {0};
        Ecs__Envelope *envelope = NULL;
        w.config = config_new();
        worker_prepare_process();
        worker_log_open();
        const Ecs__Hello *h = read_hello(&first, &envelope);
        if (h == NULL) {
                (void)fprintf(stderr, "ecs-%s: the supervisor sent no Hello\n", spec->name);
                _exit(1);
        }
        bool running = start(&w, h) >= 0;
        ecs__envelope__free_unpacked(envelope, NULL);
        explicit_bzero(first.data, first.size);
        buf_clear(&first);
        if (!running)
                _exit(w.exit_code);
        while (!w.finished)
                (void)uv_run(&w.loop, UV_RUN_ONCE);
        destroy(&w);
        worker_log_close();
        return w.exit_code;
}

/* ---- what workers call ---- */

uv_loop_t *worker_loop(struct worker *w)
{
        return &w->loop;
}

const struct config *worker_config(const struct worker *w)
{
        return w->config;
}

const struct log *worker_log(const struct worker *w)
{
        return &w->log;
}

const char *worker_data_dir(const struct worker *w)
{
        return w->data_dir;
}

const char *worker_run_dir(const struct worker *w)
{
        return w->run_dir;
}

int worker_listener(const struct worker *w, const char *name)
{
        for (size_t i = 0; i < w->listener_count; i++)
                if (strcmp(w->listeners[i].name, name) == 0)
                        return w->listeners[i].fd;
        return -1;
}

struct ipc_connection *worker_supervisor(struct worker *w)
{
        return w->control;
}

void worker_ready(struct worker *w)
{
        if (w->ready || w->control == NULL)
                return;
        w->ready = true;
        Ecs__Ready m = ECS__READY__INIT;
        m.pid = (uint32_t)getpid();
        Ecs__Envelope e = IPC_ENVELOPE(READY, ready, &m);
        (void)ipc_send_event(w->control, &e);
}

void worker_stopped(struct worker *w)
{
        w->finished = true;
        uv_stop(&w->loop);
}

void worker_state(struct worker *w, bool degraded, const char *text)
{
        cleanup_free char *now = mem_printf("%d%s", degraded, text);
        if (w->control == NULL || (w->last_state != NULL && strcmp(w->last_state, now) == 0))
                return;
        free(w->last_state);
        w->last_state = STEAL(now);
        Ecs__WorkerState m = ECS__WORKER_STATE__INIT;
        m.degraded = degraded;
        m.text = (char *)text;
        Ecs__Envelope e = IPC_ENVELOPE(WORKER_STATE, worker_state, &m);
        (void)ipc_send_event(w->control, &e);
}

void worker_event(struct worker *w, Ecs__AgentEvent *event)
{
        Ecs__Envelope e = IPC_ENVELOPE(AGENT_EVENT, agent_event, event);
        if (w->control != NULL)
                (void)ipc_send_event(w->control, &e);
}

void worker_exit(struct worker *w, int code)
{
        w->exit_code = code;
        begin_stop(w, ORPHAN_MS);
}

void worker_broadcast(struct worker *w, unsigned peers, Ecs__Envelope *e)
{
        for (size_t i = 0; i < w->peer_count; i++)
                if ((ipc_connection_peer(w->peers[i]->connection) & peers) != 0)
                        (void)ipc_send_event(w->peers[i]->connection, e);
}
