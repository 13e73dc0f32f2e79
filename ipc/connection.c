/* connection: one uv_poll on the socket; whole frames in, whole frames out.
 * Descriptors travel with the first byte of their frame: outgoing frames are written one by one
 * when they carry any, and received descriptors wait in order until their frame is complete.
 * Trap: a handler may close the connection; it lives until the poll handle's close callback. */
#include "connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "frame.h"
#include "log.h"
#include "mem.h"

#define QUEUE_MAX    (64u << 20)
#define READ_BUDGET  16          /* reads of one wake, so that one peer cannot hold the loop */
#define PENDING_FDS  ((size_t)IPC_FDS_MAX * 4)

struct out_frame {
        struct out_frame *next;
        struct buf bytes;
        size_t written;
        int fds[IPC_FDS_MAX];
        size_t fd_count;
};

struct pending {
        struct pending *next;
        uint64_t id, deadline;  /* ms of clock_now_ms; 0 = none */
        ipc_reply_fn done;
        void *arg;
};

#define PENDING_BUCKETS 256

struct ipc_connection {
        struct ipc_connection_options o;
        uv_loop_t *loop;
        uv_poll_t poll;
        uv_timer_t timer;
        int fd;
        int open_handles;
        bool closed;
        char *close_reason;
        struct buf in;
        int in_fds[PENDING_FDS];
        size_t in_fd_count;
        bool fds_lost;  /* more descriptors came at once than may be kept */
        struct out_frame *out_head, **out_tail;
        size_t out_bytes;
        uint64_t next_id;
        uint64_t due;  /* when the timer fires, 0 = not armed */
        struct pending *pending[PENDING_BUCKETS];
        struct ipc_request *requests;  /* unanswered, so that they can be told we are gone */
};

struct ipc_request {
        struct ipc_connection *c;  /* NULL once the peer has gone */
        struct ipc_request *next, **at;  /* of the connection's list; at: what points to us */
        uint64_t id;
        unsigned peer;
        bool event;
        int fds[IPC_FDS_MAX];
        size_t fd_count;
};

static void update_poll(struct ipc_connection *c);

static void on_handle_closed(uv_handle_t *h)
{
        struct ipc_connection *c = h->data;
        if (--c->open_handles > 0)
                return;
        (void)close(c->fd);
        if (c->o.on_close != NULL)
                c->o.on_close(c->o.closed_arg, c, c->close_reason);
        free(c->close_reason);
        free(c);
}

/* Frames may hold credentials. */
static void wipe(struct buf *b)
{
        if (b->data != NULL)
                explicit_bzero(b->data, b->size);
        buf_clear(b);
}

static void free_out(struct out_frame *f)
{
        for (size_t i = 0; i < f->fd_count; i++)
                (void)close(f->fds[i]);
        wipe(&f->bytes);
        free(f);
}

static void fail_pending(struct ipc_connection *c)
{
        for (size_t i = 0; i < PENDING_BUCKETS; i++) {
                while (c->pending[i] != NULL) {
                        struct pending *p = c->pending[i];
                        c->pending[i] = p->next;
                        p->done(p->arg, -ECONNRESET, NULL, -1);
                        free(p);
                }
        }
}

void ipc_connection_close(struct ipc_connection *c, const char *reason)
{
        if (c->closed)
                return;
        c->closed = true;
        c->close_reason = mem_strdup(reason);
        for (struct ipc_request *r = c->requests; r != NULL; r = r->next)
                r->c = NULL;
        c->requests = NULL;
        while (c->out_head != NULL) {
                struct out_frame *f = c->out_head;
                c->out_head = f->next;
                free_out(f);
        }
        for (size_t i = 0; i < c->in_fd_count; i++)
                (void)close(c->in_fds[i]);
        c->in_fd_count = 0;
        wipe(&c->in);
        (void)uv_poll_stop(&c->poll);
        uv_close((uv_handle_t *)&c->poll, on_handle_closed);
        uv_close((uv_handle_t *)&c->timer, on_handle_closed);
        fail_pending(c);
}

static void close_logged(struct ipc_connection *c, const char *reason)
{
        log_error(c->o.log, "connection closed: protocol error",
                  LOG_STR("peer", ipc_peer_name(c->o.peer)), LOG_STR("reason", reason));
        ipc_connection_close(c, reason);
}

/* ---- writing ---- */

static int write_frame(struct ipc_connection *c, struct out_frame *f)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
        } control;
        struct iovec iov = {f->bytes.data + f->written, f->bytes.length - f->written};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
        if (f->fd_count > 0) {
                memset(&control, 0, sizeof control);
                m.msg_control = &control;
                m.msg_controllen = CMSG_SPACE(sizeof(int) * f->fd_count);
                struct cmsghdr *h = CMSG_FIRSTHDR(&m);
                h->cmsg_level = SOL_SOCKET;
                h->cmsg_type = SCM_RIGHTS;
                h->cmsg_len = CMSG_LEN(sizeof(int) * f->fd_count);
                memcpy(CMSG_DATA(h), f->fds, sizeof(int) * f->fd_count);
        }
        ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
        for (size_t i = 0; i < f->fd_count; i++)
                (void)close(f->fds[i]);
        f->fd_count = 0;
        f->written += (size_t)n;
        c->out_bytes -= (size_t)n;
        return f->written < f->bytes.length ? -EAGAIN : 0;
}

static void flush(struct ipc_connection *c)
{
        while (!c->closed && c->out_head != NULL) {
                struct out_frame *f = c->out_head;
                int r = write_frame(c, f);
                if (r == -EAGAIN)
                        break;
                if (r < 0) {
                        ipc_connection_close(c, strerror(-r));
                        return;
                }
                c->out_head = f->next;
                if (c->out_head == NULL)
                        c->out_tail = &c->out_head;
                free_out(f);
        }
        update_poll(c);
}

static int send_envelope(struct ipc_connection *c, Ecs__Envelope *e, const int *fds, size_t count)
{
        if (c->closed)
                return -ENOTCONN;
        struct out_frame *f = mem_zalloc(sizeof *f);
        e->fds = (uint32_t)count;
        int r = frame_append(&f->bytes, c->o.max_frame, e);
        for (size_t i = 0; r == 0 && i < count; i++) {
                f->fds[i] = dup(fds[i]);
                if (f->fds[i] < 0)
                        r = -errno;
                else
                        f->fd_count++;
        }
        if (r != 0) {
                free_out(f);
                return r;
        }
        if (c->out_bytes + f->bytes.length > c->o.max_queue) {
                free_out(f);
                close_logged(c, "the peer does not read");
                return -ENOTCONN;
        }
        c->out_bytes += f->bytes.length;
        *c->out_tail = f;
        c->out_tail = &f->next;
        flush(c);
        return 0;
}

/* ---- deadlines ---- */

static void on_timer(uv_timer_t *t);

static void arm_timer(struct ipc_connection *c)
{
        uint64_t first = 0, now = clock_now_ms();
        for (size_t i = 0; i < PENDING_BUCKETS; i++)
                for (struct pending *p = c->pending[i]; p != NULL; p = p->next)
                        if (p->deadline != 0 && (first == 0 || p->deadline < first))
                                first = p->deadline;
        c->due = first;
        if (first == 0)
                (void)uv_timer_stop(&c->timer);
        else
                (void)uv_timer_start(&c->timer, on_timer, first > now ? first - now : 0, 0);
}

static void on_timer(uv_timer_t *t)
{
        struct ipc_connection *c = t->data;
        uint64_t now = clock_now_ms();
        struct pending *expired = NULL, **tail = &expired;
        for (size_t i = 0; i < PENDING_BUCKETS; i++) {
                struct pending **at = &c->pending[i];
                while (*at != NULL) {
                        struct pending *p = *at;
                        if (p->deadline == 0 || p->deadline > now) {
                                at = &p->next;
                                continue;
                        }
                        *at = p->next;
                        p->next = NULL;
                        *tail = p;
                        tail = &p->next;
                }
        }
        arm_timer(c);
        while (expired != NULL) {
                struct pending *p = expired;
                expired = p->next;
                p->done(p->arg, -ETIMEDOUT, NULL, -1);
                free(p);
        }
}

static struct pending *take_pending(struct ipc_connection *c, uint64_t id)
{
        for (struct pending **at = &c->pending[id % PENDING_BUCKETS]; *at != NULL;
             at = &(*at)->next) {
                struct pending *p = *at;
                if (p->id != id)
                        continue;
                *at = p->next;
                return p;
        }
        return NULL;
}

/* ---- dispatch ---- */

static void dispatch_reply(struct ipc_connection *c, const Ecs__Envelope *e, int *fds, size_t count)
{
        struct pending *p = take_pending(c, e->id);
        if (p == NULL) {
                /* answered twice, or after its deadline */
                log_debug(c->o.log, "reply without a request dropped", LOG_INT("id", e->id));
                return;
        }
        int status = 0, fd = -1;
        if (e->body_case == ECS__ENVELOPE__BODY_ERROR)
                status = e->error->code > 0 ? -e->error->code : -EREMOTEIO;
        if (count > 0)
                fd = fds[0];
        for (size_t i = 1; i < count; i++)
                (void)close(fds[i]);
        p->done(p->arg, status, e, fd);
        free(p);
}

static void refuse(struct ipc_request *r, const Ecs__Envelope *e, int code, const char *text)
{
        struct ipc_connection *c = r->c;
        log_warn(c->o.log, "message refused", LOG_STR("peer", ipc_peer_name(c->o.peer)),
                 LOG_INT("body", e->body_case), LOG_STR("reason", text));
        ipc_reply_error(r, code, text);
        if (c->o.strict)
                close_logged(c, text);
}

static void dispatch_request(struct ipc_connection *c, const Ecs__Envelope *e, int *fds,
                             size_t count)
{
        struct ipc_request *r = mem_zalloc(sizeof *r);
        r->c = c;
        r->id = e->id;
        r->peer = c->o.peer;
        r->event = e->kind == ECS__ENVELOPE__KIND__EVENT;
        memcpy(r->fds, fds, count * sizeof *fds);
        r->fd_count = count;
        r->next = c->requests;
        r->at = &c->requests;
        if (r->next != NULL)
                r->next->at = &r->next;
        c->requests = r;
        const struct ipc_handler *h = c->o.handlers != NULL && (int)e->body_case > 0 &&
                                                      (int)e->body_case < IPC_BODY_MAX
                                              ? &c->o.handlers[e->body_case]
                                              : NULL;
        bool ready = c->o.ready == NULL || *c->o.ready;
        if (h == NULL || h->fn == NULL) {
                refuse(r, e, -ENOTSUP, "Unsupported");
        } else if ((h->peers & c->o.peer) == 0) {
                refuse(r, e, -EACCES, "not allowed to this peer");
        } else if (h->when == WHEN_READY && !ready) {
                ipc_reply_error(r, -EAGAIN, "not ready yet");
        } else {
                bool event = r->event;
                h->fn(c->o.context, r, e);
                if (event)
                        ipc_reply(r, NULL);
        }
}

static void dispatch(struct ipc_connection *c, const Ecs__Envelope *e)
{
        int fds[IPC_FDS_MAX];
        size_t count = e->fds;
        if (count > IPC_FDS_MAX || count > c->in_fd_count) {
                close_logged(c, "descriptors missing");
                return;
        }
        memcpy(fds, c->in_fds, count * sizeof *fds);
        c->in_fd_count -= count;
        memmove(c->in_fds, c->in_fds + count, c->in_fd_count * sizeof *fds);
        if (e->kind == ECS__ENVELOPE__KIND__REPLY) {
                dispatch_reply(c, e, fds, count);
        } else if (e->kind == ECS__ENVELOPE__KIND__REQUEST ||
                   e->kind == ECS__ENVELOPE__KIND__EVENT) {
                dispatch_request(c, e, fds, count);
        } else {
                for (size_t i = 0; i < count; i++)
                        (void)close(fds[i]);
                close_logged(c, "message without a kind");
        }
}

static void take_frames(struct ipc_connection *c)
{
        while (!c->closed) {
                Ecs__Envelope *e = NULL;
                int r = frame_take(&c->in, c->o.max_frame, &e);
                if (r == FRAME_INCOMPLETE)
                        return;
                if (r == -EMSGSIZE) {
                        close_logged(c, "frame too long");
                        return;
                }
                if (r != 0) {
                        close_logged(c, "frame is not an Envelope");
                        return;
                }
                dispatch(c, e);
                ecs__envelope__free_unpacked(e, NULL);
        }
}

/* ---- reading ---- */

static void keep_fds(struct ipc_connection *c, struct msghdr *m)
{
        for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
                if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
                        continue;
                size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < count; i++) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
                        if (c->in_fd_count < PENDING_FDS) {
                                c->in_fds[c->in_fd_count++] = fd;
                        } else {
                                (void)close(fd);
                                c->fds_lost = true;
                        }
                }
        }
        c->fds_lost = c->fds_lost || (m->msg_flags & MSG_CTRUNC) != 0;
}

/* A descriptor that no frame names would be taken for the next frame's: the peer is not to be
 * trusted with any. */
static void check_fds(struct ipc_connection *c)
{
        if (c->closed)
                return;
        if (c->fds_lost || (c->in.length == 0 && c->in_fd_count > 0))
                close_logged(c, "more descriptors than its frames name");
}

/* True while there may be more. */
static bool read_some(struct ipc_connection *c)
{
        char data[16384];
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
        } control;
        struct iovec iov = {data, sizeof data};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
        ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return false;
        if (n <= 0) {
                ipc_connection_close(c, n == 0 ? "closed by the peer" : strerror(errno));
                return false;
        }
        keep_fds(c, &m);
        buf_append(&c->in, data, (size_t)n);
        explicit_bzero(data, (size_t)n);
        return true;
}

static void on_poll(uv_poll_t *h, int status, int events)
{
        struct ipc_connection *c = h->data;
        if (status < 0) {
                ipc_connection_close(c, uv_strerror(status));
                return;
        }
        if ((events & UV_WRITABLE) != 0)
                flush(c);
        if ((events & (UV_READABLE | UV_DISCONNECT)) == 0)
                return;
        for (int i = 0; i < READ_BUDGET && !c->closed && read_some(c); i++) {
                take_frames(c);
                check_fds(c);
        }
}

static void update_poll(struct ipc_connection *c)
{
        if (c->closed)
                return;
        int events = UV_READABLE | (c->out_head != NULL ? UV_WRITABLE : 0);
        (void)uv_poll_start(&c->poll, events, on_poll);
}

/* ---- public ---- */

struct ipc_connection *ipc_connection_new(uv_loop_t *loop, int fd,
                                          const struct ipc_connection_options *o)
{
        struct ipc_connection *c = mem_zalloc(sizeof *c);
        c->o = *o;
        if (c->o.max_frame == 0)
                c->o.max_frame = IPC_FRAME_MAX;
        if (c->o.max_queue == 0)
                c->o.max_queue = QUEUE_MAX;
        c->loop = loop;
        c->fd = fd;
        c->next_id = 1;
        c->out_tail = &c->out_head;
        (void)uv_poll_init(loop, &c->poll, fd);
        (void)uv_timer_init(loop, &c->timer);
        c->poll.data = c->timer.data = c;
        c->open_handles = 2;
        update_poll(c);
        return c;
}

unsigned ipc_connection_peer(const struct ipc_connection *c)
{
        return c->o.peer;
}

int ipc_send_request(struct ipc_connection *c, Ecs__Envelope *e, uint32_t deadline_ms,
                     ipc_reply_fn done, void *arg)
{
        if (c->closed)
                return -ENOTCONN;
        uint64_t deadline = deadline_ms > 0 ? clock_now_ms() + clock_wait_ms(deadline_ms) : 0;
        struct pending *p = mem_zalloc(sizeof *p);
        p->id = c->next_id++;
        p->done = done;
        p->arg = arg;
        p->deadline = deadline;
        e->id = p->id;
        e->kind = ECS__ENVELOPE__KIND__REQUEST;
        struct pending **bucket = &c->pending[p->id % PENDING_BUCKETS];
        p->next = *bucket;
        *bucket = p;
        int r = send_envelope(c, e, NULL, 0);
        if (r == -EMSGSIZE) {
                free(take_pending(c, e->id));
                return r;
        }
        /* on -ENOTCONN the close has already told done */
        if (r == 0 && deadline > 0 && (c->due == 0 || deadline < c->due)) {
                c->due = deadline;
                (void)uv_timer_start(&c->timer, on_timer, clock_wait_ms(deadline_ms), 0);
        }
        return 0;
}

int ipc_send_event(struct ipc_connection *c, Ecs__Envelope *e)
{
        return ipc_send_event_fds(c, e, NULL, 0);
}

int ipc_send_event_fds(struct ipc_connection *c, Ecs__Envelope *e, const int *fds, size_t count)
{
        e->id = 0;
        e->kind = ECS__ENVELOPE__KIND__EVENT;
        return send_envelope(c, e, fds, count);
}

static void free_request(struct ipc_request *r)
{
        if (r->c != NULL) {
                *r->at = r->next;
                if (r->next != NULL)
                        r->next->at = r->at;
        }
        for (size_t i = 0; i < r->fd_count; i++)
                if (r->fds[i] >= 0)
                        (void)close(r->fds[i]);
        free(r);
}

void ipc_reply_fds(struct ipc_request *r, Ecs__Envelope *e, const int *fds, size_t count)
{
        struct ipc_connection *c = r->c;
        uint64_t id = r->id;
        bool answer = c != NULL && !r->event && e != NULL;
        free_request(r);
        if (!answer)
                return;
        e->id = id;
        e->kind = ECS__ENVELOPE__KIND__REPLY;
        int error = send_envelope(c, e, fds, count);
        if (error != 0 && error != -ENOTCONN) {
                Ecs__Error m = ECS__ERROR__INIT;
                m.code = -error;
                m.text = error == -EMSGSIZE ? (char *)"the answer is longer than a frame"
                                            : strerror(-error);
                Ecs__Envelope small = IPC_ENVELOPE(ERROR, error, &m);
                small.id = id;
                small.kind = ECS__ENVELOPE__KIND__REPLY;
                (void)send_envelope(c, &small, NULL, 0);
        }
}

void ipc_reply(struct ipc_request *r, Ecs__Envelope *e)
{
        ipc_reply_fds(r, e, NULL, 0);
}

void ipc_reply_error(struct ipc_request *r, int code, const char *text)
{
        Ecs__Error m = ECS__ERROR__INIT;
        m.code = -code;
        m.text = (char *)text;
        Ecs__Envelope e = IPC_ENVELOPE(ERROR, error, &m);
        ipc_reply(r, &e);
}

unsigned ipc_request_peer(const struct ipc_request *r)
{
        return r->peer;
}

struct ipc_connection *ipc_request_connection(const struct ipc_request *r)
{
        return r->c;
}

int ipc_request_take_fd(struct ipc_request *r)
{
        for (size_t i = 0; i < r->fd_count; i++)
                if (r->fds[i] >= 0) {
                        int fd = r->fds[i];
                        r->fds[i] = -1;
                        return fd;
                }
        return -1;
}
