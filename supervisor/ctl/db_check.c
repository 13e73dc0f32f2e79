/* ecsctl db-check: is every database whole? Each is read as its owner, so that nothing is left that
 * its worker could not open, and without a lock that a worker would wait for. */
#include <errno.h>
#include <glob.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "client.h"
#include "command.h"
#include "connection.h"
#include "error.h"
#include "mem.h"

#define BUSY_MS 5000
#define DEFAULT_DIR "/var/lib/ecs/data"

struct result {
        const char *path;
        int64_t size;
        int version;
        char *problem; /* owned; NULL = whole */
};

/* Puts the rows of a check that finds fault into b. */
static int collect(sqlite3 *db, const char *sql, const char *fine, struct buf *b)
{
        sqlite3_stmt *s = NULL;
        int r = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
        while (r == SQLITE_OK && (r = sqlite3_step(s)) == SQLITE_ROW) {
                const char *text = (const char *)sqlite3_column_text(s, 0);
                if (text != NULL && strcmp(text, fine) != 0)
                        buf_printf(b, "%s%s", b->length > 0 ? "; " : "", text);
                r = SQLITE_OK;
        }
        (void)sqlite3_finalize(s);
        return r == SQLITE_DONE ? SQLITE_OK : r;
}

static int read_version(sqlite3 *db)
{
        sqlite3_stmt *s = NULL;
        int version = -1;
        if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
            sqlite3_step(s) == SQLITE_ROW)
                version = sqlite3_column_int(s, 0);
        (void)sqlite3_finalize(s);
        return version;
}

static void read_database(struct result *t)
{
        sqlite3 *db = NULL;
        struct buf b = {0};
        int r = sqlite3_open_v2(t->path, &db, SQLITE_OPEN_READONLY, NULL);
        (void)sqlite3_busy_timeout(db, BUSY_MS);
        if (r == SQLITE_OK)
                r = collect(db, "PRAGMA integrity_check(10)", "ok", &b);
        if (r == SQLITE_OK)
                r = collect(db,
                            "SELECT 'rows of ' || \"table\" || ' without their parent' FROM "
                            "pragma_foreign_key_check LIMIT 10",
                            "", &b);
        if (r != SQLITE_OK)
                buf_printf(&b, "%s%s", b.length > 0 ? "; " : "", sqlite3_errmsg(db));
        t->version = read_version(db);
        (void)sqlite3_close(db);
        if (b.length > 0)
                t->problem = buf_steal(&b);
        buf_clear(&b);
}

/* With the rights of the file's owner; those of the caller come back. */
static void check_database(struct result *t)
{
        struct stat st;
        if (stat(t->path, &st) != 0) {
                t->problem = mem_strdup(strerror(errno));
                return;
        }
        t->size = st.st_size;
        bool root = geteuid() == 0;
        if (root && (setegid(st.st_gid) != 0 || seteuid(st.st_uid) != 0))
                t->problem = mem_printf("cannot become its owner: %s", strerror(errno));
        else
                read_database(t);
        if (root && (seteuid(0) != 0 || setegid(0) != 0))
                abort();
}

/* identity.json is small, and the one file whose loss changes who this instance is. */
static void check_json(struct result *t)
{
        json_error_t where;
        struct stat st;
        cleanup_json json_t *o = json_load_file(t->path, 0, &where);
        t->version = -1;
        if (stat(t->path, &st) == 0)
                t->size = st.st_size;
        if (!json_is_object(o))
                t->problem = mem_printf("no JSON object: %s", where.text);
}

static void tell(const struct ctl *c, const struct result *t, json_t *all)
{
        if (c->json) {
                (void)json_array_append_new(all, json_pack("{ss sb sI si ss}", "path", t->path,
                                                           "ok", t->problem == NULL, "bytes",
                                                           (json_int_t)t->size, "version",
                                                           t->version, "problem",
                                                           t->problem != NULL ? t->problem : ""));
                return;
        }
        (void)printf("%-4s  %s  %lld KiB", t->problem == NULL ? "ok" : "FAIL", t->path,
                     (long long)(t->size + 1023) / 1024);
        if (t->version >= 0)
                (void)printf(", schema version %d", t->version);
        (void)printf("%s%s\n", t->problem != NULL ? ": " : "",
                     t->problem != NULL ? t->problem : "");
}

/* The data directory, from the running agent or the caller. Owned. */
static char *data_dir(struct ctl *c)
{
        const char *given = ctl_option(c, "data-dir");
        struct error err = {0};
        Ecs__CtlStatus m = ECS__CTL_STATUS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_STATUS, ctl_status, &m), *reply = NULL;
        if (given != NULL)
                return mem_strdup(given);
        if (c->client != NULL && client_ask(c->client, &e, 5000, &reply, &err) == 0) {
                char *dir = mem_strdup(reply->ctl_status_reply->data_dir);
                ecs__envelope__free_unpacked(reply, NULL);
                return dir;
        }
        const char *set = getenv("ECS_DATADIR");
        return mem_strdup(set != NULL && *set != '\0' ? set : DEFAULT_DIR);
}

static size_t check_all(struct ctl *c, const char *dir, const char *pattern,
                        void (*check)(struct result *t), json_t *all, bool *ret_bad)
{
        glob_t g;
        size_t count = 0;
        cleanup_free char *path = mem_printf("%s/%s", dir, pattern);
        if (glob(path, 0, NULL, &g) != 0)
                return 0;
        for (; count < g.gl_pathc; count++) {
                struct result t = {.path = g.gl_pathv[count]};
                check(&t);
                tell(c, &t, all);
                *ret_bad = *ret_bad || t.problem != NULL;
                free(t.problem);
        }
        globfree(&g);
        return count;
}

static int run(struct ctl *c, int argc, char **argv)
{
        bool bad = false;
        (void)argc;
        (void)argv;
        cleanup_free char *dir = data_dir(c);
        cleanup_json json_t *all = json_array();
        size_t count = check_all(c, dir, "*/*.db", check_database, all, &bad);
        count += check_all(c, dir, "*/identity.json", check_json, all, &bad);
        if (c->json) {
                (void)json_dumpf(all, stdout, JSON_INDENT(2));
                (void)putchar('\n');
        }
        if (count == 0)
                return command_fail("no database in %s that this user may read: become root, or "
                                    "name the directory with --data-dir",
                                    dir);
        if (bad && !c->json)
                (void)fputs("\nThe worker moves a damaged database aside when it is restarted\n"
                            "('ecsctl restart WORKER') and begins a new one; containers and the\n"
                            "instance's identity are kept. Check the disk (dmesg, smartctl).\n",
                            stdout);
        return bad ? 1 : 0;
}

static const struct command_option options[] = {
        {"data-dir", 0, "DIR", "in place of the running agent's, $ECS_DATADIR"},
        {NULL,       0, NULL,  NULL                                           },
};
static const struct command_example examples[] = {
        {"ecsctl db-check",                             "while the workers run"},
        {"ecsctl db-check --data-dir /mnt/backup/data", "a copy"               },
        {NULL,                                          NULL                   },
};

const struct command command_db_check = {
        .name = "db-check",
        .usage = "[--data-dir DIR]",
        .summary = "whether every database is whole",
        .text = "Reads every page of each database, checks references between rows, and that\n"
                "identity.json is JSON. Nothing is changed and no worker has to wait. Exit code 1\n"
                "when something is damaged.",
        .options = options,
        .examples = examples,
        .offline = true,
        .run = run,
};
