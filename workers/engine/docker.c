/* docker: one HTTP client on the socket, one long event stream. The stream's end is the sign that
 * Docker has gone: it is opened again with backoff, from the time of the last event on, and `up`
 * makes the engine list and inspect everything anew. */
#include "docker.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backoff.h"
#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "json_lines.h"
#include "mem.h"
#include "random.h"

#define OLDEST_API  24
#define NEWEST_API  44  /* 1.44, the newest whose answers this program was written for */

struct docker {
        uv_loop_t *loop;
        struct http_client *http;
        struct docker_callbacks cb;
        const struct log *log;
        char *socket;
        http_connect_fn connect;  /* set while the socket is closed to us; found out at each start */
        char *version, *api, *min_api, *prefix;
        bool up, told_down, closing;
        struct backoff backoff;
        uv_timer_t retry;
        struct json_lines lines;
        int64_t last_event_s;
};

struct call {
        struct docker *docker;
        docker_done_fn done;
        void *arg;
        struct json_lines lines;  /* of a progress stream */
        char *stream_error;
        struct http_request *request;
        uv_timer_t *silence;  /* a progress stream's limit for the next line, else NULL */
        uint32_t silence_ms;  /* the limit once the stream has begun */
};

static void start(struct docker *d);

static void on_retry(uv_timer_t *t)
{
        start(t->data);
}

static void go_down(struct docker *d, const char *reason)
{
        if (d->closing)
                return;
        d->up = false;
        if (!d->told_down)
                d->cb.down(d->cb.arg, reason);
        d->told_down = true;
        (void)uv_timer_start(&d->retry, on_retry,
                             clock_wait_ms(backoff_next(&d->backoff, random_unit())), 0);
}

/* ---- events ---- */

static void take_event(void *arg, const json_t *event)
{
        struct docker *d = arg;
        const json_t *when = json_object_get(event, "time");
        if (json_is_integer(when))
                d->last_event_s = json_integer_value(when);
        d->cb.event(d->cb.arg, event);
}

static bool on_events(void *arg, const char *data, size_t length)
{
        struct docker *d = arg;
        /* ending the stream would bring the same event back: it is asked for from the last one on */
        if (!json_lines_feed(&d->lines, data, length, take_event, d))
                log_warn(d->log, "an event of Docker is too long and was passed over");
        return true;
}

bool docker_read_event(const json_t *event, const char **ret_action, const char **ret_id)
{
        const json_t *actor = json_object_get(event, "Actor");
        const char *action = json_string_value(json_object_get(event, "Action"));
        const char *id = json_string_value(json_object_get(actor, "ID"));
        if (action == NULL)
                action = json_string_value(json_object_get(event, "status"));
        if (id == NULL)
                id = json_string_value(json_object_get(event, "id"));
        if (action == NULL || *action == '\0' || id == NULL || *id == '\0')
                return false;
        *ret_action = action;
        *ret_id = id;
        return true;
}

static void on_events_end(void *arg, int error, const char *text,
                          const struct http_response *response)
{
        struct docker *d = arg;
        (void)response;
        json_lines_clear(&d->lines);
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
                                 .connect = d->connect,
                                 .connect_arg = d->cb.arg,
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

/* The 24 of "1.24"; -1 when it is not of that form. */
static int minor_of(const char *version)
{
        int minor;
        return version != NULL && sscanf(version, "1.%d", &minor) == 1 ? minor : -1;
}

static void on_version(void *arg, int error, const char *text, const struct http_response *r)
{
        struct docker *d = arg;
        if (d->closing)
                return;
        if (error != 0 || r->status != 200) {
                go_down(d, error != 0 ? text : "it refuses to tell its version");
                return;
        }
        cleanup_json json_t *j = json_loadb(r->body, r->body_length, 0, NULL);
        const char *api = json_string_value(json_object_get(j, "ApiVersion"));
        int minor = minor_of(api);
        if (minor < OLDEST_API ||
            minor_of(json_string_value(json_object_get(j, "MinAPIVersion"))) > NEWEST_API) {
                go_down(d, minor < OLDEST_API
                                   ? "it speaks no API version from 1.24 on: a newer Docker is needed"
                                   : "it no longer speaks API version 1.44: a newer agent is needed");
                return;
        }
        set_text(&d->api, api);
        set_text(&d->version, json_string_value(json_object_get(j, "Version")));
        set_text(&d->min_api, json_string_value(json_object_get(j, "MinAPIVersion")));
        free(d->prefix);
        d->prefix = mem_printf("/v1.%d", minor < NEWEST_API ? minor : NEWEST_API);
        d->up = true;
        d->told_down = false;
        backoff_reset(&d->backoff);
        open_events(d);
        d->cb.up(d->cb.arg);
}

static void start(struct docker *d)
{
        bool closed = access(d->socket, R_OK | W_OK) != 0 && errno == EACCES;
        d->connect = closed ? d->cb.connect : NULL;
        struct http_options o = {.method = "GET",
                                 .url = "http://docker/version",
                                 .unix_socket = d->socket,
                                 .connect = d->connect,
                                 .connect_arg = d->cb.arg,
                                 .connect_timeout_ms = 5000,
                                 .timeout_ms = 10000,
                                 .done = on_version,
                                 .arg = d};
        (void)http_start(d->http, &o);
}

/* ---- calls ---- */

static void on_silence_closed(uv_handle_t *h)
{
        free(h);
}

static void finish_call(struct call *c, int error, const char *text, int status, json_t *body)
{
        const char *message = json_string_value(json_object_get(body, "message"));
        struct docker_answer a = {.error = error,
                                  .status = status,
                                  .body = body,
                                  .text = message != NULL ? message : text};
        if (c->silence != NULL)
                uv_close((uv_handle_t *)c->silence, on_silence_closed);
        c->done(c->arg, &a);
        json_lines_clear(&c->lines);
        free(c->stream_error);
        free(c);
}

static void on_answer(void *arg, int error, const char *text, const struct http_response *r)
{
        struct call *c = arg;
        cleanup_json json_t *body =
                r->body_length > 0 ? json_loadb(r->body, r->body_length, JSON_DECODE_ANY, NULL)
                                   : NULL;
        if (c->stream_error != NULL && (error == 0 || error == -ECANCELED)) {
                finish_call(c, -EIO, c->stream_error, 0, NULL);
                return;
        }
        if (error == 0 && r->status >= 400 && body == NULL)
                text = "Docker gave no reason";
        if (error == 0 && r->status < 300 && r->body_length > 0 && body == NULL) {
                finish_call(c, -EPROTO, "Docker's answer is no JSON", 0, NULL);
                return;
        }
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
                                 .connect = d->connect,
                                 .connect_arg = d->cb.arg,
                                 .connect_timeout_ms = 10000,
                                 .timeout_ms = timeout_ms,
                                 .on_chunk = on_chunk,
                                 .done = on_answer,
                                 .arg = c};
        c->request = http_start(d->http, &o);
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

/* The stream has said nothing for too long: this try is over. */
static void on_silence(uv_timer_t *t)
{
        struct call *c = t->data;
        if (c->stream_error == NULL)
                c->stream_error = mem_strdup("inactivity time exceeded timeout while pulling image");
        http_cancel(c->request);
}

static void take_progress(void *arg, const json_t *line)
{
        struct call *c = arg;
        const char *e = json_string_value(json_object_get(line, "error"));
        if (e != NULL && c->stream_error == NULL)
                c->stream_error = mem_strdup(e);
}

static bool on_progress(void *arg, const char *data, size_t length)
{
        struct call *c = arg;
        (void)uv_timer_start(c->silence, on_silence, c->silence_ms, 0);
        bool good = json_lines_feed(&c->lines, data, length, take_progress, c);
        if (!good && c->stream_error == NULL)
                c->stream_error = mem_strdup("a line of Docker's answer is too long");
        return good;
}

void docker_split_image(const char *image, char **ret_name, char **ret_tag)
{
        const char *at = strchr(image, '@');
        cleanup_free char *before = mem_strndup(image, at != NULL ? (size_t)(at - image)
                                                                  : strlen(image));
        char *slash = strrchr(before, '/');
        char *colon = strchr(slash != NULL ? slash : before, ':');
        *ret_tag = mem_strdup(at != NULL ? at + 1 : colon != NULL ? colon + 1 : "latest");
        if (colon != NULL)
                *colon = '\0';
        *ret_name = mem_strdup(before);
}

void docker_pull(struct docker *d, const char *image, const struct docker_pull_limits *limits,
                 docker_done_fn done, void *arg)
{
        static const char *const headers[] = {"X-Registry-Auth: e30=", NULL};
        char *name, *tag;
        docker_split_image(image, &name, &tag);
        cleanup_free char *n = docker_escape(name);
        cleanup_free char *t = docker_escape(tag);
        cleanup_free char *path = mem_printf("/images/create?fromImage=%s&tag=%s", n, t);
        free(name);
        free(tag);
        struct call *c = new_call(d, done, arg);
        c->silence_ms = (uint32_t)clock_wait_ms(limits->silence_ms);
        c->silence = mem_zalloc(sizeof *c->silence);
        (void)uv_timer_init(d->loop, c->silence);
        c->silence->data = c;
        (void)uv_timer_start(c->silence, on_silence, clock_wait_ms(limits->first_line_ms), 0);
        run(d, "POST", path, NULL, headers, limits->whole_ms, on_progress, c);
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
        json_lines_clear(&d->lines);
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
