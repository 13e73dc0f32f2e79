/* ecsctl task: one task and its containers. */
#include <stdio.h>

#include "task_list.h"

static void print_container(const Ecs__ContainerFacts *f)
{
        (void)printf("  %-20s %-10s -> %-10s %s", f->name, f->known_status, f->desired_status,
                     f->image);
        if (f->exit_code != NULL)
                (void)printf("  exit %d", f->exit_code->value);
        if (f->docker_id[0] != '\0')
                (void)printf("  docker %.12s", f->docker_id);
        for (size_t i = 0; i < f->n_ports; i++)
                (void)printf("  %u->%u/%s", f->ports[i]->host_port, f->ports[i]->container_port,
                             f->ports[i]->protocol);
        if (f->reason[0] != '\0')
                (void)printf("\n      %s", f->reason);
        (void)putchar('\n');
}

static void print_task(const Ecs__TaskFacts *t)
{
        (void)printf("%s\n%s:%s  %s -> %s\n", t->arn, t->family, t->version, t->known_status,
                     t->desired_status);
        if (t->waiting_for[0] != '\0')
                (void)printf("waiting for: %s\n", t->waiting_for);
        if (t->stopped_reason[0] != '\0')
                (void)printf("stopped: %s\n", t->stopped_reason);
        for (size_t i = 0; i < t->n_containers; i++)
                print_container(t->containers[i]);
}

static int run(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        Ecs__Envelope *reply = task_list_get(c, argv[0]);
        if (reply == NULL)
                return 1;
        const Ecs__GetTasksReply *r = reply->get_tasks_reply;
        int code = r->n_tasks > 0 ? 0 : command_fail("no task '%s' here; see 'ecsctl tasks'", argv[0]);
        if (c->json && code == 0)
                task_list_print_json(r);
        for (size_t i = 0; !c->json && i < r->n_tasks; i++)
                print_task(r->tasks[i]);
        ecs__envelope__free_unpacked(reply, NULL);
        return code;
}

static const struct command_example examples[] = {
        {"ecsctl task 4f1c", "the task whose id begins so"},
        {NULL, NULL}};

const struct command command_task = {
        .name = "task",
        .usage = "ID|ARN",
        .summary = "one task and its containers",
        .text = "ID is the part of the ARN behind the last slash, or as much of its beginning as is\n"
                "needed.",
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .complete = COMPLETE_TASK,
        .run = run,
};
