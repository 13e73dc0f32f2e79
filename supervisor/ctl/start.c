/* ecsctl start: starts a stopped worker. */
#include "change.h"

static int run(struct ctl *c, int argc, char **argv)
{
        Ecs__CtlWorker m = ECS__CTL_WORKER__INIT;
        (void)argc;
        m.worker = argv[0];
        m.action = ECS__CTL_WORKER__ACTION__START;
        return change_worker(c, &m);
}

static const struct command_example examples[] = {
        {"ecsctl start engine", "ends what 'ecsctl stop engine' began"},
        {NULL, NULL}};

const struct command command_start = {
        .name = "start",
        .usage = "WORKER",
        .summary = "starts a stopped worker",
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .complete = COMPLETE_WORKER,
        .run = run,
};
