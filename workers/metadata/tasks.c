/* tasks: a copy of the published table, brought up to date by sequence number, and an index of its
 * endpoint ids. Answers are kept with what they show and go when that changes. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "error.h"
#include "mem.h"
#include "metadata.h"
#include "published.h"

/* ---- one task ---- */

static void forget(struct http_prepared **answers)
{
        for (size_t i = 0; i < ANSWERS; i++) {
                http_prepared_free(answers[i]);
                answers[i] = NULL;
        }
}

static void forget_answers(struct shown_task *t)
{
        forget(t->answers);
        for (size_t i = 0; i < t->facts->n_containers; i++)
                forget(t->endpoints[i].answers);
}

static void clear(struct shown_task *t)
{
        if (t->facts == NULL)
                return;
        forget_answers(t);
        free(t->endpoints);
        ecs__task_facts__free_unpacked(t->facts, NULL);
}

/* Takes facts. */
static void fill(struct shown_task *t, Ecs__TaskFacts *facts)
{
        t->facts = facts;
        t->endpoints = mem_zalloc((facts->n_containers + 1) * sizeof *t->endpoints);
        for (size_t i = 0; i < facts->n_containers; i++)
                t->endpoints[i] = (struct endpoint){.container = facts->containers[i], .task = t};
}

/* ---- the index ---- */

static int by_id(const void *a, const void *b)
{
        const struct endpoint *const *x = a, *const *y = b;
        return strcmp((*x)->container->endpoint_id, (*y)->container->endpoint_id);
}

static void index_endpoints(struct metadata *m)
{
        size_t n = 0;
        for (const struct shown_task *t = m->tasks; t != NULL; t = t->next)
                n += t->facts->n_containers;
        m->by_id = mem_realloc_array(m->by_id, n + 1, sizeof *m->by_id);
        m->n_by_id = 0;
        for (const struct shown_task *t = m->tasks; t != NULL; t = t->next)
                for (size_t i = 0; i < t->facts->n_containers; i++)
                        if (*t->facts->containers[i]->docker_id != '\0' &&
                            *t->facts->containers[i]->endpoint_id != '\0')
                                m->by_id[m->n_by_id++] = &t->endpoints[i];
        qsort(m->by_id, m->n_by_id, sizeof *m->by_id, by_id);
}

/* ---- the table ---- */

static void take(void *arg, int64_t sequence, const char *arn, Ecs__TaskFacts *facts)
{
        struct metadata *m = arg;
        struct shown_task **at = &m->tasks;
        m->sequence = sequence;
        credentials_mark(m, arn);
        while (*at != NULL && strcmp((*at)->facts->arn, arn) != 0)
                at = &(*at)->next;
        if (*at == NULL) {
                if (facts == NULL)
                        return;
                *at = mem_zalloc(sizeof **at);
        }
        struct shown_task *t = *at;
        clear(t);
        if (facts != NULL) {
                fill(t, facts);
        } else {
                *at = t->next;
                free(t);
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
        int64_t before = m->sequence;
        bool adopted = m->adopted || published_is_adopted(m->db); /* before the tasks are read */
        int r = published_read_tasks(m->db, m->sequence, take, m);
        if (m->sequence != before) {
                index_endpoints(m);
                credentials_prune(m);
        }
        if (r == 0)
                m->adopted = adopted;
        if (r < 0) {
                log_warn(m->log, "engine.db cannot be read, opening it again",
                         LOG_STR("reason", state_db_error(m->db)));
                state_db_close(m->db);
                m->db = NULL;
        }
}

void tasks_reopen(struct metadata *m)
{
        state_db_close(m->db);
        m->db = NULL;
        tasks_refresh(m);
}

void tasks_forget_answers(struct metadata *m)
{
        for (struct shown_task *t = m->tasks; t != NULL; t = t->next)
                forget_answers(t);
}

void tasks_free(struct metadata *m)
{
        while (m->tasks != NULL) {
                struct shown_task *t = m->tasks;
                m->tasks = t->next;
                clear(t);
                free(t);
        }
        free(m->by_id);
        m->by_id = NULL;
        m->n_by_id = 0;
        state_db_close(m->db);
        m->db = NULL;
}

static int compare_id(const void *key, const void *element)
{
        const struct endpoint *const *e = element;
        return strcmp(key, (*e)->container->endpoint_id);
}

static struct endpoint *look(const struct metadata *m, const char *id)
{
        struct endpoint **found =
                m->n_by_id == 0 ? NULL
                                : bsearch(id, m->by_id, m->n_by_id, sizeof *m->by_id, compare_id);
        return found != NULL ? *found : NULL;
}

struct endpoint *tasks_find_endpoint(struct metadata *m, const char *id)
{
        struct endpoint *e = look(m, id);
        if (e != NULL)
                return e;
        tasks_refresh(m);
        return look(m, id);
}

bool tasks_know_credentials(const struct metadata *m, const char *id)
{
        for (const struct shown_task *t = m->tasks; t != NULL; t = t->next)
                if ((strcmp(t->facts->credentials_id, id) == 0 &&
                     strcmp(t->facts->known_status, "STOPPED") != 0) ||
                    strcmp(t->facts->execution_credentials_id, id) == 0)
                        return true;
        return false;
}
