/* docker: one HTTP client on the socket, one long event stream. The stream's end is the sign that
 * Docker has gone: it is opened again with backoff, from the time of the last event on, and `up`
 * makes the engine list and inspect everything anew. */
#include "docker.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "mem.h"
#include "random.h"

#define NEWEST_API  44  /* 1.44, the newest whose answers this program was written for */
#define LINE_MAX_   (1u << 20)

struct docker {
        uv_loop_t *loop;
        struct http_client *http;
        struct docker_callbacks cb;
        const struct log *log;
        char *socket;
        char *version, *api, *min_api, *prefix;
        bool up, closing;
        struct backoff backoff;
        uv_timer_t retry;
        struct buf line;
        int64_t last_event_s;
};

struct call {
        struct docker *docker;
        docker_done_fn done;
        void *arg;
        struct buf line;      /* of a progress stream */
        char *stream_error;
};

static void start(struct docker *d);

static void on_retry(uv_timer_t *t)
{
        start(t->data);
}

static void go_down(struct docker *d, const char *reason)
{
        bool was_up = d->up;
        if (d->closing)
                return;
        d->up = false;
        if (was_up || d->version == NULL)
                d->cb.down(d->cb.arg, reason);
        (void)uv_timer_start(&d->retry, on_retry,
                             clock_wait_ms(backoff_next(&d->backoff, random_unit())), 0);
}

/* ---- events ---- */

static void take_line(struct docker *d)
{
        cleanup_json json_t *e = json_loadb(d->line.data, d->line.length, 0, NULL);
        const json_t *when = json_object_get(e, "time");
        if (json_is_integer(when))
                d->last_event_s = json_integer_value(when);
        if (json_is_object(e))
                d->cb.event(d->cb.arg, e);
}

static bool on_events(void *arg, const char *data, size_t length)
{
        struct docker *d = arg;
        for (size_t i = 0; i < length; i++) {
                if (data[i] != '\n') {
                        buf_append(&d->line, &data[i], 1);
                        if (d->line.length > LINE_MAX_)
                                return false;
                        continue;
                }
                if (d->line.length > 0)
                        take_line(d);
                d->line.length = 0;
        }
        return true;
}

static void on_events_end(void *arg, int error, const char *text,
                          const struct http_response *response)
{
        struct docker *d = arg;
        (void)response;
        d->line.length = 0;
        if (error == -ECANCELED && d->closing)
                return;
        go_down(d, error != 0 ? text : "its event stream ended");
}

static void open_events(struct docker *d)
{
        cleanup_free char *since = d->last_event_s > 0
                                           ? mem_printf("&since=%lld", (long long)d->last_event_s)
                                           : mem_strdup("");
        cleanup_free char *url =
                mem_printf("http://docker%s/events?filters=%%7B%%22type%%22%%3A%%5B%%22container"
                           "%%22%%5D%%7D%s",
                           d->prefix, since);
        struct http_options o = {.method = "GET",
                                 .url = url,
                                 .unix_socket = d->socket,
                                 .connect_timeout_ms = 10000,
                                 .on_chunk = on_events,
                                 .done = on_events_end,
                                 .arg = d};
        (void)http_start(d->http, &o);
}

/* ---- version ---- */

static void set_text(char **field, const char *value)
{
        free(*field);
        *field = mem_strdup(value != NULL ? value : "");
}

static void on_version(void *arg, int error, const char *text, const struct http_response *r)
{
        struct docker *d = arg;
        int minor = 0;
        if (d->closing)
                return;
        if (error != 0 || r->status != 200) {
                go_down(d, error != 0 ? text : "it refuses to tell its version");
                return;
        }
        cleanup_json json_t *j = json_loads(r->body, 0, NULL);
        const char *api = json_string_value(json_object_get(j, "ApiVersion"));
        if (api == NULL || sscanf(api, "1.%d", &minor) != 1 || minor < 24) {
                go_down(d, "it speaks no API version from 1.24 on");
                return;
        }
        set_text(&d->api, api);
        set_text(&d->version, json_string_value(json_object_get(j, "Version")));
        set_text(&d->min_api, json_string_value(json_object_get(j, "MinAPIVersion")));
        free(d->prefix);
        d->prefix = mem_printf("/v1.%d", minor < NEWEST_API ? minor : NEWEST_API);
        d->up = true;
        backoff_reset(&d->backoff);
        open_events(d);
        d->cb.up(d->cb.arg);
}

static void start(struct docker *d)
{
        struct http_options o = {.method = "GET",
                                 .url = "http://docker/version",
                                 .unix_socket = d->socket,
                                 .connect_timeout_ms = 5000,
                                 .timeout_ms = 10000,
                                 .done = on_version,
                                 .arg = d};
        (void)http_start(d->http, &o);
}

/* ---- calls ---- */

static void finish_call(struct call *c, int error, const char *text, int status, json_t *body)
{
        const char *message = json_string_value(json_object_get(body, "message"));
        struct docker_answer a = {.error = error,
                                  .status = status,
                                  .body = body,
                                  .text = message != NULL ? message : text};
        c->done(c->arg, &a);
        buf_clear(&c->line);
        free(c->stream_error);
        free(c);
}

static void on_answer(void *arg, int error, const char *text, const struct http_response *r)
{
        struct call *c = arg;
        cleanup_json json_t *body =
                r->body_length > 0 ? json_loadb(r->body, r->body_length, JSON_DECODE_ANY, NULL)
                                   : NULL;
        if (error == 0 && c->stream_error != NULL) {
                finish_call(c, -EIO, c->stream_error, 0, NULL);
                return;
        }
        if (error == 0 && r->status >= 400 && body == NULL)
                text = "Docker gave no reason";
        finish_call(c, error, text, r->status, body);
}

static void run(struct docker *d, const char *method, const char *path, const char *body,
                const char *const *headers, uint32_t timeout_ms, http_chunk_fn on_chunk,
                struct call *c)
{
        cleanup_free char *url = mem_printf("http://docker%s%s", d->prefix, path);
        struct http_options o = {.method = method,
                                 .url = url,
                                 .unix_socket = d->socket,
                                 .headers = headers,
                                 .body = body,
                                 .body_length = body != NULL ? strlen(body) : 0,
                                 .connect_timeout_ms = 10000,
                                 .timeout_ms = timeout_ms,
                                 .on_chunk = on_chunk,
                                 .done = on_answer,
                                 .arg = c};
        (void)http_start(d->http, &o);
}

static struct call *new_call(struct docker *d, docker_done_fn done, void *arg)
{
        struct call *c = mem_zalloc(sizeof *c);
        *c = (struct call){.docker = d, .done = done, .arg = arg};
        return c;
}

void docker_call(struct docker *d, const char *method, const char *path, const json_t *body,
                 uint32_t timeout_ms, docker_done_fn done, void *arg)
{
        static const char *const json_headers[] = {"Content-Type: application/json", NULL};
        cleanup_free char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
        run(d, method, path, text, json_headers, timeout_ms, NULL, new_call(d, done, arg));
}

static bool on_progress(void *arg, const char *data, size_t length)
{
        struct call *c = arg;
        for (size_t i = 0; i < length; i++) {
                if (data[i] != '\n') {
                        buf_append(&c->line, &data[i], 1);
                        if (c->line.length > LINE_MAX_)
                                return false;
                        continue;
                }
                cleanup_json json_t *j = json_loadb(c->line.data, c->line.length, 0, NULL);
                const char *e = json_string_value(json_object_get(j, "error"));
                if (e != NULL && c->stream_error == NULL)
                        c->stream_error = mem_strdup(e);
                c->line.length = 0;
        }
        return true;
}

/* name and tag-or-digest of a reference; ":latest" when it has neither. */
static void split_image(const char *image, char **ret_name, char **ret_tag)
{
        const char *at = strchr(image, '@');
        const char *slash = strrchr(image, '/');
        const char *colon = strrchr(slash != NULL ? slash : image, ':');
        const char *cut = at != NULL ? at : colon;
        if (at != NULL && colon != NULL && colon < at)
                *ret_name = mem_strndup(image, (size_t)(colon - image));
        else
                *ret_name = cut != NULL ? mem_strndup(image, (size_t)(cut - image))
                                        : mem_strdup(image);
        *ret_tag = mem_strdup(cut != NULL ? cut + 1 : "latest");
}

void docker_pull(struct docker *d, const char *image, uint32_t timeout_ms, docker_done_fn done,
                 void *arg)
{
        static const char *const headers[] = {"X-Registry-Auth: e30=", NULL};
        char *name, *tag;
        split_image(image, &name, &tag);
        cleanup_free char *n = docker_escape(name);
        cleanup_free char *t = docker_escape(tag);
        cleanup_free char *path = mem_printf("/images/create?fromImage=%s&tag=%s", n, t);
        free(name);
        free(tag);
        run(d, "POST", path, NULL, headers, timeout_ms, on_progress, new_call(d, done, arg));
}

char *docker_escape(const char *text)
{
        struct buf b = {0};
        for (; *text != '\0'; text++) {
                if (isalnum((unsigned char)*text) || strchr("-_.~", *text) != NULL)
                        buf_append(&b, text, 1);
                else
                        buf_printf(&b, "%%%02X", (unsigned char)*text);
        }
        return buf_steal(&b);
}

/* ---- life ---- */

struct docker *docker_new(uv_loop_t *loop, const char *host, const struct docker_callbacks *cb,
                          const struct log *log)
{
        struct docker *d = mem_zalloc(sizeof *d);
        *d = (struct docker){
                .loop = loop,
                .http = http_client_new(loop),
                .cb = *cb,
                .log = log,
                .socket = mem_strdup(strncmp(host, "unix://", 7) == 0 ? host + 7 : host),
                .backoff = {.min_ms = 100, .max_ms = 5000, .jitter = 0.2, .multiple = 1.5},
                .last_event_s = clock_wall_ms() / 1000,
        };
        (void)uv_timer_init(loop, &d->retry);
        d->retry.data = d;
        start(d);
        return d;
}

static void on_closed(uv_handle_t *h)
{
        struct docker *d = h->data;
        buf_clear(&d->line);
        free(d->socket);
        free(d->version);
        free(d->api);
        free(d->min_api);
        free(d->prefix);
        free(d);
}

void docker_close(struct docker *d)
{
        d->closing = true;
        http_client_close(d->http);
        uv_close((uv_handle_t *)&d->retry, on_closed);
}

bool docker_is_up(const struct docker *d)
{
        return d->up;
}

const char *docker_version(const struct docker *d)
{
        return d->version;
}

const char *docker_api_version(const struct docker *d)
{
        return d->api;
}

const char *docker_min_api_version(const struct docker *d)
{
        return d->min_api;
}
