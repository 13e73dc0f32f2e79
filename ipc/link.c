/* link: an outgoing connection that is kept up. Requests are kept packed until answered, so that
 * they survive the peer's restart. */
#include "worker_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backoff.h"
#include "clock.h"
#include "mem.h"
#include "random.h"

struct link_request {
        struct link_request *next, **at;  /* at: what points to us */
        struct ipc_link *link;
        uint8_t *packed;
        size_t size;
        uint64_t deadline;  /* ms of clock_now_ms, 0 = none */
        ipc_reply_fn done;
        void *arg;
        bool sent;
};

struct ipc_link {
        struct ipc_link *next;
        struct worker *worker;
        char *peer;
        void (*up)(void *arg);
        void (*down)(void *arg);
        void *arg;
        struct ipc_connection *connection;
        struct backoff backoff;
        uv_timer_t retry, deadlines;
        struct link_request *requests, **tail;  /* in order of asking */
        bool freed;
};

static void connect_now(struct ipc_link *l);

static void on_retry(uv_timer_t *t)
{
        connect_now(t->data);
}

static void retry_later(struct ipc_link *l)
{
        if (l->freed)
                return;
        (void)uv_timer_start(&l->retry, on_retry,
                             clock_wait_ms(backoff_next(&l->backoff, random_unit())), 0);
}

/* ---- requests ---- */

static void finish(struct link_request *q, int status, const Ecs__Envelope *reply, int fd)
{
        *q->at = q->next;
        if (q->next != NULL)
                q->next->at = q->at;
        else
                q->link->tail = q->at;
        ipc_reply_fn done = q->done;
        void *arg = q->arg;
        explicit_bzero(q->packed, q->size);
        free(q->packed);
        free(q);
        if (done != NULL)
                done(arg, status, reply, fd);
}

static void on_reply(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct link_request *q = arg;
        q->sent = false;
        if (status == -ECONNRESET && !q->link->freed)
                return; /* goes out again after the reconnect */
        if (status == -EAGAIN && !q->link->freed) {
                /* the peer is connected but not ready: the connection is tried again as a whole */
                if (q->link->connection != NULL)
                        ipc_connection_close(q->link->connection, "peer not ready");
                return;
        }
        finish(q, status, reply, fd);
}

static void send_request(struct link_request *q)
{
        Ecs__Envelope *e = ecs__envelope__unpack(NULL, q->size, q->packed);
        if (e == NULL)
                abort();
        uint64_t now = clock_now_ms();
        uint32_t left = 0;
        if (q->deadline != 0)
                left = q->deadline > now ? (uint32_t)(q->deadline - now) * clock_scale() : 1;
        q->sent = true;
        int r = ipc_send_request(q->link->connection, e, left, on_reply, q);
        ecs__envelope__free_unpacked(e, NULL);
        if (r < 0)
                on_reply(q, r == -ENOTCONN ? -ECONNRESET : r, NULL, -1);
}

static void send_waiting(struct ipc_link *l)
{
        struct link_request *next;
        for (struct link_request *q = l->requests; q != NULL && l->connection != NULL; q = next) {
                next = q->next;
                if (!q->sent)
                        send_request(q);
        }
}

static void on_deadlines(uv_timer_t *t)
{
        struct ipc_link *l = t->data;
        uint64_t now = clock_now_ms();
        struct link_request *q = l->requests;
        while (q != NULL) {
                // finish unlinks what it frees: requests never names it again
                // NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
                if (!q->sent && q->deadline != 0 && q->deadline <= now) {
                        finish(q, -ETIMEDOUT, NULL, -1);
                        q = l->requests; /* the callback may have changed the list */
                } else {
                        q = q->next;
                }
        }
        if (l->requests == NULL || l->connection != NULL)
                (void)uv_timer_stop(&l->deadlines);
}

/* ---- the connection ---- */

static void on_close(void *arg, struct ipc_connection *c, const char *reason)
{
        struct ipc_link *l = arg;
        (void)reason;
        if (l->connection != c)
                return;
        l->connection = NULL;
        if (l->freed)
                return;
        if (l->down != NULL)
                l->down(l->arg);
        (void)uv_timer_start(&l->deadlines, on_deadlines, 50, 50);
        retry_later(l);
}

static void on_connected(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct ipc_link *l = arg;
        (void)reply;
        if (l->freed || status != 0 || fd < 0) {
                if (fd >= 0)
                        (void)close(fd);
                retry_later(l);
                return;
        }
        struct worker *w = l->worker;
        backoff_reset(&l->backoff);
        struct ipc_connection_options o = {.peer = ipc_peer_from_name(l->peer),
                                           .handlers = w->spec->handlers,
                                           .context = w->state,
                                           .ready = &w->ready,
                                           .closed_arg = l,
                                           .log = &w->log,
                                           .on_close = on_close};
        l->connection = ipc_connection_new(&w->loop, fd, &o);
        if (l->up != NULL)
                l->up(l->arg);
        send_waiting(l);
}

static void connect_now(struct ipc_link *l)
{
        struct worker *w = l->worker;
        if (l->freed || w->control == NULL)
                return;
        Ecs__Connect m = ECS__CONNECT__INIT;
        m.peer = l->peer;
        Ecs__Envelope e = IPC_ENVELOPE(CONNECT, connect, &m);
        if (ipc_send_request(w->control, &e, 0, on_connected, l) != 0)
                retry_later(l);
}

/* ---- public ---- */

struct ipc_link *worker_link(struct worker *w, const char *peer, void (*up)(void *arg),
                             void (*down)(void *arg), void *arg)
{
        struct ipc_link *l = mem_zalloc(sizeof *l);
        *l = (struct ipc_link){
                .worker = w,
                .peer = mem_strdup(peer),
                .up = up,
                .down = down,
                .arg = arg,
                .backoff = {.min_ms = 20, .max_ms = 1000, .jitter = 0.2, .multiple = 2},
                .next = w->links,
        };
        w->links = l;
        l->tail = &l->requests;
        (void)uv_timer_init(&w->loop, &l->retry);
        (void)uv_timer_init(&w->loop, &l->deadlines);
        l->retry.data = l->deadlines.data = l;
        (void)uv_timer_start(&l->retry, on_retry, 0, 0);
        return l;
}

bool ipc_link_is_up(const struct ipc_link *l)
{
        return l->connection != NULL;
}

void ipc_link_request(struct ipc_link *l, Ecs__Envelope *e, uint32_t deadline_ms,
                      ipc_reply_fn done, void *arg)
{
        struct link_request *q = mem_zalloc(sizeof *q);
        e->kind = ECS__ENVELOPE__KIND__REQUEST;
        q->link = l;
        q->size = ecs__envelope__get_packed_size(e);
        q->packed = mem_alloc(q->size);
        ecs__envelope__pack(e, q->packed);
        q->done = done;
        q->arg = arg;
        if (deadline_ms > 0)
                q->deadline = clock_now_ms() + clock_wait_ms(deadline_ms);
        q->at = l->tail;
        *l->tail = q;
        l->tail = &q->next;
        if (l->connection != NULL)
                send_request(q);
        else
                (void)uv_timer_start(&l->deadlines, on_deadlines, 50, 50);
}

void ipc_link_event(struct ipc_link *l, Ecs__Envelope *e)
{
        if (l->connection != NULL)
                (void)ipc_send_event(l->connection, e);
}

/* The worker ends: unanswered requests fail while the worker's state still lives. */
void worker_links_close(struct worker *w)
{
        for (struct ipc_link *l = w->links; l != NULL; l = l->next) {
                l->freed = true;
                if (l->connection != NULL)
                        ipc_connection_close(l->connection, "worker stops");
                while (l->requests != NULL) // finish unlinks what it frees
                        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
                        finish(l->requests, -ECONNRESET, NULL, -1);
                uv_close((uv_handle_t *)&l->retry, NULL);
                uv_close((uv_handle_t *)&l->deadlines, NULL);
        }
}

/* After the loop has run dry. */
void worker_links_free(struct worker *w)
{
        while (w->links != NULL) {
                struct ipc_link *l = w->links;
                w->links = l->next;
                free(l->peer);
                free(l);
        }
}
