/* The metadata worker's copy of the published table: what is written shows up, and an engine that
 * began a new database is followed to it without losing what is served. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "error.h"
#include "mem.h"
#include "metadata.h"
#include "published.h"
#include "worker_private.h"

static char data_dir[] = "/tmp/ecs-metadata-tasks-XXXXXX";
static const char *const migrations[] = {published_migration, published_migration_gone,
                                         published_migration_adoption, published_migration_epoch,
                                         NULL};
static const struct state_db_spec spec = {.file = "engine.db", .migrations = migrations};

static char *path_of(const char *name)
{
        return mem_printf("%s/engine/%s", data_dir, name);
}

static int set_up(void **state)
{
        (void)state;
        if (mkdtemp(data_dir) == NULL)
                return -1;
        cleanup_free char *dir = path_of("");
        return mkdir(dir, 0700);
}

/* The engine's side of the file. */
static struct state_db *open_engine(void)
{
        struct state_db *db = NULL;
        struct error err = {0};
        cleanup_free char *dir = path_of("");
        if (state_db_open(dir, &spec, NULL, &db, &err) < 0)
                fail_msg("%s", err.text);
        return db;
}

static void publish(struct state_db *db, const char *arn, const char *endpoint_id)
{
        int64_t sequence;
        Ecs__ContainerFacts c = ECS__CONTAINER_FACTS__INIT, *list[] = {&c};
        Ecs__TaskFacts t = ECS__TASK_FACTS__INIT;
        c.endpoint_id = (char *)endpoint_id;
        c.docker_id = (char *)"5f0c";
        t.arn = (char *)arn;
        t.n_containers = 1;
        t.containers = list;
        assert_int_equal(published_write_task(db, arn, &t, &sequence), 0);
}

static void remove_files(const char *suffix)
{
        static const char *const files[] = {"engine.db", "engine.db-wal", "engine.db-shm",
                                            "engine.db.lock"};
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                cleanup_free char *path = path_of(files[i]);
                cleanup_free char *whole = mem_printf("%s%s", path, suffix);
                (void)unlink(whole);
        }
}

static int tear_down(void **state)
{
        (void)state;
        remove_files("");
        remove_files(".aside");
        cleanup_free char *dir = path_of("");
        return rmdir(dir) != 0 || rmdir(data_dir) != 0;
}

/* As the engine does with a damaged file. */
static void move_aside(void)
{
        static const char *const files[] = {"engine.db", "engine.db-wal", "engine.db-shm"};
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                cleanup_free char *from = path_of(files[i]);
                cleanup_free char *to = mem_printf("%s.aside", from);
                (void)rename(from, to);
        }
}

static void a_new_database_is_followed(void **state)
{
        struct worker w = {.data_dir = data_dir};
        struct metadata m = {.worker = &w};
        struct state_db *engine = open_engine();
        (void)state;
        publish(engine, "task/old", "id-old");
        tasks_refresh(&m);
        assert_non_null(tasks_find_endpoint(&m, "id-old"));
        state_db_close(engine);
        move_aside();
        engine = open_engine();
        publish(engine, "task/new", "id-new");
        tasks_reopen(&m);
        assert_non_null(tasks_find_endpoint(&m, "id-new"));
        /* its container still runs and reads its metadata, until the engine has adopted it */
        assert_non_null(tasks_find_endpoint(&m, "id-old"));
        publish(engine, "task/old", "id-adopted");
        tasks_refresh(&m);
        assert_non_null(tasks_find_endpoint(&m, "id-adopted"));
        assert_null(tasks_find_endpoint(&m, "id-old"));
        /* until then an id nobody knows may be that of a task that runs */
        assert_false(m.adopted);
        assert_int_equal(sqlite3_exec(state_db_handle(engine), "INSERT INTO adoption VALUES(1)",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        tasks_refresh(&m);
        assert_true(m.adopted);
        state_db_close(engine);
        tasks_free(&m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(a_new_database_is_followed)};
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
