/* progress: what to do next, decided from the model alone. Source: engine.md 1.2. */
#include "model.h"

#include "mem.h"

static bool lacks_metadata(const struct container *c, bool metadata_up)
{
        return c->known == S_CREATED && !metadata_up && *c->task->spec->credentials_id != '\0';
}

/* Looking up a digest waits for no other container, a pull does not with pull_upfront (E78). */
static bool is_free_of_others(const struct container *c)
{
        return c->known == S_NONE || (c->known == S_MANIFEST_PULLED && c->task->pull_upfront);
}

enum step container_next_step(const struct container *c, bool metadata_up)
{
        static const enum step forward[S_STATUSES] = {
                [S_NONE] = STEP_MANIFEST, [S_MANIFEST_PULLED] = STEP_PULL,
                [S_PULLED] = STEP_CREATE, [S_CREATED] = STEP_START,
                [S_RUNNING] = STEP_NONE,  [S_STOPPED] = STEP_NONE,
        };
        const char *word;
        if (c->step != STEP_NONE || c->known == S_STOPPED)
                return STEP_NONE;
        if (c->desired == S_STOPPED)
                return c->known == S_RUNNING && container_has_dependents(c) ? STEP_NONE : STEP_STOP;
        if (c->known == S_RUNNING && container_is_restarting(c))
                return STEP_START;
        if (c->known == S_PULLED && !task_has_resources(c->task))
                return STEP_NONE;
        if ((!is_free_of_others(c) && container_waits_for(c, &word) != NULL) ||
            lacks_metadata(c, metadata_up))
                return STEP_NONE;
        return forward[c->known];
}

char *task_waiting_for(const struct task *t, bool metadata_up)
{
        for (size_t i = 0; i < t->container_count; i++) {
                const struct container *c = &t->containers[i];
                const char *word;
                if (c->known >= S_RUNNING || c->desired == S_STOPPED)
                        continue;
                const struct container *d = container_waits_for(c, &word);
                if (d != NULL)
                        return mem_printf("container %s waits until %s is %s", c->spec->name,
                                          d->spec->name, word);
                if (lacks_metadata(c, metadata_up))
                        return mem_strdup("the task has a role, and the metadata worker that "
                                          "serves its credentials is not running");
                if (c->known == S_PULLED && !task_has_resources(t))
                        return mem_printf("container %s waits for the volumes and the control group of its task",
                                          c->spec->name);
                if (c->step == STEP_PULL || c->step == STEP_MANIFEST)
                        return mem_printf("container %s waits for its image %s", c->spec->name,
                                          c->spec->image);
        }
        return mem_strdup("");
}
