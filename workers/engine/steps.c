/* steps: one Docker operation for one container: create, start, stop, inspect. A step names
 * its container by ARN and name, so that nothing dangles when the task goes meanwhile. Each ends in
 * exactly one event for the table, then engine_commit. Source: engine.md 1.3, 3.1, 4. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "config.h"
#include "create_json.h"
#include "duration.h"
#include "engine.h"
#include "error.h"
#include "inspect_json.h"
#include "mem.h"
#include "port_mapping.h"
#include "random.h"

#define CREATE_TRIES 20
#define STOP_TRIES   5
#define PORT_TRIES   10
#define STOP_PAUSE_MS 1000
#define STOP_PAUSE_GROWS 1.3 /* 5 s are not reached within STOP_TRIES */
#define STOP_PAUSE_MAX_MS 5000
#define PING_MS      5000
#define INSPECT_MS   30000
#define VOLUME_MS    300000
#define STOP_EXTRA_MS 120000

struct step_run {
        struct engine *engine;
        char *arn, *name;
        enum step step;
        unsigned limit_ms;  /* of the call under way, for the time-out's text */
        char *error;        /* of the create, while its effect is looked for */
        bool taken;         /* Docker says that the container's name is in use */
};

static struct step_run *run_new(struct engine *e, struct container *c, enum step step)
{
        struct step_run *s = mem_zalloc(sizeof *s);
        *s = (struct step_run){.engine = e,
                               .arn = mem_strdup(c->task->spec->arn),
                               .name = mem_strdup(c->spec->name),
                               .step = step};
        c->step = step;
        return s;
}

/* The container the step is for, or NULL when it has gone; the step is over then. */
static struct container *run_container(struct step_run *s)
{
        struct task *t = engine_find_task(s->engine, s->arn);
        return t != NULL ? task_find_container(t, s->name) : NULL;
}

static void run_free(struct step_run *s)
{
        free(s->arn);
        free(s->name);
        free(s->error);
        free(s);
}

/* Ends the step with an event. */
static void run_end(struct step_run *s, struct container *c, enum container_event ev,
                    const char *reason)
{
        struct engine *e = s->engine;
        if (c != NULL) {
                c->step = STEP_NONE;
                (void)container_apply(c, ev, reason);
                engine_commit(e, c->task);
        }
        run_free(s);
}

/* Ends the step without news; it is tried again after wait_ms. */
static void run_again(struct step_run *s, struct container *c, uint64_t wait_ms)
{
        struct engine *e = s->engine;
        run_free(s);
        if (c == NULL)
                return;
        c->step = STEP_NONE;
        c->retry_at_ms = clock_now_ms() + clock_wait_ms(wait_ms);
        engine_progress(e, c->task);
}

/* Docker itself is away: no verdict about the container. */
static bool is_outage(const struct docker_answer *a)
{
        return a->error == -ECONNREFUSED || a->error == -ECONNRESET || a->error == -ECANCELED ||
               a->error == -EHOSTUNREACH;
}

/* "<Name>Error: Error response from daemon: …", or the time-out's own text. */
static char *failure(const struct docker_answer *a, const char *name, const char *word,
                     unsigned limit_ms)
{
        char limit[DURATION_TEXT];
        if (a->error == -ETIMEDOUT)
                return mem_printf("DockerTimeoutError: Could not transition to %s; timed out after "
                                  "waiting %s",
                                  word, duration_format((int64_t)limit_ms * 1000000, limit));
        if (a->status != 0)
                return mem_printf("%s: Error response from daemon: %s", name, a->text);
        return mem_printf("%s: %s", name, a->text);
}

static char *container_path(const struct container *c, const char *tail)
{
        cleanup_free char *id = docker_escape(
                *c->facts->docker_id != '\0' ? c->facts->docker_id : c->facts->docker_name);
        return mem_printf("/containers/%s%s", id, tail);
}

/* ---- inspect: the last part of most steps ---- */

static void stop_again(struct step_run *s, struct container *c, char *reason);

static bool is_inspect(const struct docker_answer *a)
{
        return a->status == 200 && json_is_object(json_object_get(a->body, "State")) &&
               json_is_string(json_object_get(a->body, "Id"));
}

/* The restart policy's verdict on a container that is not running. */
static bool starts_again(struct container *c, const json_t *inspect)
{
        int exit_code;
        const char *finished_at;
        bool counted = container_is_restarting(c);
        if (!inspect_json_run_ended(inspect, &exit_code, &finished_at) ||
            !container_restarts(c, exit_code, finished_at, clock_wall_ms()))
                return false;
        inspect_json_apply_started(c, inspect); /* it may have ended before it was seen running */
        if (!counted)
                log_info(&c->log, "container has ended and is started again",
                         LOG_INT("exit_code", exit_code),
                         LOG_INT("restarts", c->facts->restart_count->value));
        return true;
}

static void on_inspected(void *arg, const struct docker_answer *a)
{
        struct step_run *s = arg;
        struct container *c = run_container(s);
        if (c == NULL || a->error != 0 || !(a->status == 404 || is_inspect(a))) {
                /* other steps come again by themselves; nobody else repeats an event's look */
                if (c != NULL && s->step == STEP_INSPECT)
                        c->look_again = true;
                run_again(s, c, 1000);
                return;
        }
        if (a->status == 404 && s->step == STEP_CREATE) {
                /* Docker reserves a name before it shows the container: it may still be making the
                 * one that an engine killed meanwhile has asked for */
                if (s->taken && ++c->tries < CREATE_TRIES)
                        run_again(s, c, 500);
                else
                        run_end(s, c, EV_CREATE_FAILED, s->error);
                return;
        }
        if (a->status == 404) {
                run_end(s, c, EV_VANISHED,
                        "ContainerVanishedError: No container matching saved ID found");
                return;
        }
        enum container_event ev = inspect_json_state(a->body);
        if (ev == EV_RUNNING)
                container_restart_over(c);
        if (starts_again(c, a->body)) {
                run_end(s, c, EV_RUNNING, NULL);
                return;
        }
        inspect_json_apply(c, a->body);
        if (s->step == STEP_STOP && ev == EV_RUNNING && c->known != S_STOPPED) {
                stop_again(s, c, mem_strdup("CannotStopContainerError: it still runs"));
                return;
        }
        cleanup_free char *reason = ev == EV_EXITED ? inspect_json_reason(a->body) : NULL;
        if (ev == EV_RUNNING && c->known == S_STOPPED && !c->stopped_again) {
                c->stopped_again = true;
                cleanup_free char *path = container_path(c, "/stop");
                log_warn(&c->log, "stopped container was started by somebody, stopping it again");
                s->step = STEP_STOP;
                docker_call(s->engine->docker, "POST", path, NULL, STOP_EXTRA_MS, on_inspected, s);
                return;
        }
        if (ev == EV_CREATED && s->step == STEP_STOP)
                ev = EV_STOP_WANTED;
        run_end(s, c, ev, reason);
}

static void inspect_then_end(struct step_run *s, struct container *c)
{
        cleanup_free char *path = container_path(c, "/json");
        docker_call(s->engine->docker, "GET", path, NULL, INSPECT_MS, on_inspected, s);
}

void step_inspect(struct engine *e, struct container *c)
{
        if (c->step != STEP_NONE)
                return;
        inspect_then_end(run_new(e, c, STEP_INSPECT), c);
}

/* ---- create ---- */

static void on_created(void *arg, const struct docker_answer *a)
{
        struct step_run *s = arg;
        struct container *c = run_container(s);
        if (c == NULL || is_outage(a)) {
                run_again(s, c, 500);
                return;
        }
        const char *id = json_string_value(json_object_get(a->body, "Id"));
        if (a->status == 201 && id != NULL) {
                /* the rest is known from the inspect after start */
                text_set(&c->facts->docker_id, id);
                run_end(s, c, EV_CREATED, NULL);
                return;
        }
        s->error = failure(a, "CannotCreateContainerError", "created", s->limit_ms);
        s->taken = a->status == 409;
        if (a->status == 409 || a->error == -ETIMEDOUT)
                /* it may have been made before: the name is ours alone, so it is adopted */
                inspect_then_end(s, c);
        else
                run_end(s, c, EV_CREATE_FAILED, s->error);
}

/* A task definition may ask for an API version; calls are made in the newest that both sides speak,
 * so only one that Docker does not have matters (E93). What is no version asks for nothing. */
static int check_version(const struct engine *e, const char *wanted, struct error *err)
{
        int minor, has;
        char rest;
        const char *api = docker_api_version(e->docker);
        if (sscanf(wanted, "1.%d%c", &minor, &rest) != 1 || api == NULL ||
            sscanf(api, "1.%d", &has) != 1 || minor <= has)
                return 0;
        return error_set_name(err, -EPROTONOSUPPORT, "CannotGetDockerClientVersionError",
                              "the task asks for Docker API version %s, this Docker speaks %s",
                              wanted, api);
}

static void create_now(struct step_run *s, struct container *c)
{
        struct engine *e = s->engine;
        struct error err = {0};
        const struct create_context x = {
                .config = e->config,
                .cluster = config_text(e->config, "ECS_CLUSTER", "default"),
                .region = config_text(e->config, "REGION", ""),
                .agent_id = e->agent_id,
        };
        cleanup_json json_t *body = NULL;
        if (check_version(e, c->spec->docker_config_version, &err) == 0)
                body = create_json(c, &x, &err);
        if (body == NULL) {
                cleanup_free char *reason = mem_printf("%s: %s", err.name, err.text);
                run_end(s, c, EV_CREATE_FAILED, reason);
                return;
        }
        cleanup_free char *name = docker_escape(c->facts->docker_name);
        cleanup_free char *path = mem_printf("/containers/create?name=%s", name);
        s->limit_ms = (unsigned)config_int(e->config, "ECS_CONTAINER_CREATE_TIMEOUT", 240000);
        docker_call(e->docker, "POST", path, body, s->limit_ms, on_created, s);
}

/* Host ports are chosen and committed before create, so that a crash finds the same ones. */

/* A container that is created but not started yet holds its ports without listening. */
static bool is_promised(const struct engine *e, const char *protocol, uint16_t port)
{
        for (const struct task *t = e->tasks; t != NULL; t = t->next)
                for (size_t i = 0; i < t->container_count; i++) {
                        const struct container *c = &t->containers[i];
                        for (size_t k = 0; k < c->facts->n_ports && c->known != S_STOPPED; k++)
                                if (c->facts->ports[k]->host_port == port &&
                                    strcmp(c->facts->ports[k]->protocol, protocol) == 0)
                                        return true;
                }
        return false;
}

static bool is_free(void *arg, const char *protocol, uint16_t port)
{
        return !is_promised(arg, protocol, port) && port_is_free(port, strcmp(protocol, "udp") == 0);
}

static void step_create(struct step_run *s, struct container *c);

static void on_old_removed(void *arg, const struct docker_answer *a)
{
        struct step_run *s = arg;
        struct container *c = run_container(s);
        if (c == NULL || (a->status != 204 && a->status != 404)) {
                run_again(s, c, 500);
                return;
        }
        text_set(&c->facts->docker_id, "");
        step_create(s, c);
}

/* Made before with a port that was taken: it goes, its name is used again. */
static void remove_old(struct step_run *s, struct container *c)
{
        cleanup_free char *path = container_path(c, "?v=1");
        docker_call(s->engine->docker, "DELETE", path, NULL, STOP_EXTRA_MS, on_old_removed, s);
}

static void step_create(struct step_run *s, struct container *c)
{
        struct engine *e = s->engine;
        if (*c->facts->docker_id != '\0') {
                remove_old(s, c);
                return;
        }
        if (!port_mapping_is_open(c)) {
                create_now(s, c);
                return;
        }
        cleanup_free char *reason = port_mapping_choose(c, &e->ports, is_free, e);
        if (reason != NULL) {
                run_end(s, c, EV_CREATE_FAILED, reason);
                return;
        }
        /* once they are stored this step comes again */
        c->step = STEP_NONE;
        run_free(s);
        engine_commit(e, c->task);
}

/* ---- start ---- */

/* Did Docker say that the container does not run? Otherwise it may, or has run before: it is
 * stopped for real (E64). */
static bool is_verdict(const struct container *c, const struct docker_answer *a)
{
        size_t n = strlen(a->text);
        return a->error == 0 && !container_is_restarting(c) &&
               (n < 3 || strcmp(a->text + n - 3, "EOF") != 0);
}

static void on_started(void *arg, const struct docker_answer *a)
{
        struct step_run *s = arg;
        struct container *c = run_container(s);
        struct engine *e = s->engine;
        if (c == NULL || is_outage(a)) {
                if (c != NULL)
                        c->may_run = true;
                run_again(s, c, 500);
                return;
        }
        if (a->status == 204 || a->status == 304) {
                inspect_then_end(s, c);
                return;
        }
        cleanup_free char *reason = failure(a, "CannotStartContainerError", "started", s->limit_ms);
        if (!container_is_restarting(c) && port_mapping_clashes(c, a->text) &&
            c->port_tries++ < PORT_TRIES) {
                log_warn(&c->log, "a host port was taken meanwhile, choosing another",
                         LOG_STR("reason", a->text));
                port_mapping_clear(c->facts);
                run_end(s, c, EV_PORT_TAKEN, NULL);
                return;
        }
        if (is_verdict(c, a)) {
                run_end(s, c, EV_START_FAILED, reason);
                return;
        }
        container_give_up(c, reason);
        c->step = STEP_NONE;
        run_free(s);
        engine_commit(e, c->task);
}

static void step_run_start(struct step_run *s, struct container *c)
{
        cleanup_free char *path = container_path(c, "/start");
        s->limit_ms =
                (unsigned)config_int(s->engine->config, "ECS_CONTAINER_START_TIMEOUT", 180000);
        docker_call(s->engine->docker, "POST", path, NULL, s->limit_ms, on_started, s);
}

/* ---- stop ---- */

static void on_ping(void *arg, const struct docker_answer *a)
{
        struct step_run *s = arg;
        struct container *c = run_container(s);
        if (c == NULL || a->error != 0) {
                run_again(s, c, STOP_PAUSE_MAX_MS);
                return;
        }
        log_error(&c->log, "Docker does not stop the container: it is given up",
                  LOG_STR("reason", s->error));
        run_end(s, c, EV_EXITED, s->error);
}

/* A stop without success, takes reason. After the last try Docker is asked for a sign of life: while
 * it gives none nothing is said about the container (E65). */
static void stop_again(struct step_run *s, struct container *c, char *reason)
{
        double wait = STOP_PAUSE_MS;
        free(s->error);
        s->error = reason;
        if (++c->tries >= STOP_TRIES) {
                c->tries = 0;
                docker_call(s->engine->docker, "GET", "/_ping", NULL, PING_MS, on_ping, s);
                return;
        }
        for (unsigned i = 1; i < c->tries; i++)
                wait *= STOP_PAUSE_GROWS;
        log_warn(&c->log, "stop failed, trying again", LOG_STR("reason", reason));
        run_again(s, c, (uint64_t)(wait * (1 + 0.2 * random_unit())));
}

static void on_stopped(void *arg, const struct docker_answer *a)
{
        struct step_run *s = arg;
        struct container *c = run_container(s);
        if (c == NULL || is_outage(a)) {
                run_again(s, c, 500);
                return;
        }
        if (a->status == 204 || a->status == 304 || a->status == 404)
                inspect_then_end(s, c);
        else
                stop_again(s, c, failure(a, "CannotStopContainerError", "stopped", s->limit_ms));
}

static void step_stop(struct step_run *s, struct container *c)
{
        if (c->known < S_RUNNING && !c->may_run) {
                run_end(s, c, EV_STOP_WANTED, NULL);
                return;
        }
        int64_t seconds = c->spec->stop_timeout_s;
        if (seconds == 0)
                seconds = config_int(s->engine->config, "ECS_CONTAINER_STOP_TIMEOUT", 30000) / 1000;
        cleanup_free char *tail = mem_printf("/stop?t=%lld", (long long)seconds);
        cleanup_free char *path = container_path(c, tail);
        int64_t limit = seconds * 1000 * clock_scale() + STOP_EXTRA_MS;
        s->limit_ms = limit < INT32_MAX ? (uint32_t)limit : INT32_MAX;
        docker_call(s->engine->docker, "POST", path, NULL, s->limit_ms, on_stopped, s);
}

/* ---- */

void step_start(struct engine *e, struct container *c, enum step step)
{
        static void (*const starts[])(struct step_run *, struct container *) = {
                [STEP_CREATE] = step_create, [STEP_START] = step_run_start,
                [STEP_STOP] = step_stop,    [STEP_INSPECT] = inspect_then_end,
        };
        if (step == STEP_MANIFEST || step == STEP_PULL) {
                pull_step(e, c, step);
                return;
        }
        if (step == STEP_START || step == STEP_INSPECT)
                c->tries = 0;
        starts[step](run_new(e, c, step), c);
}
