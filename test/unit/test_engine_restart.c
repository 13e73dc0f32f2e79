/* The restart policy, and the waiting that startTimeout ends. Rows E33, E51, E52, M36. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "engine_tasks.h"

#define START 1767225600000 /* 2026-01-01 */
#define S 1000

static char *at(int64_t seconds)
{
        static char text[CLOCK_TEXT];
        return (char *)clock_format_ms(START + seconds * S, text);
}

static struct task *restarting_task(unsigned period_s, bool ignores_3)
{
        const bool essential[] = {true};
        Ecs__TaskSpec *s = make_spec(1, essential);
        make_restart_policy(s->containers[0], period_s, ignores_3);
        struct task *t = task_new(s, START, NULL);
        (void)container_apply(&t->containers[0], EV_RUNNING, NULL);
        text_set(&t->containers[0].facts->started_at, at(0));
        task_settle(t, START);
        state_change_free(task_report(t));
        return t;
}

/* E51: it must have run for the period since it was last started; ECS is told nothing. */
static void it_restarts_after_the_period(void **state)
{
        static const struct {
                int64_t ends_s;
                bool restarts;
                int count;
        } ends[] = {
                {60,  true,  1},
                {121, true,  2},
                {180, false, 2}
        };
        struct task *t = restarting_task(60, false);
        struct container *c = &t->containers[0];
        (void)state;
        assert_int_equal(c->facts->restart_count->value, 0);
        for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
                assert_int_equal(container_restarts(c, (int)i, at(ends[i].ends_s),
                                                    START + ends[i].ends_s * S),
                                 ends[i].restarts);
                assert_int_equal(c->facts->restart_count->value, ends[i].count);
                assert_int_equal(container_next_step(c, true),
                                 ends[i].restarts ? STEP_START : STEP_NONE);
                task_settle(t, START);
                assert_null(task_report(t));
                if (ends[i].restarts)
                        assert_int_equal(c->facts->last_restart_ms, START + ends[i].ends_s * S);
                container_restart_over(c);
        }
        task_free(t);
}

/* A crash between the note and Docker's answer counts once. */
static void one_end_is_counted_once(void **state)
{
        struct task *t = restarting_task(0, false);
        struct container *c = &t->containers[0];
        (void)state;
        assert_true(container_restarts(c, 1, at(5), START + 5 * S));
        assert_true(container_restarts(c, 1, at(5), START + 9 * S));
        assert_int_equal(c->facts->restart_count->value, 1);
        assert_int_equal(c->facts->last_restart_ms, START + 5 * S);
        assert_true(container_restarts(c, 1, at(7), START + 9 * S));
        assert_int_equal(c->facts->restart_count->value, 2);
        task_free(t);
}

/* E52 */
static void ignored_codes_and_a_wanted_stop_end_it(void **state)
{
        struct task *t = restarting_task(0, true);
        struct container *c = &t->containers[0];
        (void)state;
        assert_false(container_restarts(c, 3, at(5), START));
        assert_true(container_restarts(c, 0, at(6), START));
        task_want_stopped(t, NULL);
        task_settle(t, START);
        assert_int_equal(container_next_step(c, true), STEP_STOP);
        assert_false(container_restarts(c, 0, at(7), START));
        task_free(t);
}

static void without_a_policy_nothing_restarts(void **state)
{
        const bool essential[] = {true};
        struct task *t = make_task(1, essential);
        (void)state;
        (void)container_apply(&t->containers[0], EV_RUNNING, NULL);
        assert_false(container_restarts(&t->containers[0], 0, at(5), START));
        assert_null(t->containers[0].facts->restart_count);
        task_free(t);
}

/* A restart that fails ends the container, with the reason; Docker is asked to stop it. */
static void a_failed_restart_ends_it(void **state)
{
        struct task *t = restarting_task(0, false);
        struct container *c = &t->containers[0];
        (void)state;
        assert_true(container_restarts(c, 1, at(5), START));
        container_give_up(c, "CannotStartContainerError: no");
        task_settle(t, START);
        assert_int_equal(container_next_step(c, true), STEP_STOP);
        assert_int_equal(t->desired, S_STOPPED);
        assert_false(container_restarts(c, 1, at(5), START));
        (void)container_apply(c, EV_EXITED, NULL);
        task_settle(t, START);
        assert_int_equal(t->known, S_STOPPED);
        assert_string_equal(c->facts->reason, "CannotStartContainerError: no");
        task_free(t);
}

/* E33: b waits until a, which has startTimeout 3 s, is healthy. */
static struct task *waiting_task(const char *condition, unsigned timeout_s)
{
        const bool essential[] = {true, true};
        Ecs__TaskSpec *s = make_spec(2, essential);
        make_dependency(s->containers[1], "a", condition);
        s->containers[0]->health_check_type = mem_strdup("docker");
        s->containers[0]->start_timeout_s = timeout_s;
        struct task *t = task_new(s, START, NULL);
        (void)container_apply(&t->containers[0], EV_RUNNING, NULL);
        (void)container_apply(&t->containers[1], EV_PULLED, NULL);
        text_set(&t->containers[0].facts->started_at, at(10));
        task_settle(t, START);
        return t;
}

static void start_timeout_ends_the_waiting(void **state)
{
        static const struct {
                const char *condition;
                unsigned timeout_s;
                bool ends;
        } cases[] = {
                {"HEALTHY",  3, true },
                {"SUCCESS",  3, true },
                {"COMPLETE", 3, true },
                {"START",    3, false},
                {"HEALTHY",  0, false}
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct task *t = waiting_task(cases[i].condition, cases[i].timeout_s);
                struct container *b = &t->containers[1];
                assert_int_equal(task_start_deadline(t), cases[i].ends ? START + 13 * S : 0);
                task_settle(t, START + 13 * S - 1);
                assert_int_equal(b->known, S_PULLED);
                task_settle(t, START + 13 * S);
                assert_int_equal(b->known, cases[i].ends ? S_STOPPED : S_PULLED);
                if (cases[i].ends) {
                        assert_int_equal(b->facts->exit_code->value, 143);
                        assert_string_equal(
                                b->facts->reason,
                                "CannotStartContainerError: dependency graph: container ordering "
                                "dependency [a(img:1) (RUNNING->RUNNING)] for target [b(img:1) "
                                "(PULLED->RUNNING)] has timed out.");
                        assert_int_equal(t->desired, S_STOPPED);
                        assert_int_equal(task_start_deadline(t), 0);
                }
                task_free(t);
        }
}

/* Once it is created, or its condition was met in time, nothing times out. */
static void a_met_condition_does_not_time_out(void **state)
{
        struct task *t = waiting_task("HEALTHY", 3);
        (void)state;
        Ecs__HealthFacts *h = mem_alloc(sizeof *h);
        ecs__health_facts__init(h);
        h->status = mem_strdup("HEALTHY");
        t->containers[0].facts->health = h;
        task_settle(t, START + 60 * S);
        assert_int_equal(t->containers[1].known, S_PULLED);
        assert_int_equal(container_next_step(&t->containers[1], true), STEP_CREATE);
        task_free(t);
}

/* E38: the task is stopped while its image is being pulled. */
static void a_stop_does_not_wait_for_a_pull(void **state)
{
        const bool essential[] = {true};
        struct task *t = make_task(1, essential);
        struct container *c = &t->containers[0];
        (void)state;
        c->step = STEP_PULL;
        task_want_stopped(t, NULL);
        task_settle(t, 5);
        assert_int_equal(t->known, S_STOPPED);
        Ecs__StateChange *r = task_report(t);
        assert_string_equal(r->containers[0]->runtime_id, "");
        assert_string_equal(r->reason, "");
        state_change_free(r);
        assert_false(container_apply(c, EV_PULLED, NULL));
        task_free(t);
}

/* One container alone is to stop: those that depend on it and stay do not keep it. */
static void a_container_alone_does_not_wait_for_dependents(void **state)
{
        const bool essential[] = {false, true};
        Ecs__TaskSpec *s = make_spec(2, essential);
        make_dependency(s->containers[1], "a", "START");
        struct task *t = task_new(s, START, NULL);
        (void)state;
        for (size_t i = 0; i < 2; i++)
                (void)container_apply(&t->containers[i], EV_RUNNING, NULL);
        container_give_up(&t->containers[0], "DockerTimeoutError: text");
        task_settle(t, START);
        assert_int_equal(t->desired, S_RUNNING);
        assert_int_equal(container_next_step(&t->containers[0], true), STEP_STOP);
        task_free(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_restarts_after_the_period),
                cmocka_unit_test(one_end_is_counted_once),
                cmocka_unit_test(ignored_codes_and_a_wanted_stop_end_it),
                cmocka_unit_test(without_a_policy_nothing_restarts),
                cmocka_unit_test(a_failed_restart_ends_it),
                cmocka_unit_test(start_timeout_ends_the_waiting),
                cmocka_unit_test(a_met_condition_does_not_time_out),
                cmocka_unit_test(a_stop_does_not_wait_for_a_pull),
                cmocka_unit_test(a_container_alone_does_not_wait_for_dependents)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
