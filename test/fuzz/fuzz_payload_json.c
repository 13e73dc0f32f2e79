/* One task of a PayloadMessage: read, or refused; all that was read is freed, and can be packed. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "cleanup.h"
#include "mem.h"
#include "payload_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        bool mistyped = false;
        cleanup_json json_t *j = json_loadb((const char *)data, size, 0, NULL);
        Ecs__TaskSpec *t = payload_json_task(j, &mistyped);
        if (t == NULL)
                return 0;
        cleanup_free uint8_t *packed = mem_alloc(ecs__task_spec__get_packed_size(t) + 1);
        size_t length = ecs__task_spec__pack(t, packed);
        Ecs__TaskSpec *again = ecs__task_spec__unpack(NULL, length, packed);
        if (again == NULL || again->n_containers != t->n_containers)
                abort();
        ecs__task_spec__free_unpacked(again, NULL);
        ecs__task_spec__free_unpacked(t, NULL);
        return 0;
}
