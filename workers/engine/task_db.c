/* task_db: the published facts are the state; the definition lies beside them. */
#include "task_db.h"

#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "images_db.h"
#include "mem.h"
#include "published.h"

#define TOMBSTONE_MS 86400000 /* readers that were away for longer start anew anyway */

static const char *const migrations[] = {
        published_migration,
        "CREATE TABLE task(arn TEXT PRIMARY KEY, spec BLOB NOT NULL,"
        "  stopped_ms INTEGER NOT NULL DEFAULT 0, arrived INTEGER NOT NULL);"
        "CREATE INDEX outbox_task ON outbox(task_arn)",
        published_migration_adoption,
        published_migration_gone,
        published_migration_epoch,
        images_migration,
        NULL,
};

enum { INSERT, UPDATE, LOAD, DELETE_TASK, UNSENT, SET_ADOPTED, IS_ADOPTED };
static const char *const statements[] = {
        [INSERT] = "INSERT INTO task(arn, spec, stopped_ms, arrived) VALUES(?1, ?2, ?3,"
                   " (SELECT coalesce(max(arrived), 0) + 1 FROM task))",
        [UPDATE] = "UPDATE task SET stopped_ms = ?2 WHERE arn = ?1",
        [LOAD] = "SELECT spec, stopped_ms, facts FROM task JOIN published_task USING(arn)"
                 " WHERE facts IS NOT NULL ORDER BY arrived",
        [DELETE_TASK] = "DELETE FROM task WHERE arn = ?1",
        [UNSENT] = "SELECT 1 FROM outbox WHERE task_arn = ?1 LIMIT 1",
        [SET_ADOPTED] = "INSERT INTO adoption VALUES(?1)",
        [IS_ADOPTED] = "SELECT 1 FROM adoption LIMIT 1",
};
static const struct state_db_spec spec = {
        .file = "engine.db",
        .migrations = migrations,
        .statements = statements,
        .statement_count = ARRAY_SIZE(statements),
};

int task_db_open(const char *dir, const struct log *log, struct state_db **ret, struct error *err)
{
        return state_db_open(dir, &spec, log, ret, err);
}

int task_db_load(struct state_db *db, const struct log *log, void (*fn)(void *arg, struct task *t),
                 void *arg)
{
        sqlite3_stmt *s = state_db_statement(db, LOAD);
        int r;
        while ((r = state_db_row(db, s)) > 0) {
                Ecs__TaskSpec *t = ecs__task_spec__unpack(NULL, (size_t)sqlite3_column_bytes(s, 0),
                                                          sqlite3_column_blob(s, 0));
                Ecs__TaskFacts *f = ecs__task_facts__unpack(
                        NULL, (size_t)sqlite3_column_bytes(s, 2), sqlite3_column_blob(s, 2));
                if (t == NULL || f == NULL || f->n_containers != t->n_containers) {
                        ecs__task_spec__free_unpacked(t, NULL);
                        ecs__task_facts__free_unpacked(f, NULL);
                        (void)sqlite3_reset(s);
                        return -EUCLEAN;
                }
                fn(arg, task_restore(t, f, sqlite3_column_int64(s, 1), log));
        }
        return r;
}

static int insert(struct state_db *db, const struct task *t)
{
        size_t size = ecs__task_spec__get_packed_size(t->spec);
        uint8_t *packed = mem_alloc(size);
        ecs__task_spec__pack(t->spec, packed);
        sqlite3_stmt *s = state_db_statement(db, INSERT);
        state_db_bind_text(s, 1, t->spec->arn);
        state_db_bind_blob(s, 2, packed, size);
        (void)sqlite3_bind_int64(s, 3, t->stopped_ms);
        int r = state_db_run(db, s);
        free(packed);
        return r;
}

int task_db_store(struct state_db *db, const struct task *t, bool is_new, int64_t *ret_sequence)
{
        int r;
        if (is_new) {
                r = insert(db, t);
        } else {
                sqlite3_stmt *s = state_db_statement(db, UPDATE);
                state_db_bind_text(s, 1, t->spec->arn);
                (void)sqlite3_bind_int64(s, 2, t->stopped_ms);
                r = state_db_run(db, s);
        }
        return r != 0 ? r : published_write_task(db, t->spec->arn, t->facts, ret_sequence);
}

int task_db_delete(struct state_db *db, const char *arn, int64_t *ret_sequence)
{
        sqlite3_stmt *s = state_db_statement(db, DELETE_TASK);
        state_db_bind_text(s, 1, arn);
        int r = state_db_run(db, s);
        if (r == 0)
                r = published_write_task(db, arn, NULL, ret_sequence);
        return r != 0 ? r : published_prune(db, clock_wall_ms() - TOMBSTONE_MS);
}

int task_db_set_adopted(struct state_db *db)
{
        sqlite3_stmt *s = state_db_statement(db, SET_ADOPTED);
        (void)sqlite3_bind_int64(s, 1, clock_wall_ms());
        return state_db_run(db, s);
}

bool task_db_is_adopted(struct state_db *db)
{
        sqlite3_stmt *s = state_db_statement(db, IS_ADOPTED);
        int r = state_db_row(db, s);
        (void)sqlite3_reset(s);
        return r == 1;
}

bool task_db_has_unsent(struct state_db *db, const char *arn)
{
        sqlite3_stmt *s = state_db_statement(db, UNSENT);
        state_db_bind_text(s, 1, arn);
        int r = state_db_row(db, s);
        (void)sqlite3_reset(s);
        return r != 0;
}
