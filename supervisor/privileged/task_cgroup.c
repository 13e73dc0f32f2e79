/* task_cgroup: makes and removes the control group of a task for the engine. The root comes from
 * the configuration, never from the request. The work is done in a child that ends by itself; it
 * says how it went through a pipe, "ok" or why not. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "error.h"
#include "mem.h"
#include "privileged/cgroup_v1.h"

#define CHILD_S 20
#define SETTING "ECS_ENABLE_TASK_CPU_MEM_LIMIT"
#define DONE "ok"

struct cgroup_run {
        uv_poll_t poll;
        struct cgroup_run *next;
        struct supervisor *supervisor;
        struct ipc_request *request;
        int in;
        pid_t pid;
        char text[512];
        size_t length;
};

static const char *root_of(const struct supervisor *s)
{
        return config_text(s->config, "ECS_CGROUP_PATH", "/sys/fs/cgroup");
}

static void work(const struct supervisor *s, const Ecs__TaskCgroup *m, int out)
        __attribute__((noreturn));
static void work(const struct supervisor *s, const Ecs__TaskCgroup *m, int out)
{
        struct error err = {0};
        const struct cgroup_limits limits = {.cpu_quota_us = m->cpu_quota_us,
                                             .cpu_period_us = m->cpu_period_us,
                                             .cpu_shares = m->cpu_shares,
                                             .memory_bytes = m->memory_bytes,
                                             .pids = m->pids};
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGALRM, SIG_DFL);
        (void)alarm(CHILD_S);
        int r = m->remove ? cgroup_v1_remove(root_of(s), m->task_id, &err)
                          : cgroup_v1_create(root_of(s), m->task_id, &limits, &err);
        const char *text = r == 0 ? DONE : err.text;
        _exit(write(out, text, strlen(text)) < 0);
}

static void free_run(uv_handle_t *h)
{
        struct cgroup_run *run = h->data;
        free(run);
}

/* Answers and forgets. */
static void end(struct cgroup_run *run)
{
        struct cgroup_run **at = &run->supervisor->cgroup_runs;
        while (*at != run)
                at = &(*at)->next;
        *at = run->next;
        Ecs__TaskCgroupReply reply = ECS__TASK_CGROUP_REPLY__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(TASK_CGROUP_REPLY, task_cgroup_reply, &reply);
        run->text[run->length] = '\0';
        if (strcmp(run->text, DONE) == 0)
                ipc_reply(run->request, &e);
        else
                ipc_reply_error(run->request, -EIO,
                                run->length > 0 ? run->text : "the child did not end in time");
        (void)waitpid(run->pid, NULL, 0);
        (void)close(run->in);
        uv_close((uv_handle_t *)&run->poll, free_run);
}

static void on_text(uv_poll_t *h, int status, int events)
{
        struct cgroup_run *run = h->data;
        size_t room = sizeof run->text - 1 - run->length;
        (void)events;
        ssize_t n = status == 0 ? read(run->in, run->text + run->length, room) : 0;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n > 0)
                run->length += (size_t)n;
        else
                end(run);
}

void handle_task_cgroup(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct supervisor *s = ((const struct process *)context)->supervisor;
        int out[2];
        if (!cgroup_id_is_valid(m->task_cgroup->task_id)) {
                ipc_reply_error(r, -EINVAL, "that is no id of a task");
                return;
        }
        if (!config_bool(s->config, SETTING, false) && !m->task_cgroup->remove) {
                ipc_reply_error(r, -EPERM, "limits of tasks are switched off");
                return;
        }
        if (pipe2(out, O_CLOEXEC | O_NONBLOCK) != 0) {
                ipc_reply_error(r, -errno, "no pipe");
                return;
        }
        pid_t pid = fork();
        if (pid == 0)
                work(s, m->task_cgroup, out[1]);
        (void)close(out[1]);
        if (pid < 0) {
                (void)close(out[0]);
                ipc_reply_error(r, -EAGAIN, "no process");
                return;
        }
        struct cgroup_run *run = mem_zalloc(sizeof *run);
        run->supervisor = s;
        run->request = r;
        run->in = out[0];
        run->pid = pid;
        run->next = s->cgroup_runs;
        s->cgroup_runs = run;
        (void)uv_poll_init(&s->loop, &run->poll, run->in);
        run->poll.data = run;
        (void)uv_poll_start(&run->poll, UV_READABLE, on_text);
}

void task_cgroup_end_all(struct supervisor *s)
{
        while (s->cgroup_runs != NULL) {
                (void)kill(s->cgroup_runs->pid, SIGKILL);
                end(s->cgroup_runs);
        }
}

int task_cgroup_settle(struct supervisor *s, struct error *why)
{
        const char *set = config_find(s->config, SETTING);
        if (set != NULL && !config_bool(s->config, SETTING, false))
                return 0;
        int r = s->root ? cgroup_v1_check(root_of(s), why)
                        : error_set(why, -EPERM, "not running as root");
        if (set == NULL)
                config_set(s->config, SETTING, r == 0 ? "true" : "false");
        return r;
}

int task_cgroup_decide(struct supervisor *s, struct error *err)
{
        struct error why = {0};
        bool demanded = config_bool(s->config, SETTING, false);
        int r = task_cgroup_settle(s, &why);
        if (r != 0 && demanded)
                return error_set(err, -ESTALE,
                                 SETTING " is set, but limits of tasks cannot be enforced: %s; "
                                         "correct ECS_CGROUP_PATH or unset it",
                                 why.text);
        if (r != 0)
                notice_set(s, "task limits", false,
                           mem_printf("CPU and memory limits of whole tasks are not enforced: %s",
                                      why.text));
        return 0;
}
