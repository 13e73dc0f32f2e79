/* ecsctl logs: what a task's containers print. */
#include <errno.h>
#include <string.h>

#include "log_view.h"
#include "task_list.h"

static int add_containers(struct log_view *v, const Ecs__TaskFacts *t, const char *only)
{
        bool found = false;
        for (size_t i = 0; i < t->n_containers; i++) {
                const Ecs__ContainerFacts *f = t->containers[i];
                if (only != NULL && strcmp(f->name, only) != 0)
                        continue;
                found = true;
                if (only == NULL && f->docker_id[0] == '\0')
                        continue; /* nothing to show yet; said only when it was asked for */
                int code = log_view_add(v, t->arn, f->name);
                if (code != 0)
                        return code;
        }
        if (!found)
                return command_fail("the task has no container '%s'; see 'ecsctl task %s'",
                                    only != NULL ? only : "", task_list_id(t->arn));
        if (v->count == 0)
                return command_fail("no container of the task has been created yet; 'ecsctl why "
                                    "%s' says why",
                                    task_list_id(t->arn));
        return 0;
}

static int show(struct log_view *v)
{
        while (log_view_is_open(v)) {
                struct pollfd fds[LOG_VIEW_MAX];
                log_view_poll(v, fds);
                if (poll(fds, v->count, -1) < 0 && errno != EINTR)
                        break;
                log_view_read(v, fds);
        }
        return v->refusal != NULL ? command_fail("%s", v->refusal) : 0;
}

static int run(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        const char *only = ctl_option(c, "container"), *tail = ctl_option(c, "tail");
        Ecs__Envelope *reply = task_list_find(c, argv[0]);
        if (reply == NULL)
                return 1;
        const Ecs__TaskFacts *t = reply->get_tasks_reply->tasks[0];
        const struct log_view_options o = {.follow = ctl_option(c, "follow") != NULL,
                                           .timestamps = ctl_option(c, "timestamps") != NULL,
                                           .tail = tail != NULL ? tail : "",
                                           .prefix = only == NULL && t->n_containers > 1};
        struct log_view v;
        log_view_init(&v, c, &o);
        int code = add_containers(&v, t, only);
        if (code == 0)
                code = show(&v);
        log_view_clear(&v);
        ecs__envelope__free_unpacked(reply, NULL);
        return code;
}

static const struct command_option options[] = {
        {"follow",     'f', NULL,    "go on with what is printed from now on"},
        {"container",  'c', "NAME",  "this container alone"                  },
        {"tail",       'n', "LINES", "begin so many lines before the end"    },
        {"timestamps", 't', NULL,    "the time before each line"             },
        {NULL,         0,   NULL,    NULL                                    },
};
static const struct command_example examples[] = {
        {"ecsctl logs 4f1c",           "what all containers of the task have printed"},
        {"ecsctl logs -f -c web 4f1c", "one container, as it prints"                 },
        {"ecsctl logs -n 20 4f1c",     "the last 20 lines of each"                   },
        {NULL,                         NULL                                          },
};

const struct command command_logs = {
        .name = "logs",
        .usage = "[-f] [-c NAME] ID|ARN",
        .summary = "what the containers of a task print",
        .text = "Reads what Docker's log driver keeps: json-file, local and journald, and with "
                "recent\n"
                "versions of Docker every driver. With several containers each line begins with "
                "the\n"
                "container's name.",
        .options = options,
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .complete = COMPLETE_TASK,
        .run = run,
};
