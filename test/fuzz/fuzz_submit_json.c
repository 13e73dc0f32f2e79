/* Whatever bytes a reason holds, a body comes out, and texts within their limits. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"
#include "submit_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_free char *text = mem_strndup((const char *)data, size);
        Ecs__ContainerChange container = ECS__CONTAINER_CHANGE__INIT, *list[] = {&container};
        Ecs__StateChange change = ECS__STATE_CHANGE__INIT;
        const Ecs__StateChange *changes[] = {&change};
        const struct submit_options o = {.cluster = "c"};
        change.reason = container.name = container.reason = container.runtime_id = text;
        change.n_containers = 1;
        change.containers = list;
        cleanup_json json_t *j = submit_json(changes, 1, &o);
        cleanup_free char *dumped = json_dumps(j, JSON_COMPACT);
        if (dumped == NULL || json_string_length(json_object_get(j, "reason")) > 1024)
                abort();
        return 0;
}
