/* ecsctl status: every worker's state, the session with ECS, and what this host cannot do. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "client.h"
#include "command.h"
#include "connection.h"
#include "error.h"

/* How the backend stands with ECS; NULL when it is not there to say. */
static Ecs__Envelope *ask_link(struct ctl *c, const Ecs__CtlStatusReply *s)
{
        for (size_t i = 0; i < s->n_workers; i++) {
                struct client backend;
                struct error err = {0};
                Ecs__GetLink m = ECS__GET_LINK__INIT;
                Ecs__Envelope e = IPC_ENVELOPE(GET_LINK, get_link, &m), *reply = NULL;
                if (strcmp(s->workers[i]->name, "backend") != 0 ||
                    strcmp(s->workers[i]->state, "ready") != 0)
                        continue; /* asking a worker that is not ready would wait */
                if (client_open_peer(c->client, "backend", &backend, &err) == 0)
                        (void)client_ask(&backend, &e, 2000, &reply, &err);
                client_close(&backend);
                return reply;
        }
        return NULL;
}

static void print_json(const Ecs__CtlStatusReply *s, const Ecs__Link *l)
{
        cleanup_json json_t *workers = json_array(), *notices = json_array();
        for (size_t i = 0; i < s->n_workers; i++) {
                const Ecs__WorkerStatus *w = s->workers[i];
                (void)json_array_append_new(
                        workers,
                        json_pack("{ss ss si si sI sb ss ss}", "name", w->name, "state", w->state,
                                  "pid", (int)w->pid, "restarts", (int)w->restarts, "sinceMs",
                                  (json_int_t)w->since_ms, "degraded", (int)w->degraded, "text",
                                  w->text, "lastExit", w->last_exit));
        }
        for (size_t i = 0; i < s->n_notices; i++)
                (void)json_array_append_new(notices, json_string(s->notices[i]));
        cleanup_json json_t *all = json_pack(
                "{ss sI sb ss ss ss ss sO sO}", "version", s->version, "uptimeMs",
                (json_int_t)s->uptime_ms, "local", (int)s->local_mode, "localEndpoint",
                s->local_endpoint, "dataDir", s->data_dir, "region", s->region, "cluster",
                s->cluster, "workers", workers, "notices", notices);
        if (l != NULL)
                (void)json_object_set_new(all, "link",
                                          json_pack("{sb ss si ss}", "registered",
                                                    (int)l->registered, "acs", l->acs, "outbox",
                                                    (int)l->outbox, "lastError", l->last_error));
        (void)json_dumpf(all, stdout, JSON_INDENT(2));
        (void)putchar('\n');
}

static void print_text(const Ecs__CtlStatusReply *s, const Ecs__Link *l)
{
        (void)printf("agent %s, up %" PRIu64 " s, region %s, cluster %s, data in %s\n", s->version,
                     s->uptime_ms / 1000, s->region, s->cluster[0] != '\0' ? s->cluster : "default",
                     s->data_dir);
        if (s->local_mode)
                (void)printf("local control plane at %s; eval \"$(ecsctl local env)\" to use it\n",
                             s->local_endpoint);
        if (l != NULL)
                (void)printf("session %s%s, %u changes to report%s%s\n", l->acs,
                             l->registered ? "" : " (not registered)", l->outbox,
                             l->last_error[0] != '\0' ? "; last error: " : "", l->last_error);
        (void)printf("\n%-10s %-9s %8s %9s %9s  %s\n", "WORKER", "STATE", "PID", "SINCE", "RESTARTS",
                     "");
        for (size_t i = 0; i < s->n_workers; i++) {
                const Ecs__WorkerStatus *w = s->workers[i];
                (void)printf("%-10s %-9s %8u %7" PRIu64 " s %9u  %s%s%s%s\n", w->name, w->state,
                             w->pid, w->since_ms / 1000, w->restarts,
                             w->degraded ? "degraded: " : "", w->text,
                             w->last_exit[0] != '\0' ? "  last end: " : "", w->last_exit);
        }
        for (size_t i = 0; i < s->n_notices; i++)
                (void)printf("%s! %s\n", i == 0 ? "\n" : "", s->notices[i]);
}

static int run(struct ctl *c, int argc, char **argv)
{
        Ecs__CtlStatus m = ECS__CTL_STATUS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_STATUS, ctl_status, &m), *reply = NULL;
        struct error err = {0};
        (void)argc;
        (void)argv;
        if (client_ask(c->client, &e, 5000, &reply, &err) != 0)
                return command_fail("%s", err.text);
        const Ecs__CtlStatusReply *s = reply->ctl_status_reply;
        Ecs__Envelope *link = ask_link(c, s);
        (c->json ? print_json : print_text)(s, link != NULL ? link->link : NULL);
        if (link != NULL)
                ecs__envelope__free_unpacked(link, NULL);
        ecs__envelope__free_unpacked(reply, NULL);
        return 0;
}

static const struct command_example examples[] = {
        {"ecsctl status", "what runs, since when, and what this host cannot do"},
        {"ecsctl status --json | jq .link.acs", "the state of the session with ECS"},
        {NULL, NULL}};

const struct command command_status = {
        .name = "status",
        .usage = "",
        .summary = "workers, the session with ECS, and what this host cannot do",
        .examples = examples,
        .run = run,
};
