/* stream: a state machine over bytes; no I/O. A frame begins with 1 byte of stream, 3 zeros and a
 * big-endian length: output of a terminal cannot be taken for it. */
#include "stream.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

#define HEAD_MAX 16384
#define REFUSAL_MAX 65536
#define FRAME_HEADER 8

/* Of the first line alone, since a blank in a pattern would match line ends; -1 when it has none.
 */
static int status_of(const char *head)
{
        int status = -1;
        cleanup_free char *line = mem_strndup(head, strcspn(head, "\r\n"));
        return sscanf(line, "HTTP/1.%*1[01] %3d", &status) == 1 ? status : -1;
}

/* Takes the head once it is whole. */
static bool take_head(struct stream *s)
{
        const char *end = memmem(s->in.data, s->in.length, "\r\n\r\n", 4);
        if (end == NULL)
                return s->in.length <= HEAD_MAX;
        int status = status_of(s->in.data);
        if (status < 0)
                return false;
        s->state = status == 200 || status == 101 ? STREAM_PROBE : STREAM_REFUSED;
        buf_consume(&s->in, (size_t)(end - s->in.data) + 4);
        return true;
}

static bool is_frame(const char *p)
{
        return p[0] >= 0 && p[0] <= 2 && p[1] == 0 && p[2] == 0 && p[3] == 0;
}

static uint32_t frame_length(const char *p)
{
        const unsigned char *u = (const unsigned char *)p + 4;
        return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void put(struct stream *s, const char *data, size_t length)
{
        if (length > 0)
                s->output(s->arg, s->descriptor, data, length);
}

/* Takes what there is of the present frame, then headers. */
static bool take_frames(struct stream *s)
{
        for (;;) {
                if (s->left > 0) {
                        size_t n = s->in.length < s->left ? s->in.length : s->left;
                        put(s, s->in.data, n);
                        buf_consume(&s->in, n);
                        s->left -= (uint32_t)n;
                }
                if (s->left > 0 || s->in.length < FRAME_HEADER)
                        return true;
                if (!is_frame(s->in.data))
                        return false;
                s->descriptor = s->in.data[0] == 2 ? 2 : 1;
                s->left = frame_length(s->in.data);
                buf_consume(&s->in, FRAME_HEADER);
        }
}

bool stream_feed(struct stream *s, const char *data, size_t length)
{
        buf_append(&s->in, data, length);
        if (s->state == STREAM_HEAD && !take_head(s))
                return false;
        if (s->state == STREAM_PROBE && s->in.length >= FRAME_HEADER)
                s->state = is_frame(s->in.data) ? STREAM_FRAMES : STREAM_RAW;
        else if (s->state == STREAM_PROBE && s->in.length > 0 && s->in.data[0] > 2)
                s->state = STREAM_RAW;
        if (s->state == STREAM_RAW) {
                s->descriptor = 1;
                put(s, s->in.data, s->in.length);
                s->in.length = 0;
        }
        if (s->state == STREAM_REFUSED)
                return s->in.length <= REFUSAL_MAX;
        return s->state != STREAM_FRAMES || take_frames(s);
}

void stream_end(struct stream *s)
{
        if (s->state == STREAM_PROBE) {
                s->descriptor = 1;
                put(s, s->in.data, s->in.length);
        }
}

char *stream_refusal(const struct stream *s)
{
        if (s->state == STREAM_HEAD)
                return mem_strdup("Docker closed the connection without an answer");
        if (s->state != STREAM_REFUSED)
                return NULL;
        /* the body may be in chunks: the object is found by its braces */
        const char *begin = strchr(s->in.data, '{');
        const char *last = strrchr(s->in.data, '}');
        cleanup_json json_t *o = begin != NULL && last > begin
                                         ? json_loadb(begin, (size_t)(last - begin) + 1, 0, NULL)
                                         : NULL;
        const char *message = json_string_value(json_object_get(o, "message"));
        return mem_strdup(message != NULL ? message : "Docker refuses, without a reason");
}

void stream_clear(struct stream *s)
{
        buf_clear(&s->in);
}
