/* events: what happened lately, for 'ecsctl events'. The last ones are kept packed in a ring;
 * followers get each as it comes. Nothing of the agent's state is in here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "mem.h"
#include "supervisor.h"

#define KEPT 256
#define FOLLOWERS_MAX 16
#define PACKED_MAX 4096

struct events {
        struct kept {
                uint8_t *packed;
                size_t size;
        } ring[KEPT];
        size_t next;
        struct ipc_connection *followers[FOLLOWERS_MAX];
        size_t follower_count;
};

static struct events *events_of(struct supervisor *s)
{
        if (s->events == NULL)
                s->events = mem_zalloc(sizeof *s->events);
        return s->events;
}

static void keep(struct events *v, const Ecs__AgentEvent *e)
{
        struct kept *k = &v->ring[v->next];
        v->next = (v->next + 1) % KEPT;
        free(k->packed);
        k->size = ecs__agent_event__get_packed_size(e);
        k->packed = mem_alloc(k->size);
        ecs__agent_event__pack(e, k->packed);
}

static void send_event(struct ipc_connection *c, Ecs__AgentEvent *event)
{
        Ecs__Envelope e = IPC_ENVELOPE(AGENT_EVENT, agent_event, event);
        (void)ipc_send_event(c, &e);
}

void events_add(struct supervisor *s, Ecs__AgentEvent *event)
{
        struct events *v = events_of(s);
        event->time_ms = clock_wall_ms();
        if (ecs__agent_event__get_packed_size(event) > PACKED_MAX)
                event->text = (char *)"";
        if (ecs__agent_event__get_packed_size(event) > PACKED_MAX)
                return;
        keep(v, event);
        for (size_t i = v->follower_count; i-- > 0;)
                send_event(v->followers[i], event);
}

void events_add_worker(const struct process *p, enum process_state from, enum process_state to)
{
        Ecs__AgentEvent e = ECS__AGENT_EVENT__INIT;
        e.kind = (char *)"worker";
        e.subject = (char *)(uintptr_t)p->row->name;
        e.from = (char *)(uintptr_t)process_state_name(from);
        e.to = (char *)(uintptr_t)process_state_name(to);
        if (to == P_BACKOFF)
                e.text = (char *)(uintptr_t)p->last_exit;
        events_add(p->supervisor, &e);
}

void handle_agent_event(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        const struct process *p = context;
        Ecs__AgentEvent e = *m->agent_event;
        (void)r;
        events_add(p->supervisor, &e);
}

static void send_kept(const struct events *v, struct ipc_connection *c)
{
        for (size_t i = 0; i < KEPT; i++) {
                const struct kept *k = &v->ring[(v->next + i) % KEPT];
                Ecs__AgentEvent *e = k->packed != NULL
                                             ? ecs__agent_event__unpack(NULL, k->size, k->packed)
                                             : NULL;
                if (e == NULL)
                        continue;
                send_event(c, e);
                ecs__agent_event__free_unpacked(e, NULL);
        }
}

void handle_ctl_events(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct events *v = events_of(context);
        struct ipc_connection *c = ipc_request_connection(r);
        bool follow = m->ctl_events->follow;
        if (follow && v->follower_count == FOLLOWERS_MAX) {
                ipc_reply_error(r, -EBUSY, "too many follow the events already");
                return;
        }
        send_kept(v, c);
        Ecs__CtlEventsReply reply = ECS__CTL_EVENTS_REPLY__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_EVENTS_REPLY, ctl_events_reply, &reply);
        bool open = ipc_request_connection(r) != NULL;
        ipc_reply(r, &e);
        if (follow && open)
                v->followers[v->follower_count++] = c;
}

void events_connection_closed(struct supervisor *s, const struct ipc_connection *c)
{
        struct events *v = events_of(s);
        for (size_t i = v->follower_count; i-- > 0;)
                if (v->followers[i] == c)
                        v->followers[i] = v->followers[--v->follower_count];
}

void events_free(struct supervisor *s)
{
        for (size_t i = 0; s->events != NULL && i < KEPT; i++)
                free(s->events->ring[i].packed);
        free(s->events);
        s->events = NULL;
}
