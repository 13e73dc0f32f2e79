/* fault_ipc: what root's ecsctl may ask: faults, and the record. */
#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "error.h"
#include "fault.h"
#include "local.h"
#include "record.h"

static void handle_fault(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct local *l = context;
        const Ecs__LocalFault *q = m->local_fault;
        struct error err = {0};
        json_t *answer = NULL;
        cleanup_json json_t *settings = json_object();
        for (size_t i = 0; i < q->n_settings; i++)
                (void)json_object_set_new(settings, q->settings[i]->name,
                                          json_string(q->settings[i]->value));
        if (faults_command(l->faults, q->kind, q->on, settings, &answer, &err) != 0) {
                ipc_reply_error(r, -EINVAL, err.text);
                return;
        }
        log_info(l->log, "fault", LOG_STR("kind", q->kind), LOG_STR("on", q->on));
        cleanup_free char *text = json_dumps(answer, JSON_COMPACT);
        json_decref(answer);
        Ecs__LocalFaultReply reply = ECS__LOCAL_FAULT_REPLY__INIT;
        reply.json = text;
        Ecs__Envelope e = IPC_ENVELOPE(LOCAL_FAULT_REPLY, local_fault_reply, &reply);
        ipc_reply(r, &e);
}

static void handle_record(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct local *l = context;
        Ecs__LocalRecord reply = ECS__LOCAL_RECORD__INIT;
        cleanup_free char *text = record_read(l->record, m->get_local_record->after, &reply.last);
        reply.json = text;
        Ecs__Envelope e = IPC_ENVELOPE(LOCAL_RECORD, local_record, &reply);
        ipc_reply(r, &e);
}

const struct ipc_handler local_handlers[IPC_BODY_MAX] = {
        [ECS__ENVELOPE__BODY_LOCAL_CALL] = {handle_local_call, PEER_CTL_ROOT, WHEN_READY},
        [ECS__ENVELOPE__BODY_LOCAL_FAULT] = {handle_fault,  PEER_CTL_ROOT, WHEN_READY},
        [ECS__ENVELOPE__BODY_GET_LOCAL_RECORD] = {handle_record, PEER_CTL_ROOT, WHEN_READY},
};
