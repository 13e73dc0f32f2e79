/* process: runs the table, and holds the actions of its cells. A process's exit is seen through
 * SIGCHLD; its control connection ends by itself and is only forgotten here. */
#include "supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "config_table.h"
#include "mem.h"
#include "random.h"

#define READY_TIMEOUT_MS 30000
#define STOP_DEADLINE_MS 4000
#define PING_EVERY_MS    5000

const char *process_state_name(enum process_state st)
{
        static const char *const names[P_STATES] = {
                [P_STOPPED] = "stopped",   [P_STARTING] = "starting", [P_READY] = "ready",
                [P_STOPPING] = "stopping", [P_BACKOFF] = "backoff",   [P_DEBUG] = "debug",
        };
        return names[st];
}

void process_event(struct process *p, enum process_event e)
{
        const struct process_cell *cell = &process_cells[p->state][e];
        if (cell->next != p->state) {
                events_add_worker(p, p->state, cell->next);
                p->state = cell->next;
                p->since_ms = clock_now_ms();
        }
        cell->action(p);
        supervisor_changed(p->supervisor);
}

static void on_timer(uv_timer_t *t)
{
        process_event(t->data, E_TIMER);
}

void process_expect(struct process *p, uint64_t deadline_ms)
{
        (void)uv_timer_start(&p->timer, on_timer, deadline_ms, 0);
}

/* ---- the watchdog ---- */

static void on_pong(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct process *p = arg;
        (void)reply;
        if (fd >= 0)
                (void)close(fd);
        if (status == 0)
                watchdog_pong(&p->watchdog);
}

static void write_ping(struct process *p)
{
        Ecs__Ping m = ECS__PING__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(PING, ping, &m);
        /* one that lives on without its channel will never answer: that counts as missed */
        p->watchdog.open =
                p->control == NULL || ipc_send_request(p->control, &e, 0, on_pong, p) == 0;
}

static void on_ping(uv_timer_t *t)
{
        struct process *p = t->data;
        uint64_t now = clock_now_ms();
        enum watchdog_verdict v = watchdog_tick(&p->watchdog, now);
        log_tell_suppressed();
        p->watchdog.due_ms = now + clock_wait_ms(PING_EVERY_MS);
        if (v == WATCHDOG_PING)
                write_ping(p);
        if (v == WATCHDOG_ABORT) {
                log_error(&p->log_context, "worker does not answer, aborting it for its backtrace",
                          LOG_INT("pid", p->pid));
                (void)kill(p->pid, SIGABRT);
                (void)kill(p->pid, SIGCONT); /* a stopped process could not print it */
        }
        if (v == WATCHDOG_KILL) {
                log_error(&p->log_context, "worker does not even abort, killing it",
                          LOG_INT("pid", p->pid));
                (void)kill(p->pid, SIGKILL);
        }
}

/* ---- actions ---- */

void act_none(struct process *p)
{
        (void)p;
}

/* The old binary stays in use when there is no new one. */
static void reopen_binary(struct process *p)
{
        if (!p->reopen)
                return;
        p->reopen = false;
        int fd = spawn_open_binary(p->row->exec);
        if (fd < 0) {
                log_error(&p->log_context, "no new binary, keeping the old one",
                          LOG_STR("reason", strerror(-fd)));
                return;
        }
        (void)close(p->exec_fd);
        p->exec_fd = fd;
}

void act_spawn(struct process *p)
{
        p->watchdog = (struct watchdog){0};
        p->reached_ready = false;
        p->wanted_again = false;
        p->degraded = false;
        free(p->text);
        p->text = NULL;
        reopen_binary(p);
        int r = spawn_worker(p);
        if (r != 0) {
                log_error(&p->log_context, "cannot start worker", LOG_STR("reason", strerror(-r)));
                p->state = P_BACKOFF;
                p->death = DEATH_EXIT_1;
                act_backoff(p);
                return;
        }
        (void)uv_timer_start(&p->timer, on_timer, clock_wait_ms(READY_TIMEOUT_MS), 0);
}

void act_ready(struct process *p)
{
        (void)uv_timer_stop(&p->timer);
        if (p->state != P_DEBUG)
                (void)uv_timer_start(&p->ping, on_ping, clock_wait_ms(PING_EVERY_MS),
                                     clock_wait_ms(PING_EVERY_MS));
        p->reached_ready = true;
        p->ready_ms = clock_now_ms();
        log_info(&p->log_context, "worker is ready", LOG_INT("pid", p->pid));
        broker_peer_ready(p);
}

void act_stop(struct process *p)
{
        Ecs__Stop m = ECS__STOP__INIT;
        m.deadline_ms = STOP_DEADLINE_MS - 500;
        Ecs__Envelope e = IPC_ENVELOPE(STOP, stop, &m);
        p->wanted_again = false;
        (void)uv_timer_stop(&p->ping);
        (void)uv_timer_start(&p->timer, on_timer, STOP_DEADLINE_MS, 0);
        if ((p->control == NULL || ipc_send_event(p->control, &e) != 0) && p->pid > 0)
                (void)kill(p->pid, SIGKILL);
}

void act_stop_then_debug(struct process *p)
{
        act_stop(p);
}

void act_stop_then_start(struct process *p)
{
        act_stop(p);
        p->wanted_again = true;
}

void act_kill(struct process *p)
{
        log_warn(&p->log_context, "worker took too long, ending it hard", LOG_INT("pid", p->pid));
        if (p->supervisor->stopping && p->supervisor->exit_code == 0)
                p->supervisor->exit_code = EXIT_TERMINAL; /* the stop was no clean one: host.md 5 */
        if (!debug_kill(p) && p->pid > 0)
                (void)kill(p->pid, SIGKILL);
}

void act_cancel(struct process *p)
{
        (void)uv_timer_stop(&p->timer);
}

void act_exited(struct process *p)
{
        (void)uv_timer_stop(&p->timer);
        if (p->supervisor->stopping) {
                if (p->debug != NULL)
                        ipc_reply_error(STEAL(p->debug), -ESHUTDOWN, "the service is stopping");
                return;
        }
        if (p->debug != NULL)
                process_event(p, E_DEBUG);
        else if (p->wanted_again)
                process_event(p, E_START);
}

void act_backoff(struct process *p)
{
        uint64_t lived = p->reached_ready ? clock_now_ms() - p->ready_ms : 0;
        uint32_t wait = restart_wait_ms(&p->history, p->death, p->reached_ready, lived,
                                        random_unit());
        (void)uv_timer_stop(&p->ping);
        p->restarts++;
        (void)uv_timer_start(&p->timer, on_timer, clock_wait_ms(wait), 0);
}

/* ---- deaths ---- */

static void describe_exit(struct process *p, int status)
{
        if (WIFSIGNALED(status))
                (void)snprintf(p->last_exit, sizeof p->last_exit, "signal %d", WTERMSIG(status));
        else
                (void)snprintf(p->last_exit, sizeof p->last_exit, "exit %d", WEXITSTATUS(status));
}

static void exited(struct process *p, int status)
{
        struct supervisor *s = p->supervisor;
        bool wanted = p->state == P_STOPPING;
        describe_exit(p, status);
        p->death = death_of(status);
        if (p->control != NULL)
                ipc_connection_close(p->control, "worker exited");
        p->control = NULL;
        p->pid = 0;
        if (!wanted)
                log_warn(&p->log_context, "worker ended", LOG_STR("how", p->last_exit));
        p->reopen = p->reopen || p->death == DEATH_REOPEN;
        process_event(p, E_EXITED);
        /* only now: a stopping supervisor signals every process that seems to run */
        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_TERMINAL && !s->stopping)
                supervisor_stop(s, EXIT_TERMINAL);
}

/* As PID 1 of a container we also get the orphans of others; our own short-lived children are
 * waited for where they are made, before the loop runs again. A worker may end only now, too. */
static void reap_orphans(struct supervisor *s)
{
        pid_t pid;
        int status;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
                for (size_t i = 0; i < s->process_count; i++) {
                        struct process *p = &s->processes[i];
                        if (p->pid == pid && p->debugged == NULL)
                                exited(p, status);
                }
}

void process_reap(struct supervisor *s)
{
        for (size_t i = 0; i < s->process_count; i++) {
                struct process *p = &s->processes[i];
                int status;
                if (p->pid > 0 && waitpid(p->pid, &status, WNOHANG) == p->pid)
                        exited(p, status);
        }
        if (getpid() == 1)
                reap_orphans(s);
}
