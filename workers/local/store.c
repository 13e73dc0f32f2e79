/* store: memory is the working copy, local.db what survives. Every change is one row. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "error.h"
#include "local.h"
#include "mem.h"

static const char *const migrations[] = {
        "CREATE TABLE object(kind INTEGER NOT NULL, arn TEXT NOT NULL, body TEXT NOT NULL,"
        "  PRIMARY KEY(kind, arn))",
        NULL};
enum { PUT, LOAD };
static const char *const statements[] = {
        [PUT] = "INSERT INTO object(kind, arn, body) VALUES(?1, ?2, ?3)"
                " ON CONFLICT(kind, arn) DO UPDATE SET body = ?3",
        [LOAD] = "SELECT kind, arn, body FROM object ORDER BY rowid",
};
static const struct state_db_spec spec = {.file = "local.db",
                                          .migrations = migrations,
                                          .statements = statements,
                                          .statement_count = ARRAY_SIZE(statements)};

int store_open(struct local *l, struct error *err)
{
        cleanup_free char *dir = mem_printf("%s/local", worker_data_dir(l->worker));
        for (size_t k = 0; k < KINDS; k++)
                l->objects[k] = json_object();
        int r = state_db_open(dir, &spec, l->log, &l->db, err);
        if (r < 0)
                return r;
        sqlite3_stmt *s = state_db_statement(l->db, LOAD);
        while ((r = state_db_row(l->db, s)) > 0) {
                json_t *o = json_loads(state_db_column_text(s, 2), 0, NULL);
                int kind = sqlite3_column_int(s, 0);
                if (o != NULL && kind >= 0 && kind < KINDS)
                        (void)json_object_set_new(l->objects[kind], state_db_column_text(s, 1), o);
        }
        return r < 0 ? error_set(err, r, "local.db cannot be read") : 0;
}

void store_close(struct local *l)
{
        for (size_t k = 0; k < KINDS; k++)
                json_decref(l->objects[k]);
        state_db_close(l->db);
}

json_t *store_find(struct local *l, enum kind k, const char *arn)
{
        return json_object_get(l->objects[k], arn);
}

int store_changed(struct local *l, enum kind k, const char *arn)
{
        cleanup_free char *text = json_dumps(store_find(l, k, arn), JSON_COMPACT);
        sqlite3_stmt *s = state_db_statement(l->db, PUT);
        (void)sqlite3_bind_int(s, 1, (int)k);
        state_db_bind_text(s, 2, arn);
        state_db_bind_text(s, 3, text);
        int r = state_db_run(l->db, s);
        if (r != 0)
                log_error(l->log, "cannot store", LOG_STR("arn", arn),
                          LOG_STR("reason", state_db_error(l->db)));
        return r;
}

int store_put(struct local *l, enum kind k, const char *arn, json_t *object)
{
        (void)json_object_set_new(l->objects[k], arn, object);
        return store_changed(l, k, arn);
}

char *store_arn(const struct local *l, const char *resource)
{
        return mem_printf("arn:aws:ecs:%s:" ACCOUNT ":%s", l->region, resource);
}
