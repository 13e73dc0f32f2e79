/* Any bytes as a stream of frames: what is taken makes the frame it should, nothing above the
 * limit is allocated for, and the rest is always told apart from an error. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "frame.h"
#include "mem.h"

#define LIMIT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A frame is the message as protobuf-c packs it behind its length, and taking it gives what protobuf-c
 * makes of those bytes: it refuses some that it wrote, such as a field of number 0, which it takes in
 * a longer form only. */
static void check_frame(const Ecs__Envelope *e)
{
        size_t n = ecs__envelope__get_packed_size(e);
        cleanup_free uint8_t *packed = mem_alloc(n + 1);
        struct buf frame = {0};
        Ecs__Envelope *taken = NULL;
        if (ecs__envelope__pack(e, packed) != n || frame_append(&frame, 4 * LIMIT, e) != 0 ||
            frame.length != n + 4 || memcmp(frame.data + 4, packed, n) != 0)
                abort();
        Ecs__Envelope *direct = ecs__envelope__unpack(NULL, n, packed);
        int r = frame_take(&frame, 4 * LIMIT, &taken);
        if (direct == NULL ? r != -EBADMSG : r != 0 || frame.length != 0)
                abort();
        if (r == 0) {
                if (ecs__envelope__get_packed_size(taken) != n ||
                    ecs__envelope__get_packed_size(direct) != n)
                        abort();
                ecs__envelope__free_unpacked(taken, NULL);
                ecs__envelope__free_unpacked(direct, NULL);
        }
        buf_clear(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf b = {0};
        Ecs__Envelope *e = NULL;
        int r;
        buf_append(&b, data, size);
        while ((r = frame_take(&b, LIMIT, &e)) == 0) {
                check_frame(e);
                ecs__envelope__free_unpacked(e, NULL);
        }
        if (r == FRAME_INCOMPLETE && frame_missing(&b) == 0)
                abort();
        buf_clear(&b);
        return 0;
}
