/* change: what start, stop, restart and loglevel share: one CtlWorker request. */
#pragma once

#include "command.h"
#include "envelope.pb-c.h"

/* Asks and waits until the worker is in the wanted state. Exit code. */
int change_worker(struct ctl *c, Ecs__CtlWorker *m);
