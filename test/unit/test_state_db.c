/* The life of a database file: one writer, readers, migrations, damage, nested transactions. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "error.h"
#include "log.h"
#include "mem.h"
#include "state_db.h"

enum { INSERT, SELECT, COUNT };
static const char *const one[] = {"CREATE TABLE t(id TEXT PRIMARY KEY) STRICT", NULL};
static const char *const two[] = {"CREATE TABLE t(id TEXT PRIMARY KEY) STRICT",
                                  "ALTER TABLE t ADD COLUMN note TEXT", NULL};
static const char *const broken[] = {"CREATE TABLE t(id TEXT PRIMARY KEY) STRICT",
                                     "CREATE TABLE u(id TEXT); ALTER TABLE nothing ADD x", NULL};
static const char *const statements[] = {[INSERT] = "INSERT INTO t(id) VALUES(?1)",
                                         [SELECT] = "SELECT id FROM t ORDER BY id",
                                         [COUNT] = "SELECT count(*) FROM t"};
static const struct state_db_spec v1 = {"x.db", one, statements, ARRAY_SIZE(statements)};
static const struct state_db_spec v2 = {"x.db", two, statements, ARRAY_SIZE(statements)};
static const struct state_db_spec bad = {"x.db", broken, statements, ARRAY_SIZE(statements)};

static char dir[] = "/tmp/ecs-db-XXXXXX";

static void forget_files(void)
{
        glob_t found;
        cleanup_free char *pattern = mem_printf("%s/*", dir);
        if (glob(pattern, 0, NULL, &found) != 0)
                return;
        for (size_t i = 0; i < found.gl_pathc; i++)
                (void)unlink(found.gl_pathv[i]);
        globfree(&found);
}

static struct state_db *open_writer(const struct state_db_spec *spec, int expected)
{
        struct state_db *db = NULL;
        struct error err = {0};
        int r = state_db_open(dir, spec, NULL, &db, &err);
        if (r != expected)
                fail_msg("%d: %s", r, err.text);
        return db;
}

static int insert(struct state_db *db, const char *id)
{
        sqlite3_stmt *s = state_db_statement(db, INSERT);
        state_db_bind_text(s, 1, id);
        return state_db_run(db, s);
}

static int count(struct state_db *db)
{
        sqlite3_stmt *s = state_db_statement(db, COUNT);
        assert_int_equal(state_db_row(db, s), 1);
        int n = sqlite3_column_int(s, 0);
        assert_int_equal(state_db_row(db, s), 0);
        return n;
}

static int fresh(void **state)
{
        (void)state;
        forget_files();
        return 0;
}

static void rows_survive_and_file_is_private(void **state)
{
        struct stat st;
        cleanup_free char *path = mem_printf("%s/x.db", dir);
        (void)state;
        struct state_db *db = open_writer(&v1, 0);
        assert_int_equal(insert(db, "a"), 0);
        assert_int_equal(insert(db, "a"), -EEXIST);
        state_db_close(db);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        db = open_writer(&v1, 0);
        assert_int_equal(count(db), 1);
        state_db_close(db);
}

static void second_writer_is_turned_away(void **state)
{
        struct state_db *other = NULL;
        struct error err = {0};
        (void)state;
        struct state_db *db = open_writer(&v1, 0);
        assert_int_equal(state_db_open(dir, &v1, NULL, &other, &err), -EBUSY);
        assert_non_null(strstr(err.text, "another process"));
        state_db_close(db);
        state_db_close(open_writer(&v1, 0));
}

static void migrations_go_forward_only(void **state)
{
        struct state_db *db = open_writer(&v1, 0);
        struct error err = {0};
        (void)state;
        assert_int_equal(insert(db, "a"), 0);
        state_db_close(db);
        db = open_writer(&v2, 0);
        assert_int_equal(count(db), 1);
        state_db_close(db);
        assert_int_equal(state_db_open(dir, &v1, NULL, &db, &err), -EPROTO);
        assert_non_null(strstr(err.text, "newer"));
}

static void failed_migration_changes_nothing(void **state)
{
        struct error err = {0};
        struct state_db *db = open_writer(&v1, 0);
        (void)state;
        state_db_close(db);
        assert_true(state_db_open(dir, &bad, NULL, &db, &err) < 0);
        assert_non_null(strstr(err.text, "migration to schema 2"));
        db = open_writer(&v1, 0); /* still at 1, so the table of the second half is not there */
        assert_int_not_equal(sqlite3_exec(state_db_handle(db), "SELECT * FROM u", NULL, NULL, NULL),
                             SQLITE_OK);
        state_db_close(db);
}

static void damage_is_moved_aside(void **state)
{
        cleanup_free char *path = mem_printf("%s/x.db", dir);
        cleanup_free char *pattern = mem_printf("%s/x.db.damaged-*", dir);
        glob_t found;
        (void)state;
        log_set_level(LOG_LEVEL_NONE);
        cleanup_file FILE *f = fopen(path, "we");
        for (int i = 0; i < 1000; i++)
                assert_true(fputs("this is no database", f) >= 0);
        (void)fflush(f);
        struct state_db *db = open_writer(&v1, STATE_DB_QUARANTINED);
        assert_int_equal(count(db), 0);
        state_db_close(db);
        assert_int_equal(glob(pattern, 0, NULL, &found), 0);
        globfree(&found);
        log_set_level(LOG_LEVEL_INFO);
}

static void inner_transactions_belong_to_the_outer(void **state)
{
        (void)state;
        struct state_db *db = open_writer(&v1, 0);
        assert_int_equal(state_db_begin(db), 0);
        assert_int_equal(insert(db, "a"), 0);
        assert_int_equal(state_db_begin(db), 0);
        assert_int_equal(insert(db, "b"), 0);
        assert_int_equal(state_db_commit(db), 0);
        state_db_rollback(db);
        assert_int_equal(count(db), 0);
        assert_int_equal(state_db_begin(db), 0);
        assert_int_equal(insert(db, "c"), 0);
        assert_int_equal(state_db_commit(db), 0);
        assert_int_equal(count(db), 1);
        state_db_close(db);
}

/* What follows a loss in the same transaction must not be stored one by one, and the reason told is
 * the first one, not that of the clean-up. */
static void a_lost_transaction_stays_lost_and_tells_why(void **state)
{
        (void)state;
        struct state_db *db = open_writer(&v1, 0);
        cleanup_free char *big = mem_alloc(20001);
        memset(big, 'x', 20000);
        big[20000] = '\0';
        (void)sqlite3_exec(state_db_handle(db), "PRAGMA max_page_count = 4", NULL, NULL, NULL);
        assert_int_equal(state_db_begin(db), 0);
        assert_int_equal(insert(db, "a"), 0);
        assert_int_equal(insert(db, big), -ENOSPC);
        assert_int_equal(insert(db, "b"), -ENOSPC);
        assert_int_equal(state_db_begin(db), -ENOSPC);
        assert_int_equal(state_db_commit(db), -ENOSPC);
        assert_int_equal(state_db_commit(db), -ENOSPC);
        assert_non_null(strstr(state_db_error(db), "full"));
        assert_int_equal(count(db), 0);
        assert_int_equal(insert(db, "c"), 0);
        assert_int_equal(state_db_begin(db), 0);
        assert_int_equal(insert(db, big), -ENOSPC);
        state_db_rollback(db);
        assert_non_null(strstr(state_db_error(db), "full"));
        assert_int_equal(count(db), 1);
        state_db_close(db);
}

/* Statements of a transaction that could not begin are not stored either. */
static void what_could_not_begin_stores_nothing(void **state)
{
        sqlite3 *other = NULL;
        cleanup_free char *path = mem_printf("%s/x.db", dir);
        (void)state;
        struct state_db *db = open_writer(&v1, 0);
        (void)sqlite3_busy_timeout(state_db_handle(db), 0);
        assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(state_db_begin(db), -EBUSY);
        (void)sqlite3_close(other);
        assert_int_equal(insert(db, "a"), -EBUSY);
        assert_int_equal(state_db_commit(db), -EBUSY);
        assert_non_null(strstr(state_db_error(db), "locked"));
        assert_int_equal(count(db), 0);
        assert_int_equal(insert(db, "b"), 0);
        state_db_close(db);
}

static void reader_waits_for_the_schema_and_sees_commits(void **state)
{
        struct state_db *reader = NULL;
        struct error err = {0};
        (void)state;
        assert_int_equal(state_db_open_reader(dir, &v1, 1, &reader, &err), -ENOENT);
        struct state_db *db = open_writer(&v1, 0);
        assert_int_equal(state_db_open_reader(dir, &v1, 2, &reader, &err), -EAGAIN);
        assert_int_equal(state_db_open_reader(dir, &v1, 1, &reader, &err), 0);
        assert_int_equal(state_db_begin(db), 0);
        assert_int_equal(insert(db, "a"), 0);
        assert_int_equal(count(reader), 0);
        assert_int_equal(state_db_commit(db), 0);
        assert_int_equal(count(reader), 1);
        assert_int_equal(insert(reader, "b"), -EROFS);
        sqlite3_stmt *s = state_db_statement(reader, SELECT);
        assert_int_equal(state_db_row(reader, s), 1);
        assert_string_equal(state_db_column_text(s, 0), "a");
        assert_int_equal(state_db_row(reader, s), 0);
        state_db_close(reader);
        state_db_close(db);
}

/* The writer works on from its cache; who opens the file now sees that its schema is damaged. */
static void reader_of_a_damaged_schema_is_refused(void **state)
{
        struct state_db *reader = NULL;
        struct error err = {0};
        unsigned char junk[3996];
        cleanup_free char *path = mem_printf("%s/x.db", dir);
        (void)state;
        state_db_close(open_writer(&v1, 0));
        memset(junk, 0xa5, sizeof junk);
        cleanup_free char *wal = mem_printf("%s-wal", path);
        assert_int_equal(unlink(wal), 0); /* it has the page, too */
        cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
        /* behind the file's header, where the schema version stands */
        assert_int_equal(pwrite(fd, junk, sizeof junk, 100), sizeof junk);
        assert_int_equal(state_db_open_reader(dir, &v1, 1, &reader, &err), -EUCLEAN);
        assert_null(reader);
        assert_non_null(strstr(err.text, "malformed"));
}

static void begun_anew_is_empty_and_still_locked(void **state)
{
        glob_t found;
        struct state_db *second = NULL;
        struct error err = {0};
        cleanup_free char *pattern = mem_printf("%s/x.db.damaged-*", dir);
        (void)state;
        struct state_db *db = open_writer(&v1, 0);
        assert_int_equal(insert(db, "a"), 0);
        assert_int_equal(state_db_begin_anew(db, dir, NULL, &err), 0);
        assert_int_equal(count(db), 0);
        assert_int_equal(insert(db, "b"), 0);
        assert_int_equal(state_db_open(dir, &v1, NULL, &second, &err), -EBUSY);
        state_db_close(db);
        db = open_writer(&v1, 0);
        assert_int_equal(count(db), 1);
        state_db_close(db);
        assert_int_equal(glob(pattern, 0, NULL, &found), 0);
        globfree(&found);
}

static int make_dir(void **state)
{
        (void)state;
        return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
        (void)state;
        forget_files();
        return rmdir(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(rows_survive_and_file_is_private, fresh),
                cmocka_unit_test_setup(second_writer_is_turned_away, fresh),
                cmocka_unit_test_setup(reader_of_a_damaged_schema_is_refused, fresh),
                cmocka_unit_test_setup(begun_anew_is_empty_and_still_locked, fresh),
                cmocka_unit_test_setup(migrations_go_forward_only, fresh),
                cmocka_unit_test_setup(failed_migration_changes_nothing, fresh),
                cmocka_unit_test_setup(damage_is_moved_aside, fresh),
                cmocka_unit_test_setup(inner_transactions_belong_to_the_outer, fresh),
                cmocka_unit_test_setup(a_lost_transaction_stays_lost_and_tells_why, fresh),
                cmocka_unit_test_setup(what_could_not_begin_stores_nothing, fresh),
                cmocka_unit_test_setup(reader_waits_for_the_schema_and_sees_commits, fresh),
        };
        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
