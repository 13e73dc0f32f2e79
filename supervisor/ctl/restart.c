/* ecsctl restart: ends a worker and starts it; --new takes a new binary. */
#include "change.h"

static int run(struct ctl *c, int argc, char **argv)
{
        Ecs__CtlWorker m = ECS__CTL_WORKER__INIT;
        (void)argc;
        m.worker = argv[0];
        m.action = ECS__CTL_WORKER__ACTION__RESTART;
        m.reopen = c->reopen;
        return change_worker(c, &m);
}

const struct command command_restart = {.name = "restart",
                                   .usage = "WORKER [--new]",
                                   .summary = "ends a worker and starts it; --new takes a new binary",
                                   .min_args = 1,
                                   .max_args = 1,
                                   .run = run};
