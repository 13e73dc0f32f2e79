/* ecsctl status: the workers, the session with ECS, and what is degraded. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cleanup.h"
#include "connection.h"
#include "ctl.h"

static Ecs__Envelope *ask_link(struct ctl *c, const Ecs__CtlStatusReply *s)
{
        for (size_t i = 0; i < s->n_workers; i++) {
                const Ecs__WorkerStatus *w = s->workers[i];
                if (ipc_peer_from_name(w->name) != PEER_BACKEND ||
                    *w->state != 'r') /* asking a worker that is not ready would wait */
                        continue;
                cleanup_fd int fd = ctl_peer(c, "backend");
                Ecs__GetLink m = ECS__GET_LINK__INIT;
                Ecs__Envelope e = IPC_ENVELOPE(GET_LINK, get_link, &m);
                return fd >= 0 ? ctl_ask(fd, &e, NULL) : NULL;
        }
        return NULL;
}

static void print_json(const Ecs__CtlStatusReply *s, const Ecs__Link *l)
{
        json_t *workers = json_array(), *notices = json_array();
        for (size_t i = 0; i < s->n_workers; i++) {
                const Ecs__WorkerStatus *w = s->workers[i];
                (void)json_array_append_new(
                        workers,
                        json_pack("{s:s, s:s, s:i, s:i, s:I, s:b, s:s, s:s}", "name", w->name,
                                  "state", w->state, "pid", (int)w->pid, "restarts",
                                  (int)w->restarts, "sinceMs", (json_int_t)w->since_ms, "degraded",
                                  w->degraded, "text", w->text, "lastExit", w->last_exit));
        }
        for (size_t i = 0; i < s->n_notices; i++)
                (void)json_array_append_new(notices, json_string(s->notices[i]));
        cleanup_json json_t *o = json_pack(
                "{s:s, s:I, s:s, s:s, s:s, s:b, s:s, s:o, s:o}", "version", s->version, "uptimeMs",
                (json_int_t)s->uptime_ms, "cluster", s->cluster, "region", s->region, "dataDir",
                s->data_dir, "local", s->local_mode, "localEndpoint", s->local_endpoint, "workers",
                workers, "notices", notices);
        if (l != NULL)
                (void)json_object_set_new(o, "link",
                                          json_pack("{s:b, s:s, s:i, s:s}", "registered",
                                                    l->registered, "acs", l->acs, "outbox",
                                                    (int)l->outbox, "lastError", l->last_error));
        cleanup_free char *text = json_dumps(o, JSON_INDENT(2));
        (void)puts(text);
}

static void print_text(const Ecs__CtlStatusReply *s, const Ecs__Link *l)
{
        (void)printf("ECS agent %s, up %llu s, cluster %s, region %s%s\n", s->version,
                     (unsigned long long)(s->uptime_ms / 1000),
                     *s->cluster != '\0' ? s->cluster : "default",
                     *s->region != '\0' ? s->region : "unknown",
                     s->local_mode ? ", local mode" : "");
        if (s->local_mode)
                (void)printf("control plane  %s\n", s->local_endpoint);
        if (l != NULL)
                (void)printf("session        %s%s, %u changes to report%s%s\n", l->acs,
                             l->registered ? "" : " (not registered)", l->outbox,
                             *l->last_error != '\0' ? "; last error: " : "", l->last_error);
        (void)printf("\n%-10s %-9s %8s %9s  %s\n", "WORKER", "STATE", "PID", "RESTARTS", "");
        for (size_t i = 0; i < s->n_workers; i++) {
                const Ecs__WorkerStatus *w = s->workers[i];
                (void)printf("%-10s %-9s %8u %9u  %s%s%s\n", w->name, w->state, w->pid, w->restarts,
                             w->degraded ? w->text : "",
                             *w->last_exit != '\0' ? "last ended with " : "", w->last_exit);
        }
        for (size_t i = 0; i < s->n_notices; i++)
                (void)printf("\nnote: %s", s->notices[i]);
        if (s->n_notices > 0)
                (void)printf("\n");
}

static int run(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        (void)argv;
        Ecs__CtlStatus m = ECS__CTL_STATUS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_STATUS, ctl_status, &m);
        Ecs__Envelope *reply = ctl_ask(c->socket, &e, NULL);
        if (reply == NULL)
                return 1;
        Ecs__Envelope *link = ask_link(c, reply->ctl_status_reply);
        (c->json ? print_json : print_text)(reply->ctl_status_reply,
                                            link != NULL ? link->link : NULL);
        if (link != NULL)
                ecs__envelope__free_unpacked(link, NULL);
        ecs__envelope__free_unpacked(reply, NULL);
        return 0;
}

const struct ctl_command ctl_status = {"status", "status", "workers, session, what is degraded", 0,
                                       run};
