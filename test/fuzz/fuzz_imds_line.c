/* What ecs-imds prints, should it be taken over: the supervisor's reader of its lines. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "imds.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = mem_strndup((const char *)data, size), *save = NULL;
        struct imds_answer a = {0};
        for (char *line = strtok_r(text, "\n", &save); line != NULL;
             line = strtok_r(NULL, "\n", &save))
                imds_take_line(&a, line);
        if (a.region != NULL && !region_is_valid(a.region))
                abort();
        imds_answer_clear(&a);
        free(text);
        return 0;
}
