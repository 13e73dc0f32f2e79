/* state_db: one sqlite3 file per writing worker; others read. DESIGN section 5.
 * The writer holds an OFD lock, checks integrity, moves a damaged file aside, migrates.
 * Statements are prepared once and found by index. sqlite codes become negative errno here. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct log;
struct state_db;

struct state_db_spec {
        const char *file;                /* e.g. "engine.db" */
        const char *const *migrations;   /* SQL of version 1, 2, …; NULL-terminated */
        const char *const *statements;   /* by index; a writer's are prepared when first used */
        size_t statement_count;
};

#define STATE_DB_QUARANTINED 1 /* opened anew; the damaged file was moved aside */

/* Opens for writing, creating dir/file (0640). Outcomes: 0, STATE_DB_QUARANTINED, or negative with
 * err: -EBUSY another writer holds it, -EROFS, -EPROTO schema is newer than this program. */
int state_db_open(const char *dir, const struct state_db_spec *spec, const struct log *log,
                  struct state_db **ret, struct error *err);
/* For a writer that finds what it stored unreadable: moves the file aside, as a damaged one is, and
 * begins an empty one. The lock stays held. 0, or negative with err: db may only be closed then. */
int state_db_begin_anew(struct state_db *db, const char *dir, const struct log *log,
                        struct error *err);
/* Opens for reading another worker's file and prepares all statements. -ENOENT / -EAGAIN while it is
 * not there or not yet migrated to version, -EUCLEAN while it is damaged: try later. */
int state_db_open_reader(const char *dir, const struct state_db_spec *spec, int version,
                         struct state_db **ret, struct error *err);
void state_db_close(struct state_db *db);

/* The prepared statement, reset and with bindings cleared. Never NULL: SQL that does not compile
 * is our own mistake and aborts with the text. */
sqlite3_stmt *state_db_statement(struct state_db *db, unsigned index);
/* Steps a statement without rows, resets it. 0 or negative errno (-ENOSPC, -EIO, -EBUSY …). */
int state_db_run(struct state_db *db, sqlite3_stmt *s);
/* Steps: 1 a row, 0 done (reset), negative errno. */
int state_db_row(struct state_db *db, sqlite3_stmt *s);

/* BEGIN IMMEDIATE … COMMIT. Nested begins are counted; only the outermost commits. A transaction that
 * could not begin, or that sqlite gave up (the disk is full), stays failed until its commit or
 * rollback: statements in it do nothing and return the reason, as commit does. */
int state_db_begin(struct state_db *db);
int state_db_commit(struct state_db *db);
void state_db_rollback(struct state_db *db);

sqlite3 *state_db_handle(struct state_db *db);
/* Why the last statement, begin or commit failed. Borrowed until the next failure. */
const char *state_db_error(struct state_db *db);

/* Bind helpers: NULL text binds SQL NULL; texts are copied. */
void state_db_bind_text(sqlite3_stmt *s, int index, const char *text);
void state_db_bind_blob(sqlite3_stmt *s, int index, const void *data, size_t size);
/* Column text, "" for NULL; borrowed until the next step. */
const char *state_db_column_text(sqlite3_stmt *s, int column);
