/* Frames of TCS: what is refused leaves nothing, what is taken lies within the text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "tcs_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct tcs_frame f = {0};
        if (tcs_frame_parse((const char *)data, size, &f) != 0)
                return 0;
        if (f.body < f.text || f.body + f.body_length != f.text + size)
                abort();
        (void)tcs_frame_header(&f, "Authorization");
        tcs_frame_clear(&f);
        return 0;
}
