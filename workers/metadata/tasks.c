/* tasks: a copy of the published table, brought up to date by sequence number. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "error.h"
#include "mem.h"
#include "metadata.h"
#include "published.h"

static void take(void *arg, int64_t sequence, const char *arn, Ecs__TaskFacts *facts)
{
        struct metadata *m = arg;
        struct shown_task **at = &m->tasks;
        m->sequence = sequence;
        while (*at != NULL && strcmp((*at)->facts->arn, arn) != 0)
                at = &(*at)->next;
        struct shown_task *old = *at;
        if (old != NULL) {
                ecs__task_facts__free_unpacked(old->facts, NULL);
                old->facts = facts;
                if (facts == NULL) {
                        *at = old->next;
                        free(old);
                }
        } else if (facts != NULL) {
                *at = mem_zalloc(sizeof **at);
                (*at)->facts = facts;
        }
}

void tasks_refresh(struct metadata *m)
{
        struct error err = {0};
        cleanup_free char *dir = mem_printf("%s/engine", worker_data_dir(m->worker));
        if (m->db == NULL && published_open(dir, &m->db, &err) != 0) {
                log_debug(m->log, "engine.db is not there yet", LOG_STR("reason", err.text));
                return;
        }
        if (published_read_tasks(m->db, m->sequence, take, m) < 0) {
                log_warn(m->log, "engine.db cannot be read, opening it again",
                         LOG_STR("reason", state_db_error(m->db)));
                state_db_close(m->db);
                m->db = NULL;
        }
        credentials_prune(m);
}

void tasks_free(struct metadata *m)
{
        while (m->tasks != NULL) {
                struct shown_task *t = m->tasks;
                m->tasks = t->next;
                ecs__task_facts__free_unpacked(t->facts, NULL);
                free(t);
        }
        state_db_close(m->db);
        m->db = NULL;
}

static Ecs__ContainerFacts *look(struct metadata *m, const char *id, size_t length,
                                 Ecs__TaskFacts **ret_task)
{
        for (struct shown_task *t = m->tasks; t != NULL; t = t->next)
                for (size_t i = 0; i < t->facts->n_containers; i++) {
                        Ecs__ContainerFacts *c = t->facts->containers[i];
                        if (strlen(c->endpoint_id) == length &&
                            memcmp(c->endpoint_id, id, length) == 0 && *c->docker_id != '\0') {
                                *ret_task = t->facts;
                                return c;
                        }
                }
        return NULL;
}

Ecs__ContainerFacts *tasks_find_endpoint(struct metadata *m, const char *id, size_t length,
                                         Ecs__TaskFacts **ret_task)
{
        Ecs__ContainerFacts *c = look(m, id, length, ret_task);
        if (c != NULL)
                return c;
        tasks_refresh(m);
        return look(m, id, length, ret_task);
}

bool tasks_know_credentials(struct metadata *m, const char *id)
{
        for (const struct shown_task *t = m->tasks; t != NULL; t = t->next)
                if ((strcmp(t->facts->credentials_id, id) == 0 &&
                     strcmp(t->facts->known_status, "STOPPED") != 0) ||
                    strcmp(t->facts->execution_credentials_id, id) == 0)
                        return true;
        return false;
}
