/* docker_stream: a connection to Docker outside the HTTP client, for what is no request and answer.
 * Where only root may open the socket the supervisor passes a connected one. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "mem.h"

#define PASS_MS 5000

/* ---- a socket from the supervisor ---- */

struct passing {
        docker_stream_fn done;
        void *arg;
};

static void on_passed(void *arg, int status, const Ecs__Envelope *reply, int fd)
{
        struct passing p = *(struct passing *)arg;
        (void)reply;
        free(arg);
        p.done(p.arg, status == 0 && fd >= 0 ? fd : status < 0 ? status : -EPROTO);
}

void docker_socket_ask(void *engine, docker_stream_fn done, void *arg)
{
        const struct engine *e = engine;
        struct ipc_connection *supervisor = worker_supervisor(e->worker);
        Ecs__DockerSocket m = ECS__DOCKER_SOCKET__INIT;
        Ecs__Envelope ask = IPC_ENVELOPE(DOCKER_SOCKET, docker_socket, &m);
        struct passing *p = mem_zalloc(sizeof *p);
        *p = (struct passing){done, arg};
        int r = supervisor != NULL ? ipc_send_request(supervisor, &ask, PASS_MS, on_passed, p)
                                   : -ECONNRESET;
        if (r == 0)
                return;
        free(p);
        done(arg, r);
}

/* ---- a stream ---- */

struct opening {
        char *request;
        docker_stream_fn done;
        void *arg;
};

/* The request is a few hundred bytes: a new socket takes them at once. */
static void finish(void *arg, int fd)
{
        struct opening *o = arg;
        size_t length = strlen(o->request);
        if (fd >= 0 && send(fd, o->request, length, MSG_NOSIGNAL) != (ssize_t)length) {
                (void)close(fd);
                fd = -EIO;
        }
        o->done(o->arg, fd);
        free(o->request);
        free(o);
}

static int connect_path(const char *host)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        const char *path = strncmp(host, "unix://", 7) == 0 ? host + 7 : host;
        if (strlen(path) >= sizeof a.sun_path)
                return -ENAMETOOLONG;
        memcpy(a.sun_path, path, strlen(path) + 1);
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
                return -errno;
        int r = fd;
        fd = -1;
        return r;
}

void docker_stream_open(struct engine *e, char *request, docker_stream_fn done, void *arg)
{
        struct opening *o = mem_zalloc(sizeof *o);
        *o = (struct opening){request, done, arg};
        int fd = connect_path(config_text(e->config, "DOCKER_HOST", "unix:///var/run/docker.sock"));
        if (fd == -EACCES || fd == -EPERM)
                docker_socket_ask(e, finish, o);
        else
                finish(o, fd);
}
