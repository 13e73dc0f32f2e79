/* ecsctl config: every setting in effect, where it came from and who is sent it. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "client.h"
#include "command.h"
#include "connection.h"
#include "error.h"

#define MASK "(secret)"

static const char *shown(const Ecs__CtlSetting *s)
{
        return s->secret && s->is_set ? MASK : s->value;
}

static void put_json(json_t *all, const Ecs__CtlSetting *s)
{
        json_t *value = s->is_set ? json_string(shown(s)) : json_null();
        (void)json_array_append_new(
                all, json_pack("{ss so ss ss sb sb ss ss}", "name", s->name, "value", value,
                               "origin", s->origin, "default", s->fallback, "secret",
                               (int)s->secret, "inEffect", (int)(*s->obstacle == '\0'), "reason",
                               s->obstacle, "recipients", s->recipients));
}

static void put_text(const Ecs__CtlSetting *s)
{
        (void)printf("%s=%s\n", s->name, shown(s));
        (void)printf("    from %s", s->is_set ? s->origin : "nowhere: unset");
        if (*s->fallback != '\0' && strcmp(s->fallback, s->value) != 0)
                (void)printf(" (default %s)", s->fallback);
        if (*s->recipients != '\0')
                (void)printf("; for %s", s->recipients);
        if (*s->obstacle != '\0')
                (void)printf("; not in effect: %s", s->obstacle);
        (void)putchar('\n');
}

/* One line a setting; what is not in effect has a mark. */
static void put_row(const Ecs__CtlSetting *s)
{
        (void)printf("%c %-50s %-22s %s\n", *s->obstacle != '\0' ? '-' : ' ', s->name,
                     s->is_set ? s->origin : "unset", shown(s));
}

static int run(struct ctl *c, int argc, char **argv)
{
        Ecs__CtlConfig m = ECS__CTL_CONFIG__INIT;
        cleanup_json json_t *all = json_array();
        struct error err = {0};
        m.name = argc > 0 ? argv[0] : (char *)"";
        if (!c->json && argc == 0)
                (void)printf("  %-50s %-22s %s\n", "NAME", "FROM", "VALUE");
        do {
                Ecs__Envelope e = IPC_ENVELOPE(CTL_CONFIG, ctl_config, &m), *reply = NULL;
                if (client_ask(c->client, &e, 5000, &reply, &err) != 0)
                        return command_fail("%s", err.text);
                const Ecs__CtlConfigReply *r = reply->ctl_config_reply;
                for (size_t i = 0; i < r->n_settings; i++)
                        if (c->json)
                                put_json(all, r->settings[i]);
                        else
                                (argc > 0 ? put_text : put_row)(r->settings[i]);
                m.from = r->next;
                ecs__envelope__free_unpacked(reply, NULL);
        } while (m.from != 0);
        if (c->json) {
                (void)json_dumpf(argc > 0 ? json_array_get(all, 0) : all, stdout, JSON_INDENT(2));
                (void)putchar('\n');
        } else if (argc == 0) {
                (void)puts("\n- not in effect; 'ecsctl config NAME' says why");
        }
        return 0;
}

static const struct command_example examples[] = {
        {"ecsctl config",                                                    "every setting, with - before those that are not in effect"},
        {"ecsctl config ECS_CLUSTER",                                        "one setting: value, origin, default, who is sent it"      },
        {"ecsctl config --json | jq '.[] | select(.origin != \"default\")'", "what was set"                                             },
        {NULL,                                                               NULL                                                       }
};

const struct command command_config = {
        .name = "config",
        .usage = "[NAME]",
        .summary = "settings in effect, where they came from, who gets them",
        .text = "The origin is a file, environment, flag, JSON file, user data, IMDS (the instance\n"
                "metadata service), local mode or default. Secrets are masked: they never leave the\n"
                "supervisor but for the workers that need them.",
        .examples = examples,
        .min_args = 0,
        .max_args = 1,
        .run = run,
};
