/* ecsctl stop: stops a worker until it is started again. */
#include "change.h"

static int run(struct ctl *c, int argc, char **argv)
{
        Ecs__CtlWorker m = ECS__CTL_WORKER__INIT;
        (void)argc;
        m.worker = argv[0];
        m.action = ECS__CTL_WORKER__ACTION__STOP;
        return change_worker(c, &m);
}

const struct command command_stop = {.name = "stop",
                                   .usage = "WORKER",
                                   .summary = "stops a worker until it is started again",
                                   .min_args = 1,
                                   .max_args = 1,
                                   .run = run};
