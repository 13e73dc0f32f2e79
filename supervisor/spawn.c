/* spawn: makes one worker process: socketpairs, descriptors 3, 4, 5…, exec by descriptor, Hello.
 * Between fork and exec only async-signal-safe calls are made. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "config_parse.h"
#include "error.h"
#include "frame.h"
#include "mem.h"
#include "worker.h"

#define CONTROL_FD 3
#define LOG_FD     4

static char *const worker_environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                           (char *)"LC_ALL=C.UTF-8", NULL};

/* What the child needs open, in order of the descriptor it gets (3, 4, 5 …). */
struct child_fds {
        int fds[2 + LISTENERS];
        int count;
        int error;  /* becomes descriptor 2 */
};

static void run_child(struct process *p, const struct child_fds *c) __attribute__((noreturn));
static void run_child(struct process *p, const struct child_fds *c)
{
        int moved[2 + LISTENERS];
        for (int i = 0; i < c->count; i++)
                moved[i] = fcntl(c->fds[i], F_DUPFD, 100);
        for (int i = 0; i < c->count; i++)
                (void)dup2(moved[i], CONTROL_FD + i);
        (void)dup2(c->error, STDERR_FILENO);
        int null = open("/dev/null", O_RDWR);
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(c->error, STDOUT_FILENO);
        (void)close_range((unsigned)(CONTROL_FD + c->count), ~0U, CLOSE_RANGE_CLOEXEC);
        sigset_t none;
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        for (int n = 1; n < 32; n++)
                (void)signal(n, SIG_DFL);
        (void)setpgid(0, 0);
        char *argv[] = {(char *)p->row->exec, NULL};
        (void)syscall(SYS_execveat, p->exec_fd, "", argv, worker_environment, AT_EMPTY_PATH);
        _exit(127);
}

/* ---- Hello ---- */

struct pairs {
        Ecs__ConfigPair *pairs;
        Ecs__ConfigPair **list;
        size_t count;
};

static void take_pair(void *arg, const char *name, const char *value)
{
        struct pairs *ps = arg;
        ps->pairs = mem_realloc_array(ps->pairs, ps->count + 1, sizeof *ps->pairs);
        ecs__config_pair__init(&ps->pairs[ps->count]);
        ps->pairs[ps->count].name = (char *)name;
        ps->pairs[ps->count++].value = (char *)value;
}

static size_t fill_groups(struct process *p, uint32_t groups[4])
{
        struct supervisor *s = p->supervisor;
        struct stat st;
        size_t n = 0;
        groups[n++] = s->state_gid;
        const char *host = config_text(s->config, "DOCKER_HOST", "");
        if (p->row->docker && strncmp(host, "unix://", 7) == 0 && stat(host + 7, &st) == 0)
                groups[n++] = st.st_gid;
        return n;
}

static int send_hello(struct process *p)
{
        struct supervisor *s = p->supervisor;
        struct pairs ps = {0};
        struct config *own = config_for(s->config, p->row->recipient);
        Ecs__Hello h = ECS__HELLO__INIT;
        Ecs__Listener listeners[LISTENERS], *listener_list[LISTENERS];
        uint32_t groups[4];
        config_each(own, take_pair, &ps);
        ps.list = mem_alloc((ps.count + 1) * sizeof *ps.list);
        for (size_t i = 0; i < ps.count; i++)
                ps.list[i] = &ps.pairs[i];
        for (size_t i = 0; i < LISTENERS; i++) {
                if ((p->row->listens & 1u << i) == 0 || s->listeners[i] < 0)
                        continue;
                ecs__listener__init(&listeners[h.n_listeners]);
                listeners[h.n_listeners].name = (char *)listener_names[i];
                listeners[h.n_listeners].fd = (uint32_t)(LOG_FD + 1 + h.n_listeners);
                listener_list[h.n_listeners] = &listeners[h.n_listeners];
                h.n_listeners++;
        }
        h.protocol = ECS_PROTOCOL_VERSION;
        h.build = (char *)ECS_VERSION;
        h.worker = (char *)p->row->name;
        h.n_config = ps.count;
        h.config = ps.list;
        h.listeners = listener_list;
        h.data_dir = s->data_dir;
        h.run_dir = s->run_dir;
        h.log_level = LOG_LEVEL_DEBUG;
        while (h.log_level > 0 && !log_enabled((enum log_level)h.log_level))
                h.log_level--;
        h.time_scale = clock_scale();
        if (s->root) {
                h.uid = p->uid;
                h.gid = p->gid;
                h.n_groups = fill_groups(p, groups);
                h.groups = groups;
        }
        Ecs__Envelope e = IPC_ENVELOPE(HELLO, hello, &h);
        int r = ipc_send_event(p->control, &e);
        free(ps.list);
        free(ps.pairs);
        config_free(own);
        return r;
}

/* ---- messages of the worker ---- */

static void handle_ready(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        (void)r;
        (void)m;
        process_event(context, E_READY);
}

static void handle_worker_state(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct process *p = context;
        (void)r;
        free(p->text);
        p->text = mem_strdup(m->worker_state->text);
        p->degraded = m->worker_state->degraded;
        supervisor_changed(p->supervisor);
}

static void handle_connect(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct process *p = context;
        broker_connect(p->supervisor, r, p->row->peer, m->connect->peer);
}

#define PEER_WORKERS (PEER_BACKEND | PEER_ENGINE | PEER_METADATA | PEER_LOCAL)

static const struct ipc_handler worker_handlers[IPC_BODY_MAX] = {
        [ECS__ENVELOPE__BODY_READY] = {handle_ready, PEER_WORKERS, WHEN_ANY},
        [ECS__ENVELOPE__BODY_WORKER_STATE] = {handle_worker_state, PEER_WORKERS, WHEN_ANY},
        [ECS__ENVELOPE__BODY_CONNECT] = {handle_connect, PEER_WORKERS, WHEN_ANY},
        [ECS__ENVELOPE__BODY_GET_HOST_INVENTORY] = {handle_get_host_inventory, PEER_BACKEND,
                                                    WHEN_ANY},
};

static void on_control_closed(void *arg, struct ipc_connection *c, const char *reason)
{
        struct process *p = arg;
        (void)reason;
        if (p->control == c)
                p->control = NULL;
}

/* ---- public ---- */

static int make_pairs(int control[2], int log[2], int error[2])
{
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0)
                return -errno;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, log) != 0)
                return -errno;
        if (pipe2(error, O_CLOEXEC) != 0)
                return -errno;
        return 0;
}

static void close_pair(int pair[2])
{
        for (int i = 0; i < 2; i++)
                if (pair[i] >= 0)
                        (void)close(pair[i]);
}

static void collect(const struct process *p, int control, int log, int error, struct child_fds *c)
{
        *c = (struct child_fds){.fds = {control, log}, .count = 2, .error = error};
        for (size_t i = 0; i < LISTENERS; i++)
                if ((p->row->listens & 1u << i) != 0 && p->supervisor->listeners[i] >= 0)
                        c->fds[c->count++] = p->supervisor->listeners[i];
}

int spawn_worker(struct process *p)
{
        struct supervisor *s = p->supervisor;
        int control[2] = {-1, -1}, log[2] = {-1, -1}, error[2] = {-1, -1};
        struct child_fds c;
        int r = make_pairs(control, log, error);
        pid_t pid = -1;
        if (r == 0) {
                collect(p, control[1], log[1], error[1], &c);
                pid = fork();
                r = pid < 0 ? -errno : 0;
        }
        if (pid == 0)
                run_child(p, &c);
        if (r != 0) {
                close_pair(control);
                close_pair(log);
                close_pair(error);
                return r;
        }
        (void)close(control[1]);
        (void)close(log[1]);
        (void)close(error[1]);
        p->pid = pid;
        struct ipc_connection_options o = {.peer = p->row->peer,
                                           .max_frame = IPC_FRAME_MAX_CONTROL,
                                           .handlers = worker_handlers,
                                           .context = p,
                                           .closed_arg = p,
                                           .log = &p->log_context,
                                           .on_close = on_control_closed};
        p->control = ipc_connection_new(&s->loop, control[0], &o);
        (void)log_source_new(s, p->row->name, log[0], true);
        (void)log_source_new(s, p->row->name, error[0], false);
        return send_hello(p);
}
