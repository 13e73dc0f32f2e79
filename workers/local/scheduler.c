/* scheduler: the timer of it all. A turn reconciles every service and sweeps, in one transaction;
 * it follows every change, and comes by itself every half minute. Source: scheduler.h. */
#include "scheduler.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "clock.h"
#include "local.h"
#include "mem.h"
#include "reconcile.h"
#include "sweep.h"

#define TURN_MS 30000
#define SWEEP_MS 30000

struct scheduler {
        struct local *local;
        uv_timer_t timer;
        uint64_t swept_at;
        bool in_turn;
};

static void on_timer(uv_timer_t *timer);

static void arm(struct scheduler *s, uint64_t ms)
{
        (void)uv_timer_start(&s->timer, on_timer, ms, 0);
}

static int64_t turn(struct local *l)
{
        int64_t wait = INT64_MAX;
        const char *arn;
        json_t *service;
        json_object_foreach (l->objects[K_SERVICE], arn, service) {
                int64_t again = reconcile_service(l, service);
                wait = again < wait ? again : wait;
        }
        return wait;
}

static void on_timer(uv_timer_t *timer)
{
        struct scheduler *s = timer->data;
        struct local *l = s->local;
        uint64_t most = clock_wait_ms(TURN_MS);
        s->in_turn = true;
        local_begin(l);
        int64_t wait = turn(l);
        if (clock_now_ms() - s->swept_at >= clock_wait_ms(SWEEP_MS)) {
                sweep_objects(l);
                s->swept_at = clock_now_ms();
        }
        (void)local_commit(l);
        s->in_turn = false;
        arm(s, wait >= 0 && (uint64_t)wait < most ? (uint64_t)wait + 1 : most);
}

struct scheduler *scheduler_new(struct local *l)
{
        struct scheduler *s = mem_zalloc(sizeof *s);
        s->local = l;
        (void)uv_timer_init(worker_loop(l->worker), &s->timer);
        s->timer.data = s;
        arm(s, 0);
        return s;
}

void scheduler_wake(struct local *l)
{
        struct scheduler *s = l->scheduler;
        if (s != NULL && !s->in_turn)
                arm(s, 0);
}

static void on_closed(uv_handle_t *h)
{
        free(h->data);
}

void scheduler_close(struct scheduler *s)
{
        if (s == NULL)
                return;
        s->local->scheduler = NULL;
        uv_close((uv_handle_t *)&s->timer, on_closed);
}
