/* control: the control socket. Looking needs to be able to open the socket (group ecs-operators);
 * changing needs uid 0 or the user the supervisor runs as. */
#include "supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "frame.h"
#include "mem.h"

#define NOTICES_MAX 32
#define LOOKERS_MAX 64 /* so that operators cannot use up the descriptors */

#define QUEUE_MAX (2u << 20) /* not yet read by one ecsctl */

struct control_socket {
        uv_poll_t poll;
        int fd;
        char *path;
        unsigned lookers;   /* connections that may only look */
        struct held *held;  /* changes that wait for a worker's state */
};

struct held {
        struct held *next;
        struct ipc_request *request;
        struct process *process;
        enum process_state wanted;
};

/* ---- looking ---- */

static void fill_worker(const struct process *p, Ecs__WorkerStatus *w)
{
        ecs__worker_status__init(w);
        w->name = (char *)p->row->name;
        w->state = (char *)process_state_name(p->state);
        w->pid = (uint32_t)p->pid;
        w->restarts = p->restarts;
        w->since_ms = clock_now_ms() - p->since_ms;
        w->degraded = p->degraded;
        w->text = p->text != NULL ? p->text : (char *)"";
        w->last_exit = (char *)p->last_exit;
}

static void handle_status(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct supervisor *s = context;
        Ecs__WorkerStatus workers[16], *list[16];
        (void)m;
        Ecs__CtlStatusReply reply = ECS__CTL_STATUS_REPLY__INIT;
        for (size_t i = 0; i < s->process_count && i < ARRAY_SIZE(workers); i++) {
                fill_worker(&s->processes[i], &workers[i]);
                list[i] = &workers[i];
                reply.n_workers++;
        }
        cleanup_free char *endpoint =
                mem_printf("http://127.0.0.1:%lld",
                           (long long)config_int(s->config, "ECS_LOCAL_PORT", 51670));
        reply.workers = list;
        reply.version = (char *)ECS_VERSION;
        reply.uptime_ms = clock_now_ms() - s->started_ms;
        reply.local_mode = s->options.local;
        reply.local_endpoint = s->options.local ? endpoint : (char *)"";
        reply.data_dir = s->data_dir;
        reply.region = s->region;
        reply.cluster = (char *)config_text(s->config, "ECS_CLUSTER", "");
        char *notices[NOTICES_MAX];
        for (const struct notice *n = s->notices; n != NULL && reply.n_notices < NOTICES_MAX;
             n = n->next)
                notices[reply.n_notices++] = n->text;
        reply.notices = notices;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_STATUS_REPLY, ctl_status_reply, &reply);
        ipc_reply(r, &e);
}

static void handle_connect(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        broker_connect(context, r, ipc_request_peer(r), m->connect->peer);
}

/* ---- changing ---- */

#define NO_WORKER "no such worker; see 'ecsctl status' for their names"

static void answer_done(struct ipc_request *r)
{
        Ecs__CtlDone done = ECS__CTL_DONE__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_DONE, ctl_done, &done);
        ipc_reply(r, &e);
}

/* worker: a name, or "all". False when there is none of that name. */
static bool set_level(struct supervisor *s, const char *worker, uint32_t level)
{
        bool all = strcmp(worker, "all") == 0;
        bool found = all;
        if (level > LOG_LEVEL_DEBUG)
                return false;
        for (size_t i = 0; i < s->process_count; i++) {
                struct process *p = &s->processes[i];
                if (!all && strcmp(worker, p->row->name) != 0)
                        continue;
                found = true;
                log_writer_override(s, p->row->name, (enum log_level)level);
                Ecs__LogLevel told = ECS__LOG_LEVEL__INIT;
                told.level = (uint32_t)log_writer_level(s, p->row->name);
                Ecs__Envelope e = IPC_ENVELOPE(LOG_LEVEL, log_level, &told);
                if (p->control != NULL)
                        (void)ipc_send_event(p->control, &e);
        }
        if (all || strcmp(worker, "supervisor") == 0) {
                log_writer_override(s, "supervisor", (enum log_level)level);
                found = true;
        }
        return found;
}

/* A later change of the same worker ends the waiting of an earlier one. */
static void overtake(struct supervisor *s, const struct process *p)
{
        for (struct held **at = &s->control->held; *at != NULL;) {
                struct held *h = *at;
                if (h->process != p) {
                        at = &h->next;
                        continue;
                }
                *at = h->next;
                ipc_reply_error(h->request, -ECANCELED, "another change of this worker came after");
                free(h);
        }
}

static void handle_debug(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct process *p = supervisor_find(context, m->ctl_debug->worker);
        if (p == NULL)
                ipc_reply_error(r, -ENOENT, NO_WORKER);
        else
                debug_request(p, r);
}

static void handle_worker(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        static const struct {
                enum process_event event;
                enum process_state wanted;
        } actions[] = {
                [ECS__CTL_WORKER__ACTION__START] = {E_START, P_READY},
                [ECS__CTL_WORKER__ACTION__STOP] = {E_STOP, P_STOPPED},
                [ECS__CTL_WORKER__ACTION__RESTART] = {E_RESTART, P_READY},
        };
        struct supervisor *s = context;
        const Ecs__CtlWorker *c = m->ctl_worker;
        if (c->action == ECS__CTL_WORKER__ACTION__LOGLEVEL) {
                if (set_level(s, c->worker, c->level))
                        answer_done(r);
                else
                        ipc_reply_error(r, -ENOENT, NO_WORKER);
                return;
        }
        struct process *p = supervisor_find(s, c->worker);
        if (p == NULL || c->action < ECS__CTL_WORKER__ACTION__START ||
            c->action > ECS__CTL_WORKER__ACTION__RESTART) {
                ipc_reply_error(r, -ENOENT, NO_WORKER);
                return;
        }
        overtake(s, p);
        p->reopen = p->reopen || c->reopen;
        struct held *h = mem_zalloc(sizeof *h);
        *h = (struct held){.next = s->control->held,
                           .request = r,
                           .process = p,
                           .wanted = actions[c->action].wanted};
        s->control->held = h;
        process_event(p, actions[c->action].event);
}

/* Answers the changes whose worker has got where it should. */
static void answer_held(struct supervisor *s)
{
        for (struct held **at = &s->control->held; *at != NULL;) {
                struct held *h = *at;
                if (h->process->state != h->wanted) {
                        at = &h->next;
                        continue;
                }
                *at = h->next;
                answer_done(h->request);
                free(h);
        }
}

#define CTL_ALL (PEER_CTL | PEER_CTL_ROOT)
const struct ipc_handler supervisor_ctl_handlers[IPC_BODY_MAX] = {
        [ECS__ENVELOPE__BODY_CTL_STATUS] = {handle_status, CTL_ALL, WHEN_ANY},
        [ECS__ENVELOPE__BODY_CTL_CONFIG] = {handle_config, CTL_ALL, WHEN_ANY},
        [ECS__ENVELOPE__BODY_CTL_EVENTS] = {handle_ctl_events, CTL_ALL, WHEN_ANY},
        [ECS__ENVELOPE__BODY_CONNECT] = {handle_connect, CTL_ALL, WHEN_ANY},
        [ECS__ENVELOPE__BODY_CTL_WORKER] = {handle_worker, PEER_CTL_ROOT, WHEN_ANY},
        [ECS__ENVELOPE__BODY_CTL_DEBUG] = {handle_debug, PEER_CTL_ROOT, WHEN_ANY},
};

/* ---- the socket ---- */

static void on_connection_closed(void *arg, struct ipc_connection *c, const char *reason)
{
        struct supervisor *s = arg;
        (void)reason;
        if (s->control != NULL && ipc_connection_peer(c) == PEER_CTL)
                s->control->lookers--;
        debug_connection_closed(arg, c);
        events_connection_closed(arg, c);
}

static void on_accept(uv_poll_t *h, int status, int events)
{
        struct supervisor *s = h->data;
        struct ucred who;
        socklen_t size = sizeof who;
        (void)events;
        if (status < 0)
                return;
        int fd = accept4(s->control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
                return;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) {
                (void)close(fd);
                return;
        }
        bool may_change = who.uid == 0 || who.uid == geteuid();
        if (!may_change && s->control->lookers == LOOKERS_MAX) {
                (void)close(fd);
                return;
        }
        s->control->lookers += !may_change;
        struct ipc_connection_options o = {.peer = may_change ? PEER_CTL_ROOT : PEER_CTL,
                                           .max_frame = IPC_FRAME_MAX_CONTROL,
                                           .max_queue = QUEUE_MAX,
                                           .handlers = supervisor_ctl_handlers,
                                           .context = s,
                                           .closed_arg = s,
                                           .on_close = on_connection_closed};
        (void)ipc_connection_new(&s->loop, fd, &o);
}

static int bind_path(const struct supervisor *s, const char *path, struct error *err)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof a.sun_path)
                return error_set(err, -ENAMETOOLONG, "the path %s is too long for a socket", path);
        memcpy(a.sun_path, path, strlen(path) + 1);
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)unlink(path);
        if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || chmod(path, 0660) != 0 ||
            (s->root && chown(path, 0, s->operators_gid) != 0) || listen(fd, 32) != 0)
                return error_set(err, -errno, "cannot open the control socket %s: %s", path,
                                 strerror(errno));
        return steal_fd(&fd);
}

int control_open(struct supervisor *s, struct error *err)
{
        cleanup_free char *path = mem_printf("%s/control.sock", s->run_dir);
        int fd = bind_path(s, path, err);
        if (fd < 0)
                return fd;
        struct control_socket *c = mem_zalloc(sizeof *c);
        c->fd = fd;
        c->path = STEAL(path);
        (void)uv_poll_init(&s->loop, &c->poll, fd);
        c->poll.data = s;
        (void)uv_poll_start(&c->poll, UV_READABLE, on_accept);
        s->control = c;
        return 0;
}

static void on_closed(uv_handle_t *h)
{
        struct control_socket *c = CONTAINER_OF(h, struct control_socket, poll);
        (void)close(c->fd);
        free(c->path);
        free(c);
}

void control_close(struct supervisor *s)
{
        if (s->control == NULL)
                return;
        (void)unlink(s->control->path);
        while (s->control->held != NULL) {
                struct held *h = s->control->held;
                s->control->held = h->next;
                ipc_reply_error(h->request, -ESHUTDOWN, "the service is stopping");
                free(h);
        }
        uv_close((uv_handle_t *)&s->control->poll, on_closed);
        s->control = NULL;
}

void control_changed(struct supervisor *s)
{
        if (s->control != NULL)
                answer_held(s);
}
