/* backend_ipc: what metadata, the engine and ecsctl may say to the backend. */
#include "backend.h"

static void fill(const struct backend *b, Ecs__Identity *i)
{
        i->cluster = b->identity.cluster;
        i->cluster_name = b->identity.cluster;
        i->container_instance_arn = b->identity.instance_arn;
        i->availability_zone = b->identity.availability_zone;
        i->region = (char *)b->region;
}

void identity_announce(struct backend *b)
{
        Ecs__Identity i = ECS__IDENTITY__INIT;
        fill(b, &i);
        Ecs__Envelope e = IPC_ENVELOPE(IDENTITY, identity, &i);
        worker_broadcast(b->worker, PEER_METADATA, &e);
}

static void handle_get_identity(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        Ecs__Identity i = ECS__IDENTITY__INIT;
        (void)m;
        fill(context, &i);
        Ecs__Envelope e = IPC_ENVELOPE(IDENTITY, identity, &i);
        ipc_reply(r, &e);
}

static void handle_outbox_changed(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        (void)r;
        (void)m;
        outbox_read(context);
}

static void handle_get_link(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct backend *b = context;
        Ecs__Link l = ECS__LINK__INIT;
        (void)m;
        l.registered = b->registered;
        l.acs = (char *)(b->acs != NULL ? acs_state_text(b->acs) : "waits for registration");
        l.outbox = (uint32_t)outbox_waiting(b);
        l.last_error = b->last_error;
        Ecs__Envelope e = IPC_ENVELOPE(LINK, link, &l);
        ipc_reply(r, &e);
}

const struct ipc_handler backend_handlers[IPC_BODY_MAX] = {
        [ECS__ENVELOPE__BODY_GET_IDENTITY] = {handle_get_identity, PEER_METADATA | PEER_CTL,
                                              WHEN_READY},
        [ECS__ENVELOPE__BODY_OUTBOX_CHANGED] = {handle_outbox_changed, PEER_ENGINE, WHEN_ANY},
        [ECS__ENVELOPE__BODY_GET_LINK] = {handle_get_link, PEER_CTL, WHEN_READY},
};
