/* Request bodies: the first byte chooses the operation. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "local.h"
#include "validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct answer a = {0};
        json_t *q = size > 0 ? json_loadb((const char *)data + 1, size - 1, 0, NULL) : NULL;
        if (json_is_object(q) &&
            validate(operations[data[0] % operation_count].name, q, &a) != (a.code == NULL))
                abort();
        free(a.text);
        json_decref(q);
        return 0;
}
