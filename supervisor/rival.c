/* rival: the official ECS agent on this host. Two agents would both register, both answer
 * 169.254.170.2, and stop each other's containers, so we do not start beside it. It is known by
 * its process: /agent in the container ecs-agent, or ecs-init's amazon-ecs-init. */
#include "supervisor.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "error.h"
#include "mem.h"

#define ENVIRONMENT_MAX (128u << 10)

/* The file's bytes, NUL-terminated; their number, or -1 when it cannot be read. */
static ssize_t read_of(const char *root, const char *pid, const char *file, char *text, size_t size)
{
        cleanup_free char *path = mem_printf("%s/%s/%s", root, pid, file);
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        size_t length = 0;
        ssize_t n = fd >= 0 ? 1 : -1;
        while (fd >= 0 && length < size - 1 && (n = read(fd, text + length, size - 1 - length)) > 0)
                length += (size_t)n;
        text[length] = '\0';
        return n < 0 ? -1 : (ssize_t)length;
}

/* Other programs may be called /agent; ecs-init gives this one its settings. Where we may not
 * look, it is taken for the real one. */
static bool has_agent_settings(const char *root, const char *pid)
{
        static const char setting[] = "ECS_DATADIR=";
        cleanup_free char *text = mem_alloc(ENVIRONMENT_MAX);
        ssize_t n = read_of(root, pid, "environ", text, ENVIRONMENT_MAX);
        return n < 0 || memmem(text, (size_t)n, setting, sizeof setting - 1) != NULL;
}

static bool is_rival(const char *root, const char *pid, const char *program)
{
        if (strcmp(program, "/agent") == 0)
                return has_agent_settings(root, pid);
        return strcmp(program, "/usr/libexec/amazon-ecs-init") == 0;
}

int rival_check(const char *proc, struct error *err)
{
        DIR *d = opendir(proc);
        const struct dirent *e;
        int r = 0;
        while (d != NULL && r == 0 && (e = readdir(d)) != NULL) {
                char text[256];
                if (!isdigit((unsigned char)e->d_name[0]))
                        continue;
                (void)read_of(proc, e->d_name, "cmdline", text, sizeof text);
                if (is_rival(proc, e->d_name, text))
                        r = error_set(err, -EEXIST,
                                      "the official ECS agent runs on this host (pid %s, %s): stop "
                                      "it first with 'systemctl disable --now ecs' or 'docker rm "
                                      "-f ecs-agent'",
                                      e->d_name, text);
        }
        if (d != NULL)
                (void)closedir(d);
        return r;
}
