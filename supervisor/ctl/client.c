/* client: a command asks a question or two and ends, so it blocks, with a limit on each answer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "connection.h"
#include "ctl.h"
#include "frame.h"

#define ANSWER_S 40

int ctl_connect(struct ctl *c)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        const struct timeval limit = {.tv_sec = ANSWER_S};
        (void)snprintf(a.sun_path, sizeof a.sun_path, "%s/control.sock", c->run_dir);
        c->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->socket >= 0 && connect(c->socket, (struct sockaddr *)&a, sizeof a) == 0) {
                (void)setsockopt(c->socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
                return 0;
        }
        if (errno == EACCES)
                (void)fprintf(stderr, "ecsctl: not allowed to open %s: become root or a member of "
                                      "group ecs-operators\n",
                              a.sun_path);
        else
                (void)fprintf(stderr,
                              "ecsctl: no agent answers at %s (%s): start it, or give its "
                              "directory with --run-dir\n",
                              a.sun_path, strerror(errno));
        return -1;
}

static int receive(int socket, struct buf *b, int *fd)
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
        ssize_t n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
        if (n <= 0)
                return n == 0 ? -ECONNRESET : -errno;
        const struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        if (h != NULL && h->cmsg_type == SCM_RIGHTS && fd != NULL)
                memcpy(fd, CMSG_DATA(h), sizeof *fd);
        buf_append(b, data, (size_t)n);
        return 0;
}

static Ecs__Envelope *wait_reply(int socket, int *ret_fd)
{
        struct buf b = {0};
        Ecs__Envelope *e = NULL;
        int r = FRAME_INCOMPLETE;
        while (r == FRAME_INCOMPLETE) {
                r = frame_take(&b, IPC_FRAME_MAX, &e);
                if (r == 0 && e->kind != ECS__ENVELOPE__KIND__REPLY) {
                        ecs__envelope__free_unpacked(e, NULL);
                        e = NULL;
                        r = FRAME_INCOMPLETE;
                } else if (r == FRAME_INCOMPLETE) {
                        int error = receive(socket, &b, ret_fd);
                        if (error != 0)
                                r = error;
                }
        }
        buf_clear(&b);
        if (r != 0)
                (void)fprintf(stderr, "ecsctl: no answer: %s\n",
                              r == -EAGAIN ? "it took too long" : strerror(-r));
        return e;
}

Ecs__Envelope *ctl_ask(int socket, Ecs__Envelope *e, int *ret_fd)
{
        struct buf b = {0};
        e->id = 1;
        e->kind = ECS__ENVELOPE__KIND__REQUEST;
        (void)frame_append(&b, IPC_FRAME_MAX, e);
        ssize_t n = send(socket, b.data, b.length, MSG_NOSIGNAL);
        bool sent = n == (ssize_t)b.length;
        buf_clear(&b);
        if (!sent) {
                (void)fprintf(stderr, "ecsctl: cannot ask: %s\n", strerror(errno));
                return NULL;
        }
        Ecs__Envelope *reply = wait_reply(socket, ret_fd);
        if (reply == NULL || reply->body_case != ECS__ENVELOPE__BODY_ERROR)
                return reply;
        (void)fprintf(stderr, "ecsctl: %s%s\n", reply->error->text,
                      reply->error->code == EACCES ? " (this needs root)" : "");
        ecs__envelope__free_unpacked(reply, NULL);
        return NULL;
}

int ctl_peer(struct ctl *c, const char *peer)
{
        int fd = -1;
        const struct timeval limit = {.tv_sec = ANSWER_S};
        Ecs__Connect m = ECS__CONNECT__INIT;
        m.peer = (char *)peer;
        Ecs__Envelope e = IPC_ENVELOPE(CONNECT, connect, &m);
        Ecs__Envelope *reply = ctl_ask(c->socket, &e, &fd);
        if (reply != NULL)
                ecs__envelope__free_unpacked(reply, NULL);
        if (fd >= 0)
                (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        return fd;
}
