/* ecsctl local: env gives shell lines that point AWS tools at the local control plane; fault and
 * record have files of their own. Older aws programs do not read AWS_ENDPOINT_URL, so a shell
 * function adds --endpoint-url for them. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "client.h"
#include "command.h"
#include "connection.h"
#include "error.h"
#include "local_faults.h"
#include "mem.h"

static void print_json(const Ecs__CtlStatusReply *s, const char *credentials)
{
        cleanup_json json_t *o = json_pack(
                "{ss ss ss ss}", "AWS_ENDPOINT_URL", s->local_endpoint, "AWS_DEFAULT_REGION",
                s->region, "AWS_SHARED_CREDENTIALS_FILE", credentials, "AWS_PROFILE", "default");
        (void)json_dumpf(o, stdout, JSON_INDENT(2));
        (void)putchar('\n');
}

/* In single quotes, as every POSIX shell reads it. */
static void print_export(const char *name, const char *value)
{
        (void)printf("export %s='", name);
        for (const char *p = value; *p != '\0'; p++) {
                if (*p == '\'')
                        (void)fputs("'\\''", stdout);
                else
                        (void)putchar(*p);
        }
        (void)puts("'");
}

static void print_shell(const Ecs__CtlStatusReply *s, const char *credentials)
{
        print_export("AWS_ENDPOINT_URL", s->local_endpoint);
        print_export("AWS_DEFAULT_REGION", s->region);
        print_export("AWS_SHARED_CREDENTIALS_FILE", credentials);
        print_export("AWS_PROFILE", "default");
        (void)puts("unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN\n"
                   "aws() { command aws --endpoint-url \"$AWS_ENDPOINT_URL\" \"$@\"; }");
}

static int run_env(struct ctl *c, const Ecs__CtlStatusReply *s, int argc, char **argv)
{
        cleanup_free char *credentials = mem_printf("%s/local/credentials", s->data_dir);
        (void)argc;
        (void)argv;
        if (c->json)
                print_json(s, credentials);
        else
                print_shell(s, credentials);
        return 0;
}

static int run_fault(struct ctl *c, const Ecs__CtlStatusReply *s, int argc, char **argv)
{
        (void)s;
        return local_fault(c, argc, argv);
}

static int run_record(struct ctl *c, const Ecs__CtlStatusReply *s, int argc, char **argv)
{
        (void)s;
        return local_record(c, argc, argv);
}

static const struct {
        const char *name;
        int max_args;
        int (*run)(struct ctl *c, const Ecs__CtlStatusReply *s, int argc, char **argv);
} parts[] = {
        {"env",    0,  run_env   },
        {"fault",  -1, run_fault },
        {"record", 1,  run_record}
};

static int run(struct ctl *c, int argc, char **argv)
{
        Ecs__CtlStatus m = ECS__CTL_STATUS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_STATUS, ctl_status, &m), *reply = NULL;
        struct error err = {0};
        size_t i = 0;
        while (i < ARRAY_SIZE(parts) && strcmp(parts[i].name, argv[0]) != 0)
                i++;
        if (i == ARRAY_SIZE(parts) || (parts[i].max_args >= 0 && argc - 1 > parts[i].max_args))
                return command_fail("usage: ecsctl local %s", c->command->usage);
        if (client_ask(c->client, &e, 5000, &reply, &err) != 0)
                return command_fail("%s", err.text);
        int code = reply->ctl_status_reply->local_mode
                           ? parts[i].run(c, reply->ctl_status_reply, argc - 1, argv + 1)
                           : command_fail("this agent runs without a local control plane; start "
                                          "ecs-supervisor with --local");
        ecs__envelope__free_unpacked(reply, NULL);
        return code;
}

static const struct command_example examples[] = {
        {"eval \"$(ecsctl local env)\"",
         "aws ecs, boto3 and the like speak to this agent from now on"                                                                  },
        {"ecsctl local fault help",                                                     "what may go wrong on purpose, and its settings"},
        {"ecsctl local fault throttle RegisterContainerInstance count=3",
         "the next three are refused"                                                                                                   },
        {"ecsctl local fault send acs type=TaskManifestMessage message=@manifest.json",
         "a message of your own"                                                                                                        },
        {"ecsctl local record",                                                         "what agents sent and were sent, a line each"   },
        {NULL,                                                                          NULL                                            }
};

const struct command command_local = {
        .name = "local",
        .usage = "env | fault ... | record [AFTER]",
        .summary = "the local control plane: settings for AWS tools, faults, its record",
        .text = "env prints shell lines that point AWS tools here. fault makes the control plane\n"
                "misbehave, to see how an agent and its tasks cope: [list | clear [ID] | help |\n"
                "FAULT ON [SETTING=VALUE]...]. record shows what went over the wire, without "
                "secrets;\n"
                "with AFTER only entries behind that number. fault and record need root.",
        .examples = examples,
        .min_args = 1,
        .max_args = -1,
        .run = run,
};
