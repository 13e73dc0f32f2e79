/* What a container may ask for: method, target, headers, one a line, of the task server (first byte
 * even) and of the introspection server. Answers that say JSON are JSON; the secret is shown to the
 * one path that names its id, and to no other. */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../fakes/exchange.h"
#include "cleanup.h"
#include "log.h"
#include "mem.h"
#include "metadata.h"

#define SECRET         "theSecret"
#define CREDENTIALS_ID "c1"
#define DOCKER_ID      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__wrap_worker_data_dir(const struct worker *w);
struct ipc_connection *__wrap_worker_supervisor(struct worker *w);

const char *__wrap_worker_data_dir(const struct worker *w)
{
        (void)w;
        return "/nonexistent"; /* the published table stays as it is */
}

struct ipc_connection *__wrap_worker_supervisor(struct worker *w)
{
        (void)w;
        return NULL; /* audit lines go nowhere */
}

/* One task of one container, with credentials; made once. */
static void prepare(struct metadata *m)
{
        static const struct log log;
        static Ecs__ContainerFacts container = ECS__CONTAINER_FACTS__INIT;
        static Ecs__ContainerFacts *containers[] = {&container};
        static Ecs__TaskFacts facts = ECS__TASK_FACTS__INIT;
        static struct shown_task task;
        static struct endpoint endpoint, *by_id[] = {&endpoint};
        Ecs__TaskCredentials c = ECS__TASK_CREDENTIALS__INIT;
        container.name = (char *)"web";
        container.docker_id = (char *)DOCKER_ID;
        container.endpoint_id = (char *)"e1";
        facts.arn = (char *)"arn:aws:ecs:us-east-1:1:task/default/t";
        facts.family = (char *)"hello";
        facts.n_containers = 1;
        facts.containers = containers;
        endpoint = (struct endpoint){.container = &container, .task = &task};
        task = (struct shown_task){.facts = &facts, .endpoints = &endpoint};
        c.id = (char *)CREDENTIALS_ID;
        c.task_arn = facts.arn;
        c.secret_access_key = (char *)SECRET;
        m->log = &log;
        m->config = config_new();
        m->cluster = mem_strdup("default");
        m->instance_arn = mem_strdup("");
        m->availability_zone = mem_strdup("");
        m->availability_zone_id = mem_strdup("");
        m->vpc_id = mem_strdup("");
        m->tasks = &task;
        m->by_id = by_id;
        m->n_by_id = 1;
        credentials_put(m, &c);
}

static void check(const struct http_exchange *x)
{
        if (x->answer == NULL)
                return;
        if (x->is_json && x->answer_length > 0) {
                cleanup_json json_t *j =
                        json_loadb(x->answer, x->answer_length, JSON_DECODE_ANY, NULL);
                if (j == NULL)
                        abort();
        }
        if (strstr(x->answer, SECRET) != NULL && strstr(x->target, CREDENTIALS_ID) == NULL &&
            strstr(x->target, SECRET) == NULL /* errors quote what was asked for */)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct metadata m;
        if (m.config == NULL)
                prepare(&m);
        log_set_level(LOG_LEVEL_NONE);
        if (size < 1)
                return 0;
        cleanup_free char *text = mem_strndup((const char *)data + 1, size - 1);
        char *save = NULL;
        struct http_exchange x = {.method = strtok_r(text, "\n", &save)};
        x.target = strtok_r(NULL, "\n", &save);
        if (x.target == NULL)
                return 0;
        for (size_t i = 0; i < EXCHANGE_HEADERS; i++) {
                char *line = strtok_r(NULL, "\n", &save), *colon = NULL;
                if (line == NULL || (colon = strchr(line, ':')) == NULL)
                        break;
                *colon = '\0';
                x.headers[i] = (struct http_answer_header){line, colon + 1};
        }
        exchange_run(&x, data[0] % 2 == 0 ? task_routes : introspection_routes, &m);
        check(&x);
        exchange_clear(&x);
        return 0;
}
