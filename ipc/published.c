/* published: SQL of the two shared tables, for both sides. Sequence numbers grow with every write
 * of any task, so a reader that remembers the last one misses nothing. */
#include "published.h"

#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "mem.h"

const char published_migration[] =
        "CREATE TABLE outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, task_arn TEXT NOT NULL,"
        "  change BLOB NOT NULL);"
        "CREATE TABLE published_task(arn TEXT PRIMARY KEY, sequence INTEGER NOT NULL UNIQUE,"
        "  facts BLOB);"
        "CREATE TABLE published_sequence(last INTEGER NOT NULL);"
        "INSERT INTO published_sequence VALUES(0)";

const char published_migration_gone[] =
        "ALTER TABLE published_task ADD COLUMN gone_ms INTEGER NOT NULL DEFAULT 0";

const char published_migration_adoption[] = "CREATE TABLE adoption(done_ms INTEGER NOT NULL)";

#define NOW_MS "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

const char published_migration_epoch[] =
        "INSERT INTO sqlite_sequence(name, seq) SELECT 'outbox', 0"
        "  WHERE NOT EXISTS(SELECT 1 FROM sqlite_sequence WHERE name = 'outbox');"
        "UPDATE sqlite_sequence SET seq = max(seq, " NOW_MS ") WHERE name = 'outbox';"
        "UPDATE published_sequence SET last = max(last, " NOW_MS ")";

#define READER_VERSION 3 /* of the engine's migrations, with all tables that are read */

enum { READ_OUTBOX, READ_TASKS, IS_ADOPTED };
static const char *const reader_statements[] = {
        [READ_OUTBOX] = "SELECT id, change FROM outbox WHERE id > ?1 ORDER BY id",
        [READ_TASKS] = "SELECT sequence, arn, facts FROM published_task WHERE sequence > ?1"
                       " ORDER BY sequence",
        [IS_ADOPTED] = "SELECT 1 FROM adoption LIMIT 1",
};
static const struct state_db_spec reader_spec = {
        .file = "engine.db",
        .statements = reader_statements,
        .statement_count = sizeof reader_statements / sizeof reader_statements[0],
};

int published_open(const char *dir, struct state_db **ret, struct error *err)
{
        return state_db_open_reader(dir, &reader_spec, READER_VERSION, ret, err);
}

int published_read_outbox(struct state_db *db, int64_t after,
                          int (*fn)(void *arg, int64_t id, Ecs__StateChange *change), void *arg)
{
        sqlite3_stmt *s = state_db_statement(db, READ_OUTBOX);
        (void)sqlite3_bind_int64(s, 1, after);
        int r;
        while ((r = state_db_row(db, s)) > 0) {
                Ecs__StateChange *change =
                        ecs__state_change__unpack(NULL, (size_t)sqlite3_column_bytes(s, 1),
                                                  sqlite3_column_blob(s, 1));
                r = change == NULL ? -EUCLEAN : fn(arg, sqlite3_column_int64(s, 0), change);
                if (r != 0) {
                        (void)sqlite3_reset(s);
                        return r < 0 ? r : 0;
                }
        }
        return r;
}

int published_read_tasks(struct state_db *db, int64_t after,
                         void (*fn)(void *arg, int64_t sequence, const char *arn,
                                    Ecs__TaskFacts *facts),
                         void *arg)
{
        sqlite3_stmt *s = state_db_statement(db, READ_TASKS);
        (void)sqlite3_bind_int64(s, 1, after);
        int r;
        while ((r = state_db_row(db, s)) > 0) {
                Ecs__TaskFacts *facts = NULL;
                if (sqlite3_column_type(s, 2) != SQLITE_NULL) {
                        facts = ecs__task_facts__unpack(NULL, (size_t)sqlite3_column_bytes(s, 2),
                                                        sqlite3_column_blob(s, 2));
                        if (facts == NULL) {
                                (void)sqlite3_reset(s);
                                return -EUCLEAN;
                        }
                }
                fn(arg, sqlite3_column_int64(s, 0), state_db_column_text(s, 1), facts);
        }
        return r;
}

bool published_is_adopted(struct state_db *db)
{
        sqlite3_stmt *s = state_db_statement(db, IS_ADOPTED);
        int r = state_db_row(db, s);
        (void)sqlite3_reset(s);
        return r == 1;
}

/* The writer's statements are prepared by call: a handful a second, and the engine's own table of
 * statements stays its own. */
static int run(struct state_db *db, const char *sql, int64_t number, const char *text,
               const void *blob, size_t size)
{
        sqlite3_stmt *s = NULL;
        if (sqlite3_prepare_v2(state_db_handle(db), sql, -1, &s, NULL) != SQLITE_OK)
                return -EIO;
        if (sqlite3_bind_parameter_index(s, ":number") > 0)
                (void)sqlite3_bind_int64(s, sqlite3_bind_parameter_index(s, ":number"), number);
        if (sqlite3_bind_parameter_index(s, ":text") > 0)
                state_db_bind_text(s, sqlite3_bind_parameter_index(s, ":text"), text);
        if (blob != NULL)
                state_db_bind_blob(s, sqlite3_bind_parameter_index(s, ":blob"), blob, size);
        int r = state_db_run(db, s);
        (void)sqlite3_finalize(s);
        return r;
}

int published_write_outbox(struct state_db *db, const char *task_arn,
                           const Ecs__StateChange *change, int64_t *ret_id)
{
        size_t size = ecs__state_change__get_packed_size(change);
        uint8_t *packed = mem_alloc(size);
        ecs__state_change__pack(change, packed);
        int r = run(db, "INSERT INTO outbox(task_arn, change) VALUES(:text, :blob)", 0, task_arn,
                    packed, size);
        free(packed);
        if (r == 0)
                *ret_id = sqlite3_last_insert_rowid(state_db_handle(db));
        return r;
}

int published_delete_outbox(struct state_db *db, int64_t id)
{
        return run(db, "DELETE FROM outbox WHERE id = :number", id, NULL, NULL, 0);
}

static int next_sequence(struct state_db *db, int64_t *ret)
{
        sqlite3_stmt *s = NULL;
        if (sqlite3_prepare_v2(state_db_handle(db),
                               "UPDATE published_sequence SET last = last + 1 RETURNING last", -1,
                               &s, NULL) != SQLITE_OK)
                return -EIO;
        int r = state_db_row(db, s);
        if (r == 1) {
                *ret = sqlite3_column_int64(s, 0);
                r = state_db_row(db, s);
        } else if (r == 0) {
                r = -EUCLEAN;
        }
        (void)sqlite3_finalize(s);
        return r;
}

int published_write_task(struct state_db *db, const char *arn, const Ecs__TaskFacts *facts_or_null,
                         int64_t *ret_sequence)
{
        int64_t sequence;
        int r = next_sequence(db, &sequence);
        if (r != 0)
                return r;
        size_t size = 0;
        uint8_t *packed = NULL;
        if (facts_or_null != NULL) {
                size = ecs__task_facts__get_packed_size(facts_or_null);
                packed = mem_alloc(size);
                ecs__task_facts__pack(facts_or_null, packed);
        }
        r = run(db,
                facts_or_null != NULL
                        ? "INSERT INTO published_task(arn, sequence, facts)"
                          " VALUES(:text, :number, :blob)"
                          " ON CONFLICT(arn) DO UPDATE SET sequence = :number, facts = :blob"
                        : "UPDATE published_task SET sequence = :number, facts = NULL,"
                          " gone_ms = " NOW_MS
                          " WHERE arn = :text",
                sequence, arn, packed, size);
        free(packed);
        if (r == 0)
                *ret_sequence = sequence;
        return r;
}

int published_prune(struct state_db *db, int64_t before_ms)
{
        return run(db,
                   "DELETE FROM published_task WHERE facts IS NULL AND gone_ms < :number",
                   before_ms, NULL, NULL, 0);
}
