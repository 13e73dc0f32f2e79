/* ecsctl tasks, task, why: what the engine knows, from the engine itself. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "connection.h"
#include "ctl.h"

static Ecs__Envelope *ask(struct ctl *c, const char *arn)
{
        cleanup_fd int fd = ctl_peer(c, "engine");
        Ecs__GetTasks m = ECS__GET_TASKS__INIT;
        m.arn = (char *)arn;
        Ecs__Envelope e = IPC_ENVELOPE(GET_TASKS, get_tasks, &m);
        return fd >= 0 ? ctl_ask(fd, &e, NULL) : NULL;
}

static const char *id_of(const char *arn)
{
        const char *slash = strrchr(arn, '/');
        return slash != NULL ? slash + 1 : arn;
}

static json_t *container_json(const Ecs__ContainerFacts *f)
{
        json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "name", f->name, "image",
                              f->image, "dockerId", f->docker_id, "knownStatus", f->known_status,
                              "desiredStatus", f->desired_status, "reason", f->reason, "essential",
                              f->essential);
        if (f->exit_code != NULL)
                (void)json_object_set_new(o, "exitCode", json_integer(f->exit_code->value));
        return o;
}

static json_t *task_json(const Ecs__TaskFacts *t)
{
        json_t *containers = json_array();
        for (size_t i = 0; i < t->n_containers; i++)
                (void)json_array_append_new(containers, container_json(t->containers[i]));
        return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "arn", t->arn, "family",
                         t->family, "version", t->version, "knownStatus", t->known_status,
                         "desiredStatus", t->desired_status, "stoppedReason", t->stopped_reason,
                         "waitingFor", t->waiting_for, "containers", containers);
}

static int print_json(const Ecs__GetTasksReply *r)
{
        cleanup_json json_t *list = json_array();
        for (size_t i = 0; i < r->n_tasks; i++)
                (void)json_array_append_new(list, task_json(r->tasks[i]));
        cleanup_free char *text = json_dumps(list, JSON_INDENT(2));
        return puts(text) < 0;
}

static void print_row(const Ecs__TaskFacts *t)
{
        (void)printf("%-34s %-24s %-16s %-10s %s\n", id_of(t->arn), t->family, t->known_status,
                     t->desired_status, t->waiting_for);
}

static int run_tasks(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        (void)argv;
        Ecs__Envelope *reply = ask(c, "");
        if (reply == NULL)
                return 1;
        const Ecs__GetTasksReply *r = reply->get_tasks_reply;
        if (c->json) {
                (void)print_json(r);
        } else {
                (void)printf("%-34s %-24s %-16s %-10s\n", "TASK", "FAMILY", "KNOWN", "DESIRED");
                for (size_t i = 0; i < r->n_tasks; i++)
                        print_row(r->tasks[i]);
        }
        ecs__envelope__free_unpacked(reply, NULL);
        return 0;
}

static void print_task(const Ecs__TaskFacts *t)
{
        char when[CLOCK_TEXT];
        (void)printf("task     %s\nfamily   %s:%s\nstatus   %s, wanted %s\naccepted %s\n", t->arn,
                     t->family, t->version, t->known_status, t->desired_status,
                     clock_format_ms(t->created_at_ms, when));
        for (size_t i = 0; i < t->n_containers; i++) {
                const Ecs__ContainerFacts *f = t->containers[i];
                (void)printf("\ncontainer %s\n  image    %s\n  status   %s\n  docker   %s\n", f->name,
                             f->image, f->known_status, f->docker_name);
                if (f->exit_code != NULL)
                        (void)printf("  exit     %d\n", f->exit_code->value);
                if (*f->reason != '\0')
                        (void)printf("  reason   %s\n", f->reason);
                for (size_t k = 0; k < f->n_ports; k++)
                        (void)printf("  port     %s:%u -> %u/%s\n", f->ports[k]->host_ip,
                                     f->ports[k]->host_port, f->ports[k]->container_port,
                                     f->ports[k]->protocol);
        }
}

/* One sentence: what it waits for, or why it stopped. */
static void print_why(const Ecs__TaskFacts *t)
{
        if (*t->waiting_for != '\0') {
                (void)printf("%s: %s\n", id_of(t->arn), t->waiting_for);
                return;
        }
        for (size_t i = 0; i < t->n_containers; i++) {
                const Ecs__ContainerFacts *f = t->containers[i];
                if (!f->essential || strcmp(f->known_status, "STOPPED") != 0)
                        continue;
                if (*f->reason != '\0')
                        (void)printf("%s: essential container %s stopped: %s\n", id_of(t->arn),
                                     f->name, f->reason);
                else if (f->exit_code != NULL)
                        (void)printf("%s: essential container %s exited with code %d at %s\n",
                                     id_of(t->arn), f->name, f->exit_code->value, f->finished_at);
                else
                        (void)printf("%s: essential container %s was stopped before it ran\n",
                                     id_of(t->arn), f->name);
                return;
        }
        (void)printf("%s: is %s, wanted %s; nothing is waited for\n", id_of(t->arn),
                     t->known_status, t->desired_status);
}

static int run_one(struct ctl *c, const char *id, void (*print)(const Ecs__TaskFacts *t))
{
        Ecs__Envelope *reply = ask(c, id);
        if (reply == NULL)
                return 1;
        const Ecs__GetTasksReply *r = reply->get_tasks_reply;
        int code = r->n_tasks > 0 ? 0 : 1;
        if (code != 0)
                (void)fprintf(stderr, "ecsctl: no task '%s'; 'ecsctl tasks' lists them\n", id);
        else if (c->json)
                (void)print_json(r);
        for (size_t i = 0; !c->json && i < r->n_tasks; i++)
                print(r->tasks[i]);
        ecs__envelope__free_unpacked(reply, NULL);
        return code;
}

static int run_task(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        return run_one(c, argv[0], print_task);
}

static int run_why(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        return run_one(c, argv[0], print_why);
}

const struct ctl_command ctl_tasks = {"tasks", "tasks", "all tasks the engine knows", 0, run_tasks};
const struct ctl_command ctl_task = {"task", "task ID", "one task with its containers", 1, run_task};
const struct ctl_command ctl_why = {"why", "why ID",
                                    "in a sentence: what it waits for, or why it stopped", 1,
                                    run_why};
