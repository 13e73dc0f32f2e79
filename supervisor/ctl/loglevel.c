/* ecsctl loglevel: how much a worker, or all of them, tell. Lasts until the service ends. */
#include <string.h>

#include "change.h"
#include "log.h"

static int run(struct ctl *c, int argc, char **argv)
{
        Ecs__CtlWorker m = ECS__CTL_WORKER__INIT;
        enum log_level level;
        const char *text = argv[argc - 1];
        if (log_level_from_string(text, &level) != 0)
                return command_fail("no level '%s': debug, info, warn, error, crit or none",
                                    text);
        m.worker = argc == 2 ? argv[0] : (char *)"all";
        m.action = ECS__CTL_WORKER__ACTION__LOGLEVEL;
        m.level = (uint32_t)level;
        return change_worker(c, &m);
}

static const struct command_example examples[] = {
        {"ecsctl loglevel debug", "every worker and the supervisor tell everything"},
        {"ecsctl loglevel engine warn", "the engine alone"},
        {NULL, NULL}};

const struct command command_loglevel = {
        .name = "loglevel",
        .usage = "[WORKER] LEVEL",
        .summary = "how much the workers tell",
        .text = "WORKER is a worker's name, supervisor, or all, which is the default. LEVEL is debug,\n"
                "info, warn, error, crit or none. It holds, also for a restarted worker, until\n"
                "the service ends.",
        .examples = examples,
        .min_args = 1,
        .max_args = 2,
        .complete = COMPLETE_WORKER | COMPLETE_LEVEL,
        .run = run,
};
