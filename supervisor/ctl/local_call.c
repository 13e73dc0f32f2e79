/* local_call: see the header. Outside local mode ECS decides about tasks, and the message says so.
 */
#include "local_call.h"

#include "cleanup.h"
#include "client.h"
#include "command.h"
#include "connection.h"
#include "error.h"

#define ASK_MS 15000

static bool is_local(struct ctl *c, struct error *err)
{
        Ecs__CtlStatus m = ECS__CTL_STATUS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_STATUS, ctl_status, &m), *reply = NULL;
        if (client_ask(c->client, &e, ASK_MS, &reply, err) != 0)
                return false;
        bool local = reply->ctl_status_reply->local_mode;
        ecs__envelope__free_unpacked(reply, NULL);
        if (!local)
                (void)error_set(err, -1,
                                "this agent has no control plane of its own (ecs-supervisor "
                                "--local): ECS runs and stops its tasks, e.g. with 'aws ecs'");
        return local;
}

int local_call(struct ctl *c, const char *operation, json_t *request, json_t **ret)
{
        cleanup_json json_t *q = request;
        struct client local = {.fd = -1};
        struct error err = {0};
        Ecs__LocalCall m = ECS__LOCAL_CALL__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(LOCAL_CALL, local_call, &m), *reply = NULL;
        cleanup_free char *text = json_dumps(q, JSON_COMPACT);
        m.operation = (char *)(uintptr_t)operation;
        m.request = text;
        if (!is_local(c, &err) || client_open_peer(c->client, "local", &local, &err) != 0 ||
            client_ask(&local, &e, ASK_MS, &reply, &err) != 0) {
                client_close(&local);
                return command_fail("%s", err.text);
        }
        client_close(&local);
        *ret = json_loads(reply->local_call_reply->json, 0, NULL);
        ecs__envelope__free_unpacked(reply, NULL);
        return *ret != NULL ? 0 : command_fail("the control plane's answer is no JSON");
}
