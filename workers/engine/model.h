/* model: tasks and containers as the engine knows them, and the rules that move them. No loop, no
 * Docker, no clock, no database: times come in as arguments. Source: engine.md section 1. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "engine.pb-c.h"
#include "log.h"

enum status { S_NONE, S_MANIFEST_PULLED, S_PULLED, S_CREATED, S_RUNNING, S_STOPPED, S_STATUSES };

/* What happened to a container, translated at the border from Docker's answers and events. */
enum container_event {
        EV_MANIFEST_PULLED, /* the digest is known, or will not be */
        EV_PULLED,        /* image is there */
        EV_PULL_FAILED,
        EV_CREATED,
        EV_CREATE_FAILED,
        EV_RUNNING,       /* seen running, by start's answer, an event or inspect */
        EV_START_FAILED,
        EV_EXITED,        /* seen not running any more */
        EV_VANISHED,      /* Docker says 404 */
        EV_STOP_WANTED,   /* desired STOPPED and nothing in Docker to stop */
        EV_HOPELESS,      /* what it waits for can never come */
        EV_PORT_TAKEN,    /* somebody else has a port the agent chose: made anew with another */
        EV_EVENTS,
};

/* The operation under way for a container; at most one. */
enum step { STEP_NONE, STEP_MANIFEST, STEP_PULL, STEP_CREATE, STEP_START, STEP_STOP, STEP_INSPECT };

struct resource;

struct container {
        struct task *task;
        const Ecs__ContainerSpec *spec;    /* borrowed from the task's */
        Ecs__ContainerFacts *facts;        /* owned; what is published, and the engine's memory */
        enum status known, desired, reported;
        enum status told;                  /* to the log and 'ecsctl events' */
        enum step step;
        bool look_again;                   /* an event came during a step */
        bool stopped_again;                /* the one extra stop of E62 was used */
        bool may_run;                      /* a start was asked, its outcome is unknown */
        bool digest_resolved;              /* here, from the image's tag: it is told to ECS */
        struct pull_run *pull;             /* pull.c: the image step under way … */
        struct fetch_want *fetch;          /* … and what it waits for, NULL = a short look */
        bool image_has_region;             /* the image sets AWS_REGION or AWS_DEFAULT_REGION */
        uint64_t retry_at_ms;              /* no step before this time; 0 = now */
        unsigned tries;
        unsigned port_tries;               /* how often it was made anew for a port */
        struct log log;
};

struct task {
        struct task *next;
        Ecs__TaskSpec *spec;               /* owned */
        Ecs__TaskFacts *facts;             /* owned */
        struct container *containers;
        size_t container_count;
        struct resource *resources;        /* resource.h; NULL until they are listed */
        size_t resource_count;
        bool resource_busy;                /* one is being made or removed */
        enum status known, desired, reported;
        enum status told;                  /* to the log and 'ecsctl events' */
        int64_t stopped_ms;                /* wall clock; 0 = not stopped */
        int64_t sweep_at_ms;               /* clean-up failed: not before this time */
        unsigned sweep_tries;
        bool pull_upfront;                 /* images are pulled before dependencies are met */
        bool dirty;                        /* facts differ from what is stored */
        bool touched;                      /* to be stored and taken further, this loop turn */
        struct log log;
};

/* ---- container_table.c ---- */

struct container_cell {
        bool applies;       /* false: ignored in this state */
        enum status next;
};
extern const struct container_cell container_cells[S_STATUSES][EV_EVENTS];

const char *status_name(enum status s);
enum status status_from_name(const char *name);

/* ---- task.c ---- */

/* Takes spec. Statuses start at NONE; endpoint ids and Docker names are made here. */
struct task *task_new(Ecs__TaskSpec *spec, int64_t now_ms, const struct log *log);
/* From the database: takes both. */
struct task *task_restore(Ecs__TaskSpec *spec, Ecs__TaskFacts *facts, int64_t stopped_ms,
                          const struct log *log);
void task_free(struct task *t);
struct container *task_find_container(struct task *t, const char *name);
/* The part of the ARN after the last slash. */
const char *task_id(const char *arn);

/* Applies an event. reason: the ECS reason for failures, may be NULL; the first one is kept.
 * Returns false when the table ignores it. */
bool container_apply(struct container *c, enum container_event e, const char *reason);
void container_set_exit_code(struct container *c, int code);
/* Raises the task's wish to STOPPED; reason may be NULL, the first is kept. */
void task_want_stopped(struct task *t, const char *reason);
/* A container that failed for good but may have something in Docker to stop: it alone is to stop. */
void container_give_up(struct container *c, const char *reason);
/* Recomputes wishes and the task's status after containers changed. */
void task_settle(struct task *t, int64_t now_ms);

/* What changed since the last report, or NULL. Owned: free with state_change_free. Marks it
 * reported. */
Ecs__StateChange *task_report(struct task *t);
void state_change_free(Ecs__StateChange *c);

/* A new task's first verdict: what cannot or need not run is STOPPED at once, without a container
 * (E35, E86, E87). */
void task_admit(struct task *t, int64_t now_ms);

/* ---- depends.c ---- */

/* The first container that c has to wait for, NULL when none; *ret_word completes "until it is". */
const struct container *container_waits_for(const struct container *c, const char **ret_word);
/* The ECS reason when a dependency of a container that has yet to run can never be met (E32, E34),
 * or was not within its startTimeout (E33), else NULL. Returns owned. */
char *container_hopeless(const struct container *c, int64_t now_ms);
/* Wall clock of the next startTimeout to watch in this task, 0 = none. */
int64_t task_start_deadline(const struct task *t);
/* True while a container that depends on c is yet to stop too: c stops after it (E36). */
bool container_has_dependents(const struct container *c);
/* Reason when the task can never start (unknown or circular dependencies), else NULL. Owned. */
char *task_check_dependencies(const struct task *t);

/* ---- restart.c ---- */

/* A run of c has ended. True when its restart policy has it started again: that is noted in the
 * facts, and STEP_START is its next step. exit_code, finished_at: of the run, as inspect has them.
 * Source: engine.md section 8. */
bool container_restarts(struct container *c, int exit_code, const char *finished_at,
                        int64_t now_ms);
/* A restart is noted and not yet seen done. */
bool container_is_restarting(const struct container *c);
/* It runs again, or will not. */
void container_restart_over(struct container *c);

/* ---- resource.c ---- */

/* True once all that surrounds the containers is made. */
bool task_has_resources(const struct task *t);

/* ---- progress.c ---- */

/* The step a container should take now, given its task. metadata_up: endpoints are served. */
enum step container_next_step(const struct container *c, bool metadata_up);
/* A sentence on what the task waits for, "" when nothing. Returns owned. */
char *task_waiting_for(const struct task *t, bool metadata_up);

/* Replaces an owned protobuf text. */
void text_set(char **field, const char *value);
