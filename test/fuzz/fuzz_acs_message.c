/* Messages of ACS, one a line, and the answers of the other workers between them. The engine knows
 * one task, so that manifests and refreshed credentials find it. */
#include <stddef.h>
#include <stdint.h>

#include "../fakes/acs.h"
#include "log.h"

#define LINES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Ecs__TaskFacts known = ECS__TASK_FACTS__INIT, *tasks[] = {&known};
        const char *p = (const char *)data, *end = p + size;
        log_set_level(LOG_LEVEL_ERROR);
        fake_init();
        known.arn = (char *)"t";
        known.desired_status = (char *)"RUNNING";
        fake.tasks.n_tasks = 1;
        fake.tasks.tasks = tasks;
        for (int i = 0; i < LINES_MAX && p < end; i++) {
                const char *line = memchr(p, '\n', (size_t)(end - p));
                size_t length = line != NULL ? (size_t)(line - p) : (size_t)(end - p);
                acs_message(fake.backend.acs, p, length);
                if (i % 2 == 0)
                        fake_run();
                p += length + 1;
        }
        fake_clear();
        return 0;
}
