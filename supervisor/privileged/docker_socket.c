/* docker_socket: a connected socket to Docker for the engine, where only root may open it (its
 * group is root, so no supplementary group helps). The path comes from the configuration, never
 * from the request. */
#include "supervisor.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"

/* Path of DOCKER_HOST, or NULL when it is no unix socket. */
static const char *socket_path(const struct supervisor *s)
{
        const char *host = config_text(s->config, "DOCKER_HOST", "");
        return strncmp(host, "unix://", 7) == 0 ? host + 7 : NULL;
}

bool docker_socket_group(const struct supervisor *s, gid_t *ret)
{
        const char *path = socket_path(s);
        struct stat st;
        if (path == NULL)
                return false;
        if (stat(path, &st) == 0) {
                *ret = st.st_gid;
                return true;
        }
        /* Docker is not up yet; this is the group it gives its socket when it comes */
        const struct group *usual = getgrnam("docker");
        if (usual != NULL)
                *ret = usual->gr_gid;
        return usual != NULL;
}

static int connect_path(const char *path)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof a.sun_path)
                return -ENAMETOOLONG;
        memcpy(a.sun_path, path, strlen(path) + 1);
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
                return -errno;
        return steal_fd(&fd);
}

void handle_docker_socket(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        const struct process *p = context;
        const char *path = socket_path(p->supervisor);
        (void)m;
        cleanup_fd int fd = path != NULL ? connect_path(path) : -ENOTSOCK;
        if (fd < 0) {
                ipc_reply_error(r, fd, strerror(-fd));
                return;
        }
        Ecs__DockerSocketReply reply = ECS__DOCKER_SOCKET_REPLY__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(DOCKER_SOCKET_REPLY, docker_socket_reply, &reply);
        ipc_reply_fds(r, &e, &fd, 1);
}
