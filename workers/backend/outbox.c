/* outbox: reads the engine's outbox and submits it: per task in order, one call in flight a task,
 * at most ten in all. What ECS accepted is marked in backend.db before the engine is told to forget
 * it, so a crash costs at most a repeat. Source: backend.md 3.3, 3.5. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "mem.h"
#include "published.h"
#include "random.h"
#include "submit_json.h"

#define CALLS_MAX    10
#define BATCH_MIN_MS 10000
#define READ_RETRY_MS 200
#define TELL_RETRY_MS 1000

struct event {
        struct event *next;
        int64_t id;
        Ecs__StateChange *change;
};

/* The unsent changes of one task. */
struct queue {
        struct queue *next;
        struct outbox *outbox;
        char *arn;
        struct event *head, **tail;
        size_t in_flight;           /* events of the call under way, from the head */
        uint64_t not_before_ms;     /* after a failure, or while a batch waits */
        struct backoff backoff;
};

struct outbox {
        struct backend *backend;
        struct state_db *db;        /* engine.db, reading */
        struct queue *queues;
        size_t calls;
        int64_t last_id;
        uv_timer_t timer;
        int64_t *unacknowledged;    /* sent, not yet forgotten by the engine */
        size_t unacknowledged_count;
        bool telling;
};

static void submit_due(struct outbox *o);

/* ---- marks ---- */

static void forget_event(struct queue *q)
{
        struct event *e = q->head;
        q->head = e->next;
        if (q->head == NULL)
                q->tail = &q->head;
        ecs__state_change__free_unpacked(e->change, NULL);
        free(e);
}

static bool is_marked(const struct outbox *o, int64_t id)
{
        for (size_t i = 0; i < o->unacknowledged_count; i++)
                if (o->unacknowledged[i] == id)
                        return true;
        return false;
}

static void mark(struct outbox *o, int64_t id)
{
        o->unacknowledged = mem_realloc_array(o->unacknowledged, o->unacknowledged_count + 1,
                                              sizeof *o->unacknowledged);
        o->unacknowledged[o->unacknowledged_count++] = id;
}

static int store_mark(struct outbox *o, int64_t id)
{
        sqlite3_stmt *s = state_db_statement(o->backend->db, INSERT_SENT);
        (void)sqlite3_bind_int64(s, 1, id);
        return state_db_run(o->backend->db, s);
}

struct told {
        struct outbox *outbox;
        size_t count;
        int64_t ids[];
};

static void tell_engine(struct outbox *o);
static void wake_in(struct outbox *o, uint64_t ms);

static void on_told(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct told *t = arg;
        struct outbox *o = t->outbox;
        (void)reply;
        (void)fd;
        o->telling = false;
        if (status == 0) {
                struct state_db *db = o->backend->db;
                (void)state_db_begin(db);
                for (size_t i = 0; i < t->count; i++) {
                        sqlite3_stmt *s = state_db_statement(db, DELETE_SENT);
                        (void)sqlite3_bind_int64(s, 1, t->ids[i]);
                        (void)state_db_run(db, s);
                }
                (void)state_db_commit(db);
                size_t left = o->unacknowledged_count - t->count;
                memmove(o->unacknowledged, o->unacknowledged + t->count,
                        left * sizeof *o->unacknowledged);
                o->unacknowledged_count = left;
        }
        free(t);
        if (status == 0)
                tell_engine(o);
        else
                wake_in(o, TELL_RETRY_MS); /* an engine that could not store them: a full disk */
}

static void tell_engine(struct outbox *o)
{
        size_t n = o->unacknowledged_count;
        if (n == 0 || o->telling)
                return;
        struct told *t = mem_alloc(sizeof *t + n * sizeof t->ids[0]);
        t->outbox = o;
        t->count = n;
        memcpy(t->ids, o->unacknowledged, n * sizeof t->ids[0]);
        Ecs__OutboxSent sent = ECS__OUTBOX_SENT__INIT;
        sent.n_ids = n;
        sent.ids = t->ids;
        Ecs__Envelope e = IPC_ENVELOPE(OUTBOX_SENT, outbox_sent, &sent);
        o->telling = true;
        ipc_link_request(o->backend->engine, &e, 0, on_told, t);
}

/* ---- submitting ---- */

static void on_timer(uv_timer_t *t)
{
        struct outbox *o = t->data;
        if (o->db == NULL)
                outbox_read(o->backend);
        tell_engine(o);
        submit_due(o);
}

static void wake_in(struct outbox *o, uint64_t ms)
{
        if (!uv_is_active((uv_handle_t *)&o->timer) || uv_timer_get_due_in(&o->timer) > ms)
                (void)uv_timer_start(&o->timer, on_timer, ms, 0);
}

static void accepted(struct queue *q)
{
        struct outbox *o = q->outbox;
        struct state_db *db = o->backend->db;
        (void)state_db_begin(db);
        for (size_t i = 0; i < q->in_flight; i++) {
                if (strcmp(q->head->change->status, "STOPPED") == 0)
                        task_credentials_drop(o->backend, q->arn);
                if (store_mark(o, q->head->id) != 0)
                        log_error(o->backend->log, "sent mark cannot be stored",
                                  LOG_STR("reason", state_db_error(db)));
                mark(o, q->head->id);
                forget_event(q);
        }
        (void)state_db_commit(db);
        q->in_flight = 0;
        backoff_reset(&q->backoff);
        q->not_before_ms = 0;
        tell_engine(o);
}

static void on_submitted(void *arg, const struct ecs_answer *a)
{
        struct queue *q = arg;
        struct outbox *o = q->outbox;
        struct backend *b = o->backend;
        o->calls--;
        if (b->stopping)
                return;
        if (a->error == 0 && a->status == 200) {
                accepted(q);
        } else if (a->error == 0 && strcmp(a->code, "InvalidParameterException") == 0) {
                log_error(b->log, "ECS refuses a state change for good, dropped",
                          LOG_TASK(q->arn), LOG_STR("reason", a->text));
                accepted(q);
        } else {
                uint32_t wait = backoff_next(&q->backoff, random_unit());
                cleanup_free char *reason = mem_printf("%s%s%s", a->code,
                                                       *a->code != '\0' ? ": " : "", a->text);
                log_warn(b->log, "state change not accepted, trying again",
                         LOG_TASK(q->arn), LOG_STR("reason", reason),
                         LOG_INT("next_ms", wait));
                backend_set_error(b, reason);
                q->in_flight = 0;
                q->not_before_ms = clock_now_ms() + clock_wait_ms(wait);
        }
        submit_due(o);
}

static void submit(struct queue *q)
{
        struct backend *b = q->outbox->backend;
        const Ecs__StateChange *changes[32];
        size_t n = 0;
        /* container-only changes ride along with the next change of the task itself */
        for (struct event *e = q->head; e != NULL && n < ARRAY_SIZE(changes); e = e->next) {
                changes[n++] = e->change;
                if (!e->change->batch)
                        break;
        }
        q->in_flight = n;
        q->outbox->calls++;
        const struct submit_options o = {
                .cluster = b->identity.cluster,
                .drop_ipv6 = config_bool(b->config, "ECS_EXCLUDE_IPV6_PORTBINDING", true)};
        cleanup_json json_t *body = submit_json(changes, n, &o);
        ecs_api_call(b, "SubmitTaskStateChange", body, 1, on_submitted, q);
}

static bool only_batches(const struct queue *q)
{
        for (const struct event *e = q->head; e != NULL; e = e->next)
                if (!e->change->batch)
                        return false;
        return true;
}

/* Queues without events are released here, where nothing walks them. */
static void release_empty(struct outbox *o)
{
        for (struct queue **at = &o->queues; *at != NULL;) {
                struct queue *q = *at;
                if (q->head != NULL) {
                        at = &q->next;
                        continue;
                }
                *at = q->next;
                free(q->arn);
                free(q);
        }
}

static void submit_due(struct outbox *o)
{
        uint64_t now = clock_now_ms();
        if (!o->backend->registered || o->backend->stopping)
                return;
        release_empty(o);
        for (struct queue *q = o->queues; q != NULL; q = q->next) {
                if (q->in_flight > 0)
                        continue;
                if (only_batches(q) && q->not_before_ms == 0)
                        q->not_before_ms =
                                now + clock_wait_ms(BATCH_MIN_MS +
                                                    (uint64_t)(random_unit() * 2 * BATCH_MIN_MS));
                else if (!only_batches(q) && q->backoff.next_ms <= 0)
                        q->not_before_ms = 0; /* a batch's wait is over: company has come */
                if (q->not_before_ms > now)
                        wake_in(o, q->not_before_ms - now);
                else if (o->calls < CALLS_MAX)
                        submit(q);
        }
}

/* ---- reading ---- */

static struct queue *queue_of(struct outbox *o, const char *arn)
{
        struct queue **at = &o->queues;
        for (; *at != NULL; at = &(*at)->next)
                if (strcmp((*at)->arn, arn) == 0)
                        return *at;
        struct queue *q = mem_zalloc(sizeof *q);
        *q = (struct queue){
                .outbox = o,
                .arn = mem_strdup(arn),
                .backoff = {.min_ms = 1000, .max_ms = 30000, .jitter = 0.2, .multiple = 1.3}};
        q->tail = &q->head;
        *at = q;
        return q;
}

static bool is_queued(const struct queue *q, int64_t id)
{
        for (const struct event *e = q->head; e != NULL; e = e->next)
                if (e->id == id)
                        return true;
        return false;
}

static int take(void *arg, int64_t id, Ecs__StateChange *change)
{
        struct outbox *o = arg;
        struct queue *q = queue_of(o, change->task_arn);
        o->last_id = id;
        if (is_marked(o, id) || is_queued(q, id)) {
                ecs__state_change__free_unpacked(change, NULL);
                return 0;
        }
        struct event *e = mem_zalloc(sizeof *e);
        *e = (struct event){.id = id, .change = change};
        *q->tail = e;
        q->tail = &e->next;
        return 0;
}

/* Drops what waits; what is under way stays until it is answered. */
static void drop_waiting(struct queue *q)
{
        struct event **at = &q->head;
        for (size_t i = 0; i < q->in_flight; i++)
                at = &(*at)->next;
        struct event *rest = *at;
        *at = NULL;
        q->tail = at;
        while (rest != NULL) {
                struct event *e = rest;
                rest = e->next;
                ecs__state_change__free_unpacked(e->change, NULL);
                free(e);
        }
}

void outbox_reload(struct backend *b)
{
        struct outbox *o = b->outbox;
        if (o == NULL)
                return;
        for (struct queue *q = o->queues; q != NULL; q = q->next)
                drop_waiting(q);
        state_db_close(o->db);
        o->db = NULL;
        o->last_id = 0;
        outbox_read(b);
}

void outbox_read(struct backend *b)
{
        struct outbox *o = b->outbox;
        struct error err = {0};
        cleanup_free char *dir = mem_printf("%s/engine", worker_data_dir(b->worker));
        if (o->db == NULL && published_open(dir, &o->db, &err) != 0) {
                wake_in(o, READ_RETRY_MS);
                return;
        }
        int r = published_read_outbox(o->db, o->last_id, take, o);
        if (r < 0) {
                log_warn(b->log, "engine.db cannot be read, trying again",
                         LOG_STR("reason", state_db_error(o->db)));
                state_db_close(o->db);
                o->db = NULL;
                wake_in(o, READ_RETRY_MS);
        }
        submit_due(o);
}

size_t outbox_waiting(const struct backend *b)
{
        size_t n = 0;
        for (const struct queue *q = b->outbox->queues; q != NULL; q = q->next)
                for (const struct event *e = q->head; e != NULL; e = e->next)
                        n++;
        return n;
}

void outbox_start(struct backend *b)
{
        struct outbox *o = mem_zalloc(sizeof *o);
        o->backend = b;
        (void)uv_timer_init(worker_loop(b->worker), &o->timer);
        o->timer.data = o;
        b->outbox = o;
        sqlite3_stmt *s = state_db_statement(b->db, LOAD_SENT);
        while (state_db_row(b->db, s) > 0)
                mark(o, sqlite3_column_int64(s, 0));
        outbox_read(b);
        tell_engine(o);
}

static void on_closed(uv_handle_t *h)
{
        free(h->data);
}

void outbox_stop(struct backend *b)
{
        struct outbox *o = b->outbox;
        if (o == NULL)
                return;
        for (struct queue *q = o->queues; q != NULL; q = q->next)
                while (q->head != NULL)
                        forget_event(q);
        release_empty(o);
        state_db_close(o->db);
        free(o->unacknowledged);
        uv_close((uv_handle_t *)&o->timer, on_closed);
        b->outbox = NULL;
}
