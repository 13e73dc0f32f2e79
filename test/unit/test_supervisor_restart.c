/* When a worker that does not answer is ended, and how long one that ended stays down: DESIGN
 * section 3, H5. No process, no clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "supervisor.h"

#define EVERY_MS 5000

/* A tick when it was due, late_ms after it. */
static enum watchdog_verdict tick(struct watchdog *w, uint64_t *now, uint64_t late_ms)
{
        *now += EVERY_MS + late_ms;
        enum watchdog_verdict v = watchdog_tick(w, *now);
        w->due_ms = *now + EVERY_MS;
        if (v == WATCHDOG_PING)
                w->open = true;
        return v;
}

static void six_missed_pongs_abort_then_kill(void **state)
{
        struct watchdog w = {0};
        uint64_t now = 1000;
        (void)state;
        assert_int_equal(tick(&w, &now, 0), WATCHDOG_PING);
        for (int i = 0; i < 5; i++)
                assert_int_equal(tick(&w, &now, 0), WATCHDOG_WAIT);
        assert_int_equal(tick(&w, &now, 0), WATCHDOG_ABORT);
        assert_int_equal(tick(&w, &now, 1001), WATCHDOG_WAIT);
        assert_int_equal(tick(&w, &now, 0), WATCHDOG_KILL);
        assert_int_equal(tick(&w, &now, 0), WATCHDOG_WAIT);
}

static void a_pong_starts_the_count_anew(void **state)
{
        struct watchdog w = {0};
        uint64_t now = 1000;
        (void)state;
        (void)tick(&w, &now, 0);
        for (int i = 0; i < 5; i++)
                assert_int_equal(tick(&w, &now, 0), WATCHDOG_WAIT);
        watchdog_pong(&w);
        assert_int_equal(tick(&w, &now, 0), WATCHDOG_PING);
        for (int i = 0; i < 5; i++)
                assert_int_equal(tick(&w, &now, 0), WATCHDOG_WAIT);
        assert_int_equal(tick(&w, &now, 0), WATCHDOG_ABORT);
}

static void lag_of_our_own_loop_is_not_counted(void **state)
{
        struct watchdog w = {0};
        uint64_t now = 1000;
        (void)state;
        (void)tick(&w, &now, 0);
        for (int i = 0; i < 50; i++)
                assert_int_equal(tick(&w, &now, 1001), WATCHDOG_WAIT);
        assert_int_equal(w.missed, 0);
        assert_int_equal(tick(&w, &now, 999), WATCHDOG_WAIT);
        assert_int_equal(w.missed, 1);
}

static void ping_that_was_not_written_is_no_miss(void **state)
{
        struct watchdog w = {0};
        uint64_t now = 1000;
        (void)state;
        for (int i = 0; i < 20; i++) {
                assert_int_equal(tick(&w, &now, 0), WATCHDOG_PING);
                w.open = false;
        }
        assert_int_equal(w.missed, 0);
}

/* ---- waits ---- */

static void waits_by_kind_of_death(void **state)
{
        static const struct {
                const char *name;
                enum death how;
                uint32_t waits[10]; /* of deaths that follow each other at once */
        } cases[] = {
                {"crash", DEATH_CRASH, {0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600}},
                {"exit 1", DEATH_EXIT_1, {500, 1000, 2000, 4000, 8000, 15000, 15000, 15000}},
                {"reopen", DEATH_REOPEN, {0, 0, 0, 0}},
        };
        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct restart_history h = {0};
                for (size_t k = 0; k < 10 && (k == 0 || cases[i].waits[k] > 0 ||
                                              cases[i].how == DEATH_REOPEN); k++)
                        assert_int_equal(restart_wait_ms(&h, cases[i].how, k % 2 == 0, 1999, 0),
                                         cases[i].waits[k]);
        }
}

static void waits_are_bounded_and_jittered(void **state)
{
        struct restart_history h = {0};
        uint32_t wait = 0;
        (void)state;
        for (int i = 0; i < 1000; i++)
                wait = restart_wait_ms(&h, DEATH_CRASH, false, 0, 0.99);
        assert_in_range(wait, 30000, 36000);
}

static void two_seconds_of_service_forgive(void **state)
{
        struct restart_history h = {0};
        (void)state;
        for (int i = 0; i < 6; i++)
                (void)restart_wait_ms(&h, DEATH_CRASH, true, 100, 0);
        assert_int_equal(restart_wait_ms(&h, DEATH_CRASH, true, 2000, 0), 0);
        assert_int_equal(restart_wait_ms(&h, DEATH_CRASH, true, 100, 0), 100);
        /* living long without ever serving is no merit */
        assert_int_equal(restart_wait_ms(&h, DEATH_CRASH, false, 60000, 0), 200);
}

static void deaths_by_status(void **state)
{
        (void)state;
        assert_int_equal(death_of(1 << 8), DEATH_EXIT_1);
        assert_int_equal(death_of(42 << 8), DEATH_REOPEN);
        assert_int_equal(death_of(0), DEATH_CRASH);
        assert_int_equal(death_of(9), DEATH_CRASH);
        assert_int_equal(death_of(5 << 8), DEATH_CRASH);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(six_missed_pongs_abort_then_kill),
                cmocka_unit_test(a_pong_starts_the_count_anew),
                cmocka_unit_test(lag_of_our_own_loop_is_not_counted),
                cmocka_unit_test(ping_that_was_not_written_is_no_miss),
                cmocka_unit_test(waits_by_kind_of_death),
                cmocka_unit_test(waits_are_bounded_and_jittered),
                cmocka_unit_test(two_seconds_of_service_forgive),
                cmocka_unit_test(deaths_by_status),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
