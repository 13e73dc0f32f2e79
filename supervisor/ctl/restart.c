/* ecsctl restart: ends a worker and starts it; --new takes a new binary. */
#include <stddef.h>

#include "change.h"

static int run(struct ctl *c, int argc, char **argv)
{
        Ecs__CtlWorker m = ECS__CTL_WORKER__INIT;
        (void)argc;
        m.worker = argv[0];
        m.action = ECS__CTL_WORKER__ACTION__RESTART;
        m.reopen = ctl_option(c, "new") != NULL;
        return change_worker(c, &m);
}

static const struct command_option options[] = {
        {"new", 0, NULL, "take the program from its file again, after an upgrade"},
        {NULL, 0, NULL, NULL}};
static const struct command_example examples[] = {
        {"ecsctl restart engine", "tasks keep running"},
        {"ecsctl restart metadata --new", "the program of a new package"},
        {NULL, NULL}};

const struct command command_restart = {
        .name = "restart",
        .usage = "[--new] WORKER",
        .summary = "ends a worker and starts it",
        .options = options,
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .complete = COMPLETE_WORKER,
        .run = run,
};
