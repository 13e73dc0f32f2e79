/* client: blocking request and reply. ecsctl asks one thing and ends, so it needs no loop: a poll
 * with a deadline, then read. Events that come meanwhile are dropped. */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "connection.h"
#include "error.h"
#include "frame.h"
#include "mem.h"

static int explain_connect(const char *path, int r, struct error *err)
{
        if (r == -EACCES || r == -EPERM)
                return error_set(err, r,
                                 "may not open %s: become root or a member of group ecs-operators",
                                 path);
        if (r == -ENOENT || r == -ECONNREFUSED)
                return error_set(err, r,
                                 "no agent is running here (%s: %s); another run directory is "
                                 "given with --run-dir or ECS_RUN_DIR",
                                 path, strerror(-r));
        return error_set(err, r, "cannot connect to %s: %s", path, strerror(-r));
}

int client_open(struct client *c, const char *run_dir, struct error *err)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        cleanup_free char *path = mem_printf("%s/control.sock", run_dir);
        *c = (struct client){.fd = -1, .max_frame = IPC_FRAME_MAX_CONTROL};
        if (strlen(path) >= sizeof a.sun_path)
                return error_set(err, -ENAMETOOLONG, "the path %s is too long for a socket", path);
        memcpy(a.sun_path, path, strlen(path) + 1);
        c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0)
                return explain_connect(path, -errno, err);
        return 0;
}

static void drop_fds(struct client *c)
{
        for (size_t i = 0; i < c->fd_count; i++)
                if (c->fds[i] >= 0)
                        (void)close(c->fds[i]);
        c->fd_count = 0;
}

void client_close(struct client *c)
{
        drop_fds(c);
        buf_clear(&c->in);
        if (c->fd >= 0)
                (void)close(c->fd);
        c->fd = -1;
}

int client_take_fd(struct client *c, size_t i)
{
        if (i >= c->fd_count)
                return -1;
        int fd = c->fds[i];
        c->fds[i] = -1;
        return fd;
}

static int send_all(struct client *c, const struct buf *b)
{
        for (size_t done = 0; done < b->length;) {
                ssize_t n = send(c->fd, b->data + done, b->length - done, MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                done += (size_t)n;
        }
        return 0;
}

/* One read, with the descriptors that came along. 0 bytes is -ECONNRESET. */
static int receive(struct client *c)
{
        char data[16384];
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * CLIENT_FDS_MAX)];
        } control;
        struct iovec iov = {data, sizeof data};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
        ssize_t n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
        if (n < 0)
                return errno == EINTR ? 0 : -errno;
        for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h)) {
                if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
                        continue;
                size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < count; i++) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
                        if (c->fd_count < CLIENT_FDS_MAX)
                                c->fds[c->fd_count++] = fd;
                        else
                                (void)close(fd);
                }
        }
        if (n == 0)
                return -ECONNRESET;
        buf_append(&c->in, data, (size_t)n);
        return 0;
}

static int wait_readable(struct client *c, uint64_t until)
{
        uint64_t now = clock_now_ms();
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        int n = poll(&p, 1, until > now ? (int)(until - now) : 0);
        if (n < 0)
                return errno == EINTR ? 0 : -errno;
        return n == 0 ? -ETIMEDOUT : receive(c);
}

static void take_event(struct client *c, const Ecs__Envelope *e)
{
        if (e->kind == ECS__ENVELOPE__KIND__EVENT && c->on_event != NULL)
                c->on_event(c->event_arg, e);
}

int client_wait_event(struct client *c, uint32_t ms)
{
        uint64_t until = clock_now_ms() + ms;
        for (;;) {
                Ecs__Envelope *e = NULL;
                int r = frame_take(&c->in, IPC_FRAME_MAX, &e);
                if (e != NULL) {
                        take_event(c, e);
                        ecs__envelope__free_unpacked(e, NULL);
                        return 1;
                }
                if (r == FRAME_INCOMPLETE)
                        r = wait_readable(c, until);
                if (r < 0)
                        return r == -ETIMEDOUT ? 0 : r;
        }
}

static int wait_reply(struct client *c, uint64_t until, Ecs__Envelope **ret)
{
        for (;;) {
                Ecs__Envelope *e = NULL;
                int r = frame_take(&c->in, IPC_FRAME_MAX, &e);
                if (r == FRAME_INCOMPLETE)
                        r = wait_readable(c, until);
                if (r < 0)
                        return r;
                if (e == NULL)
                        continue;
                if (e->kind == ECS__ENVELOPE__KIND__REPLY && e->id == c->last_id) {
                        *ret = e;
                        return 0;
                }
                take_event(c, e);
                ecs__envelope__free_unpacked(e, NULL);
        }
}

int client_ask(struct client *c, Ecs__Envelope *e, uint32_t deadline_ms, Ecs__Envelope **ret,
               struct error *err)
{
        struct buf out = {0};
        drop_fds(c);
        e->id = ++c->last_id;
        e->kind = ECS__ENVELOPE__KIND__REQUEST;
        int r = frame_append(&out, c->max_frame, e);
        if (r == 0)
                r = send_all(c, &out);
        buf_clear(&out);
        if (r == 0)
                r = wait_reply(c, clock_now_ms() + deadline_ms, ret);
        if (r == -ETIMEDOUT)
                (void)error_set(err, r,
                                "no answer within %u s; 'ecsctl status' shows what the "
                                "workers do",
                                deadline_ms / 1000);
        else if (r != 0)
                (void)error_set(err, r, "the connection broke: %s", strerror(-r));
        if (r != 0)
                return r;
        if ((*ret)->body_case != ECS__ENVELOPE__BODY_ERROR)
                return 0;
        r = error_set(err, -(*ret)->error->code, "%s", (*ret)->error->text);
        ecs__envelope__free_unpacked(*ret, NULL);
        *ret = NULL;
        if (r == -EACCES)
                (void)error_wrap(err, "refused (changing needs to be root)");
        return r < 0 ? r : -EPROTO;
}

int client_open_peer(struct client *c, const char *worker, struct client *peer, struct error *err)
{
        Ecs__Connect m = ECS__CONNECT__INIT;
        m.peer = (char *)worker;
        Ecs__Envelope e = IPC_ENVELOPE(CONNECT, connect, &m), *reply = NULL;
        *peer = (struct client){.fd = -1, .max_frame = IPC_FRAME_MAX};
        int r = client_ask(c, &e, 10000, &reply, err);
        if (r != 0)
                return error_wrap(err, "cannot reach the %s worker", worker);
        ecs__envelope__free_unpacked(reply, NULL);
        peer->fd = client_take_fd(c, 0);
        if (peer->fd < 0)
                return error_set(err, -EPROTO, "the supervisor sent no connection to %s", worker);
        return 0;
}

bool client_worker_is_ready(struct client *c, const char *worker)
{
        Ecs__CtlStatus m = ECS__CTL_STATUS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_STATUS, ctl_status, &m), *reply = NULL;
        struct error err = {0};
        bool ready = false;
        if (client_ask(c, &e, 5000, &reply, &err) != 0)
                return false;
        const Ecs__CtlStatusReply *s = reply->ctl_status_reply;
        for (size_t i = 0; i < s->n_workers; i++)
                ready = ready || (strcmp(s->workers[i]->name, worker) == 0 &&
                                  strcmp(s->workers[i]->state, "ready") == 0);
        ecs__envelope__free_unpacked(reply, NULL);
        return ready;
}
