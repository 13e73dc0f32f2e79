/* frame: a 4-byte big-endian length and a packed Envelope. No I/O: bytes in, messages out. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "envelope.pb-c.h"

#define IPC_FRAME_MAX         (16u << 20) /* between workers */
#define IPC_FRAME_MAX_CONTROL (64u << 10) /* on control channels */

#define FRAME_INCOMPLETE 1 /* more bytes are needed */

/* Takes one message off the front of b. 0: *ret is owned (ecs__envelope__free_unpacked);
 * FRAME_INCOMPLETE; -EMSGSIZE length above max; -EBADMSG not an Envelope. */
int frame_take(struct buf *b, size_t max, Ecs__Envelope **ret);
/* Bytes until the front message of b is whole, as far as b tells: those of the header first, then
 * the rest. 0 when it is whole. b holds what frame_take called FRAME_INCOMPLETE. */
size_t frame_missing(const struct buf *b);
/* Appends the frame of e. -EMSGSIZE above max. */
int frame_append(struct buf *b, size_t max, const Ecs__Envelope *e);
