/* What ECS and the instance metadata service may answer: the answers of one signed call, from the
 * token of IMDSv2 to the error text of ECS, split at lines of "====". Status, header lines, an empty
 * line, body. The call must end exactly once, with a code and a sentence when it failed. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "cleanup.h"
#include "http.h"
#include "log.h"
#include "mem.h"

#define ANSWERS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
struct http_request *__wrap_http_start(struct http_client *c, const struct http_options *o);
uv_loop_t *__wrap_worker_loop(struct worker *w);

static struct {
        uv_loop_t loop;
        http_done_fn done; /* of the request under way */
        void *arg;
        int ended;
} fake;

struct http_request *__wrap_http_start(struct http_client *c, const struct http_options *o)
{
        (void)c;
        if (fake.done != NULL)
                abort(); /* one at a time */
        fake.done = o->done;
        fake.arg = o->arg;
        return NULL;
}

uv_loop_t *__wrap_worker_loop(struct worker *w)
{
        (void)w;
        return &fake.loop;
}

static void on_end(void *arg, const struct ecs_answer *a)
{
        (void)arg;
        fake.ended++;
        if (a->error == 0 && a->status != 200 && (*a->code == '\0' || *a->text == '\0'))
                abort();
        if (a->error != 0 && *a->text == '\0')
                abort();
}

/* The next answer of the text, or a refused connection. */
static void answer(char **text)
{
        struct http_response r = {.body = "", .headers = ""};
        http_done_fn done = STEAL(fake.done);
        char *one = *text, *end = one != NULL ? strstr(one, "\n====\n") : NULL;
        *text = NULL;
        if (one == NULL || *one == '\0') {
                done(fake.arg, -ECONNREFUSED, "connection refused", &r);
                return;
        }
        if (end != NULL) {
                *end = '\0';
                *text = end + strlen("\n====\n");
        }
        char *body = strstr(one, "\n\n");
        r.status = (int)strtol(one, NULL, 10) % 600;
        if (body != NULL) {
                *body = '\0';
                r.body = body + 2;
                r.body_length = strlen(r.body);
        }
        r.headers = one + strcspn(one, "\n");
        done(fake.arg, 0, "", &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct log log;
        cleanup_free char *copy = mem_strndup((const char *)data, size);
        char *text = copy;
        log_set_level(LOG_LEVEL_NONE);
        (void)uv_loop_init(&fake.loop);
        fake.ended = 0;
        struct config *config = config_new();
        struct backend b = {.log = &log,
                            .config = config,
                            .region = "us-east-1",
                            .stopping = true /* no waits between tries */};
        cleanup_json json_t *body = json_object();
        ecs_api_call(&b, "DiscoverPollEndpoint", body, 2, on_end, NULL);
        for (int i = 0; i < ANSWERS_MAX && fake.ended == 0; i++) {
                (void)uv_run(&fake.loop, UV_RUN_ONCE);
                if (fake.done != NULL)
                        answer(&text);
        }
        (void)uv_run(&fake.loop, UV_RUN_NOWAIT);
        if (fake.ended != 1 || uv_loop_close(&fake.loop) != 0)
                abort();
        free(b.access_key_id);
        free(b.secret_access_key);
        free(b.session_token);
        config_free(config);
        return 0;
}
