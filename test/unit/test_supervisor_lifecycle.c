/* The worker lifecycle as data: every state × event pair is decided, and random walks through the
 * table never start a second process nor lose one. No process is started here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "supervisor.h"

static void every_pair_is_decided(void **state)
{
        (void)state;
        for (int s = 0; s < P_STATES; s++) {
                assert_non_null(process_state_name((enum process_state)s));
                for (int e = 0; e < E_EVENTS; e++) {
                        assert_non_null(process_cells[s][e].action);
                        assert_in_range(process_cells[s][e].next, 0, P_STATES - 1);
                }
        }
}

/* What must hold for single pairs, whatever else changes. */
static void rules_of_single_pairs(void **state)
{
        static const struct {
                enum process_state from;
                enum process_event event;
                process_action_fn action;
                enum process_state to;
        } cases[] = {
                {P_STOPPED, E_START, act_spawn, P_STARTING},
                {P_STARTING, E_READY, act_ready, P_READY},
                {P_STARTING, E_TIMER, act_kill, P_STARTING},
                {P_STARTING, E_EXITED, act_backoff, P_BACKOFF},
                {P_READY, E_EXITED, act_backoff, P_BACKOFF},
                {P_READY, E_RESTART, act_stop_then_start, P_STOPPING},
                {P_READY, E_STOP, act_stop, P_STOPPING},
                {P_STOPPING, E_TIMER, act_kill, P_STOPPING},
                {P_STOPPING, E_EXITED, act_exited, P_STOPPED},
                {P_BACKOFF, E_TIMER, act_spawn, P_STARTING},
                {P_BACKOFF, E_STOP, act_cancel, P_STOPPED},
                {P_READY, E_DEBUG, act_stop_then_debug, P_STOPPING},
                {P_STOPPED, E_DEBUG, act_debug, P_DEBUG},
                {P_DEBUG, E_EXITED, act_debug_over, P_STOPPING},
                {P_DEBUG, E_STOP, act_debug_end, P_STOPPING},
        };
        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                const struct process_cell *c = &process_cells[cases[i].from][cases[i].event];
                assert_ptr_equal(c->action, cases[i].action);
                assert_int_equal(c->next, cases[i].to);
        }
}

static bool runs(enum process_state s)
{
        return s == P_STARTING || s == P_READY || s == P_STOPPING;
}

static void stopping_never_starts(void **state)
{
        (void)state;
        for (int s = 0; s < P_STATES; s++) {
                const struct process_cell *c = &process_cells[s][E_STOP];
                assert_true(c->next == P_STOPPED || c->next == P_STOPPING);
                assert_true(c->action != act_spawn);
        }
}

/* One step of a walk: the process of the model starts and ends where the table says so. */
static void step(enum process_state *at, bool *alive, enum process_event e)
{
        const struct process_cell *c = &process_cells[*at][e];
        if (e == E_EXITED && *at != P_DEBUG)
                *alive = false;
        if (c->action == act_spawn || c->action == act_debug_over || c->action == act_debug_end) {
                assert_false(*alive);
                *alive = true;
        }
        if (c->action == act_debug)
                assert_false(*alive);
        *at = c->next;
        assert_int_equal(*alive, runs(*at));
}

static void random_walks_never_run_two(void **state)
{
        (void)state;
        srand(4711);
        for (int walk = 0; walk < 2000; walk++) {
                enum process_state at = P_STOPPED;
                bool alive = false;
                for (int i = 0; i < 200; i++) {
                        enum process_event e = (enum process_event)(rand() % E_EVENTS);
                        bool may_exit = alive || at == P_DEBUG;
                        if (e == E_EXITED && !may_exit)
                                continue;
                        step(&at, &alive, e);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_pair_is_decided),
                cmocka_unit_test(rules_of_single_pairs),
                cmocka_unit_test(stopping_never_starts),
                cmocka_unit_test(random_walks_never_run_two),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
