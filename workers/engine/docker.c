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

struct docker_call {
        struct docker *docker;
        docker_done_fn done;
        void *arg;
        struct json_lines lines;  /* of a progress stream */
        char *stream_error;
        struct http_request *request;
        uv_timer_t *silence;  /* a progress stream's limit for the next line, else NULL */
        uint32_t silence_ms;  /* the limit once the stream has begun */
        bool begun, silent;   /* the stream has; it has said nothing for too long */
        docker_line_fn on_line;
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

static void finish_call(struct docker_call *c, int error, const char *text, int status, json_t *body)
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
        struct docker_call *c = arg;
        cleanup_json json_t *body =
                r->body_length > 0 ? json_loadb(r->body, r->body_length, JSON_DECODE_ANY, NULL)
                                   : NULL;
        if (c->stream_error != NULL && (error == 0 || error == -ECANCELED)) {
                finish_call(c, c->silent && !c->begun ? -ETIME : -EIO, c->stream_error, 0, NULL);
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
                struct docker_call *c)
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

static struct docker_call *new_call(struct docker *d, docker_done_fn done, void *arg)
{
        struct docker_call *c = mem_zalloc(sizeof *c);
        *c = (struct docker_call){.docker = d, .done = done, .arg = arg};
        return c;
}

struct docker_call *docker_start(struct docker *d, const char *method, const char *path,
                                 const json_t *body, uint32_t timeout_ms, docker_done_fn done,
                                 void *arg)
{
        static const char *const json_headers[] = {"Content-Type: application/json", NULL};
        cleanup_free char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
        struct docker_call *c = new_call(d, done, arg);
        run(d, method, path, text, json_headers, timeout_ms, NULL, c);
        return c;
}

void docker_call(struct docker *d, const char *method, const char *path, const json_t *body,
                 uint32_t timeout_ms, docker_done_fn done, void *arg)
{
        (void)docker_start(d, method, path, body, timeout_ms, done, arg);
}

/* The stream has said nothing for too long: this try is over. */
static void on_silence(uv_timer_t *t)
{
        struct docker_call *c = t->data;
        c->silent = true;
        if (c->stream_error == NULL)
                c->stream_error = mem_strdup("inactivity time exceeded timeout while pulling image");
        http_cancel(c->request);
}

static void take_progress(void *arg, const json_t *line)
{
        struct docker_call *c = arg;
        const char *e = json_string_value(json_object_get(line, "error"));
        if (e != NULL && c->stream_error == NULL)
                c->stream_error = mem_strdup(e);
        if (c->on_line != NULL)
                c->on_line(c->arg, line);
}

static bool on_progress(void *arg, const char *data, size_t length)
{
        struct docker_call *c = arg;
        c->begun = true;
        (void)uv_timer_start(c->silence, on_silence, c->silence_ms, 0);
        bool good = json_lines_feed(&c->lines, data, length, take_progress, c);
        if (!good && c->stream_error == NULL)
                c->stream_error = mem_strdup("a line of Docker's answer is too long");
        return good;
}

/* Headers with what a registry is shown. It is copied by the HTTP client, which wipes it. */
struct auth_headers {
        char *line;
        const char *list[2];
};

static void make_headers(struct auth_headers *h, const char *auth)
{
        h->line = mem_printf("X-Registry-Auth: %s", auth);
        h->list[0] = h->line;
        h->list[1] = NULL;
}

static void wipe_headers(struct auth_headers *h)
{
        explicit_bzero(h->line, strlen(h->line));
        free(h->line);
}

struct docker_call *docker_ask_registry(struct docker *d, const char *path, const char *auth,
                                        uint32_t timeout_ms, docker_done_fn done, void *arg)
{
        struct auth_headers h;
        struct docker_call *c = new_call(d, done, arg);
        make_headers(&h, auth);
        run(d, "GET", path, NULL, h.list, timeout_ms, NULL, c);
        wipe_headers(&h);
        return c;
}

struct docker_call *docker_pull(struct docker *d, const char *name, const char *version,
                                const char *auth, const struct docker_pull_limits *limits,
                                docker_line_fn on_line, docker_done_fn done, void *arg)
{
        struct auth_headers h;
        cleanup_free char *n = docker_escape(name);
        cleanup_free char *v = docker_escape(version);
        cleanup_free char *path = mem_printf("/images/create?fromImage=%s&tag=%s", n, v);
        struct docker_call *c = new_call(d, done, arg);
        c->on_line = on_line;
        c->silence_ms = (uint32_t)clock_wait_ms(limits->silence_ms);
        c->silence = mem_zalloc(sizeof *c->silence);
        (void)uv_timer_init(d->loop, c->silence);
        c->silence->data = c;
        (void)uv_timer_start(c->silence, on_silence, clock_wait_ms(limits->first_line_ms), 0);
        make_headers(&h, auth);
        run(d, "POST", path, NULL, h.list, limits->whole_ms, on_progress, c);
        wipe_headers(&h);
        return c;
}

void docker_cancel(struct docker_call *c)
{
        http_cancel(c->request);
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

bool docker_speaks(const struct docker *d, int minor)
{
        int known = minor_of(d->api);
        return (known < NEWEST_API ? known : NEWEST_API) >= minor;
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
