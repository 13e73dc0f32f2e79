/* Any text: what is read must print and read back as the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "duration.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = mem_strndup((const char *)data, size), printed[DURATION_TEXT];
        int64_t ns, again;
        if (duration_parse(text, &ns) == 0 &&
            (duration_parse(duration_format(ns, printed), &again) != 0 || again != ns))
                abort();
        free(text);
        return 0;
}
