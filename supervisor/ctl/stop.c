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

static const struct command_example examples[] = {
        {"ecsctl stop backend", "the agent goes on without a session with ECS"},
        {NULL, NULL}};

const struct command command_stop = {
        .name = "stop",
        .usage = "WORKER",
        .summary = "stops a worker until it is started again",
        .text = "Containers and the other workers go on; what needs the worker waits for it.",
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .complete = COMPLETE_WORKER,
        .run = run,
};
