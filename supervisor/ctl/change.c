/* change: sends a CtlWorker request; its answer means that the worker is where it should be. */
#include "change.h"

#include <stdio.h>

#include "client.h"
#include "connection.h"
#include "error.h"

#define CHANGE_MS 60000

int change_worker(struct ctl *c, Ecs__CtlWorker *m)
{
        Ecs__Envelope e = IPC_ENVELOPE(CTL_WORKER, ctl_worker, m), *reply = NULL;
        struct error err = {0};
        if (client_ask(c->client, &e, CHANGE_MS, &reply, &err) != 0)
                return command_fail("%s", err.text);
        ecs__envelope__free_unpacked(reply, NULL);
        if (c->json)
                (void)puts("{}");
        return 0;
}
