/* Docker's inspect of containers and images: any JSON may come; facts stay whole. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../unit/engine_tasks.h"
#include "adopt_json.h"
#include "inspect_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const bool essential[] = {true};
        json_t *j = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
        struct task *t = make_task(1, essential);
        struct container *c = &t->containers[0];
        inspect_json_apply(c, j);
        inspect_json_apply_image(c, j);
        (void)container_apply(c, inspect_json_state(j), NULL);
        free(inspect_json_reason(j));
        task_settle(t, 1);
        state_change_free(task_report(t));
        task_free(t);
        if (adopt_json_is_whole(j)) {
                t = adopt_json_task(&j, 1, 1, NULL);
                if (t->containers[0].known < S_RUNNING)
                        abort();
                task_free(t);
        }
        json_decref(j);
        return 0;
}
