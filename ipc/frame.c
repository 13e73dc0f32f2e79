/* frame: the length is checked before a byte of the message is looked at or allocated for. */
#include "frame.h"

#include <errno.h>

#define HEADER 4

static size_t body_length(const struct buf *b)
{
        const unsigned char *p = (const unsigned char *)b->data;
        return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

size_t frame_missing(const struct buf *b)
{
        size_t whole = b->length < HEADER ? HEADER : HEADER + body_length(b);
        return whole > b->length ? whole - b->length : 0;
}

int frame_take(struct buf *b, size_t max, Ecs__Envelope **ret)
{
        if (b->length < HEADER)
                return FRAME_INCOMPLETE;
        size_t length = body_length(b);
        if (length > max)
                return -EMSGSIZE;
        if (b->length - HEADER < length)
                return FRAME_INCOMPLETE;
        Ecs__Envelope *e = ecs__envelope__unpack(NULL, length, (const uint8_t *)b->data + HEADER);
        if (e == NULL)
                return -EBADMSG;
        buf_consume(b, HEADER + length);
        *ret = e;
        return 0;
}

int frame_append(struct buf *b, size_t max, const Ecs__Envelope *e)
{
        size_t length = ecs__envelope__get_packed_size(e);
        if (length > max)
                return -EMSGSIZE;
        const unsigned char header[HEADER] = {(unsigned char)(length >> 24),
                                              (unsigned char)(length >> 16),
                                              (unsigned char)(length >> 8), (unsigned char)length};
        buf_append(b, header, sizeof header);
        size_t at = b->length;
        buf_reserve(b, length);
        ecs__envelope__pack(e, (uint8_t *)b->data + at);
        b->length += length;
        b->data[b->length] = '\0';
        return 0;
}
