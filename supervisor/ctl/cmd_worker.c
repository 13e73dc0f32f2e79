/* ecsctl start, stop, restart, loglevel: changes need root. Each waits until it is done. */
#include <stdio.h>
#include <stdlib.h>

#include "connection.h"
#include "ctl.h"
#include "log.h"

static int change(struct ctl *c, Ecs__CtlWorker__Action action, const char *worker, uint32_t level)
{
        Ecs__CtlWorker m = ECS__CTL_WORKER__INIT;
        m.worker = (char *)worker;
        m.action = action;
        m.level = level;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_WORKER, ctl_worker, &m);
        Ecs__Envelope *reply = ctl_ask(c->socket, &e, NULL);
        if (reply == NULL)
                return 1;
        ecs__envelope__free_unpacked(reply, NULL);
        return 0;
}

static int run_start(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        return change(c, ECS__CTL_WORKER__ACTION__START, argv[0], 0);
}

static int run_stop(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        return change(c, ECS__CTL_WORKER__ACTION__STOP, argv[0], 0);
}

static int run_restart(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        return change(c, ECS__CTL_WORKER__ACTION__RESTART, argv[0], 0);
}

static int run_loglevel(struct ctl *c, int argc, char **argv)
{
        enum log_level level;
        (void)argc;
        if (log_level_from_string(argv[0], &level) != 0) {
                (void)fprintf(stderr, "ecsctl: unknown level '%s': debug, info, warn, error, crit "
                                      "or none\n",
                              argv[0]);
                return 2;
        }
        return change(c, ECS__CTL_WORKER__ACTION__LOGLEVEL, "", (uint32_t)level);
}

const struct ctl_command ctl_start = {"start", "start WORKER", "start a stopped worker", 1,
                                      run_start};
const struct ctl_command ctl_stop = {"stop", "stop WORKER", "stop a worker; tasks keep running", 1,
                                     run_stop};
const struct ctl_command ctl_restart = {"restart", "restart WORKER",
                                        "restart a worker; tasks keep running", 1, run_restart};
const struct ctl_command ctl_loglevel = {"loglevel", "loglevel LEVEL",
                                         "level of the workers' log lines", 1, run_loglevel};
