/* ctl: ecsctl's commands: one const struct each, a blocking client, and printing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "envelope.pb-c.h"

struct ctl {
        const char *run_dir;
        bool json;
        int socket;  /* to the supervisor */
};

struct ctl_command {
        const char *name, *usage, *help;
        int min_args;
        int (*run)(struct ctl *c, int argc, char **argv);
};
extern const struct ctl_command ctl_status, ctl_start, ctl_stop, ctl_restart, ctl_loglevel,
        ctl_tasks, ctl_task, ctl_why, ctl_local;

/* ---- client.c ---- */
/* Prints what is wrong and how to mend it; -1 then. */
int ctl_connect(struct ctl *c);
/* Sends on socket, waits for the reply: owned (ecs__envelope__free_unpacked), or NULL after
 * printing the peer's error. ret_fd may be NULL. */
Ecs__Envelope *ctl_ask(int socket, Ecs__Envelope *e, int *ret_fd);
/* A connection to a worker; -1 after printing why not. */
int ctl_peer(struct ctl *c, const char *peer);
