/* ecsctl debug: runs a worker in this terminal, under a debugger or tracer if given, in the place
 * of the supervised one: same descriptors, same settings. The supervisor takes the slot back when
 * our connection to it closes, however we end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "client.h"
#include "command.h"
#include "connection.h"
#include "error.h"
#include "mem.h"

#define FIRST_FD 3

/* Puts the descriptors to 3, 4, 5 … and becomes the command. */
static void become(struct client *client, size_t count, char **argv) __attribute__((noreturn));
static void become(struct client *client, size_t count, char **argv)
{
        int moved[CLIENT_FDS_MAX];
        for (size_t i = 0; i < count; i++)
                moved[i] = fcntl(client->fds[i], F_DUPFD, 100);
        for (size_t i = 0; i < count; i++)
                (void)dup2(moved[i], FIRST_FD + (int)i);
        (void)close_range((unsigned)(FIRST_FD + (int)count), ~0U, CLOSE_RANGE_CLOEXEC);
        (void)signal(SIGINT, SIG_DFL);
        (void)signal(SIGQUIT, SIG_DFL);
        (void)execvp(argv[0], argv);
        (void)command_fail("cannot run %s: %s", argv[0], strerror(errno));
        _exit(127);
}

static int run_command(struct client *client, char **argv)
{
        (void)signal(SIGINT, SIG_IGN);
        (void)signal(SIGQUIT, SIG_IGN);
        pid_t pid = fork();
        if (pid < 0)
                return command_fail("fork: %s", strerror(errno));
        if (pid == 0)
                become(client, client->fd_count, argv);
        /* our copies of the worker's ends must not keep its channels open */
        for (size_t i = 0; i < client->fd_count; i++)
                (void)close(client_take_fd(client, i));
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(struct ctl *c, int argc, char **argv)
{
        Ecs__CtlDebug m = ECS__CTL_DEBUG__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_DEBUG, ctl_debug, &m), *reply = NULL;
        struct error err = {0};
        m.worker = argv[0];
        if (client_ask(c->client, &e, 15000, &reply, &err) != 0)
                return command_fail("%s", err.text);
        cleanup_free char **command = mem_zalloc(((size_t)argc + 1) * sizeof *command);
        for (int i = 1; i < argc; i++)
                command[i - 1] = argv[i];
        command[argc - 1] = reply->ctl_debug_reply->executable;
        int code = c->client->fd_count >= 2
                           ? run_command(c->client, command)
                           : command_fail("the supervisor sent no descriptors");
        ecs__envelope__free_unpacked(reply, NULL);
        return code;
}

static const struct command_example examples[] = {
        {"ecsctl debug engine -- gdb --args", "the engine, in gdb, in this terminal"},
        {"ecsctl debug metadata -- strace -f", "its system calls"},
        {NULL, NULL}};

const struct command command_debug = {
        .name = "debug",
        .usage = "WORKER [-- COMMAND...]",
        .summary = "runs a worker in this terminal, e.g. under a debugger",
        .text = "The supervised worker is stopped and runs here instead, with the same descriptors and\n"
                "settings, as the last arguments of COMMAND. The supervisor starts its own again when\n"
                "this command ends. Tasks and the other workers go on.",
        .examples = examples,
        .min_args = 1,
        .max_args = -1,
        .complete = COMPLETE_WORKER,
        .run = run,
};
