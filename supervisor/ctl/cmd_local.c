/* ecsctl local env: what a shell needs to speak to the local control plane with the aws CLI. */
#include <stdio.h>
#include <string.h>

#include "connection.h"
#include "ctl.h"

static int run(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        if (strcmp(argv[0], "env") != 0) {
                (void)fprintf(stderr, "ecsctl: usage: ecsctl local env\n");
                return 2;
        }
        Ecs__CtlStatus m = ECS__CTL_STATUS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_STATUS, ctl_status, &m);
        Ecs__Envelope *reply = ctl_ask(c->socket, &e, NULL);
        if (reply == NULL)
                return 1;
        const Ecs__CtlStatusReply *s = reply->ctl_status_reply;
        int code = s->local_mode ? 0 : 1;
        if (code != 0)
                (void)fprintf(stderr, "ecsctl: this agent does not run in local mode; start it "
                                      "with --local\n");
        else
                /* older aws CLIs do not read AWS_ENDPOINT_URL, hence the function */
                (void)printf("export AWS_ENDPOINT_URL=%s\n"
                             "export AWS_SHARED_CREDENTIALS_FILE=%s/local/credentials\n"
                             "export AWS_PROFILE=default\n"
                             "export AWS_DEFAULT_REGION=%s\n"
                             "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN\n"
                             "aws() { command aws --endpoint-url \"$AWS_ENDPOINT_URL\" \"$@\"; }\n",
                             s->local_endpoint, s->data_dir, s->region);
        ecs__envelope__free_unpacked(reply, NULL);
        return code;
}

const struct ctl_command ctl_local = {"local", "local env",
                                      "shell settings for the aws CLI: eval \"$(ecsctl local env)\"",
                                      1, run};
