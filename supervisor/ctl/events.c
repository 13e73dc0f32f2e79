/* ecsctl events: what happened lately, and with --follow what happens, one line each. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "client.h"
#include "clock.h"
#include "command.h"
#include "connection.h"
#include "error.h"

#define ASK_MS 5000
#define RECONNECT_US 500000

static void print_json(const Ecs__AgentEvent *e)
{
        char when[CLOCK_TEXT];
        cleanup_json json_t *o = json_pack(
                "{ss ss ss ss ss ss}", "time", clock_format_ms(e->time_ms, when), "kind", e->kind,
                "subject", e->subject, "from", e->from, "to", e->to, "text", e->text);
        if (e->container[0] != '\0')
                (void)json_object_set_new(o, "container", json_string(e->container));
        (void)json_dumpf(o, stdout, JSON_COMPACT);
        (void)putchar('\n');
}

static void print_text(const Ecs__AgentEvent *e)
{
        char when[32];
        struct tm tm;
        time_t t = (time_t)(e->time_ms / 1000);
        (void)localtime_r(&t, &tm);
        (void)strftime(when, sizeof when, "%F %T", &tm);
        (void)printf("%s.%03d %-9s %s%s%s: %s -> %s%s%s\n", when, (int)(e->time_ms % 1000), e->kind,
                     e->subject, e->container[0] != '\0' ? " " : "", e->container, e->from, e->to,
                     e->text[0] != '\0' ? ": " : "", e->text);
}

static void on_event(void *arg, const Ecs__Envelope *e)
{
        const struct ctl *c = arg;
        if (e->body_case != ECS__ENVELOPE__BODY_AGENT_EVENT)
                return;
        (c->json ? print_json : print_text)(e->agent_event);
        (void)fflush(stdout);
}

static int ask(struct ctl *c, bool follow, struct error *err)
{
        Ecs__CtlEvents m = ECS__CTL_EVENTS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_EVENTS, ctl_events, &m), *reply = NULL;
        m.follow = follow;
        c->client->on_event = on_event;
        c->client->event_arg = c;
        int r = client_ask(c->client, &e, ASK_MS, &reply, err);
        if (reply != NULL)
                ecs__envelope__free_unpacked(reply, NULL);
        return r;
}

/* The service ends and comes back; so does this. */
static void reconnect(struct ctl *c)
{
        struct error err = {0};
        (void)fputs("ecsctl: the agent has gone, waiting for it\n", stderr);
        do {
                client_close(c->client);
                (void)usleep(RECONNECT_US);
        } while (client_open(c->client, c->run_dir, &err) != 0 || ask(c, true, &err) != 0);
}

static int run(struct ctl *c, int argc, char **argv)
{
        bool follow = ctl_option(c, "follow") != NULL;
        struct error err = {0};
        (void)argc;
        (void)argv;
        if (ask(c, follow, &err) != 0)
                return command_fail("%s", err.text);
        while (follow)
                if (client_wait_event(c->client, 3600000) < 0)
                        reconnect(c);
        return 0;
}

static const struct command_option options[] = {
        {"follow", 'f', NULL, "go on with what happens from now on"},
        {NULL,     0,   NULL, NULL                                 },
};
static const struct command_example examples[] = {
        {"ecsctl events -f",                                          "watch tasks, containers, workers and the session with ECS"},
        {"ecsctl events -f --json | jq 'select(.to == \"STOPPED\")'", "what stops"                                               },
        {NULL,                                                        NULL                                                       },
};

const struct command command_events = {
        .name = "events",
        .usage = "[-f]",
        .summary = "changes of tasks, containers, workers and the session",
        .text = "Shows the last 256 changes since the service started; each names what changed, "
                "from\n"
                "what to what, and why.",
        .options = options,
        .examples = examples,
        .run = run,
};
