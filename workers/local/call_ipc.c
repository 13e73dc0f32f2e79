/* call_ipc: operations of the ECS API for root's ecsctl, which has no keys and needs none. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "local.h"
#include "mem.h"

void handle_local_call(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct answer a = {0};
        const Ecs__LocalCall *q = m->local_call;
        local_operate(context, q->operation, CALLER_USER, q->request, strlen(q->request), &a);
        if (a.code != NULL) {
                cleanup_free char *text = mem_printf("%s: %s", a.code, a.text);
                ipc_reply_error(r, -EREMOTEIO, text);
        } else {
                cleanup_free char *text = a.body != NULL ? json_dumps(a.body, JSON_COMPACT)
                                                         : mem_strdup("{}");
                Ecs__LocalCallReply reply = ECS__LOCAL_CALL_REPLY__INIT;
                reply.json = text;
                Ecs__Envelope e = IPC_ENVELOPE(LOCAL_CALL_REPLY, local_call_reply, &reply);
                ipc_reply(r, &e);
        }
        json_decref(a.body);
        free(a.text);
}
