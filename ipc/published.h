/* published: the tables of engine.db that other workers read, and how. DESIGN section 5.
 * The engine writes them in the transaction that makes them true. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine.pb-c.h"
#include "state_db.h"

/* The migration that makes both tables; the engine lists it as its version 1.
 *   outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, task_arn TEXT, change BLOB)
 *   published_task(arn TEXT PRIMARY KEY, sequence INTEGER UNIQUE, facts BLOB)
 *     facts NULL = the task is gone (tombstone, kept a day) */
extern const char published_migration[];
/* A later one: gone_ms, when a task went, so that its tombstone goes a day after it. */
extern const char published_migration_gone[];

/* The engine's version 3: adoption(done_ms INTEGER) has a row once the containers of an earlier
 * database have been looked for. */
extern const char published_migration_adoption[];
/* A later one: numbers go on from the time in ms, so that those of a database that was lost are not
 * given again: readers remember them, and the backend's sent marks would swallow a new change. */
extern const char published_migration_epoch[];

/* Both NULL-safe readers: open engine.db in dir for reading. -ENOENT or -EAGAIN: not yet there. */
int published_open(const char *dir, struct state_db **ret, struct error *err);
/* Calls fn for each outbox row with id > after, in order. message owned by fn. Returns 0 or errno;
 * fn returns non-zero to stop. */
int published_read_outbox(struct state_db *db, int64_t after,
                          int (*fn)(void *arg, int64_t id, Ecs__StateChange *change), void *arg);
/* Calls fn for each task with sequence > after, by sequence; facts NULL = gone, else owned by fn. */
int published_read_tasks(struct state_db *db, int64_t after,
                         void (*fn)(void *arg, int64_t sequence, const char *arn,
                                    Ecs__TaskFacts *facts),
                         void *arg);
/* True once published_task names every task that runs: a new engine.db is empty until the engine
 * has adopted the containers that are there. False also when it cannot be read. */
bool published_is_adopted(struct state_db *db);
/* Writers (engine, inside its transaction). */
int published_write_outbox(struct state_db *db, const char *task_arn,
                           const Ecs__StateChange *change, int64_t *ret_id);
int published_delete_outbox(struct state_db *db, int64_t id);
/* Removes the tombstones of tasks that went before this time. */
int published_prune(struct state_db *db, int64_t before_ms);
/* facts NULL: the task is gone. */
int published_write_task(struct state_db *db, const char *arn, const Ecs__TaskFacts *facts_or_null,
                         int64_t *ret_sequence);
