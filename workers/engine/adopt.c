/* adopt: a database that is new (the first start, or the old one was lost) may stand beside
 * containers that this agent made. Before the first task is accepted, those with its label are
 * listed, inspected and taken in, in one transaction that also notes that this was done; what the
 * backend asks meanwhile waits, or a stop would be answered for a task nobody knows yet. "Its"
 * is a random id kept beside the database: another agent on the same Docker, or what an earlier
 * agent left, is never touched. DESIGN section 5. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adopt_json.h"
#include "cleanup.h"
#include "clock.h"
#include "config.h"
#include "engine.h"
#include "error.h"
#include "mem.h"
#include "random.h"
#include "task_db.h"

#define LIST_MS 600000
#define INSPECT_MS 30000
#define RETRY_MS 1000

/* ---- the id ---- */

static char *read_id(const char *path)
{
        char id[RANDOM_UUID] = "";
        cleanup_file FILE *f = fopen(path, "re");
        if (f == NULL || fscanf(f, "%36s", id) != 1 || strlen(id) != sizeof id - 1)
                return NULL;
        return mem_strdup(id);
}

int adopt_load_id(const char *dir, char **ret_id, struct error *err)
{
        cleanup_free char *path = mem_printf("%s/agent-id", dir);
        cleanup_free char *temporary = mem_printf("%s.new", path);
        char id[RANDOM_UUID];
        *ret_id = read_id(path);
        if (*ret_id != NULL)
                return 0;
        (void)random_uuid(id);
        cleanup_fd int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        if (fd < 0 || write(fd, id, strlen(id)) != (ssize_t)strlen(id) || fsync(fd) != 0 ||
            rename(temporary, path) != 0)
                return error_set(err, -errno, "cannot write %s: %s", path, strerror(errno));
        *ret_id = mem_strdup(id);
        return 0;
}

/* ---- listing ---- */

/* One attempt. */
struct adoption {
        struct engine *engine;
        json_t **found; /* inspects that answered, owned */
        size_t found_count, pending;
        bool failed;
};

static void finish(struct adoption *a);

static void on_inspected(void *arg, const struct docker_answer *answer)
{
        struct adoption *a = arg;
        if (answer->error == 0 && answer->status == 200 && adopt_json_is_whole(answer->body)) {
                a->found = mem_realloc_array(a->found, a->found_count + 1, sizeof *a->found);
                a->found[a->found_count++] = json_incref(answer->body);
        } else if (answer->error != 0 || answer->status >= 500) {
                a->failed = true;
        }
        if (--a->pending == 0)
                finish(a);
}

static void on_listed(void *arg, const struct docker_answer *answer)
{
        struct adoption *a = arg;
        size_t i;
        json_t *c;
        a->failed = answer->error != 0 || answer->status != 200 || !json_is_array(answer->body);
        a->pending = 1;
        json_array_foreach(answer->body, i, c)
        {
                const char *id = json_string_value(json_object_get(c, "Id"));
                if (a->failed || id == NULL)
                        continue;
                cleanup_free char *path = mem_printf("/containers/%s/json", id);
                a->pending++;
                docker_call(a->engine->docker, "GET", path, NULL, INSPECT_MS, on_inspected, a);
        }
        if (--a->pending == 0)
                finish(a);
}

void adopt(struct engine *e)
{
        struct adoption *a = mem_zalloc(sizeof *a);
        a->engine = e;
        e->adopting = true;
        cleanup_free char *filter = mem_printf("{\"label\":[\"" LABEL_AGENT "=%s\"]}", e->agent_id);
        cleanup_free char *escaped = docker_escape(filter);
        cleanup_free char *path = mem_printf("/containers/json?all=1&filters=%s", escaped);
        docker_call(e->docker, "GET", path, NULL, LIST_MS, on_listed, a);
}

/* ---- taking in ---- */

static int by_arn(const void *a, const void *b)
{
        return strcmp(adopt_json_label(*(json_t *const *)a, "task-arn"),
                      adopt_json_label(*(json_t *const *)b, "task-arn"));
}

static bool is_ours(struct engine *e, const json_t *inspect)
{
        const char *arn = adopt_json_label(inspect, "task-arn");
        const char *cluster = config_text(e->config, "ECS_CLUSTER", "default");
        if (strcmp(adopt_json_label(inspect, "cluster"), cluster) == 0)
                return engine_find_task(e, arn) == NULL;
        log_warn(e->log, "container of another cluster left alone", LOG_STR("task", task_id(arn)));
        return false;
}

static int take_in(struct engine *e, json_t *const *inspects, size_t count)
{
        struct task *t = adopt_json_task(inspects, count, clock_wall_ms(), e->log);
        int r = engine_store(e, t, true);
        if (r != 0) {
                task_free(t);
                return r;
        }
        t->told = t->known;
        for (size_t i = 0; i < t->container_count; i++)
                t->containers[i].told = t->containers[i].known;
        engine_add_task(e, t);
        log_warn(&t->log, "task adopted from the labels of its containers",
                 LOG_INT("containers", (int64_t)count), LOG_STR("status", status_name(t->known)));
        return 0;
}

static int take_all(struct engine *e, json_t **found, size_t count)
{
        int r = state_db_begin(e->db);
        if (count > 1)
                qsort(found, count, sizeof(json_t *), by_arn);
        for (size_t i = 0, n; r == 0 && i < count; i += n) {
                for (n = 1; i + n < count && by_arn(&found[i], &found[i + n]) == 0;)
                        n++;
                if (is_ours(e, found[i]))
                        r = take_in(e, &found[i], n);
        }
        if (r == 0)
                r = task_db_set_adopted(e->db);
        if (r == 0)
                r = state_db_commit(e->db);
        else
                state_db_rollback(e->db);
        return r;
}

static void finish(struct adoption *a)
{
        struct engine *e = a->engine;
        e->adopting = false;
        if (e->stopping || a->failed) {
                /* Docker's return starts it again; if it never went, a timer does */
                e->adopt_at_ms = clock_now_ms() + clock_wait_ms(RETRY_MS);
                engine_wake(e);
        } else if (take_all(e, a->found, a->found_count) != 0) {
                worker_exit(e->worker, 1);
        } else {
                e->adopted = true;
                engine_announce(e);
                engine_serve_held(e);
                reconcile(e);
        }
        for (size_t i = 0; i < a->found_count; i++)
                json_decref(a->found[i]);
        free(a->found);
        free(a);
}
