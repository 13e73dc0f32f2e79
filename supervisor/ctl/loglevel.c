/* ecsctl loglevel: how much a worker, or "all", tells. Lasts until it is restarted. */
#include <string.h>

#include "change.h"
#include "log.h"

static int run(struct ctl *c, int argc, char **argv)
{
        Ecs__CtlWorker m = ECS__CTL_WORKER__INIT;
        enum log_level level;
        (void)argc;
        if (log_level_from_string(argv[1], &level) != 0)
                return command_fail("no level '%s': debug, info, warn, error, crit or none",
                                    argv[1]);
        m.worker = argv[0];
        m.action = ECS__CTL_WORKER__ACTION__LOGLEVEL;
        m.level = (uint32_t)level;
        return change_worker(c, &m);
}

const struct command command_loglevel = {.name = "loglevel",
                                         .usage = "WORKER|all LEVEL",
                                         .summary = "how much a worker tells",
                                         .min_args = 2,
                                         .max_args = 2,
                                         .run = run};
