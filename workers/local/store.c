/* store: memory is the working copy, local.db what survives. Every change is one row, and all
 * changes of one request are one transaction: what cannot be committed is forgotten by reading
 * everything again. Tasks are also found by cluster, container instance and service. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "error.h"
#include "local.h"
#include "mem.h"
#include "scheduler.h"

static const char *const migrations[] = {
        "CREATE TABLE object(kind INTEGER NOT NULL, arn TEXT NOT NULL, body TEXT NOT NULL,"
        "  PRIMARY KEY(kind, arn))",
        NULL};
enum { PUT, LOAD, DELETE };
static const char *const statements[] = {
        [PUT] = ("INSERT INTO object(kind, arn, body) VALUES(?1, ?2, ?3)"
                 " ON CONFLICT(kind, arn) DO UPDATE SET body = ?3"),
        [LOAD] = "SELECT kind, arn, body FROM object ORDER BY rowid",
        [DELETE] = "DELETE FROM object WHERE kind = ?1 AND arn = ?2",
};
static const struct state_db_spec spec = {.file = "local.db",
                                          .migrations = migrations,
                                          .statements = statements,
                                          .statement_count = ARRAY_SIZE(statements)};

/* ---- tasks by what they belong to ---- */

/* Members of a task that never change. */
static const char *const owners[] = {"clusterArn", "containerInstanceArn", OWN_SERVICE};

static void index_add(struct local *l, const char *arn, json_t *task)
{
        for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
                const char *owner = text_of(task, owners[i]);
                json_t *tasks = json_object_get(l->tasks_of, owner);
                if (*owner == '\0')
                        continue;
                if (tasks == NULL) {
                        tasks = json_object();
                        (void)json_object_set_new(l->tasks_of, owner, tasks);
                }
                (void)json_object_set(tasks, arn, task);
        }
}

static void index_remove(struct local *l, const char *arn, const json_t *task)
{
        for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
                json_t *tasks = json_object_get(l->tasks_of, text_of(task, owners[i]));
                (void)json_object_del(tasks, arn);
                if (tasks != NULL && json_object_size(tasks) == 0)
                        (void)json_object_del(l->tasks_of, text_of(task, owners[i]));
        }
}

json_t *store_tasks_of(struct local *l, const char *owner_arn)
{
        return json_object_get(l->tasks_of, owner_arn);
}

/* ---- life ---- */

static void forget(struct local *l)
{
        for (size_t k = 0; k < KINDS; k++) {
                json_decref(l->objects[k]);
                l->objects[k] = NULL;
        }
        json_decref(l->tasks_of);
        l->tasks_of = NULL;
}

static int load(struct local *l)
{
        int r;
        for (size_t k = 0; k < KINDS; k++)
                l->objects[k] = json_object();
        l->tasks_of = json_object();
        sqlite3_stmt *s = state_db_statement(l->db, LOAD);
        while ((r = state_db_row(l->db, s)) > 0) {
                json_t *o = json_loads(state_db_column_text(s, 2), 0, NULL);
                const char *arn = state_db_column_text(s, 1);
                int kind = sqlite3_column_int(s, 0);
                if (o == NULL || kind < 0 || kind >= KINDS) {
                        json_decref(o);
                        continue;
                }
                if (kind == K_TASK)
                        index_add(l, arn, o);
                (void)json_object_set_new(l->objects[kind], arn, o);
        }
        return r;
}

int store_open(struct local *l, struct error *err)
{
        cleanup_free char *dir = mem_printf("%s/local", worker_data_dir(l->worker));
        int r = state_db_open(dir, &spec, l->log, &l->db, err);
        if (r < 0)
                return r;
        r = load(l);
        return r < 0 ? error_set(err, r, "local.db cannot be read") : 0;
}

void store_close(struct local *l)
{
        forget(l);
        state_db_close(l->db);
}

void store_begin(struct local *l)
{
        l->store_failed = state_db_begin(l->db) != 0;
        l->store_touched = false;
}

void store_abort(struct local *l)
{
        state_db_rollback(l->db);
        if (!l->store_touched)
                return;
        forget(l);
        (void)load(l);
}

bool store_commit(struct local *l)
{
        if (!l->store_failed && state_db_commit(l->db) == 0)
                return true;
        log_error(l->log, "a change cannot be stored and is taken back",
                  LOG_STR("reason", state_db_error(l->db)));
        store_abort(l);
        return false;
}

/* ---- objects ---- */

json_t *store_find(struct local *l, enum kind k, const char *arn)
{
        return json_object_get(l->objects[k], arn);
}

static int run(struct local *l, sqlite3_stmt *s)
{
        int r = state_db_run(l->db, s);
        l->store_touched = true;
        if (r != 0)
                l->store_failed = true; /* told by the commit */
        return r;
}

int store_changed(struct local *l, enum kind k, const char *arn)
{
        cleanup_free char *text = json_dumps(store_find(l, k, arn), JSON_COMPACT);
        sqlite3_stmt *s = state_db_statement(l->db, PUT);
        (void)sqlite3_bind_int(s, 1, (int)k);
        state_db_bind_text(s, 2, arn);
        state_db_bind_text(s, 3, text);
        scheduler_wake(l);
        return run(l, s);
}

int store_put(struct local *l, enum kind k, const char *arn, json_t *object)
{
        (void)json_object_set_new(l->objects[k], arn, object);
        if (k == K_TASK)
                index_add(l, arn, object);
        return store_changed(l, k, arn);
}

int store_delete(struct local *l, enum kind k, const char *arn)
{
        sqlite3_stmt *s = state_db_statement(l->db, DELETE);
        (void)sqlite3_bind_int(s, 1, (int)k);
        state_db_bind_text(s, 2, arn);
        int r = run(l, s);
        if (k == K_TASK)
                index_remove(l, arn, store_find(l, k, arn));
        (void)json_object_del(l->objects[k], arn);
        return r;
}

json_t *store_shown(const json_t *object)
{
        json_t *out = json_copy((json_t *)object);
        const char *key;
        json_t *member;
        void *next;
        json_object_foreach_safe (out, next, key, member)
                if (strncmp(key, "x-", 2) == 0 || strcmp(key, "registrationToken") == 0)
                        (void)json_object_del(out, key);
        return out;
}

char *store_arn(const struct local *l, const char *resource)
{
        return mem_printf("arn:aws:ecs:%s:" ACCOUNT ":%s", l->region, resource);
}
