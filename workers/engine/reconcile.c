/* reconcile: Docker is the truth about containers. After it has come (back) every container that
 * should exist is inspected; only a 404 means gone. Events are hints to inspect. */
#include <string.h>

#include "engine.h"

/* A container without an id may have been made just before a crash: its name finds it. A 404 is
 * ignored by the table then, and creation goes on. With an id, one that is only PULLED is to be
 * removed and made again: its port was taken. */
static bool may_exist(const struct container *c)
{
        bool has_id = *c->facts->docker_id != '\0';
        return c->known != S_STOPPED && (c->known == S_PULLED ? !has_id : has_id);
}

void reconcile(struct engine *e)
{
        for (struct task *t = e->tasks, *next; t != NULL; t = next) {
                next = t->next;
                for (size_t i = 0; i < t->container_count; i++)
                        if (may_exist(&t->containers[i]))
                                step_inspect(e, &t->containers[i]);
                engine_progress(e, t);
        }
}

static struct container *find_by_docker_id(struct engine *e, const char *id)
{
        for (struct task *t = e->tasks; t != NULL; t = t->next)
                for (size_t i = 0; i < t->container_count; i++)
                        if (strcmp(t->containers[i].facts->docker_id, id) == 0)
                                return &t->containers[i];
        return NULL;
}

void reconcile_event(struct engine *e, const json_t *event)
{
        static const char *const wanted[] = {"start", "stop", "die", "destroy", "health_status"};
        const char *action, *id;
        if (!docker_read_event(event, &action, &id))
                return;
        struct container *c = find_by_docker_id(e, id);
        if (c == NULL)
                return;
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
                if (strncmp(action, wanted[i], strlen(wanted[i])) == 0) {
                        /* a step under way ends with an inspect of its own, but that may already
                         * be answered: look again when it is over */
                        c->look_again = c->step != STEP_NONE;
                        step_inspect(e, c);
                        return;
                }
}
