/* Any bytes as Docker's answer, in pieces of any size: the output is the same whatever the pieces.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void collect(void *arg, int descriptor, const char *data, size_t length)
{
        if (descriptor != 1 && descriptor != 2)
                abort();
        buf_append(arg, data, length);
}

static void feed(struct buf *out, const char *data, size_t size, size_t piece)
{
        struct stream s = {.output = collect, .arg = out};
        bool good = true;
        for (size_t i = 0; good && i < size; i += piece)
                good = stream_feed(&s, data + i, size - i < piece ? size - i : piece);
        if (good)
                stream_end(&s);
        free(stream_refusal(&s));
        stream_clear(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf whole = {0}, parts = {0};
        if (size < 2)
                return 0;
        size_t piece = data[0] % 16u + 1;
        feed(&whole, (const char *)data + 1, size - 1, size);
        feed(&parts, (const char *)data + 1, size - 1, piece);
        if (whole.length != parts.length ||
            (whole.length > 0 && memcmp(whole.data, parts.data, whole.length) != 0))
                abort();
        buf_clear(&whole);
        buf_clear(&parts);
        return 0;
}
