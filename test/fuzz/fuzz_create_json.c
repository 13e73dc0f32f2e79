/* The raw strings of a task definition, laid over what the agent builds. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/engine_tasks.h"
#include "create_json.h"
#include "error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct create_context x = {.cluster = "c", .region = "r", .agent_id = "i"};
        const bool essential[] = {true};
        struct error err = {0};
        struct task *t = make_task(1, essential);
        Ecs__ContainerSpec *s = t->spec->containers[0];
        /* up to the first zero the one string, behind it the other */
        size_t n = strnlen((const char *)data, size);
        s->docker_config = mem_strndup((const char *)data, n);
        s->docker_host_config =
                mem_strndup((const char *)data + n + (n < size), size - n - (n < size));
        json_t *body = create_json(&t->containers[0], &x, &err);
        if (body == NULL && err.name[0] == '\0')
                abort(); /* a failure has an ECS reason class */
        json_decref(body);
        task_free(t);
        return 0;
}
