/* ecsctl why: in a sentence, why a task is where it is. What waits comes first, then what failed,
 * then what ended, told as people say it: exit code 137 is a kill. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "client.h"
#include "clock.h"
#include "connection.h"
#include "error.h"
#include "mem.h"
#include "task_list.h"

/* What an exit code says to those who know shells; NULL for any other. */
static const char *exit_meaning(int code)
{
        static const struct {
                int code;
                const char *meaning;
        } known[] = {
                {126, "the command may not be executed"                                  },
                {127, "the command was not found"                                        },
                {134, "SIGABRT: it aborted"                                              },
                {137, "SIGKILL: out of memory, killed, or stopped after its stop timeout"},
                {139, "SIGSEGV: it crashed"                                              },
                {143, "SIGTERM: it ended when asked to stop"                             },
        };
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (known[i].code == code)
                        return known[i].meaning;
        return NULL;
}

static bool is(const char *status, const char *name)
{
        return strcmp(status, name) == 0;
}

static const char *first_failure(const Ecs__TaskFacts *t, const char **ret_name)
{
        for (size_t i = 0; i < t->n_containers; i++)
                if (t->containers[i]->reason[0] != '\0') {
                        *ret_name = t->containers[i]->name;
                        return t->containers[i]->reason;
                }
        return NULL;
}

static void put_stopped(struct buf *b, const Ecs__TaskFacts *t)
{
        const char *name = "", *failure = first_failure(t, &name);
        const Ecs__ContainerFacts *f = task_list_first_ended(t);
        if (t->stopped_reason[0] != '\0')
                buf_printf(b, ": %s", t->stopped_reason);
        if (failure != NULL)
                buf_printf(b, "%s container %s: %s", t->stopped_reason[0] != '\0' ? ";" : ":", name,
                           failure);
        else if (f != NULL) {
                const char *meaning = exit_meaning(f->exit_code->value);
                buf_printf(b, "%s its essential container %s ended with exit code %d",
                           t->stopped_reason[0] != '\0' ? ";" : ":", f->name, f->exit_code->value);
                if (meaning != NULL)
                        buf_printf(b, " (%s)", meaning);
        }
}

static void put_unhealthy(struct buf *b, const Ecs__TaskFacts *t)
{
        for (size_t i = 0; i < t->n_containers; i++) {
                const Ecs__ContainerFacts *f = t->containers[i];
                if (f->health != NULL && is(f->health->status, "UNHEALTHY"))
                        buf_printf(b, "; container %s is unhealthy: %s", f->name,
                                   f->health->output[0] != '\0' ? f->health->output
                                                                : "its check fails");
                else if (is(f->known_status, "STOPPED") && f->exit_code != NULL)
                        buf_printf(b, "; container %s has ended with exit code %d", f->name,
                                   f->exit_code->value);
        }
}

/* Why the task is where it is. Returns owned. */
static char *reason(const Ecs__TaskFacts *t)
{
        struct buf b = {0};
        int64_t since = t->created_at_ms > 0 ? (clock_wall_ms() - t->created_at_ms) / 1000 : 0;
        if (is(t->known_status, "STOPPED")) {
                buf_append_str(&b, "has stopped");
                put_stopped(&b, t);
        } else if (is(t->desired_status, "STOPPED")) {
                buf_printf(&b, "is being stopped%s%s", t->stopped_reason[0] != '\0' ? ": " : "",
                           t->stopped_reason);
                buf_append_str(&b, "; its containers have until their stop timeout");
        } else if (is(t->known_status, "RUNNING")) {
                buf_append_str(&b, "is RUNNING, as ECS wants it");
                put_unhealthy(&b, t);
        } else if (t->waiting_for[0] != '\0') {
                buf_printf(&b, "is not RUNNING yet, %lld s after it was accepted: it waits for %s",
                           (long long)since, t->waiting_for);
        } else {
                buf_printf(&b, "is on its way from %s to RUNNING, %lld s after it was accepted",
                           t->known_status, (long long)since);
        }
        return buf_steal(&b);
}

/* What stands between the task and ECS's view of it. Owned; "" when nothing does. */
static char *link_note(struct ctl *c)
{
        struct client backend = {.fd = -1};
        struct error err = {0};
        Ecs__GetLink m = ECS__GET_LINK__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(GET_LINK, get_link, &m), *reply = NULL;
        struct buf b = {0};
        if (!client_worker_is_ready(c->client, "backend") ||
            client_open_peer(c->client, "backend", &backend, &err) != 0 ||
            client_ask(&backend, &e, 2000, &reply, &err) != 0) {
                buf_append_str(&b, "ECS is not told: the backend worker does not answer");
        } else {
                const Ecs__Link *l = reply->link;
                if (!l->registered || strcmp(l->acs, "connected") != 0)
                        buf_printf(&b, "there is no session with ECS: %s", l->acs);
                if (l->outbox > 0)
                        buf_printf(&b, "%s%u changes are not yet reported to ECS",
                                   b.length > 0 ? "; " : "", l->outbox);
                ecs__envelope__free_unpacked(reply, NULL);
        }
        client_close(&backend);
        return buf_steal(&b);
}

static void print_json(const Ecs__TaskFacts *t, const char *text, const char *note)
{
        cleanup_json json_t *o = json_pack("{ss ss ss ss}", "arn", t->arn, "knownStatus",
                                           t->known_status, "why", text, "link", note);
        (void)json_dumpf(o, stdout, JSON_COMPACT);
        (void)putchar('\n');
}

static int run(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        Ecs__Envelope *reply = task_list_find(c, argv[0]);
        if (reply == NULL)
                return 1;
        const Ecs__TaskFacts *t = reply->get_tasks_reply->tasks[0];
        cleanup_free char *text = reason(t);
        cleanup_free char *note = link_note(c);
        if (c->json)
                print_json(t, text, note);
        else
                (void)printf("task %s %s.%s%s\n", task_list_id(t->arn), text,
                             *note != '\0' ? "\nNote: " : "", note);
        ecs__envelope__free_unpacked(reply, NULL);
        return 0;
}

static const struct command_example examples[] = {
        {"ecsctl why 4f1c", "what the task waits for, or why it stopped"},
        {NULL,              NULL                                        }
};

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
