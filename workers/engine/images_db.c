/* images_db: an image that changed is written anew with all its names. */
#include "images_db.h"

#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "mem.h"

const char images_migration[] =
        "CREATE TABLE image(id TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL,"
        "  pulled_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL,"
        "  pull_succeeded INTEGER NOT NULL, has_region INTEGER NOT NULL);"
        "CREATE TABLE image_name(name TEXT PRIMARY KEY,"
        "  image_id TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE);"
        "CREATE INDEX image_name_image ON image_name(image_id)";

enum { DELETE_IMAGE, INSERT_IMAGE, INSERT_NAME, LOAD, STATEMENTS };
static const char *const sql[STATEMENTS] = {
        [DELETE_IMAGE] = "DELETE FROM image WHERE id = ?1",
        [INSERT_IMAGE] = "INSERT INTO image(id, size_bytes, pulled_ms, used_ms, pull_succeeded,"
                         " has_region) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
        [INSERT_NAME] = "INSERT OR REPLACE INTO image_name(name, image_id) VALUES(?1, ?2)",
        [LOAD] = "SELECT id, size_bytes, pulled_ms, used_ms, pull_succeeded, has_region, name"
                 " FROM image LEFT JOIN image_name ON image_id = id ORDER BY id, name",
};

/* Prepared by call, a handful a second: the table of statements is task_db.c's own. */
static sqlite3_stmt *prepare(struct state_db *db, unsigned which)
{
        sqlite3_stmt *s = NULL;
        (void)sqlite3_prepare_v2(state_db_handle(db), sql[which], -1, &s, NULL);
        return s;
}

static int run(struct state_db *db, sqlite3_stmt *s)
{
        int r = s != NULL ? state_db_run(db, s) : -EIO;
        (void)sqlite3_finalize(s);
        return r;
}

static int delete_image(struct state_db *db, const char *id)
{
        sqlite3_stmt *s = prepare(db, DELETE_IMAGE);
        state_db_bind_text(s, 1, id);
        return run(db, s);
}

static int insert(struct state_db *db, const struct image *i)
{
        sqlite3_stmt *s = prepare(db, INSERT_IMAGE);
        state_db_bind_text(s, 1, i->id);
        (void)sqlite3_bind_int64(s, 2, i->size_bytes);
        (void)sqlite3_bind_int64(s, 3, i->pulled_ms);
        (void)sqlite3_bind_int64(s, 4, i->used_ms);
        (void)sqlite3_bind_int64(s, 5, i->pull_succeeded);
        (void)sqlite3_bind_int64(s, 6, i->has_region);
        int r = run(db, s);
        for (size_t n = 0; r == 0 && n < i->name_count; n++) {
                s = prepare(db, INSERT_NAME);
                state_db_bind_text(s, 1, i->names[n]);
                state_db_bind_text(s, 2, i->id);
                r = run(db, s);
        }
        return r;
}

int images_db_store(struct state_db *db, const struct images *all)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < all->gone_count; i++)
                r = delete_image(db, all->gone[i]);
        /* first all go, so that no name is still another's */
        for (const struct image *i = all->first; r == 0 && i != NULL; i = i->next)
                if (i->dirty)
                        r = delete_image(db, i->id);
        for (const struct image *i = all->first; r == 0 && i != NULL; i = i->next)
                if (i->dirty)
                        r = insert(db, i);
        return r;
}

void images_db_stored(struct images *all)
{
        for (struct image *i = all->first; i != NULL; i = i->next)
                i->dirty = false;
        for (size_t i = 0; i < all->gone_count; i++)
                free(all->gone[i]);
        free(all->gone);
        all->gone = NULL;
        all->gone_count = 0;
}

int images_db_load(struct state_db *db, struct images *all)
{
        sqlite3_stmt *s = prepare(db, LOAD);
        int r = -EIO;
        while (s != NULL && (r = state_db_row(db, s)) > 0) {
                struct image *i = images_find(all, state_db_column_text(s, 0));
                if (i == NULL) {
                        i = mem_zalloc(sizeof *i);
                        *i = (struct image){.id = mem_strdup(state_db_column_text(s, 0)),
                                            .size_bytes = sqlite3_column_int64(s, 1),
                                            .pulled_ms = sqlite3_column_int64(s, 2),
                                            .used_ms = sqlite3_column_int64(s, 3),
                                            .pull_succeeded = sqlite3_column_int(s, 4) != 0,
                                            .has_region = sqlite3_column_int(s, 5) != 0};
                        images_add(all, i);
                }
                if (sqlite3_column_type(s, 6) != SQLITE_NULL)
                        image_add_name(i, state_db_column_text(s, 6));
        }
        (void)sqlite3_finalize(s);
        return r;
}
