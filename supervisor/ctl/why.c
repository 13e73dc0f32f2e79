/* ecsctl why: in sentences, why a task is where it is. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"
#include "task_list.h"

/* The most telling sentence there is. Returns owned. */
static char *reason(const Ecs__TaskFacts *t)
{
        if (t->waiting_for[0] != '\0')
                return mem_printf("it waits for %s", t->waiting_for);
        for (size_t i = 0; i < t->n_containers; i++) {
                const Ecs__ContainerFacts *f = t->containers[i];
                if (f->reason[0] != '\0')
                        return mem_printf("container %s: %s", f->name, f->reason);
        }
        if (t->stopped_reason[0] != '\0')
                return mem_strdup(t->stopped_reason);
        for (size_t i = 0; i < t->n_containers; i++) {
                const Ecs__ContainerFacts *f = t->containers[i];
                if (f->essential && strcmp(f->known_status, "STOPPED") == 0 && f->exit_code != NULL)
                        return mem_printf("its essential container %s ended with exit code %d",
                                          f->name, f->exit_code->value);
        }
        if (strcmp(t->known_status, t->desired_status) == 0)
                return mem_strdup("it is where ECS wants it");
        return mem_printf("it is on its way to %s", t->desired_status);
}

static int run(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        Ecs__Envelope *reply = task_list_get(c, argv[0]);
        if (reply == NULL)
                return 1;
        const Ecs__GetTasksReply *r = reply->get_tasks_reply;
        int code = r->n_tasks > 0 ? 0 : command_fail("no task '%s' here; see 'ecsctl tasks'", argv[0]);
        for (size_t i = 0; i < r->n_tasks; i++) {
                const Ecs__TaskFacts *t = r->tasks[i];
                cleanup_free char *text = reason(t);
                if (c->json) {
                        cleanup_json json_t *o =
                                json_pack("{ss ss ss}", "arn", t->arn, "knownStatus",
                                          t->known_status, "why", text);
                        (void)json_dumpf(o, stdout, JSON_COMPACT);
                        (void)putchar('\n');
                } else {
                        (void)printf("%s is %s: %s\n", task_list_id(t->arn), t->known_status, text);
                }
        }
        ecs__envelope__free_unpacked(reply, NULL);
        return code;
}

static const struct command_example examples[] = {
        {"ecsctl why 4f1c", "what the task waits for, or why it stopped"},
        {NULL, NULL}};

const struct command command_why = {
        .name = "why",
        .usage = "ID|ARN",
        .summary = "why a task is where it is, in a sentence",
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .complete = COMPLETE_TASK,
        .run = run,
};
