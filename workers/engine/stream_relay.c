/* stream_relay: one direction only, with one buffer: what its reader does not take stays with
 * Docker. Who gets the far end can read and do nothing else. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"

#define PIECE 16384

struct stream_relay {
        struct engine *engine;
        struct stream_relay *next;
        int in, out;
        uv_poll_t from, to;
        char data[PIECE];
        size_t length, sent;
        int open_handles;
        bool closing;
};

static void on_closed(uv_handle_t *h)
{
        struct stream_relay *s = h->data;
        if (--s->open_handles > 0)
                return;
        (void)close(s->in);
        (void)close(s->out);
        free(s);
}

static void close_relay(struct stream_relay *s)
{
        if (s->closing)
                return;
        s->closing = true;
        for (struct stream_relay **at = &s->engine->relays; *at != NULL; at = &(*at)->next)
                if (*at == s) {
                        *at = s->next;
                        break;
                }
        uv_close((uv_handle_t *)&s->from, on_closed);
        uv_close((uv_handle_t *)&s->to, on_closed);
}

static void on_from(uv_poll_t *h, int status, int events);
static void on_to(uv_poll_t *h, int status, int events);

/* Writes what is there. Waits for room, or else for more. */
static void pass_on(struct stream_relay *s)
{
        while (s->sent < s->length) {
                ssize_t n = write(s->out, s->data + s->sent, s->length - s->sent);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN) {
                        (void)uv_poll_stop(&s->from);
                        (void)uv_poll_start(&s->to, UV_WRITABLE | UV_DISCONNECT, on_to);
                        return;
                }
                if (n < 0) {
                        close_relay(s);
                        return;
                }
                s->sent += (size_t)n;
        }
        (void)uv_poll_start(&s->from, UV_READABLE, on_from);
        (void)uv_poll_start(&s->to, UV_DISCONNECT, on_to);
}

static void on_to(uv_poll_t *h, int status, int events)
{
        struct stream_relay *s = h->data;
        if (status < 0 || (events & UV_DISCONNECT) != 0)
                close_relay(s);
        else
                pass_on(s);
}

static void on_from(uv_poll_t *h, int status, int events)
{
        struct stream_relay *s = h->data;
        (void)events;
        ssize_t n = status < 0 ? 0 : read(s->in, s->data, sizeof s->data);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                close_relay(s);
                return;
        }
        s->length = (size_t)n;
        s->sent = 0;
        pass_on(s);
}

void stream_relay_start(struct engine *e, int in, int out)
{
        struct stream_relay *s = mem_zalloc(sizeof *s);
        *s = (struct stream_relay){
                .engine = e, .next = e->relays, .in = in, .out = out, .open_handles = 2};
        e->relays = s;
        (void)fcntl(in, F_SETFL, O_NONBLOCK);
        (void)fcntl(out, F_SETFL, O_NONBLOCK);
        (void)uv_poll_init(worker_loop(e->worker), &s->from, in);
        (void)uv_poll_init(worker_loop(e->worker), &s->to, out);
        s->from.data = s->to.data = s;
        pass_on(s);
}

struct stream_relay *stream_relay_next(const struct stream_relay *s)
{
        return s->next;
}

void stream_relay_close_all(struct engine *e)
{
        while (e->relays != NULL)
                close_relay(e->relays);
}
