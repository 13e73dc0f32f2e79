/* credentials: held in memory only, replaced by id, wiped when they go. A task's role goes with the
 * task's stop, its execution role with its clean-up. Source: endpoints.md 10. */
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "metadata.h"

struct credentials {
        struct credentials *next;
        Ecs__TaskCredentials *held;
        bool task_seen; /* put before the engine knows the task: not pruned until it does */
};

static void wipe(Ecs__TaskCredentials *c)
{
        explicit_bzero(c->secret_access_key, strlen(c->secret_access_key));
        explicit_bzero(c->session_token, strlen(c->session_token));
        ecs__task_credentials__free_unpacked(c, NULL);
}

static Ecs__TaskCredentials *copy_of(const Ecs__TaskCredentials *c)
{
        size_t size = ecs__task_credentials__get_packed_size(c);
        uint8_t *packed = mem_alloc(size);
        ecs__task_credentials__pack(c, packed);
        Ecs__TaskCredentials *copy = ecs__task_credentials__unpack(NULL, size, packed);
        explicit_bzero(packed, size);
        free(packed);
        return copy;
}

static bool is_published(const struct metadata *m, const char *task_arn)
{
        const struct shown_task *t = m->tasks;
        while (t != NULL && strcmp(t->facts->arn, task_arn) != 0)
                t = t->next;
        return t != NULL;
}

void credentials_put(struct metadata *m, const Ecs__TaskCredentials *c)
{
        struct credentials **at = &m->credentials;
        while (*at != NULL && strcmp((*at)->held->id, c->id) != 0)
                at = &(*at)->next;
        if (*at == NULL)
                *at = mem_zalloc(sizeof **at);
        else
                wipe((*at)->held);
        (*at)->held = copy_of(c);
        (*at)->task_seen = is_published(m, c->task_arn);
}

const Ecs__TaskCredentials *credentials_find(const struct metadata *m, const char *id)
{
        for (const struct credentials *c = m->credentials; c != NULL; c = c->next)
                if (strcmp(c->held->id, id) == 0)
                        return c->held;
        return NULL;
}

void credentials_mark(struct metadata *m, const char *task_arn)
{
        for (struct credentials *c = m->credentials; c != NULL; c = c->next)
                if (strcmp(c->held->task_arn, task_arn) == 0)
                        c->task_seen = true;
}

void credentials_prune(struct metadata *m)
{
        for (struct credentials **at = &m->credentials; *at != NULL;) {
                struct credentials *c = *at;
                if (!c->task_seen || tasks_know_credentials(m, c->held->id)) {
                        at = &c->next;
                        continue;
                }
                *at = c->next;
                wipe(c->held);
                free(c);
        }
}

void credentials_free(struct metadata *m)
{
        while (m->credentials != NULL) {
                struct credentials *c = m->credentials;
                m->credentials = c->next;
                wipe(c->held);
                free(c);
        }
}

size_t credentials_list(const struct metadata *m, const Ecs__TaskCredentials **list, size_t max)
{
        size_t n = 0;
        for (const struct credentials *c = m->credentials; c != NULL && n < max; c = c->next)
                list[n++] = c->held;
        return n;
}
