/* state_db: the file's life (lock, check, quarantine, migrate) and thin statement helpers.
 * The writer's lock is an OFD lock on a file beside the database: sqlite closes and reopens the
 * database's own descriptors, which would drop a lock held there. */
#include "state_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "log.h"
#include "mem.h"

struct state_db {
        sqlite3 *handle;
        const struct state_db_spec *spec;
        sqlite3_stmt **statements;
        int lock_fd;
        unsigned depth;    /* of nested transactions */
        int failed;        /* the transaction is lost: why; nothing more is done in it */
        char reason[256];  /* of the last failure, before its clean-up overwrote it in sqlite */
};

static const struct {
        int sqlite, error;
} codes[] = {
        {SQLITE_FULL, -ENOSPC},   {SQLITE_IOERR, -EIO},     {SQLITE_BUSY, -EBUSY},
        {SQLITE_LOCKED, -EBUSY},  {SQLITE_READONLY, -EROFS}, {SQLITE_CANTOPEN, -ENOENT},
        {SQLITE_CORRUPT, -EUCLEAN}, {SQLITE_NOTADB, -EUCLEAN}, {SQLITE_CONSTRAINT, -EEXIST},
        {SQLITE_NOMEM, -ENOMEM},  {SQLITE_PERM, -EACCES},   {SQLITE_AUTH, -EACCES},
};

static int translate(int rc)
{
        for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
                if ((rc & 0xff) == codes[i].sqlite)
                        return codes[i].error;
        return -EIO;
}

static int run_sql(sqlite3 *h, const char *sql)
{
        int rc = sqlite3_exec(h, sql, NULL, NULL, NULL);
        return rc == SQLITE_OK ? 0 : translate(rc);
}

static int pragma_int(sqlite3 *h, const char *sql, int *ret)
{
        sqlite3_stmt *s = NULL;
        int rc = sqlite3_prepare_v2(h, sql, -1, &s, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(s);
        if (rc == SQLITE_ROW)
                *ret = sqlite3_column_int(s, 0);
        (void)sqlite3_finalize(s);
        return rc == SQLITE_ROW ? 0 : translate(rc);
}

/* -EUCLEAN when the file is damaged. */
static int check_integrity(sqlite3 *h)
{
        sqlite3_stmt *s = NULL;
        int rc = sqlite3_prepare_v2(h, "PRAGMA quick_check(1)", -1, &s, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(s);
        int r = rc == SQLITE_ROW ? 0 : translate(rc);
        if (rc == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(s, 0), "ok") != 0)
                r = -EUCLEAN;
        (void)sqlite3_finalize(s);
        return r;
}

static int take_lock(const char *path, int *ret_fd)
{
        cleanup_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0)
                return -errno;
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (fcntl(fd, F_OFD_SETLK, &lock) != 0)
                return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
        *ret_fd = steal_fd(&fd);
        return 0;
}

static int migrate(struct state_db *db, struct error *err)
{
        int have = 0, want = 0;
        while (db->spec->migrations[want] != NULL)
                want++;
        int r = pragma_int(db->handle, "PRAGMA user_version", &have);
        if (r != 0)
                return error_set(err, r, "reading the schema version: %s",
                                 sqlite3_errmsg(db->handle));
        if (have > want)
                return error_set(err, -EPROTO,
                                 "schema %d is newer than this program's %d: install the newer "
                                 "version again, or move the file away",
                                 have, want);
        for (int v = have; v < want; v++) {
                cleanup_free char *sql = mem_printf(
                        "BEGIN IMMEDIATE; %s; PRAGMA user_version = %d; COMMIT",
                        db->spec->migrations[v], v + 1);
                r = run_sql(db->handle, sql);
                if (r != 0)
                        return error_set(err, r, "migration to schema %d: %s", v + 1,
                                         sqlite3_errmsg(db->handle));
        }
        return 0;
}

static int open_handle(struct state_db *db, const char *path, struct error *err)
{
        int persist = 1;
        int rc = sqlite3_open_v2(path, &db->handle,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                 NULL);
        int r = rc == SQLITE_OK ? 0 : translate(rc);
        if (r == 0) {
                (void)sqlite3_busy_timeout(db->handle, 2000);
                (void)sqlite3_file_control(db->handle, NULL, SQLITE_FCNTL_PERSIST_WAL, &persist);
                r = run_sql(db->handle, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                        "PRAGMA foreign_keys = ON; PRAGMA cache_size = -512");
        }
        if (r == 0)
                r = check_integrity(db->handle);
        if (r == 0)
                r = migrate(db, err);
        else
                (void)error_set(err, r, "%s",
                                db->handle != NULL ? sqlite3_errmsg(db->handle) : "cannot open");
        if (r != 0) {
                (void)sqlite3_close(db->handle);
                db->handle = NULL;
        }
        return r;
}

static void close_handle(struct state_db *db)
{
        for (size_t i = 0; i < db->spec->statement_count; i++) {
                (void)sqlite3_finalize(db->statements[i]);
                db->statements[i] = NULL;
        }
        (void)sqlite3_close(db->handle);
        db->handle = NULL;
}

/* Moves the damaged file and its journal aside, so that it can be looked at later. */
static int quarantine(const char *path, const struct log *log)
{
        static const char *const parts[] = {"", "-wal", "-shm"};
        char stamp[CLOCK_TEXT];
        (void)clock_format_ms(clock_wall_ms(), stamp);
        cleanup_free char *aside = mem_printf("%s.damaged-%s", path, stamp);
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
                cleanup_free char *from = mem_printf("%s%s", path, parts[i]);
                cleanup_free char *to = mem_printf("%s%s", aside, parts[i]);
                if (rename(from, to) != 0 && errno != ENOENT)
                        return -errno;
        }
        log_error(log, "database was damaged: moved aside, starting with an empty one",
                  LOG_STR("file", path), LOG_STR("moved_to", aside));
        return 0;
}

int state_db_open(const char *dir, const struct state_db_spec *spec, const struct log *log,
                  struct state_db **ret, struct error *err)
{
        cleanup_free char *path = mem_printf("%s/%s", dir, spec->file);
        cleanup_free char *lock_path = mem_printf("%s.lock", path);
        struct state_db *db = mem_zalloc(sizeof *db);
        int outcome = 0;
        db->spec = spec;
        db->lock_fd = -1;
        db->statements = mem_zalloc((spec->statement_count + 1) * sizeof *db->statements);
        mode_t old_mask = umask(0027);
        int r = take_lock(lock_path, &db->lock_fd);
        if (r != 0)
                (void)error_set(err, r, r == -EBUSY ? "another process writes it" : "%s",
                                strerror(-r));
        else
                r = open_handle(db, path, err);
        if (r == -EUCLEAN) {
                r = quarantine(path, log);
                if (r == 0)
                        r = open_handle(db, path, err);
                outcome = STATE_DB_QUARANTINED;
        }
        (void)umask(old_mask);
        if (r != 0) {
                (void)error_wrap(err, "database %s", path);
                state_db_close(db);
                return r;
        }
        *ret = db;
        return outcome;
}

int state_db_begin_anew(struct state_db *db, const char *dir, const struct log *log,
                        struct error *err)
{
        cleanup_free char *path = mem_printf("%s/%s", dir, db->spec->file);
        close_handle(db);
        mode_t old_mask = umask(0027);
        int r = quarantine(path, log);
        if (r != 0)
                (void)error_set(err, r, "%s", strerror(-r));
        else
                r = open_handle(db, path, err);
        (void)umask(old_mask);
        if (r != 0)
                (void)error_wrap(err, "database %s", path);
        return r;
}

static int prepare(struct state_db *db, unsigned index)
{
        int rc = sqlite3_prepare_v3(db->handle, db->spec->statements[index], -1,
                                    SQLITE_PREPARE_PERSISTENT, &db->statements[index], NULL);
        return rc == SQLITE_OK ? 0 : translate(rc);
}

int state_db_open_reader(const char *dir, const struct state_db_spec *spec, int version,
                         struct state_db **ret, struct error *err)
{
        cleanup_free char *path = mem_printf("%s/%s", dir, spec->file);
        struct state_db *db = mem_zalloc(sizeof *db);
        int have = 0;
        db->spec = spec;
        db->lock_fd = -1;
        db->statements = mem_zalloc((spec->statement_count + 1) * sizeof *db->statements);
        int rc = sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
                                 NULL);
        int r = rc == SQLITE_OK ? 0 : translate(rc);
        if (r == 0) {
                (void)sqlite3_busy_timeout(db->handle, 500);
                r = pragma_int(db->handle, "PRAGMA user_version", &have);
        }
        if (r == 0 && have < version)
                r = -EAGAIN;
        /* another's file: what is wrong with its schema shows here, and only fails */
        for (unsigned i = 0; r == 0 && i < spec->statement_count; i++)
                r = prepare(db, i);
        if (r != 0) {
                (void)error_set(err, r, "reading %s: %s", path, sqlite3_errmsg(db->handle));
                state_db_close(db);
                return r;
        }
        *ret = db;
        return 0;
}

void state_db_close(struct state_db *db)
{
        if (db == NULL)
                return;
        close_handle(db);
        free(db->statements);
        if (db->lock_fd >= 0)
                (void)close(db->lock_fd);
        free(db);
}

sqlite3_stmt *state_db_statement(struct state_db *db, unsigned index)
{
        sqlite3_stmt **s = &db->statements[index];
        if (*s == NULL && prepare(db, index) != 0) {
                (void)fprintf(stderr, "statement %u of %s: %s\n", index, db->spec->file,
                              sqlite3_errmsg(db->handle));
                abort();
        }
        (void)sqlite3_reset(*s);
        (void)sqlite3_clear_bindings(*s);
        return *s;
}

/* Keeps why something failed. On a full disk and the like sqlite rolls the whole transaction back by
 * itself; what follows must not be committed one by one, so the transaction is marked. */
static int note_failure(struct state_db *db, int rc)
{
        int r = translate(rc);
        (void)snprintf(db->reason, sizeof db->reason, "%s", sqlite3_errmsg(db->handle));
        if (db->depth > 0 && sqlite3_get_autocommit(db->handle) != 0)
                db->failed = r;
        return r;
}

static int step(struct state_db *db, sqlite3_stmt *s, int *ret_rc)
{
        if (db->failed != 0)
                return db->failed;
        *ret_rc = sqlite3_step(s);
        return *ret_rc == SQLITE_ROW || *ret_rc == SQLITE_DONE ? 0 : note_failure(db, *ret_rc);
}

int state_db_run(struct state_db *db, sqlite3_stmt *s)
{
        int rc, r = step(db, s, &rc);
        (void)sqlite3_reset(s);
        return r;
}

int state_db_row(struct state_db *db, sqlite3_stmt *s)
{
        int rc = SQLITE_DONE, r = step(db, s, &rc);
        if (rc == SQLITE_ROW)
                return 1;
        (void)sqlite3_reset(s);
        return r;
}

static int run_in(struct state_db *db, const char *sql)
{
        int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
        return rc == SQLITE_OK ? 0 : note_failure(db, rc);
}

int state_db_begin(struct state_db *db)
{
        if (db->depth++ == 0)
                db->failed = run_in(db, "BEGIN IMMEDIATE");
        return db->failed;
}

int state_db_commit(struct state_db *db)
{
        if (db->depth > 1) {
                db->depth--;
                return db->failed;
        }
        int r = db->failed != 0 ? db->failed : run_in(db, "COMMIT");
        state_db_rollback(db); /* what is left of one that could not be committed */
        return r;
}

void state_db_rollback(struct state_db *db)
{
        if (sqlite3_get_autocommit(db->handle) == 0)
                (void)run_sql(db->handle, "ROLLBACK");
        db->depth = 0;
        db->failed = 0;
}

sqlite3 *state_db_handle(struct state_db *db)
{
        return db->handle;
}

const char *state_db_error(struct state_db *db)
{
        return db->reason;
}

void state_db_bind_text(sqlite3_stmt *s, int index, const char *text)
{
        (void)sqlite3_bind_text(s, index, text, -1, SQLITE_TRANSIENT);
}

void state_db_bind_blob(sqlite3_stmt *s, int index, const void *data, size_t size)
{
        (void)sqlite3_bind_blob64(s, index, data, size, SQLITE_TRANSIENT);
}

const char *state_db_column_text(sqlite3_stmt *s, int column)
{
        const unsigned char *t = sqlite3_column_text(s, column);
        return t != NULL ? (const char *)t : "";
}
