/* engine.db: what is stored comes back, what is gone leaves a tombstone for a day, the outbox keeps
 * its order, and the note that labelled containers were looked for is part of its transaction. */
#include "unit.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "engine_tasks.h"
#include "error.h"
#include "published.h"
#include "task_db.h"

static char dir[] = "/tmp/ecs-engine-db-XXXXXX";

static struct state_db *open_db(void)
{
        struct state_db *db = NULL;
        struct error err = {0};
        if (task_db_open(dir, NULL, &db, &err) < 0)
                fail_msg("%s", err.text);
        return db;
}

static int set_up(void **state)
{
        (void)state;
        return mkdtemp(dir) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
        glob_t found;
        cleanup_free char *pattern = mem_printf("%s/engine.db*", dir);
        (void)state;
        if (glob(pattern, 0, NULL, &found) != 0)
                return -1;
        for (size_t i = 0; i < found.gl_pathc; i++)
                (void)unlink(found.gl_pathv[i]);
        globfree(&found);
        return rmdir(dir);
}

static struct task *task_named(const char *arn)
{
        const bool essential[] = {true, false};
        Ecs__TaskSpec *s = make_spec(2, essential);
        text_set(&s->arn, arn);
        return task_new(s, 1, NULL);
}

static void collect(void *arg, struct task *t)
{
        struct task **list = arg;
        t->next = *list;
        *list = t;
}

static void a_task_comes_back_as_it_was(void **state)
{
        int64_t sequence;
        struct task *t = task_named("x/1"), *loaded = NULL;
        struct state_db *db = open_db();
        (void)state;
        (void)container_apply(&t->containers[0], EV_RUNNING, NULL);
        (void)container_apply(&t->containers[1], EV_PULL_FAILED, "SomeError: why");
        task_settle(t, 5);
        state_change_free(task_report(t));
        assert_int_equal(task_db_store(db, t, true, &sequence), 0);
        state_db_close(db);
        db = open_db();
        assert_int_equal(task_db_load(db, NULL, collect, &loaded), 0);
        assert_non_null(loaded);
        assert_null(loaded->next);
        assert_string_equal(loaded->spec->arn, "x/1");
        assert_int_equal(loaded->known, t->known);
        assert_int_equal(loaded->containers[0].known, S_RUNNING);
        assert_int_equal(loaded->containers[1].known, S_STOPPED);
        assert_string_equal(loaded->containers[1].facts->reason, "SomeError: why");
        assert_string_equal(loaded->containers[0].facts->docker_name,
                            t->containers[0].facts->docker_name);
        assert_null(task_report(loaded)); /* what was stored was reported with it */
        assert_int_equal(task_db_delete(db, "x/1", &sequence), 0);
        state_db_close(db);
        task_free(loaded);
        task_free(t);
}

static void unreadable_content_is_told_from_a_failing_disk(void **state)
{
        int64_t sequence;
        struct error err = {0};
        struct task *a = task_named("x/a"), *b = task_named("x/b"), *loaded = NULL;
        struct state_db *db = open_db();
        (void)state;
        assert_int_equal(task_db_store(db, a, true, &sequence), 0);
        assert_int_equal(task_db_store(db, b, true, &sequence), 0);
        assert_int_equal(sqlite3_exec(state_db_handle(db),
                                      "UPDATE task SET spec = x'ffff' WHERE arn = 'x/b'", NULL,
                                      NULL, NULL), SQLITE_OK);
        assert_int_equal(task_db_set_adopted(db), 0);
        assert_int_equal(task_db_load(db, NULL, collect, &loaded), -EUCLEAN);
        assert_string_equal(loaded->spec->arn, "x/a");
        assert_null(loaded->next);
        assert_int_equal(state_db_begin_anew(db, dir, NULL, &err), 0);
        assert_false(task_db_is_adopted(db)); /* labels are looked for */
        assert_int_equal(task_db_load(db, NULL, collect, NULL), 0);
        state_db_close(db);
        task_free(loaded);
        task_free(a);
        task_free(b);
}

struct read {
        unsigned tasks, tombstones;
};

static void count(void *arg, int64_t sequence, const char *arn, Ecs__TaskFacts *facts)
{
        struct read *r = arg;
        (void)sequence;
        (void)arn;
        if (facts != NULL)
                r->tasks++;
        else
                r->tombstones++;
        ecs__task_facts__free_unpacked(facts, NULL);
}

static struct read read_all(void)
{
        struct read r = {0};
        struct error err = {0};
        struct state_db *reader = NULL;
        assert_int_equal(published_open(dir, &reader, &err), 0);
        assert_int_equal(published_read_tasks(reader, 0, count, &r), 0);
        state_db_close(reader);
        return r;
}

static void tombstones_go_after_their_time(void **state)
{
        int64_t sequence;
        struct state_db *db = open_db();
        struct task *a = task_named("x/a"), *b = task_named("x/b");
        (void)state;
        assert_int_equal(published_prune(db, INT64_MAX), 0);
        assert_int_equal(task_db_store(db, a, true, &sequence), 0);
        assert_int_equal(task_db_store(db, b, true, &sequence), 0);
        assert_int_equal(task_db_delete(db, "x/a", &sequence), 0);
        struct read r = read_all();
        assert_int_equal(r.tasks, 1);
        assert_int_equal(r.tombstones, 1); /* fresh ones are kept for readers that were away */
        assert_int_equal(published_prune(db, INT64_MAX), 0);
        r = read_all();
        assert_int_equal(r.tasks, 1);
        assert_int_equal(r.tombstones, 0);
        assert_int_equal(task_db_delete(db, "x/b", &sequence), 0);
        state_db_close(db);
        task_free(a);
        task_free(b);
}

static void adoption_is_noted_with_its_transaction(void **state)
{
        struct state_db *db = open_db();
        (void)state;
        assert_false(task_db_is_adopted(db));
        assert_int_equal(state_db_begin(db), 0);
        assert_int_equal(task_db_set_adopted(db), 0);
        state_db_rollback(db);
        assert_false(task_db_is_adopted(db));
        assert_int_equal(task_db_set_adopted(db), 0);
        state_db_close(db);
        db = open_db();
        assert_true(task_db_is_adopted(db));
        state_db_close(db);
}

static int take_id(void *arg, int64_t id, Ecs__StateChange *change)
{
        int64_t *last = arg;
        assert_true(id > *last);
        *last = id;
        ecs__state_change__free_unpacked(change, NULL);
        return 0;
}

static void the_outbox_keeps_its_order(void **state)
{
        int64_t ids[3], last = clock_wall_ms() - 3600000; /* numbers go on from the clock */
        struct state_db *db = open_db();
        struct error err = {0};
        struct state_db *reader = NULL;
        Ecs__StateChange change = ECS__STATE_CHANGE__INIT;
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
                assert_int_equal(published_write_outbox(db, "x/o", &change, &ids[i]), 0);
        assert_true(task_db_has_unsent(db, "x/o"));
        assert_int_equal(published_delete_outbox(db, ids[0]), 0);
        assert_int_equal(published_delete_outbox(db, ids[0]), 0); /* told twice */
        assert_int_equal(published_open(dir, &reader, &err), 0);
        assert_int_equal(published_read_outbox(reader, 0, take_id, &last), 0);
        assert_int_equal(last, ids[2]);
        state_db_close(reader);
        assert_int_equal(published_delete_outbox(db, ids[1]), 0);
        assert_int_equal(published_delete_outbox(db, ids[2]), 0);
        assert_false(task_db_has_unsent(db, "x/o"));
        /* a number is never given again: the backend's marks would swallow it */
        assert_int_equal(published_write_outbox(db, "x/o", &change, &ids[0]), 0);
        assert_true(ids[0] > ids[2]);
        state_db_close(db);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_task_comes_back_as_it_was),
                cmocka_unit_test(unreadable_content_is_told_from_a_failing_disk),
                cmocka_unit_test(tombstones_go_after_their_time),
                cmocka_unit_test(adoption_is_noted_with_its_transaction),
                cmocka_unit_test(the_outbox_keeps_its_order),
        };
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
