/* ecsctl tasks: one line for each task the engine knows. */
#include <stdio.h>

#include "task_list.h"

static int run(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        (void)argv;
        Ecs__Envelope *reply = task_list_get(c, "");
        if (reply == NULL)
                return 1;
        const Ecs__GetTasksReply *r = reply->get_tasks_reply;
        if (c->json)
                task_list_print_json(r);
        else
                (void)printf("%-34s %-24s %-10s %-10s %s\n", "TASK", "FAMILY:VERSION", "KNOWN",
                             "DESIRED", "CONTAINERS");
        for (size_t i = 0; !c->json && i < r->n_tasks; i++) {
                const Ecs__TaskFacts *t = r->tasks[i];
                char family[256];
                (void)snprintf(family, sizeof family, "%s:%s", t->family, t->version);
                (void)printf("%-34s %-24s %-10s %-10s %zu\n", task_list_id(t->arn), family,
                             t->known_status, t->desired_status, t->n_containers);
        }
        ecs__envelope__free_unpacked(reply, NULL);
        return 0;
}

static const struct command_example examples[] = {
        {"ecsctl tasks", "one line for each task of this host"},
        {NULL, NULL}};

const struct command command_tasks = {
        .name = "tasks",
        .usage = "",
        .summary = "tasks on this host",
        .examples = examples,
        .run = run,
};
