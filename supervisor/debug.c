/* debug: lends a worker's slot to 'ecsctl debug'. The supervised worker stops first; then ecsctl
 * gets the descriptors a worker is started with, and runs it under whatever it likes. We keep our
 * ends, so peers see an ordinary worker. No ping: a halted worker is the point of it.
 * When ecsctl's connection closes, the control channel is closed too, which ends the debugged
 * worker within 2 s; one that is halted then is killed. The supervised one is started after it. */
#include "supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "mem.h"

#define ORPHAN_MS 2500 /* a little more than a worker takes that lost its supervisor */

struct debugged {
        uv_poll_t poll;
        int fd;  /* pidfd */
        struct process *process;
};

/* ---- the process in the slot: not our child ---- */

static void on_poll_closed(uv_handle_t *h)
{
        struct debugged *d = h->data;
        (void)close(d->fd);
        free(d);
}

static void on_debugged_exit(uv_poll_t *h, int status, int events)
{
        struct debugged *d = h->data;
        struct process *p = d->process;
        (void)status;
        (void)events;
        p->debugged = NULL;
        p->pid = 0;
        uv_close((uv_handle_t *)h, on_poll_closed);
        if (p->state == P_STOPPING)
                process_event(p, E_EXITED);
}

void debug_note_pid(struct process *p, pid_t pid)
{
        int fd = pid > 1 && p->debugged == NULL ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
        if (fd < 0)
                return;
        if (!takeover_is_program(pid, p->row->exec)) {
                (void)close(fd);
                return;
        }
        struct debugged *d = mem_zalloc(sizeof *d);
        d->fd = fd;
        d->process = p;
        (void)uv_poll_init(&p->supervisor->loop, &d->poll, fd);
        d->poll.data = d;
        (void)uv_poll_start(&d->poll, UV_READABLE, on_debugged_exit);
        p->debugged = d;
        p->pid = pid;
        takeover_note_workers(p->supervisor);
}

bool debug_kill(struct process *p)
{
        return p->debugged != NULL &&
               syscall(SYS_pidfd_send_signal, p->debugged->fd, SIGKILL, NULL, 0) == 0;
}

/* Goes on when the debugged process has ended; at once where it never said who it is, for then it
 * has not been ready, and finds the database locked if it comes late. */
static void await_end(struct process *p)
{
        if (p->debugged == NULL)
                process_event(p, E_EXITED);
        else
                process_expect(p, ORPHAN_MS);
}

/* ---- the slot ---- */

static void close_slot(struct process *p)
{
        if (p->control != NULL)
                ipc_connection_close(p->control, "the debugged worker's slot is taken back");
        p->control = NULL;
        p->debugger = NULL;
}

void debug_request(struct process *p, struct ipc_request *r)
{
        if (p->debug != NULL || p->state == P_DEBUG || p->supervisor->stopping) {
                ipc_reply_error(r, -EBUSY,
                                p->supervisor->stopping ? "the service is stopping"
                                                        : "somebody debugs this worker already");
                return;
        }
        p->debug = r;
        process_event(p, E_DEBUG);
}

static int executable_path(const struct process *p, char *buffer, size_t size)
{
        cleanup_free char *link = mem_printf("/proc/self/fd/%d", p->exec_fd);
        ssize_t n = readlink(link, buffer, size - 1);
        if (n < 0)
                return -errno;
        buffer[n] = '\0';
        return 0;
}

/* The slot is free: hands it over, or starts the supervised worker again. */
void act_debug(struct process *p)
{
        struct ipc_request *r = STEAL(p->debug);
        struct child_fds c;
        char executable[4096];
        (void)uv_timer_stop(&p->timer);
        p->reached_ready = false;
        p->wanted_again = false;
        p->debugger = ipc_request_connection(r);
        int error = p->debugger == NULL ? -ECONNRESET : executable_path(p, executable, sizeof executable);
        if (error == 0)
                error = spawn_open_channels(p, true, &c);
        if (error != 0) {
                ipc_reply_error(r, error, "the worker's channels cannot be made");
                p->state = P_STOPPED;
                process_event(p, E_START);
                return;
        }
        Ecs__Listener listeners[LISTENERS], *list[LISTENERS];
        Ecs__CtlDebugReply reply = ECS__CTL_DEBUG_REPLY__INIT;
        reply.executable = executable;
        reply.n_listeners = spawn_listeners(p, listeners, list);
        reply.listeners = list;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_DEBUG_REPLY, ctl_debug_reply, &reply);
        log_info(&p->log_context, "worker is lent to 'ecsctl debug'");
        ipc_reply_fds(r, &e, c.fds, c.count);
        spawn_close_channels(&c);
}

/* Stopped by hand or by the service's end: the debugged worker is told, and ends by itself. */
void act_debug_end(struct process *p)
{
        Ecs__Stop m = ECS__STOP__INIT;
        m.deadline_ms = 2000;
        Ecs__Envelope e = IPC_ENVELOPE(STOP, stop, &m);
        if (p->control != NULL)
                (void)ipc_send_event(p->control, &e);
        close_slot(p);
        p->wanted_again = false;
        await_end(p);
}

void act_debug_over(struct process *p)
{
        log_info(&p->log_context, "worker comes back from 'ecsctl debug'");
        close_slot(p);
        p->wanted_again = true;
        await_end(p);
}

void debug_connection_closed(struct supervisor *s, const struct ipc_connection *c)
{
        for (size_t i = 0; i < s->process_count; i++) {
                struct process *p = &s->processes[i];
                if (p->debugger == c && p->state == P_DEBUG)
                        process_event(p, E_EXITED);
        }
}
