/* attributes: the list is the backend's and asks Docker, so neither is this process's business: a
 * child becomes ecs-attributes and reads the settings from a pipe. */
#include "attributes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "config_parse.h"
#include "config_table.h"
#include "configuration.h"
#include "error.h"
#include "helper.h"
#include "supervisor.h"

static void put_line(void *arg, const char *name, const char *value)
{
        const struct config_row *row = config_row_find(name);
        if ((row->flags & CONFIG_SECRET) == 0 && strchr(value, '\n') == NULL)
                buf_printf(arg, "%s=%s\n", name, value);
}

static int run(const struct supervisor *s, const struct buf *settings)
{
        int status = -1;
        gid_t docker;
        bool reachable = docker_socket_group(s, &docker);
        char *argv[] = {(char *)"ecs-attributes", NULL};
        cleanup_fd int binary = spawn_open_binary("ecs-attributes");
        /* a file in memory, not a pipe, so that no size of settings can block */
        cleanup_fd int in = memfd_create("settings", MFD_CLOEXEC);
        if (binary < 0 || in < 0 ||
            write(in, settings->data, settings->length) != (ssize_t)settings->length ||
            lseek(in, 0, SEEK_SET) != 0) {
                (void)fputs("ecs-supervisor: ecs-attributes cannot be started: install the package "
                            "again\n",
                            stderr);
                return 1;
        }
        pid_t pid = fork();
        if (pid == 0)
                helper_become(&(struct helper){.binary = binary,
                                               .argv = argv,
                                               .in = in,
                                               .out = STDOUT_FILENO,
                                               .error = STDERR_FILENO,
                                               .drop = s->root,
                                               .group = reachable ? &docker : NULL});
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                continue;
        return status != 0;
}

int attributes_print(const struct supervisor_options *o)
{
        struct supervisor s = {.root = geteuid() == 0};
        struct error err = {0};
        struct buf settings = {0};
        if (configuration_read(o, &s.config, &err) != 0) {
                (void)fprintf(stderr, "ecs-supervisor: %s\n", err.text);
                return 1;
        }
        (void)task_cgroup_settle(&s, &err); /* what it cannot do is not printed */
        struct config *backend = config_for(s.config, FOR_BACKEND | FOR_ENGINE);
        config_each(backend, put_line, &settings);
        int code = run(&s, &settings);
        buf_clear(&settings);
        config_free(backend);
        config_free(s.config);
        return code;
}
