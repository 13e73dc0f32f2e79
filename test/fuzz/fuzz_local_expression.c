/* Placement expressions come from users. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "expression.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *values(void *arg, const char *subject)
{
        (void)arg;
        return *subject == 'a' ? json_pack("[s, s]", "one", "1.2") : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = mem_strndup((const char *)data, size), *error = NULL;
        int r = expression_evaluate(text, values, NULL, &error);
        if ((r < 0) != (error != NULL))
                abort();
        free(error);
        free(text);
        return 0;
}
