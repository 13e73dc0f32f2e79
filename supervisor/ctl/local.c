/* ecsctl local env: shell lines that point AWS tools at the local control plane. Older aws
 * programs do not read AWS_ENDPOINT_URL, so a shell function adds --endpoint-url for them. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "client.h"
#include "command.h"
#include "connection.h"
#include "error.h"
#include "mem.h"

static void print_json(const Ecs__CtlStatusReply *s, const char *credentials)
{
        cleanup_json json_t *o =
                json_pack("{ss ss ss ss}", "AWS_ENDPOINT_URL", s->local_endpoint,
                          "AWS_DEFAULT_REGION", s->region, "AWS_SHARED_CREDENTIALS_FILE",
                          credentials, "AWS_PROFILE", "default");
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

static int run(struct ctl *c, int argc, char **argv)
{
        Ecs__CtlStatus m = ECS__CTL_STATUS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_STATUS, ctl_status, &m), *reply = NULL;
        struct error err = {0};
        (void)argc;
        if (strcmp(argv[0], "env") != 0)
                return command_fail("usage: ecsctl local env");
        if (client_ask(c->client, &e, 5000, &reply, &err) != 0)
                return command_fail("%s", err.text);
        const Ecs__CtlStatusReply *s = reply->ctl_status_reply;
        int code = 0;
        cleanup_free char *credentials = mem_printf("%s/local/credentials", s->data_dir);
        if (!s->local_mode)
                code = command_fail("this agent runs without a local control plane; start "
                                    "ecs-supervisor with --local");
        else if (c->json)
                print_json(s, credentials);
        else
                print_shell(s, credentials);
        ecs__envelope__free_unpacked(reply, NULL);
        return code;
}

static const struct command_example examples[] = {
        {"eval \"$(ecsctl local env)\"", "aws ecs, boto3 and the like speak to this agent from now on"},
        {NULL, NULL}};

const struct command command_local = {
        .name = "local",
        .usage = "env",
        .summary = "shell lines that point AWS tools at the local control plane",
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .run = run,
};
