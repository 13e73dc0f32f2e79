/* The engine's rules without loop, Docker or clock: every pair of the table, what a task makes of
 * its containers, what is reported. Random walks: test_engine_walk.c. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "engine_tasks.h"

/* Status never goes back, whatever happens in whatever state; but for a created container that is
 * made anew with another port. */
static void no_event_lowers_a_status(void **state)
{
        (void)state;
        for (int s = 0; s < S_STATUSES; s++)
                for (int e = 0; e < EV_EVENTS; e++) {
                        const struct container_cell *cell = &container_cells[s][e];
                        if (cell->applies && e != EV_PORT_TAKEN)
                                assert_true((int)cell->next > s);
                }
}

static void essential_exit_stops_the_rest(void **state)
{
        const bool essential[] = {true, true};
        struct task *t = make_task(2, essential);
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
        struct task *t = make_task(2, essential);
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
        struct task *t = make_task(1, essential);
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
        s->containers[s->n_containers++] = make_container("my_app", true);
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
        struct task *t = make_task(2, essential);
        (void)state;
        char *reason = task_check_dependencies(t);
        assert_null(reason);
        make_dependency(t->spec->containers[0], "b", "START");
        reason = task_check_dependencies(t);
        assert_null(reason);
        /* the digest is looked up at once, the image is not pulled before its time (E78) */
        assert_int_equal(container_next_step(&t->containers[0], true), STEP_MANIFEST);
        assert_int_equal(container_next_step(&t->containers[1], true), STEP_MANIFEST);
        t->containers[0].known = t->containers[1].known = S_MANIFEST_PULLED;
        assert_int_equal(container_next_step(&t->containers[0], true), STEP_NONE);
        assert_int_equal(container_next_step(&t->containers[1], true), STEP_PULL);
        t->pull_upfront = true;
        assert_int_equal(container_next_step(&t->containers[0], true), STEP_PULL);
        t->containers[0].known = S_PULLED;
        assert_int_equal(container_next_step(&t->containers[0], true), STEP_NONE);
        make_dependency(t->spec->containers[1], "a", "START");
        reason = task_check_dependencies(t);
        assert_string_equal(reason, "Task dependencies cannot be resolved, taskArn: "
                                    TEST_ARN);
        free(reason);
        task_free(t);
}

static void a_task_with_a_role_waits_for_metadata(void **state)
{
        const bool essential[] = {true};
        struct task *t = make_task(1, essential);
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

/* Every state × event pair, decided here a second time: "." ignored, else the next state. */
static void every_pair_is_decided(void **state)
{
        static const struct {
                enum container_event event;
                const char *name;
                const char cells[S_STATUSES + 1];
        } rows[] = {
                /* NONE, MANIFEST_PULLED, PULLED, CREATED, RUNNING, STOPPED; letters are initials */
                {EV_MANIFEST_PULLED, "manifest pulled", "M....."},
                {EV_PULLED, "pulled", "PP...."},
                {EV_PULL_FAILED, "pull failed", "SS...."},
                {EV_CREATED, "created", "CCC..."},
                {EV_CREATE_FAILED, "create failed", "SSS..."},
                {EV_RUNNING, "running", "RRRR.."},
                {EV_START_FAILED, "start failed", "SSSS.."},
                {EV_EXITED, "exited", "SSSSS."},
                {EV_VANISHED, "vanished", "...SS."},
                {EV_STOP_WANTED, "stop wanted", "SSSS.."},
                {EV_HOPELESS, "hopeless", "SSSS.."},
                {EV_PORT_TAKEN, "port taken", "...P.."},
        };
        const bool essential[] = {true};
        (void)state;
        assert_int_equal(ARRAY_SIZE(rows), EV_EVENTS);
        for (size_t r = 0; r < ARRAY_SIZE(rows); r++)
                for (int s = 0; s < S_STATUSES; s++) {
                        struct task *t = make_task(1, essential);
                        struct container *c = &t->containers[0];
                        char want = rows[r].cells[s];
                        c->known = (enum status)s;
                        text_set(&c->facts->known_status, status_name(c->known));
                        t->dirty = false;
                        bool applied = container_apply(c, rows[r].event, "why");
                        if (applied != (want != '.'))
                                fail_msg("%s in %s", rows[r].name, status_name((enum status)s));
                        if (applied && *status_name(c->known) != want)
                                fail_msg("%s in %s leads to %s", rows[r].name,
                                         status_name((enum status)s), status_name(c->known));
                        /* what is ignored leaves no trace; what applies is in the facts */
                        assert_int_equal(t->dirty, applied);
                        assert_string_equal(c->facts->known_status, status_name(c->known));
                        assert_string_equal(c->facts->reason, applied ? "why" : "");
                        task_free(t);
                }
}

static void each_state_has_its_next_step(void **state)
{
        static const struct {
                enum status known;
                enum step forward, stopping;
        } cases[] = {
                {S_NONE, STEP_MANIFEST, STEP_STOP},  {S_MANIFEST_PULLED, STEP_PULL, STEP_STOP},
                {S_PULLED, STEP_CREATE, STEP_STOP},  {S_CREATED, STEP_START, STEP_STOP},
                {S_RUNNING, STEP_NONE, STEP_STOP},   {S_STOPPED, STEP_NONE, STEP_NONE},
        };
        const bool essential[] = {true};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct task *t = make_task(1, essential);
                struct container *c = &t->containers[0];
                c->known = cases[i].known;
                assert_int_equal(container_next_step(c, true), cases[i].forward);
                c->step = STEP_INSPECT; /* one step at a time */
                assert_int_equal(container_next_step(c, true), STEP_NONE);
                c->step = STEP_NONE;
                c->desired = S_STOPPED;
                assert_int_equal(container_next_step(c, true), cases[i].stopping);
                task_free(t);
        }
}

/* E86, E87, E35: reported STOPPED with the reason, nothing to do in Docker. */
static void what_cannot_run_is_stopped_at_once(void **state)
{
        const bool essential[] = {true, true};
        static const char *const invalid =
                "UnrecogniedTaskError: Error loading task - container override of 'cpu' is not "
                "supported";
        (void)state;
        for (int kind = 0; kind < 4; kind++) {
                Ecs__TaskSpec *s = make_spec(kind == 3 ? 0 : 2, essential);
                const char *reason = "";
                if (kind == 0) {
                        s->invalid_reason = mem_strdup(invalid);
                        reason = invalid;
                } else if (kind == 1) {
                        s->desired_status = ECS__DESIRED_STATUS__DESIRED_STOPPED;
                } else if (kind == 2) {
                        make_dependency(s->containers[0], "nobody", "START");
                        reason = "Task dependencies cannot be resolved, taskArn: " TEST_ARN;
                }
                struct task *t = task_new(s, 5, NULL);
                task_admit(t, 7);
                assert_int_equal(t->known, S_STOPPED);
                assert_int_equal(t->stopped_ms, 7);
                for (size_t i = 0; i < t->container_count; i++)
                        assert_int_equal(container_next_step(&t->containers[i], true), STEP_NONE);
                Ecs__StateChange *c = task_report(t);
                assert_string_equal(c->status, "STOPPED");
                assert_string_equal(c->reason, reason);
                state_change_free(c);
                assert_null(task_report(t));
                task_free(t);
        }
}

static struct task *pair(const char *condition)
{
        const bool essential[] = {true, false};
        Ecs__TaskSpec *s = make_spec(2, essential);
        make_dependency(s->containers[0], "b", condition);
        s->containers[1]->health_check_type = mem_strdup("docker");
        return task_new(s, 1, NULL);
}

/* E32, E34: a container whose dependency can never be met is given up, with exit code 143. */
static void hopeless_dependents_are_given_up(void **state)
{
        static const struct {
                const char *condition;
                bool ran;
                int exit_code;     /* -1 = none */
                const char *tail;  /* NULL: still hope */
        } cases[] = {
                {"SUCCESS", true, 3,
                 "[b(img:1) (STOPPED->RUNNING) - Exit: 3] for target [a(img:1) (NONE->RUNNING)] as "
                 "dependency did not exit successfully."},
                {"SUCCESS", true, 0, NULL},
                {"COMPLETE", true, 3, NULL},
                {"COMPLETE", true, -1, "because dependency stopped without an exit code"},
                {"START", true, 3, NULL},
                {"START", false, -1, "because dependency will never start"},
                {"CREATE", false, -1, "because dependency will never start"},
                {"HEALTHY", true, 0, "because dependency stopped before it was healthy"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct task *t = pair(cases[i].condition);
                struct container *a = &t->containers[0], *b = &t->containers[1];
                if (cases[i].ran)
                        text_set(&b->facts->started_at, "2026-01-01T00:00:00Z");
                if (cases[i].exit_code >= 0)
                        container_set_exit_code(b, cases[i].exit_code);
                (void)container_apply(b, cases[i].ran ? EV_EXITED : EV_PULL_FAILED, NULL);
                task_settle(t, 1);
                if (cases[i].tail == NULL) {
                        assert_int_equal(a->known, S_NONE);
                        a->known = S_MANIFEST_PULLED;
                        assert_int_equal(container_next_step(a, true), STEP_PULL);
                } else {
                        assert_int_equal(t->known, S_STOPPED);
                        assert_int_equal(a->facts->exit_code->value, 143);
                        assert_non_null(strstr(a->facts->reason, cases[i].tail));
                        assert_int_equal(strncmp(a->facts->reason,
                                                 "CannotStartContainerError: dependency graph: ",
                                                 45), 0);
                }
                task_free(t);
        }
}

/* E36: A depends on B: B is stopped only once A has. */
static void a_dependency_stops_after_its_dependents(void **state)
{
        struct task *t = pair("START");
        (void)state;
        (void)container_apply(&t->containers[1], EV_RUNNING, NULL);
        (void)container_apply(&t->containers[0], EV_RUNNING, NULL);
        task_want_stopped(t, NULL);
        task_settle(t, 1);
        assert_int_equal(container_next_step(&t->containers[1], true), STEP_NONE);
        assert_int_equal(container_next_step(&t->containers[0], true), STEP_STOP);
        (void)container_apply(&t->containers[0], EV_EXITED, NULL);
        task_settle(t, 2);
        assert_int_equal(container_next_step(&t->containers[1], true), STEP_STOP);
        task_free(t);
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
                cmocka_unit_test(every_pair_is_decided),
                cmocka_unit_test(each_state_has_its_next_step),
                cmocka_unit_test(what_cannot_run_is_stopped_at_once),
                cmocka_unit_test(hopeless_dependents_are_given_up),
                cmocka_unit_test(a_dependency_stops_after_its_dependents)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
