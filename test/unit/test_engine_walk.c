/* Random walks: generated tasks against a Docker of three states, with failures, exits, stops and
 * restarts of the engine at any moment. Every walk must come to rest RUNNING or STOPPED for a
 * reason, reports must never go back, and nothing may run that nobody wants.
 * ECS_TEST_SEED=N repeats one walk; without it the seeds are 1…N and one random one, printed. */
#include "unit.h"

#include <stdio.h>
#include <time.h>

#include "cleanup.h"
#include "clock.h"
#include "engine_tasks.h"

#define CONTAINERS_MAX 8

enum docker { ABSENT, CREATED, RUNS, EXITED };

/* Docker's side of one container, and what has been reported of it. */
struct side {
        enum docker docker;
        bool ran; /* else EXITED is a start that failed */
        int exit_code;
        char finished[CLOCK_TEXT]; /* when it became EXITED */
        enum status reported;
        unsigned made; /* how often it was created */
};

struct walk {
        unsigned seed;
        struct task *task;
        struct side sides[CONTAINERS_MAX];
        enum status reported;
        bool stop_asked;
        int64_t now; /* ms; a turn takes a second */
};

static int chance(int percent)
{
        return rand() % 100 < percent;
}

/* ---- what is told to ECS ---- */

static enum status wire(const char *status)
{
        return strcmp(status, "PENDING") == 0 ? S_MANIFEST_PULLED : status_from_name(status);
}

static void take_report(struct walk *w)
{
        Ecs__StateChange *r = task_report(w->task);
        if (r == NULL)
                return;
        if (wire(r->status) < w->reported || w->reported == S_STOPPED)
                fail_msg("seed %u: task reported %s after %s", w->seed, r->status,
                         status_name(w->reported));
        w->reported = wire(r->status);
        for (size_t i = 0; i < r->n_containers; i++) {
                struct side *s = &w->sides[r->containers[i]->name[0] - 'a'];
                if (wire(r->containers[i]->status) <= s->reported)
                        fail_msg("seed %u: container reported %s after %s", w->seed,
                                 r->containers[i]->status, status_name(s->reported));
                s->reported = wire(r->containers[i]->status);
        }
        state_change_free(r);
}

/* The end of a loop turn: settled, reported, stored. */
static void commit(struct walk *w)
{
        enum status before = w->task->known;
        task_settle(w->task, w->now);
        assert_true(w->task->known >= before);
        take_report(w);
}

/* ---- Docker ---- */

static struct side *side_of(struct walk *w, const struct container *c)
{
        return &w->sides[c->spec->name[0] - 'a'];
}

static void exit_in_docker(const struct walk *w, struct side *s, int code)
{
        s->docker = EXITED;
        s->exit_code = code;
        (void)clock_format_ms(w->now, s->finished);
}

/* What the end of a step did in Docker; the event it gives. */
static enum container_event end_in_docker(struct walk *w, struct container *c, bool good)
{
        struct side *s = side_of(w, c);
        switch (c->step) {
        case STEP_MANIFEST:
                if (good && chance(50)) {
                        text_set(&c->facts->image_digest, "sha256:0");
                        c->digest_resolved = true;
                }
                return good || chance(50) ? EV_MANIFEST_PULLED : EV_PULL_FAILED;
        case STEP_PULL:
                return good ? EV_PULLED : EV_PULL_FAILED;
        case STEP_CREATE:
                if (good && s->docker == ABSENT) {
                        s->docker = CREATED;
                        s->made++;
                }
                return good ? EV_CREATED : EV_CREATE_FAILED;
        case STEP_START:
                if (s->docker == CREATED) {
                        s->docker = good ? RUNS : EXITED;
                        s->ran = good;
                } else if (s->docker == EXITED && s->ran && good) {
                        s->docker = RUNS; /* a restart */
                }
                return s->docker == RUNS ? EV_RUNNING : good ? EV_EXITED : EV_START_FAILED;
        default:
                if (s->docker == RUNS)
                        exit_in_docker(w, s, 137);
                return s->docker == ABSENT    ? EV_VANISHED
                       : s->docker == CREATED ? EV_STOP_WANTED
                                              : EV_EXITED;
        }
}

static void note_facts(struct walk *w, struct container *c, enum container_event e)
{
        if (e == EV_CREATED)
                text_set(&c->facts->docker_id, "id");
        if ((e == EV_RUNNING || e == EV_EXITED) && side_of(w, c)->ran &&
            *c->facts->started_at == '\0') {
                char now[CLOCK_TEXT];
                text_set(&c->facts->started_at, clock_format_ms(w->now, now));
        }
        if (e == EV_EXITED && side_of(w, c)->ran)
                container_set_exit_code(c, side_of(w, c)->exit_code);
}

static void deliver(struct walk *w, struct container *c, enum container_event e)
{
        bool failed = e == EV_PULL_FAILED || e == EV_CREATE_FAILED || e == EV_START_FAILED ||
                      e == EV_VANISHED || (e == EV_EXITED && !side_of(w, c)->ran);
        if (e == EV_RUNNING)
                container_restart_over(c);
        if (e == EV_EXITED && side_of(w, c)->ran &&
            container_restarts(c, side_of(w, c)->exit_code, side_of(w, c)->finished, w->now))
                e = EV_RUNNING;
        note_facts(w, c, e);
        (void)container_apply(c, e, failed ? "SomeError: text" : NULL);
}

static void set_health(struct container *c, const char *status)
{
        if (c->facts->health == NULL) {
                c->facts->health = mem_alloc(sizeof *c->facts->health);
                ecs__health_facts__init(c->facts->health);
        }
        text_set(&c->facts->health->status, status);
}

/* ---- the engine ---- */

static void begin_step(struct container *c)
{
        enum step step = container_next_step(c, true);
        if (step == STEP_STOP && c->known < S_RUNNING && !c->may_run)
                (void)container_apply(c, EV_STOP_WANTED, NULL);
        else if (step != STEP_NONE)
                c->step = step;
}

static void end_step(struct walk *w, struct container *c, bool good)
{
        /* a restart that fails, or a start that Docker does not confirm in time */
        bool lost = c->step == STEP_START && !good &&
                    (container_is_restarting(c) || chance(50));
        enum container_event e = end_in_docker(w, c, lost ? chance(50) : good);
        c->step = STEP_NONE;
        if (lost)
                container_give_up(c, "DockerTimeoutError: text");
        else
                deliver(w, c, e);
}

static enum container_event inspect(struct walk *w, const struct container *c)
{
        static const enum container_event seen[] = {[ABSENT] = EV_VANISHED,
                                                    [CREATED] = EV_CREATED,
                                                    [RUNS] = EV_RUNNING,
                                                    [EXITED] = EV_EXITED};
        return seen[side_of(w, c)->docker];
}

/* kill -9 and a new start: only what was stored is left; a step under way may have had its effect
 * without anybody hearing of it. */
static void restart(struct walk *w)
{
        struct task *old = w->task;
        for (size_t i = 0; i < old->container_count; i++)
                if (old->containers[i].step != STEP_NONE && chance(50))
                        (void)end_in_docker(w, &old->containers[i], chance(80));
        size_t spec_size = ecs__task_spec__get_packed_size(old->spec);
        size_t facts_size = ecs__task_facts__get_packed_size(old->facts);
        uint8_t *spec = mem_alloc(spec_size), *facts = mem_alloc(facts_size);
        ecs__task_spec__pack(old->spec, spec);
        ecs__task_facts__pack(old->facts, facts);
        w->task = task_restore(ecs__task_spec__unpack(NULL, spec_size, spec),
                               ecs__task_facts__unpack(NULL, facts_size, facts), old->stopped_ms,
                               NULL);
        free(spec);
        free(facts);
        task_free(old);
        for (size_t i = 0; i < w->task->container_count; i++) {
                struct container *c = &w->task->containers[i];
                if (c->known != S_STOPPED && (*c->facts->docker_id != '\0' || c->known == S_PULLED))
                        deliver(w, c, inspect(w, c));
        }
}

/* ---- one turn ---- */

static void disturb(struct walk *w, struct container *c)
{
        struct side *s = side_of(w, c);
        if (s->docker == RUNS && chance(10)) {
                exit_in_docker(w, s, chance(60) ? 0 : 3);
                if (c->step == STEP_NONE)
                        deliver(w, c, EV_EXITED);
        } else if (s->docker != ABSENT && chance(1)) {
                s->docker = ABSENT;
                if (c->step == STEP_NONE)
                        deliver(w, c, EV_VANISHED);
        }
        if (s->docker == RUNS && *c->spec->health_check_type != '\0' && chance(20))
                set_health(c, chance(70) ? "HEALTHY" : "UNHEALTHY");
        if (chance(1)) {
                w->stop_asked = true;
                task_want_stopped(w->task, NULL);
        }
}

static void turn(struct walk *w)
{
        w->now += 1000;
        struct container *c = &w->task->containers[rand() % (int)w->task->container_count];
        if (c->step != STEP_NONE) {
                if (chance(60))
                        end_step(w, c, chance(90));
        } else {
                begin_step(c);
        }
        disturb(w, c);
        commit(w);
        if (chance(2))
                restart(w);
        commit(w);
}

/* Nothing fails any more, and what others wait for happens. True when something moved. */
static bool quiet_turn(struct walk *w)
{
        bool moved = false;
        w->now += 1000;
        for (size_t i = 0; i < w->task->container_count; i++) {
                struct container *c = &w->task->containers[i];
                enum status before = c->known;
                const char *word = "";
                begin_step(c);
                moved = moved || c->step != STEP_NONE;
                if (c->step != STEP_NONE)
                        end_step(w, c, true);
                else if (c->known != S_STOPPED && c->known != S_RUNNING &&
                         container_waits_for(c, &word) != NULL) {
                        struct container *d = task_find_container(
                                w->task, container_waits_for(c, &word)->spec->name);
                        if (strncmp(word, "finished", 8) == 0 && d->known == S_RUNNING) {
                                exit_in_docker(w, side_of(w, d), 0);
                                deliver(w, d, EV_EXITED);
                                moved = true;
                        } else if (strcmp(word, "healthy") == 0 && d->known == S_RUNNING) {
                                set_health(d, "HEALTHY");
                                moved = true;
                        }
                }
                moved = moved || c->known != before;
                commit(w);
        }
        return moved;
}

static void rest(struct walk *w)
{
        for (int i = 0; i < 200; i++)
                if (!quiet_turn(w))
                        return;
        fail_msg("seed %u: never comes to rest", w->seed);
}

/* ---- what must be true at rest ---- */

static bool has_cause(const struct walk *w)
{
        if (w->stop_asked || *w->task->facts->stopped_reason != '\0')
                return true;
        for (size_t i = 0; i < w->task->container_count; i++)
                if (*w->task->containers[i].facts->reason != '\0' ||
                    w->task->containers[i].facts->exit_code != NULL)
                        return true;
        return false;
}

static void check_rest(struct walk *w)
{
        struct task *t = w->task;
        if (t->known != S_RUNNING && t->known != S_STOPPED)
                fail_msg("seed %u: hangs in %s", w->seed, status_name(t->known));
        if (t->known == S_STOPPED && !has_cause(w))
                fail_msg("seed %u: stopped without a reason", w->seed);
        assert_int_equal(w->reported, t->known);
        for (size_t i = 0; i < t->container_count; i++) {
                const struct side *s = side_of(w, &t->containers[i]);
                if (t->known == S_STOPPED && t->containers[i].known != S_STOPPED)
                        fail_msg("seed %u: task stopped before container %zu", w->seed, i);
                if (s->docker == RUNS && t->containers[i].known != S_RUNNING)
                        fail_msg("seed %u: container %zu runs and is known %s", w->seed, i,
                                 status_name(t->containers[i].known));
                if (s->docker != RUNS && t->containers[i].known == S_RUNNING)
                        fail_msg("seed %u: container %zu is known to run and does not", w->seed, i);
                if (s->made > 1)
                        fail_msg("seed %u: container %zu was made %u times", w->seed, i, s->made);
        }
}

/* ---- generated tasks ---- */

enum shape { LOOSE, CHAIN, DIAMOND, RANDOM, SHAPES };

static void connect_containers(Ecs__TaskSpec *s, enum shape shape)
{
        static const char *const conditions[] = {"START", "CREATE", "COMPLETE", "SUCCESS",
                                                 "HEALTHY"};
        size_t last = s->n_containers - 1;
        for (size_t i = 1; i <= last; i++)
                for (size_t k = 0; k < i; k++) {
                        const char *condition = conditions[rand() % 5];
                        bool linked = shape == CHAIN     ? k == i - 1
                                      : shape == RANDOM  ? chance(30)
                                      : shape == DIAMOND ? k == 0 || i == last
                                                         : false;
                        if (!linked)
                                continue;
                        make_dependency(s->containers[i], s->containers[k]->name, condition);
                        if (strcmp(condition, "HEALTHY") == 0 &&
                            *s->containers[k]->health_check_type == '\0')
                                s->containers[k]->health_check_type = mem_strdup("docker");
                }
}

/* Nobody waits for the end of a container that is started again. */
static bool is_awaited(const Ecs__TaskSpec *s, const char *name)
{
        for (size_t i = 0; i < s->n_containers; i++)
                for (size_t k = 0; k < s->containers[i]->n_depends_on; k++) {
                        const Ecs__DependsOn *d = s->containers[i]->depends_on[k];
                        if (strcmp(d->container_name, name) == 0 &&
                            (strcmp(d->condition, "COMPLETE") == 0 ||
                             strcmp(d->condition, "SUCCESS") == 0))
                                return true;
                }
        return false;
}

static void add_policies(Ecs__TaskSpec *s)
{
        for (size_t i = 0; i < s->n_containers; i++) {
                if (chance(30))
                        s->containers[i]->start_timeout_s = 2 + (unsigned)rand() % 30;
                if (chance(30) && !is_awaited(s, s->containers[i]->name))
                        make_restart_policy(s->containers[i], (unsigned)rand() % 20, chance(30));
        }
}

static void walk(unsigned seed)
{
        struct walk w = {.seed = seed, .now = 1};
        bool essential[CONTAINERS_MAX];
        srand(seed);
        size_t count = 1 + (size_t)rand() % CONTAINERS_MAX;
        for (size_t i = 0; i < count; i++)
                essential[i] = i == 0 || chance(40);
        Ecs__TaskSpec *spec = make_spec(count, essential);
        connect_containers(spec, (enum shape)(rand() % SHAPES));
        add_policies(spec);
        w.task = task_new(spec, 1, NULL);
        task_admit(w.task, 1);
        assert_int_equal(w.task->desired, S_RUNNING);
        for (int turns = rand() % 400; turns > 0; turns--)
                turn(&w);
        rest(&w);
        check_rest(&w);
        w.stop_asked = true;
        task_want_stopped(w.task, NULL);
        commit(&w);
        rest(&w);
        assert_int_equal(w.task->known, S_STOPPED);
        check_rest(&w);
        assert_null(task_report(w.task));
        task_free(w.task);
}

static void every_walk_comes_to_rest(void **state)
{
        const char *one = getenv("ECS_TEST_SEED");
        (void)state;
        if (one != NULL) {
                walk((unsigned)strtoul(one, NULL, 10));
                return;
        }
        for (unsigned seed = 1; seed <= 1200; seed++)
                walk(seed);
        unsigned start = (unsigned)time(NULL);
        print_message("random seeds from ECS_TEST_SEED=%u\n", start);
        for (unsigned i = 0; i < 300; i++)
                walk(start + i);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(every_walk_comes_to_rest)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
