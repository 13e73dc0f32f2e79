/* spawn: makes one worker process: socketpairs, descriptors 3, 4, 5…, exec by descriptor, Hello.
 * Between fork and exec only async-signal-safe calls are made. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

static void run_child(struct process *p, const struct child_fds *c) __attribute__((noreturn));
static void run_child(struct process *p, const struct child_fds *c)
{
        int moved[2 + LISTENERS];
        for (size_t i = 0; i < c->count; i++)
                moved[i] = fcntl(c->fds[i], F_DUPFD, 100);
        for (size_t i = 0; i < c->count; i++)
                (void)dup2(moved[i], CONTROL_FD + (int)i);
        (void)dup2(c->error, STDERR_FILENO);
        int null = open("/dev/null", O_RDWR);
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(c->error, STDOUT_FILENO);
        (void)close_range((unsigned)CONTROL_FD + (unsigned)c->count, ~0U, CLOSE_RANGE_CLOEXEC);
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
        gid_t docker;
        size_t n = 0;
        groups[n++] = s->state_gid;
        /* never group root: then the engine asks for connected sockets instead */
        if (p->row->docker && docker_socket_group(s, &docker) && docker != 0)
                groups[n++] = docker;
        return n;
}

size_t spawn_listeners(const struct process *p, Ecs__Listener *ret, Ecs__Listener **ret_list)
{
        size_t n = 0;
        for (size_t i = 0; i < LISTENERS; i++) {
                if ((p->row->listens & 1u << i) == 0 || p->supervisor->listeners[i] < 0)
                        continue;
                ecs__listener__init(&ret[n]);
                ret[n].name = (char *)listener_names[i];
                ret[n].fd = (uint32_t)(LOG_FD + 1 + n);
                ret_list[n] = &ret[n];
                n++;
        }
        return n;
}

static int send_hello(struct process *p, bool debug)
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
        h.protocol = ECS_PROTOCOL_VERSION;
        h.build = (char *)ECS_VERSION;
        h.worker = (char *)p->row->name;
        h.n_config = ps.count;
        h.config = ps.list;
        h.n_listeners = spawn_listeners(p, listeners, listener_list);
        h.listeners = listener_list;
        h.data_dir = s->data_dir;
        h.run_dir = s->run_dir;
        h.log_level = (uint32_t)log_writer_level(s, p->row->name);
        h.time_scale = clock_scale();
        h.debug = debug;
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
        struct process *p = context;
        (void)r;
        if (p->state == P_DEBUG)
                debug_note_pid(p, (pid_t)m->ready->pid);
        process_event(p, E_READY);
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

const struct ipc_handler supervisor_worker_handlers[IPC_BODY_MAX] = {
        [ECS__ENVELOPE__BODY_READY] = {handle_ready, PEER_WORKERS, WHEN_ANY},
        [ECS__ENVELOPE__BODY_WORKER_STATE] = {handle_worker_state, PEER_WORKERS, WHEN_ANY},
        [ECS__ENVELOPE__BODY_CONNECT] = {handle_connect, PEER_WORKERS, WHEN_ANY},
        [ECS__ENVELOPE__BODY_GET_HOST_INVENTORY] = {handle_get_host_inventory, PEER_BACKEND,
                                                    WHEN_ANY},
        [ECS__ENVELOPE__BODY_AGENT_EVENT] = {handle_agent_event, PEER_WORKERS, WHEN_ANY},
        [ECS__ENVELOPE__BODY_AUDIT_LINE] = {handle_audit_line, PEER_METADATA, WHEN_ANY},
        [ECS__ENVELOPE__BODY_DOCKER_SOCKET] = {handle_docker_socket, PEER_ENGINE, WHEN_ANY},
        [ECS__ENVELOPE__BODY_TASK_CGROUP] = {handle_task_cgroup, PEER_ENGINE, WHEN_ANY},
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

void spawn_close_channels(struct child_fds *c)
{
        (void)close(c->fds[0]);
        (void)close(c->fds[1]);
        (void)close(c->error);
}

int spawn_open_channels(struct process *p, bool debug, struct child_fds *c)
{
        struct supervisor *s = p->supervisor;
        int control[2] = {-1, -1}, log[2] = {-1, -1}, error[2] = {-1, -1};
        int r = make_pairs(control, log, error);
        if (r != 0) {
                close_pair(control);
                close_pair(log);
                close_pair(error);
                return r;
        }
        collect(p, control[1], log[1], error[1], c);
        struct ipc_connection_options o = {.peer = p->row->peer,
                                           .max_frame = IPC_FRAME_MAX_CONTROL,
                                           .handlers = supervisor_worker_handlers,
                                           .context = p,
                                           .strict = true,
                                           .closed_arg = p,
                                           .log = &p->log_context,
                                           .on_close = on_control_closed};
        p->control = ipc_connection_new(&s->loop, control[0], &o);
        (void)log_source_new(s, p->row->name, log[0], true);
        (void)log_source_new(s, p->row->name, error[0], false);
        r = send_hello(p, debug);
        if (r != 0) {
                ipc_connection_close(p->control, "Hello was not sent");
                p->control = NULL;
                spawn_close_channels(c);
        }
        return r;
}

int spawn_worker(struct process *p)
{
        struct child_fds c;
        int r = spawn_open_channels(p, false, &c);
        if (r != 0)
                return r;
        pid_t pid = fork();
        if (pid == 0)
                run_child(p, &c);
        r = pid < 0 ? -errno : 0;
        spawn_close_channels(&c);
        if (r == 0) {
                p->pid = pid;
                takeover_note_workers(p->supervisor);
        } else {
                        ipc_connection_close(STEAL(p->control), "fork failed");
        }
        return r;
}

/* Beside the supervisor's own binary, else in the libexec folder of the same prefix. */
int spawn_open_binary(const char *name)
{
        static const char *const places[] = {"", "../libexec/ecs-agent/", "../lib/ecs-agent/"};
        char self[4096];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        if (n <= 0)
                return -errno;
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                cleanup_free char *path = mem_printf("%s/%s%s", self, places[i], name);
                int fd = open(path, O_PATH | O_CLOEXEC);
                if (fd >= 0)
                        return fd;
        }
        return -ENOENT;
}
