/* What a client may send to the local control plane. First line: the operation. Second line: an
 * Authorization header, or empty for a good signature by the users' keys ("agent": by the agent's).
 * The rest is the body. Every request is answered once, with JSON; a signature that is not ours is
 * never accepted. */
#include <dirent.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fakes/exchange.h"
#include "cleanup.h"
#include "clock.h"
#include "config.h"
#include "error.h"
#include "local.h"
#include "log.h"
#include "mem.h"
#include "sigv4.h"

#define HOST       "127.0.0.1:51670"
#define TARGET     "AmazonEC2ContainerServiceV20141113."
#define LIVES_FOR  2000 /* requests; then the database is begun anew */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
uv_loop_t *__wrap_worker_loop(struct worker *w);
const struct config *__wrap_worker_config(const struct worker *w);
const struct log *__wrap_worker_log(const struct worker *w);
const char *__wrap_worker_data_dir(const struct worker *w);
const char *__wrap_worker_run_dir(const struct worker *w);
int __wrap_worker_listener(const struct worker *w, const char *name);
void __wrap_worker_ready(struct worker *w);
void __wrap_worker_stopped(struct worker *w);

static struct {
        uv_loop_t loop;
        struct config *config;
        char dir[64];
        void *state;
        int requests;
} fake;

uv_loop_t *__wrap_worker_loop(struct worker *w)
{
        (void)w;
        return &fake.loop;
}

const struct config *__wrap_worker_config(const struct worker *w)
{
        (void)w;
        return fake.config;
}

const struct log *__wrap_worker_log(const struct worker *w)
{
        static const struct log log;
        (void)w;
        return &log;
}

const char *__wrap_worker_data_dir(const struct worker *w)
{
        (void)w;
        return fake.dir;
}

const char *__wrap_worker_run_dir(const struct worker *w)
{
        (void)w;
        return fake.dir;
}

int __wrap_worker_listener(const struct worker *w, const char *name)
{
        (void)w;
        (void)name;
        return -1;
}

void __wrap_worker_ready(struct worker *w)
{
        (void)w;
}

void __wrap_worker_stopped(struct worker *w)
{
        (void)w;
}

static void remove_files(const char *dir)
{
        DIR *d = opendir(dir);
        for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
                cleanup_free char *path = mem_printf("%s/%s", dir, e->d_name);
                (void)unlink(path);
        }
        if (d != NULL)
                (void)closedir(d);
        (void)rmdir(dir);
}

static void stop(void)
{
        cleanup_free char *local = mem_printf("%s/local", fake.dir);
        if (fake.state == NULL)
                return;
        local_destroy(STEAL(fake.state));
        (void)uv_run(&fake.loop, UV_RUN_NOWAIT);
        (void)uv_loop_close(&fake.loop);
        config_free(fake.config);
        remove_files(local);
        remove_files(fake.dir);
}

static void start(void)
{
        struct error err = {0};
        // with our pid: test/run removes those whose process has gone
        (void)snprintf(fake.dir, sizeof fake.dir, "/dev/shm/fuzz-local-%d-XXXXXX", (int)getpid());
        if (mkdtemp(fake.dir) == NULL)
                abort();
        (void)uv_loop_init(&fake.loop);
        fake.requests = 0;
        fake.config = config_new();
        config_set(fake.config, "ECS_LOCAL_USER_KEY_ID", "USER");
        config_set(fake.config, "ECS_LOCAL_USER_SECRET", "user secret");
        config_set(fake.config, "ECS_LOCAL_AGENT_KEY_ID", "AGENT");
        config_set(fake.config, "ECS_LOCAL_AGENT_SECRET", "agent secret");
        cleanup_free char *local = mem_printf("%s/local", fake.dir);
        if (mkdir(local, 0700) != 0 || local_start(NULL, &fake.state, &err) != 0)
                abort();
}

/* The header that the second line stands for. Returns owned. */
static char *authorization(const struct http_exchange *x, const char *line, const char *time)
{
        bool agent = strcmp(line, "agent") == 0;
        if (*line != '\0' && !agent)
                return mem_strdup(line);
        const struct sigv4_header headers[] = {{"host", HOST}, {"x-amz-date", time}};
        const struct sigv4_request r = {.method = x->method,
                                        .path = x->target,
                                        .headers = headers,
                                        .header_count = ARRAY_SIZE(headers),
                                        .body = x->body,
                                        .body_length = x->body_length,
                                        .double_encode = true};
        const struct sigv4_credentials c = {agent ? "AGENT" : "USER",
                                            agent ? "agent secret" : "user secret", NULL};
        char *value = NULL;
        if (sigv4_sign(&r, &c, time, "us-east-1", "ecs", NULL, NULL, &value) != 0)
                abort();
        return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        log_set_level(LOG_LEVEL_NONE);
        if (fake.state != NULL && ++fake.requests > LIVES_FOR)
                stop();
        if (fake.config == NULL)
                (void)atexit(stop);
        if (fake.state == NULL)
                start();
        cleanup_free char *text = mem_strndup((const char *)data, size);
        char *line = strchr(text, '\n'), *body = line != NULL ? strchr(line + 1, '\n') : NULL;
        char time[SIGV4_TIME];
        if (body == NULL)
                return 0;
        *line++ = '\0';
        *body++ = '\0';
        cleanup_free char *target = mem_printf(TARGET "%s", text);
        struct http_exchange x = {
                .method = "POST", .target = "/", .body = body, .body_length = strlen(body)};
        (void)sigv4_time(clock_wall_ms(), time);
        bool forged = *line != '\0' && strcmp(line, "agent") != 0;
        cleanup_free char *value = authorization(&x, line, time);
        const struct http_answer_header headers[] = {{"Host", HOST},
                                                     {"X-Amz-Date", time},
                                                     {"X-Amz-Target", target},
                                                     {"Authorization", value},
                                                     {NULL, NULL}};
        memcpy(x.headers, headers, sizeof headers);
        exchange_run(&x, exchange_handler, exchange_handler_arg);
        cleanup_json json_t *j =
                x.answer != NULL ? json_loadb(x.answer, x.answer_length, 0, NULL) : NULL;
        if (j == NULL || (forged && x.status == 200))
                abort();
        exchange_clear(&x);
        (void)uv_run(&fake.loop, UV_RUN_NOWAIT);
        return 0;
}
