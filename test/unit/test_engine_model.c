/* The engine's rules without loop, Docker or clock: every pair of the table, and random walks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mem.h"
#include "model.h"

static Ecs__ContainerSpec *container(const char *name, bool essential)
{
        Ecs__ContainerSpec *c = mem_alloc(sizeof *c);
        ecs__container_spec__init(c);
        c->name = mem_strdup(name);
        c->image = mem_strdup("img:1");
        c->essential = essential;
        return c;
}

static void depend(Ecs__ContainerSpec *c, const char *on, const char *condition)
{
        Ecs__DependsOn *d = mem_alloc(sizeof *d);
        ecs__depends_on__init(d);
        d->container_name = mem_strdup(on);
        d->condition = mem_strdup(condition);
        c->depends_on = mem_realloc_array(c->depends_on, c->n_depends_on + 1, sizeof d);
        c->depends_on[c->n_depends_on++] = d;
}

static struct task *task_of(size_t count, const bool *essential)
{
        static const char *const names[] = {"a", "b", "c", "d"};
        Ecs__TaskSpec *s = mem_alloc(sizeof *s);
        ecs__task_spec__init(s);
        s->arn = mem_strdup("arn:aws:ecs:r:1:task/c/0123");
        s->family = mem_strdup("fam");
        s->version = mem_strdup("3");
        s->containers = mem_zalloc(count * sizeof *s->containers);
        for (size_t i = 0; i < count; i++)
                s->containers[s->n_containers++] = container(names[i], essential[i]);
        return task_new(s, 1000, NULL);
}

/* Status never goes back, whatever happens in whatever state. */
static void no_event_lowers_a_status(void **state)
{
        (void)state;
        for (int s = 0; s < S_STATUSES; s++)
                for (int e = 0; e < EV_EVENTS; e++) {
                        const struct container_cell *cell = &container_cells[s][e];
                        if (cell->applies)
                                assert_true((int)cell->next > s);
                }
}

static void essential_exit_stops_the_rest(void **state)
{
        const bool essential[] = {true, true};
        struct task *t = task_of(2, essential);
        (void)state;
        for (size_t i = 0; i < 2; i++) {
                (void)container_apply(&t->containers[i], EV_PULLED, NULL);
                (void)container_apply(&t->containers[i], EV_CREATED, NULL);
                (void)container_apply(&t->containers[i], EV_RUNNING, NULL);
        }
        task_settle(t, 1);
        assert_int_equal(t->known, S_RUNNING);
        (void)container_apply(&t->containers[0], EV_EXITED, NULL);
        task_settle(t, 2);
        assert_int_equal(t->known, S_RUNNING);
        assert_int_equal(t->desired, S_STOPPED);
        assert_int_equal(container_next_step(&t->containers[1], true), STEP_STOP);
        (void)container_apply(&t->containers[1], EV_EXITED, NULL);
        task_settle(t, 3);
        assert_int_equal(t->known, S_STOPPED);
        assert_int_equal(t->stopped_ms, 3);
        assert_int_equal(t->facts->execution_stopped_at_ms, 2);
        task_free(t);
}

static void non_essential_exit_does_not(void **state)
{
        const bool essential[] = {true, false};
        struct task *t = task_of(2, essential);
        (void)state;
        for (size_t i = 0; i < 2; i++)
                (void)container_apply(&t->containers[i], EV_RUNNING, NULL);
        task_settle(t, 1);
        state_change_free(task_report(t));
        (void)container_apply(&t->containers[1], EV_EXITED, NULL);
        task_settle(t, 2);
        assert_int_equal(t->known, S_RUNNING);
        Ecs__StateChange *c = task_report(t);
        assert_non_null(c);
        assert_true(c->batch);
        assert_string_equal(c->status, "RUNNING");
        assert_int_equal(c->n_containers, 1);
        assert_string_equal(c->containers[0]->status, "STOPPED");
        state_change_free(c);
        assert_null(task_report(t));
        task_free(t);
}

static void first_reason_is_kept(void **state)
{
        const bool essential[] = {true};
        struct task *t = task_of(1, essential);
        (void)state;
        (void)container_apply(&t->containers[0], EV_CREATE_FAILED, "one");
        (void)container_apply(&t->containers[0], EV_EXITED, "two");
        assert_string_equal(t->containers[0].facts->reason, "one");
        task_free(t);
}

static void names_fit_docker(void **state)
{
        Ecs__TaskSpec *s = mem_alloc(sizeof *s);
        ecs__task_spec__init(s);
        s->arn = mem_strdup("x/1");
        s->family = mem_strdup("fam");
        s->version = mem_strdup("3");
        s->containers = mem_zalloc(sizeof *s->containers);
        s->containers[s->n_containers++] = container("my_app", true);
        struct task *t = task_new(s, 0, NULL);
        const char *name = t->containers[0].facts->docker_name;
        (void)state;
        assert_int_equal(strncmp(name, "ecs-fam-3-myapp-", 16), 0);
        assert_int_equal(strlen(name), 36);
        assert_int_equal(strspn(name + 16, "0123456789abcdef"), 20);
        task_free(t);
}

static void cycles_are_refused(void **state)
{
        const bool essential[] = {true, true};
        struct task *t = task_of(2, essential);
        (void)state;
        char *reason = task_check_dependencies(t);
        assert_null(reason);
        depend(t->spec->containers[0], "b", "START");
        reason = task_check_dependencies(t);
        assert_null(reason);
        assert_int_equal(container_next_step(&t->containers[0], true), STEP_NONE);
        assert_int_equal(container_next_step(&t->containers[1], true), STEP_PULL);
        depend(t->spec->containers[1], "a", "START");
        reason = task_check_dependencies(t);
        assert_string_equal(reason, "Task dependencies cannot be resolved, taskArn: "
                                    "arn:aws:ecs:r:1:task/c/0123");
        free(reason);
        task_free(t);
}

static void a_task_with_a_role_waits_for_metadata(void **state)
{
        const bool essential[] = {true};
        struct task *t = task_of(1, essential);
        (void)state;
        t->spec->credentials_id = mem_strdup("id");
        (void)container_apply(&t->containers[0], EV_CREATED, NULL);
        assert_int_equal(container_next_step(&t->containers[0], false), STEP_NONE);
        char *why = task_waiting_for(t, false);
        assert_non_null(strstr(why, "metadata worker"));
        free(why);
        assert_int_equal(container_next_step(&t->containers[0], true), STEP_START);
        task_free(t);
}

/* Does what the steps would: each step ends in one of its possible events. */
static enum container_event outcome(enum step step, unsigned rnd)
{
        bool good = rnd % 5 != 0;
        switch (step) {
        case STEP_PULL:
                return good ? EV_PULLED : EV_PULL_FAILED;
        case STEP_CREATE:
                return good ? EV_CREATED : EV_CREATE_FAILED;
        case STEP_START:
                return good ? EV_RUNNING : EV_START_FAILED;
        default:
                return EV_EXITED;
        }
}

static void walk(unsigned seed)
{
        static const char *const conditions[] = {"START", "CREATE", "COMPLETE"};
        bool essential[4];
        size_t count = 1 + seed % 4;
        srand(seed);
        for (size_t i = 0; i < count; i++)
                essential[i] = i == 0 || rand() % 2;
        struct task *t = task_of(count, essential);
        for (size_t i = 1; i < count; i++)
                if (rand() % 2)
                        depend(t->spec->containers[i], t->containers[rand() % (int)i].spec->name,
                               conditions[rand() % 3]);
        for (int turn = 0; turn < 400 && t->known != S_STOPPED; turn++) {
                struct container *c = &t->containers[rand() % (int)count];
                enum step step = container_next_step(c, true);
                if (step == STEP_STOP && c->known < S_RUNNING)
                        (void)container_apply(c, EV_STOP_WANTED, NULL);
                else if (step != STEP_NONE)
                        (void)container_apply(c, outcome(step, (unsigned)rand()), NULL);
                else if (c->known == S_RUNNING && rand() % 3 == 0) {
                        (void)container_apply(c, EV_EXITED, NULL);
                        container_set_exit_code(c, 0);
                } else if (rand() % 20 == 0)
                        task_want_stopped(t, NULL);
                if (c->known == S_STOPPED && c->facts->exit_code == NULL)
                        container_set_exit_code(c, 1);
                task_settle(t, turn + 1);
                Ecs__StateChange *report = task_report(t);
                if (report != NULL && t->known == S_STOPPED)
                        assert_string_equal(report->status, "STOPPED");
                state_change_free(report);
        }
        assert_int_equal(t->known, S_STOPPED);
        for (size_t i = 0; i < count; i++)
                assert_int_equal(t->containers[i].known, S_STOPPED);
        assert_null(task_report(t));
        task_free(t);
}

static void every_walk_ends(void **state)
{
        (void)state;
        for (unsigned seed = 1; seed <= 3000; seed++)
                walk(seed);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_event_lowers_a_status),
                cmocka_unit_test(essential_exit_stops_the_rest),
                cmocka_unit_test(non_essential_exit_does_not),
                cmocka_unit_test(first_reason_is_kept),
                cmocka_unit_test(names_fit_docker),
                cmocka_unit_test(cycles_are_refused),
                cmocka_unit_test(a_task_with_a_role_waits_for_metadata),
                cmocka_unit_test(every_walk_ends)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
