/* engine_events: changes of tasks and containers, once they are stored: a line of the log and an
 * event for 'ecsctl events' each. Nothing depends on them: what they tell stands in the tasks. */
#include "engine.h"

static void send_change(struct engine *e, const struct task *t, const char *container,
                        enum status from, enum status to, const char *text)
{
        Ecs__AgentEvent event = ECS__AGENT_EVENT__INIT;
        event.kind = (char *)(container[0] != '\0' ? "container" : "task");
        event.subject = (char *)task_id(t->spec->arn);
        event.container = (char *)container;
        event.from = (char *)status_name(from);
        event.to = (char *)status_name(to);
        event.text = (char *)text;
        worker_event(e->worker, &event);
}

static void tell_container(struct engine *e, struct container *c)
{
        if (c->facts->exit_code != NULL && c->known == S_STOPPED)
                log_info(&c->log, "container changed", LOG_STR("from", status_name(c->told)),
                         LOG_STR("to", status_name(c->known)),
                         LOG_INT("exit_code", c->facts->exit_code->value));
        else
                log_info(&c->log, "container changed", LOG_STR("from", status_name(c->told)),
                         LOG_STR("to", status_name(c->known)));
        send_change(e, c->task, c->facts->name, c->told, c->known, c->facts->reason);
        c->told = c->known;
}

void engine_tell_changes(struct engine *e, struct task *t)
{
        for (size_t i = 0; i < t->container_count; i++)
                if (t->containers[i].told != t->containers[i].known)
                        tell_container(e, &t->containers[i]);
        if (t->told == t->known)
                return;
        log_info(&t->log, "task changed", LOG_STR("from", status_name(t->told)),
                 LOG_STR("to", status_name(t->known)));
        send_change(e, t, "", t->told, t->known, t->facts->stopped_reason);
        t->told = t->known;
}
