/* ecsctl stop: a worker until it is started again, or, in local mode, a task for good. A worker's
 * name is never a task's id, so one command takes either. */
#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "change.h"
#include "cleanup.h"
#include "client.h"
#include "clock.h"
#include "connection.h"
#include "error.h"
#include "local_call.h"
#include "mem.h"
#include "task_list.h"

#define LOOK_US 200000

static bool is_worker(struct ctl *c, const char *name)
{
        Ecs__CtlStatus m = ECS__CTL_STATUS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_STATUS, ctl_status, &m), *reply = NULL;
        struct error err = {0};
        bool found = false;
        if (client_ask(c->client, &e, 5000, &reply, &err) != 0)
                return false;
        const Ecs__CtlStatusReply *s = reply->ctl_status_reply;
        for (size_t i = 0; i < s->n_workers; i++)
                found = found || strcmp(s->workers[i]->name, name) == 0;
        ecs__envelope__free_unpacked(reply, NULL);
        return found;
}

static int stop_worker(struct ctl *c, char *name)
{
        Ecs__CtlWorker m = ECS__CTL_WORKER__INIT;
        m.worker = name;
        m.action = ECS__CTL_WORKER__ACTION__STOP;
        return change_worker(c, &m);
}

/* Until it has stopped, or is gone. */
static int wait_stopped(struct ctl *c, const char *arn)
{
        for (;;) {
                Ecs__Envelope *reply = task_list_get(c, arn);
                if (reply == NULL)
                        return 1;
                const Ecs__GetTasksReply *r = reply->get_tasks_reply;
                bool stopped = r->n_tasks == 0 || strcmp(r->tasks[0]->known_status, "STOPPED") == 0;
                ecs__envelope__free_unpacked(reply, NULL);
                if (stopped)
                        return 0;
                (void)usleep(LOOK_US);
        }
}

/* The cluster of arn:…:task/CLUSTER/ID. Owned. */
static char *cluster_of(const char *arn)
{
        const char *begin = strstr(arn, ":task/");
        const char *name = begin != NULL ? begin + strlen(":task/") : "default/";
        return mem_strndup(name, strcspn(name, "/"));
}

static int stop_task(struct ctl *c, const char *id)
{
        cleanup_json json_t *answer = NULL;
        Ecs__Envelope *reply = task_list_find(c, id);
        if (reply == NULL)
                return 1;
        cleanup_free char *arn = mem_strdup(reply->get_tasks_reply->tasks[0]->arn);
        cleanup_free char *cluster = cluster_of(arn);
        ecs__envelope__free_unpacked(reply, NULL);
        const char *reason = ctl_option(c, "reason");
        int code = local_call(c, "StopTask",
                              json_pack("{ss ss ss}", "task", arn, "cluster", cluster, "reason",
                                        reason != NULL ? reason : "stopped by ecsctl stop"),
                              &answer);
        if (code == 0 && ctl_option(c, "no-wait") == NULL)
                code = wait_stopped(c, arn);
        if (code == 0 && c->json)
                (void)puts("{}");
        return code;
}

static int run(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        return is_worker(c, argv[0]) ? stop_worker(c, argv[0]) : stop_task(c, argv[0]);
}

static const struct command_option options[] = {
        {"reason",  'r', "TEXT", "of a task: what ECS shows as the reason"},
        {"no-wait", 0,   NULL,   "of a task: end before it has stopped"   },
        {NULL,      0,   NULL,   NULL                                     },
};
static const struct command_example examples[] = {
        {"ecsctl stop 4f1c",    "the task whose id begins so (local mode)"    },
        {"ecsctl stop backend", "the agent goes on without a session with ECS"},
        {NULL,                  NULL                                          },
};

const struct command command_stop = {
        .name = "stop",
        .usage = "WORKER|ID|ARN",
        .summary = "stops a worker until it is started again, or a task",
        .text = "A worker (engine, backend ... see 'ecsctl status'): containers and the other "
                "workers\n"
                "go on; what needs the worker waits for it. 'ecsctl start' ends that.\n\n"
                "A task, in local mode: its containers get SIGTERM, then SIGKILL after their stop\n"
                "timeout. The command waits for the end.",
        .options = options,
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .complete = COMPLETE_WORKER | COMPLETE_TASK,
        .run = run,
};
