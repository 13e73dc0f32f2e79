/* identity: who this container instance is. It stands twice, in backend.db and in identity.json
 * (temp + rename): either restores the other. The database is written first and checked when it is
 * opened, so where the two differ it decides. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend.h"
#include "cleanup.h"
#include "error.h"
#include "mem.h"
#include "random.h"

#define CLUSTER_CHANGED                                                                            \
        "this instance is registered in cluster '%s' but ECS_CLUSTER says '%s'; set it back, or "  \
        "remove identity.json and backend.db* in %s/backend to register anew"

static char *path_of(const struct backend *b)
{
        return mem_printf("%s/backend/identity.json", worker_data_dir(b->worker));
}

static const struct {
        const char *key;
        size_t offset;
} fields[] = {
        {"cluster", offsetof(struct identity, cluster)},
        {"containerInstanceArn", offsetof(struct identity, instance_arn)},
        {"availabilityZone", offsetof(struct identity, availability_zone)},
        {"registrationToken", offsetof(struct identity, registration_token)},
        {"ec2InstanceId", offsetof(struct identity, ec2_instance_id)},
};

static char **field(struct identity *i, size_t n)
{
        return (char **)(void *)((char *)i + fields[n].offset);
}

/* ---- one copy: {field: text} ---- */

/* Whether every field is a text and the instance has a name, as in all that was ever stored. */
static bool is_whole(const json_t *copy)
{
        const char *arn = json_string_value(json_object_get(copy, "containerInstanceArn"));
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                if (!json_is_string(json_object_get(copy, fields[i].key)))
                        return false;
        return strncmp(arn, "arn:", 4) == 0 && strstr(arn, ":container-instance/") != NULL;
}

/* A whole copy, or NULL with why: "" when there is no file. */
static json_t *read_file(const char *path, char **ret_why)
{
        json_error_t e;
        cleanup_json json_t *j = NULL;
        cleanup_file FILE *f = fopen(path, "re");
        if (f == NULL) {
                *ret_why = mem_strdup(errno == ENOENT ? "" : strerror(errno));
                return NULL;
        }
        j = json_loadf(f, JSON_REJECT_DUPLICATES, &e);
        if (j == NULL)
                *ret_why = mem_printf("line %d: %s", e.line, e.text);
        else if (!is_whole(j))
                *ret_why = mem_strdup("it does not name a container instance");
        return *ret_why == NULL ? STEAL(j) : NULL;
}

static json_t *read_db(struct backend *b)
{
        cleanup_json json_t *j = json_object();
        sqlite3_stmt *s = state_db_statement(b->db, LOAD_IDENTITY);
        while (state_db_row(b->db, s) > 0)
                (void)json_object_set_new(j, state_db_column_text(s, 0),
                                          json_string(state_db_column_text(s, 1)));
        return is_whole(j) ? STEAL(j) : NULL;
}

static json_t *copy_of(struct backend *b)
{
        json_t *j = json_object();
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                (void)json_object_set_new(j, fields[i].key, json_string(*field(&b->identity, i)));
        (void)json_object_set_new(j, "region", json_string(b->region));
        return j;
}

static int write_db(struct backend *b, const json_t *copy)
{
        const char *key;
        json_t *value;
        int r = state_db_begin(b->db);
        json_object_foreach((json_t *)copy, key, value) {
                sqlite3_stmt *s = state_db_statement(b->db, STORE_IDENTITY);
                state_db_bind_text(s, 1, key);
                state_db_bind_text(s, 2, json_string_value(value));
                if (r == 0)
                        r = state_db_run(b->db, s);
        }
        if (r == 0)
                r = state_db_run(b->db, state_db_statement(b->db, DELETE_REGISTRATION));
        if (r == 0)
                return state_db_commit(b->db);
        state_db_rollback(b->db);
        return r;
}

static int write_all(int fd, const char *text)
{
        size_t length = strlen(text);
        ssize_t n = write(fd, text, length);
        if (n < 0)
                return -errno;
        return (size_t)n == length ? 0 : -ENOSPC;
}

static int write_file(const char *path, const json_t *copy)
{
        cleanup_free char *temporary = mem_printf("%s.new", path);
        cleanup_free char *text = json_dumps(copy, JSON_INDENT(1));
        cleanup_fd int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        int r = fd < 0 ? -errno : write_all(fd, text);
        if (r == 0 && (fchmod(fd, 0640) != 0 || fsync(fd) != 0 || rename(temporary, path) != 0))
                r = -errno;
        return r;
}

/* ---- both ---- */

static const json_t *arn_in(const json_t *copy)
{
        return json_object_get(copy, "containerInstanceArn");
}

/* The rest may differ after a kill between the two writes. */
static bool same_instance(const json_t *a, const json_t *b)
{
        return json_equal(arn_in(a), arn_in(b)) &&
               json_equal(json_object_get(a, "cluster"), json_object_get(b, "cluster"));
}

/* Says once what is wrong with the copies, if anything. Returns the copy that holds, or NULL. */
static const json_t *choose(const struct backend *b, const char *path, const json_t *file,
                            const json_t *db, const char *why)
{
        if (db == NULL && *why != '\0')
                log_error(b->log, "the identity of this instance is lost: identity.json is damaged "
                                  "and backend.db does not hold it; registering anew",
                          LOG_STR("file", path), LOG_STR("reason", why));
        else if (db == NULL && file != NULL)
                log_warn(b->log, "backend.db lost the identity of this instance: restored from "
                                 "identity.json", LOG_STR("file", path));
        else if (db != NULL && file == NULL)
                log_warn(b->log, "identity.json is damaged or missing: restored from backend.db",
                         LOG_STR("file", path),
                         LOG_STR("reason", *why != '\0' ? why : "there is no such file"));
        else if (db != NULL && !same_instance(db, file))
                log_error(b->log, "identity.json and backend.db disagree who this instance is: "
                                  "backend.db holds, identity.json is written anew",
                          LOG_STR("file", path), LOG_STR("instance", json_string_value(arn_in(db))));
        return db != NULL ? db : file;
}

int identity_load(struct backend *b, struct error *err)
{
        cleanup_free char *path = path_of(b);
        cleanup_free char *why = NULL;
        cleanup_json json_t *file = read_file(path, &why);
        cleanup_json json_t *db = read_db(b);
        const char *configured = config_text(b->config, "ECS_CLUSTER", "default");
        const json_t *copy = choose(b, path, file, db, why != NULL ? why : "");
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                backend_text(field(&b->identity, i),
                             json_string_value(json_object_get(copy, fields[i].key)));
        if (copy != NULL && strcmp(b->identity.cluster, configured) != 0)
                return error_set(err, -ENOTRECOVERABLE, CLUSTER_CHANGED, b->identity.cluster,
                                 configured, worker_data_dir(b->worker));
        backend_text(&b->identity.cluster, configured);
        return copy != NULL && (file == NULL || db == NULL || !json_equal(db, file))
                       ? identity_store(b, err)
                       : 0;
}

int identity_store(struct backend *b, struct error *err)
{
        cleanup_free char *path = path_of(b);
        cleanup_json json_t *copy = copy_of(b);
        int r = write_db(b, copy);
        if (r != 0)
                return error_set(err, r, "cannot store the identity in backend.db: %s",
                                 state_db_error(b->db));
        r = write_file(path, copy);
        return r != 0 ? error_set(err, r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

/* ---- before there is one ---- */

/* The token with which this was asked for before. False when it was not. */
static bool load_token(struct backend *b, const char *request)
{
        sqlite3_stmt *s = state_db_statement(b->db, LOAD_REGISTRATION);
        state_db_bind_text(s, 1, request);
        bool found = state_db_row(b->db, s) > 0;
        if (found)
                backend_text(&b->identity.registration_token, state_db_column_text(s, 0));
        (void)sqlite3_reset(s);
        return found;
}

static int store_token(struct backend *b, const char *token, const char *request)
{
        int r = state_db_begin(b->db);
        if (r == 0)
                r = state_db_run(b->db, state_db_statement(b->db, DELETE_REGISTRATION));
        sqlite3_stmt *s = state_db_statement(b->db, STORE_REGISTRATION);
        state_db_bind_text(s, 1, token);
        state_db_bind_text(s, 2, request);
        if (r == 0)
                r = state_db_run(b->db, s);
        if (r == 0)
                return state_db_commit(b->db);
        state_db_rollback(b->db);
        return r;
}

int identity_settle_token(struct backend *b, json_t *body, struct error *err)
{
        char token[RANDOM_UUID];
        if (*b->identity.instance_arn != '\0')
                return 0;
        (void)json_object_del(body, "clientToken");
        cleanup_free char *request = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
        if (!load_token(b, request)) {
                int r = store_token(b, random_uuid(token), request);
                if (r != 0)
                        return error_set(err, r, "cannot store the registration in backend.db: %s",
                                         state_db_error(b->db));
                backend_text(&b->identity.registration_token, token);
        }
        (void)json_object_set_new(body, "clientToken", json_string(b->identity.registration_token));
        return 0;
}
