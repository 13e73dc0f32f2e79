/* supervisor: start, stop, and the answers to "is it up?". Order of start: settings, control
 * socket, host rules, listeners, workers. Order of stop: backend first, so that nothing new comes
 * in while the others finish; then all at once; then the rules. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "mem.h"

#define STOP_ALL_MS 9000

struct process *supervisor_find(struct supervisor *s, const char *name)
{
        for (size_t i = 0; i < s->process_count; i++)
                if (strcmp(s->processes[i].row->name, name) == 0)
                        return &s->processes[i];
        return NULL;
}

/* ---- what systemd is told ---- */

static void notify(struct supervisor *s)
{
        bool all_ready = true;
        const char *degraded = NULL;
        for (const struct notice *n = s->notices; n != NULL; n = n->next)
                if (n->passing)
                        degraded = n->text;
        for (size_t i = 0; i < s->process_count; i++) {
                const struct process *p = &s->processes[i];
                all_ready = all_ready && p->state == P_READY;
                if (p->degraded && p->text != NULL)
                        degraded = p->text;
        }
        if (s->stopping)
                return;
        (void)sd_notifyf(0, "STATUS=%s%s",
                         degraded != NULL ? "degraded: "
                         : all_ready      ? "running"
                                          : "workers are starting",
                         degraded != NULL ? degraded : "");
        if (all_ready && !s->announced) {
                s->announced = true;
                (void)sd_notify(0, "READY=1");
                log_info(NULL, "all workers are ready",
                         LOG_INT("after_ms", clock_now_ms() - s->started_ms));
        }
}

/* ---- stop ---- */

static bool any_runs(const struct supervisor *s, bool first)
{
        for (size_t i = 0; i < s->process_count; i++)
                if (s->processes[i].row->stops_first == first && s->processes[i].state != P_STOPPED)
                        return true;
        return false;
}

static void stop_those(struct supervisor *s, bool first)
{
        for (size_t i = 0; i < s->process_count; i++) {
                struct process *p = &s->processes[i];
                if (p->row->stops_first == first && p->state != P_STOPPED && p->state != P_STOPPING)
                        process_event(p, E_STOP);
        }
}

/* Called at each state change of a stopping service; a worker's event may bring us here again. */
static void stop_on(struct supervisor *s)
{
        if (any_runs(s, true))
                return;
        stop_those(s, false);
        if (!any_runs(s, false))
                uv_stop(&s->loop);
}

void supervisor_changed(struct supervisor *s)
{
        notify(s);
        control_changed(s);
        if (s->stopping)
                stop_on(s);
}

static void on_stop_timer(uv_timer_t *t)
{
        struct supervisor *s = t->data;
        log_error(NULL, "workers did not stop in time, ending them");
        if (s->exit_code == 0)
                s->exit_code = EXIT_TERMINAL;
        for (size_t i = 0; i < s->process_count; i++)
                if (s->processes[i].pid > 0)
                        (void)kill(s->processes[i].pid, SIGKILL);
        uv_stop(&s->loop);
}

void supervisor_stop(struct supervisor *s, int exit_code)
{
        if (s->stopping)
                return;
        s->stopping = true;
        s->exit_code = exit_code;
        (void)sd_notify(0, "STOPPING=1");
        log_info(NULL, "stopping; containers keep running");
        (void)uv_timer_start(&s->stop_timer, on_stop_timer, STOP_ALL_MS, 0);
        stop_those(s, true);
        stop_on(s);
}

bool supervisor_goes_on(struct supervisor *s)
{
        (void)uv_run(&s->loop, UV_RUN_NOWAIT);
        return !s->stopping;
}

/* ---- signals ---- */

static void on_child(uv_signal_t *h, int number)
{
        (void)number;
        process_reap(h->data);
}

static void on_term(uv_signal_t *h, int number)
{
        log_info(NULL, "signal received", LOG_INT("signal", number));
        supervisor_stop(h->data, 0);
}

static void on_usr1(uv_signal_t *h, int number)
{
        struct supervisor *s = h->data;
        (void)number;
        log_info(NULL, "state of the supervisor", LOG_INT("up_ms", clock_now_ms() - s->started_ms),
                 LOG_INT("log_queued", log_writer_queued(s)));
        for (const struct notice *n = s->notices; n != NULL; n = n->next)
                log_info(NULL, "notice holds", LOG_STR("text", n->text));
        for (size_t i = 0; i < s->process_count; i++) {
                const struct process *p = &s->processes[i];
                log_info(&p->log_context, "state of the worker",
                         LOG_STR("state", process_state_name(p->state)), LOG_INT("pid", p->pid),
                         LOG_INT("since_ms", clock_now_ms() - p->since_ms),
                         LOG_INT("restarts", p->restarts),
                         LOG_INT("missed_pings", p->watchdog.missed),
                         LOG_STR("last_exit", p->last_exit),
                         LOG_STR("text", p->text != NULL ? p->text : ""));
        }
}

static void open_signals(struct supervisor *s)
{
        static const struct {
                int number;
                uv_signal_cb fn;
        } wanted[] = {
                {SIGCHLD, on_child},
                {SIGTERM, on_term },
                {SIGINT,  on_term },
                {SIGUSR1, on_usr1 }
        };
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
                (void)uv_signal_init(&s->loop, &s->signals[i]);
                s->signals[i].data = s;
                (void)uv_signal_start(&s->signals[i], wanted[i].fn, wanted[i].number);
        }
        (void)signal(SIGPIPE, SIG_IGN);
}

/* ---- start ---- */

static int make_processes(struct supervisor *s, struct error *err)
{
        s->processes = mem_zalloc(worker_row_count * sizeof *s->processes);
        for (size_t i = 0; i < worker_row_count; i++) {
                const struct worker_row *row = &worker_rows[i];
                if (row->local_only && !s->options.local)
                        continue;
                struct process *p = &s->processes[s->process_count++];
                *p = (struct process){
                        .supervisor = s,
                        .row = row,
                        .log_context = {.key = "process", .value = row->name},
                        .exec_fd = spawn_open_binary(row->exec)
                };
                if (p->exec_fd < 0)
                        return error_set(err, -ENOENT,
                                         "%s is neither beside ecs-supervisor nor in "
                                         "libexec/ecs-agent: install the package again",
                                         row->exec);
                (void)uv_timer_init(&s->loop, &p->timer);
                (void)uv_timer_init(&s->loop, &p->ping);
                p->timer.data = p->ping.data = p;
        }
        return 0;
}

/* Ours have other names, so that both agents find their own after a change back. */
static void note_official_state(struct supervisor *s)
{
        cleanup_free char *path = mem_printf("%s/agent.db", s->data_dir);
        if (access(path, F_OK) == 0)
                notice_set(s, "official state", false,
                           mem_printf("%s is the official agent's state: it is left untouched, and "
                                      "the tasks in it are not taken over",
                                      path));
}

static void on_systemd_watchdog(uv_timer_t *t)
{
        (void)t;
        (void)sd_notify(0, "WATCHDOG=1");
}

/* Twice as often as systemd asks for. */
static void open_systemd_watchdog(struct supervisor *s)
{
        uint64_t every_us = 0;
        (void)uv_timer_init(&s->loop, &s->systemd_watchdog);
        if (sd_watchdog_enabled(0, &every_us) > 0)
                (void)uv_timer_start(&s->systemd_watchdog, on_systemd_watchdog, 0, every_us / 2000);
}

/* What will not get better by itself ends with 5, so that systemd does not try again. */
static int exit_code_of(int r)
{
        return r == -EEXIST || r == -EBUSY || r == -ESTALE ? 5 : 1;
}

static int start(struct supervisor *s, struct error *err)
{
        int r = rival_check("/proc", err);
        if (r == 0)
                r = make_processes(s, err);
        if (r == 0)
                r = settings_load(s, err);
        if (r == 0 && supervisor_goes_on(s))
                r = task_cgroup_decide(s, err);
        if (r == 0 && supervisor_goes_on(s))
                r = control_open(s, err);
        if (r != 0 || s->stopping)
                return r;
        r = host_rules_apply(s, err);
        s->guarded = r == 0;
        if (r != 0) {
                notice_set(s, "host rules", false,
                           mem_printf("host rules are missing: %s; port 51678 listens on loopback "
                                      "only",
                                      err->text));
                r = 0;
        }
        listeners_open(s); /* now that the guard of the introspection port stands, or does not */
        note_official_state(s);
        open_systemd_watchdog(s);
        for (size_t i = 0; i < s->process_count; i++)
                process_event(&s->processes[i], E_START);
        return r;
}

static void close_handle(uv_handle_t *h, void *arg)
{
        (void)arg;
        if (!uv_is_closing(h))
                uv_close(h, NULL);
}

/* False when the log still hangs in a write: then nothing of it may be freed. */
static bool release(struct supervisor *s)
{
        control_close(s);
        listeners_close(s);
        task_cgroup_end_all(s);
        for (size_t i = 0; i < s->process_count; i++) {
                struct process *p = &s->processes[i];
                broker_drop(p);
                if (p->control != NULL)
                        ipc_connection_close(p->control, "supervisor stops");
                (void)close(p->exec_fd);
                free(p->text);
        }
        for (int turn = 0; turn < 5; turn++)
                (void)uv_run(&s->loop, UV_RUN_NOWAIT);
        takeover_end(s);
        bool written = audit_log_close(s);
        if (!log_writer_close(s) || !written)
                return false;
        uv_walk(&s->loop, close_handle, NULL);
        (void)uv_run(&s->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&s->loop);
        events_free(s);
        notice_free_all(s);
        config_free(s->config);
        free(s->processes);
        free(s->data_dir);
        free(s->run_dir);
        free(s->region);
        return true;
}

int supervisor_run(const struct supervisor_options *o)
{
        struct supervisor s = {.options = *o, .root = geteuid() == 0, .lock_fd = -1};
        struct error err = {0};
        s.started_ms = clock_now_ms();
        for (size_t i = 0; i < LISTENERS; i++)
                s.listeners[i] = -1;
        clock_set_scale(o->time_scale);
        (void)umask(0027);
        (void)uv_loop_init(&s.loop);
        (void)uv_timer_init(&s.loop, &s.stop_timer);
        s.stop_timer.data = &s;
        open_signals(&s);
        int r = start(&s, &err);
        if (r != 0) {
                log_crit(NULL, "cannot start", LOG_STR("reason", err.text));
                s.exit_code = exit_code_of(r);
        } else {
                if (!s.stopping)
                        (void)uv_run(&s.loop, UV_RUN_DEFAULT);
                host_rules_remove(&s);
                log_info(NULL, "stopped", LOG_INT("exit_code", s.exit_code));
        }
        if (!release(&s))
                _exit(s.exit_code); /* libuv's own end would wait for the write */
        return s.exit_code;
}
