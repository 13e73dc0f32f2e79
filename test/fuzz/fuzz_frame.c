/* Any bytes as a stream of frames: what is taken packs and unpacks to the same bytes, nothing above
 * the limit is allocated for, and the rest is always told apart from an error. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

#define LIMIT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unknown fields are kept by protobuf-c, so the second packing must be the first. */
static void check_repacked(const Ecs__Envelope *e)
{
        struct buf first = {0}, second = {0};
        Ecs__Envelope *again = NULL;
        if (frame_append(&first, 4 * LIMIT, e) == 0) {
                struct buf copy = {0};
                buf_append(&copy, first.data, first.length);
                if (frame_take(&copy, 4 * LIMIT, &again) != 0 || copy.length != 0 ||
                    frame_append(&second, 4 * LIMIT, again) != 0 ||
                    second.length != first.length ||
                    memcmp(first.data, second.data, first.length) != 0)
                        abort();
                ecs__envelope__free_unpacked(again, NULL);
                buf_clear(&copy);
        }
        buf_clear(&first);
        buf_clear(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf b = {0};
        Ecs__Envelope *e = NULL;
        int r;
        buf_append(&b, data, size);
        while ((r = frame_take(&b, LIMIT, &e)) == 0) {
                check_repacked(e);
                ecs__envelope__free_unpacked(e, NULL);
        }
        if (r == FRAME_INCOMPLETE && frame_missing(&b) == 0)
                abort();
        buf_clear(&b);
        return 0;
}
