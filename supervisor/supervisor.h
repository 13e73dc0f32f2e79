/* supervisor: the one state struct of ecs-supervisor, and what its files offer each other.
 * It owns configuration, listeners, worker processes, the control socket and the log. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "backoff.h"
#include "config.h"
#include "connection.h"
#include "log.h"
#include "log_file.h"
#include "options.h"

struct error;
struct supervisor;

/* ---- workers: the rows, and the processes made from them ---- */

enum listener_bits { LISTEN_TMDS = 1, LISTEN_INTROSPECTION = 2, LISTEN_LOCAL = 4 };
#define LISTENERS 3

struct worker_row {
        const char *name, *exec;
        unsigned peer;         /* its own bit of enum ipc_peer */
        unsigned may_connect;  /* peers it may ask for */
        unsigned listens;      /* enum listener_bits */
        unsigned recipient;    /* its bit of enum config_recipient */
        bool local_only;       /* runs in local mode only */
        bool docker;           /* joins the group of Docker's socket */
        bool stops_first;      /* brings in new work: ended before the others are told to stop */
};
extern const struct worker_row worker_rows[];
extern const size_t worker_row_count;

enum process_state { P_STOPPED, P_STARTING, P_READY, P_STOPPING, P_BACKOFF, P_DEBUG, P_STATES };
enum process_event { E_START, E_READY, E_EXITED, E_STOP, E_RESTART, E_TIMER,
                     E_DEBUG, E_EVENTS };

/* watchdog.c */
struct watchdog {
        unsigned missed;
        bool open;        /* a ping was written and is not answered */
        uint64_t due_ms;  /* when the next tick should be, clock_now_ms; 0 = not known */
};
enum watchdog_verdict { WATCHDOG_PING, WATCHDOG_WAIT, WATCHDOG_ABORT, WATCHDOG_KILL };
/* At each ping interval. Six in a row without an answer: ABORT once; one more: KILL once. A tick
 * more than 1 s late is not counted. */
enum watchdog_verdict watchdog_tick(struct watchdog *w, uint64_t now_ms);
void watchdog_pong(struct watchdog *w);

/* restart_wait.c */
#define EXIT_TERMINAL 5  /* of a worker: ends the service */
#define EXIT_REOPEN   42 /* of a worker: start again, from the binary that is installed now */
enum death { DEATH_CRASH, DEATH_EXIT_1, DEATH_REOPEN };
struct restart_history {
        struct backoff backoff;
        unsigned young_deaths;  /* since it last lived for 2 s after Ready */
};
/* status: of waitpid. */
enum death death_of(int status);
/* Milliseconds until the next start: none the first time, then 0.1 s to 30 s, or 0.5 s to 15 s
 * after exit 1; from the start again once a worker lived 2 s after Ready. rnd: in [0,1). */
uint32_t restart_wait_ms(struct restart_history *h, enum death how, bool reached_ready,
                         uint64_t lived_ms, double rnd);

struct process {
        struct supervisor *supervisor;
        const struct worker_row *row;
        enum process_state state;
        uint64_t since_ms;            /* in this state, clock_now_ms */
        pid_t pid;
        unsigned restarts;
        bool wanted_again;            /* start again once it has exited */
        bool reopen;                  /* take the binary from its path before the next start */
        struct ipc_request *debug;    /* 'ecsctl debug' waiting for the slot */
        struct ipc_connection *debugger;  /* who holds the slot in P_DEBUG */
        struct debugged *debugged;    /* the process in the slot, once it has said who it is */
        bool reached_ready;
        uint64_t ready_ms;
        enum death death;             /* how it last ended */
        struct restart_history history;
        uv_timer_t timer;             /* backoff, ready time-out, kill after the stop deadline */
        uv_timer_t ping;
        struct watchdog watchdog;
        struct ipc_connection *control;
        struct log_source *log, *error_log;
        int exec_fd;                  /* O_PATH of the binary */
        uid_t uid;
        gid_t gid;
        bool degraded;
        char *text;                   /* of WorkerState */
        char last_exit[32];
        struct waiting_request *waiting;  /* Connect and Ctl requests held for a state */
        struct log log_context;
};

/* process.c: runs the state machine of lifecycle_table.c. */
void process_event(struct process *p, enum process_event e);
/* E_TIMER after that time, unless something else happens before. */
void process_expect(struct process *p, uint64_t deadline_ms);
void process_reap(struct supervisor *s);
const char *process_state_name(enum process_state st);

/* lifecycle_table.c */
typedef void (*process_action_fn)(struct process *p);
struct process_cell {
        process_action_fn action;
        enum process_state next;
};
extern const struct process_cell process_cells[P_STATES][E_EVENTS];
/* The actions, in process.c and debug.c. */
void act_none(struct process *p);
void act_spawn(struct process *p);
void act_ready(struct process *p);
void act_stop(struct process *p);
void act_kill(struct process *p);
void act_backoff(struct process *p);
void act_exited(struct process *p);
void act_stop_then_start(struct process *p);
void act_cancel(struct process *p);
void act_stop_then_debug(struct process *p);
void act_debug(struct process *p);
void act_debug_end(struct process *p);
void act_debug_over(struct process *p);

/* spawn.c: fork, descriptors, exec. 0 or negative errno. */
int spawn_worker(struct process *p);
/* What a worker may send the supervisor; context: its struct process. */
extern const struct ipc_handler supervisor_worker_handlers[IPC_BODY_MAX];
/* The worker's ends of its channels, in order of the descriptor it gets (3, 4, 5 …). */
struct child_fds {
        int fds[2 + LISTENERS];
        size_t count;
        int error; /* becomes descriptor 2; -1: keeps the caller's */
};
/* Makes the channels, keeps our ends and sends Hello. The caller closes control, log and error
 * of c (the first two of fds) once the worker has them. */
int spawn_open_channels(struct process *p, bool debug, struct child_fds *c);
void spawn_close_channels(struct child_fds *c);
/* The listeners of a worker, as Hello and CtlDebugReply name them. Returns their count. */
size_t spawn_listeners(const struct process *p, Ecs__Listener *ret, Ecs__Listener **ret_list);
/* Opens the binary of a worker anew. Descriptor (O_PATH) or negative errno. */
int spawn_open_binary(const char *name);

/* debug.c: the slot of a worker, lent to 'ecsctl debug'. */
void debug_request(struct process *p, struct ipc_request *r);
/* The process that is debugged says its pid: believed only if it runs the worker's program. */
void debug_note_pid(struct process *p, pid_t pid);
/* Ends it hard. False when it is not there. */
bool debug_kill(struct process *p);
/* A connection of the control socket has ended. */
void debug_connection_closed(struct supervisor *s, const struct ipc_connection *c);

/* broker.c: connections between workers. */
void broker_connect(struct supervisor *s, struct ipc_request *r, unsigned asker,
                    const char *peer_name);
/* asker, peer: one bit of enum ipc_peer each. */
bool broker_may_connect(unsigned asker, unsigned peer);
void broker_peer_ready(struct process *p);
/* Refuses what still waits for p, when the supervisor ends. */
void broker_drop(struct process *p);

/* ---- log ---- */

struct log_source;
/* Reads records (SEQPACKET) or raw lines (stream) of a worker. Takes fd. */
struct log_source *log_source_new(struct supervisor *s, const char *worker, int fd, bool records);
void log_source_close(struct log_source *l);
int log_writer_open(struct supervisor *s);
/* False: a sink still hangs in a write (a frozen disk). Then the loop never runs dry, and the
 * process has to end with _exit. */
bool log_writer_close(struct supervisor *s);
/* One logfmt line of a process, "level=… msg=…": to every sink whose level it has. */
void log_writer_line(struct supervisor *s, const char *process, const char *line);
/* What a process needs to tell so that every sink gets its lines. */
enum log_level log_writer_level(const struct supervisor *s, const char *process);
/* 'ecsctl loglevel': until the service ends. process lives as long as s. */
void log_writer_override(struct supervisor *s, const char *process, enum log_level level);
/* Bytes that wait to be written. */
size_t log_writer_queued(const struct supervisor *s);
/* The file at path (borrowed), rolled as the settings say. */
struct log_file log_writer_file(const struct config *c, const char *path);

/* events.c: what happened lately, for 'ecsctl events'. */
/* Sets the event's time, keeps it and sends it to followers. */
void events_add(struct supervisor *s, Ecs__AgentEvent *event);
void events_add_worker(const struct process *p, enum process_state from, enum process_state to);
void handle_agent_event(void *context, struct ipc_request *r, const Ecs__Envelope *m);
void handle_ctl_events(void *context, struct ipc_request *r, const Ecs__Envelope *m);
void events_connection_closed(struct supervisor *s, const struct ipc_connection *c);
void events_free(struct supervisor *s);

/* audit_log.c */
void audit_log_open(struct supervisor *s);
/* As log_writer_close. */
bool audit_log_close(struct supervisor *s);
void handle_audit_line(void *context, struct ipc_request *r, const Ecs__Envelope *m);

/* ---- the rest ---- */

struct supervisor {
        struct supervisor_options options;
        uv_loop_t loop;
        struct config *config;
        char *data_dir, *run_dir, *region;
        struct process *processes;
        size_t process_count;
        int listeners[LISTENERS];
        uv_timer_t listen_retry[LISTENERS];
        struct backoff listen_backoff[LISTENERS];
        struct log_writer *writer;
        struct log_sink *audit;
        struct events *events;        /* events.c */
        struct control_socket *control;
        uv_signal_t signals[4];
        uv_timer_t stop_timer;
        uint64_t started_ms;
        bool stopping;
        int exit_code;
        bool root;
        struct cgroup_run *cgroup_runs;   /* control groups being made or removed */
        gid_t state_gid, operators_gid;
        int lock_fd;                  /* takeover.c; -1 before */
        bool guarded;                 /* host rules stand: :51678 may listen on all addresses */
        uv_timer_t systemd_watchdog;
        struct notice *notices;
        bool announced;
};

int supervisor_run(const struct supervisor_options *o);
void supervisor_stop(struct supervisor *s, int exit_code);
/* For waits before the loop runs: handles signals that came. False once the service is to stop. */
bool supervisor_goes_on(struct supervisor *s);
/* notice.c: sentences of `ecsctl status`, each logged as a warning when it appears. A topic has one
 * notice at most; text is taken, NULL: the condition is over. passing: it may end by itself, and
 * systemd's status line shows it meanwhile. */
struct notice {
        struct notice *next;
        const char *topic;
        char *text;
        bool passing;
};
void notice_set(struct supervisor *s, const char *topic, bool passing, char *text);
void notice_free_all(struct supervisor *s);
struct process *supervisor_find(struct supervisor *s, const char *name);
/* Called on every state change: sd_notify and held requests. */
void supervisor_changed(struct supervisor *s);

/* settings.c */
int settings_load(struct supervisor *s, struct error *err);
/* listeners.c */
void listeners_open(struct supervisor *s);
void listeners_close(struct supervisor *s);
extern const char *const listener_names[LISTENERS];
/* control.c */
/* What ecsctl may send; context: the supervisor. */
extern const struct ipc_handler supervisor_ctl_handlers[IPC_BODY_MAX];
int control_open(struct supervisor *s, struct error *err);
void control_close(struct supervisor *s);
void control_changed(struct supervisor *s);
/* inventory.c */
void handle_get_host_inventory(void *context, struct ipc_request *r, const Ecs__Envelope *m);
/* control_config.c */
void handle_config(void *context, struct ipc_request *r, const Ecs__Envelope *m);
/* takeover.c: the lock on the data directory, and workers of a supervisor that was killed. */
int takeover_start(struct supervisor *s, struct error *err);
void takeover_note_workers(struct supervisor *s);
void takeover_end(struct supervisor *s);
/* exec: file name of one of our programs. */
bool takeover_is_program(pid_t pid, const char *exec);
/* rival.c: -EEXIST with err while the official agent runs. proc: /proc outside tests. */
int rival_check(const char *proc, struct error *err);
/* privileged/docker_socket.c */
void handle_docker_socket(void *context, struct ipc_request *r, const Ecs__Envelope *m);
/* The group of Docker's socket, or the usual one while there is none; false when Docker is not on
 * a socket or no group is known. */
bool docker_socket_group(const struct supervisor *s, gid_t *ret);
/* privileged/task_cgroup.c */
void handle_task_cgroup(void *context, struct ipc_request *r, const Ecs__Envelope *m);
void task_cgroup_end_all(struct supervisor *s);
/* Settles ECS_ENABLE_TASK_CPU_MEM_LIMIT: unset, it becomes what this host can do. Negative errno
 * with why when limits are not switched off and the host cannot enforce them. */
int task_cgroup_settle(struct supervisor *s, struct error *why);
/* The same at the service's start: -ESTALE with err when limits are demanded and the host cannot,
 * a notice when nobody said so. */
int task_cgroup_decide(struct supervisor *s, struct error *err);
/* privileged/host_rules.c: by the helper ecs-host-rules. */
int host_rules_apply(struct supervisor *s, struct error *err);
void host_rules_remove(struct supervisor *s);
