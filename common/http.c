/* http: curl's multi interface driven by libuv: one uv_poll a socket, one uv_timer in all.
 * Finished transfers are reported from the timer or poll callbacks, never from http_start.
 * Trap: curl must not be re-entered from its own callbacks, so a cancel, or a start inside a chunk
 * callback, is only marked and carried out from a timer of no wait. */
#include "http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "given_socket.h"
#include "mem.h"

#define DEFAULT_MAX_BODY (64u << 20)

struct http_client {
        uv_loop_t *loop;
        CURLM *multi;
        uv_timer_t timer;    /* what curl asks for */
        uv_timer_t reaper;   /* carries out cancels and late starts */
        struct http_request *requests;
        bool closing;
        unsigned open;       /* handles whose close callback is due */
};

struct http_socket {
        uv_poll_t poll;
        struct http_client *client;
        curl_socket_t fd;
};

/* What waits for a socket from outside; outlives a request that ends before it comes. */
struct ticket {
        struct http_request *request;  /* NULL: no longer wanted */
};

struct http_request {
        struct http_client *client;
        struct http_request *next;
        CURL *easy;
        struct curl_slist *headers;
        struct buf body, response, response_headers;
        size_t max_body;
        http_chunk_fn on_chunk;
        http_done_fn done;
        void *arg;
        http_tunnel_fn opened;  /* set: this is a tunnel, kept after it is connected */
        bool cancelled, refused_chunk, too_long;
        bool pending;           /* started inside a curl callback: added from the reaper */
        struct ticket *ticket;  /* set: not with curl before its socket has come */
        int socket;             /* connected, for curl to take; -1 = none */
        int socket_error;       /* why none came */
        char error[CURL_ERROR_SIZE];
};

static const struct {
        CURLcode curl;
        int error;
} codes[] = {
        {CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT},   {CURLE_COULDNT_CONNECT, -ECONNREFUSED},
        {CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH}, {CURLE_COULDNT_RESOLVE_PROXY, -EHOSTUNREACH},
        {CURLE_GOT_NOTHING, -ECONNRESET},         {CURLE_RECV_ERROR, -ECONNRESET},
        {CURLE_SEND_ERROR, -ECONNRESET},          {CURLE_PARTIAL_FILE, -ECONNRESET},
        {CURLE_PEER_FAILED_VERIFICATION, -EPROTO}, {CURLE_SSL_CONNECT_ERROR, -EPROTO},
        {CURLE_URL_MALFORMAT, -EINVAL},
};

static void check_finished(struct http_client *c);

/* ---- the life of a request ---- */

/* Takes the request from the client and from curl, before done runs: done may close the client. */
static void detach(struct http_request *r)
{
        for (struct http_request **at = &r->client->requests; *at != NULL; at = &(*at)->next)
                if (*at == r) {
                        *at = r->next;
                        break;
                }
        (void)curl_multi_remove_handle(r->client->multi, r->easy);
}

static void release(struct http_request *r)
{
        curl_easy_cleanup(r->easy);
        for (struct curl_slist *h = r->headers; h != NULL; h = h->next)
                explicit_bzero(h->data, strlen(h->data));
        curl_slist_free_all(r->headers);
        if (r->ticket != NULL)
                r->ticket->request = NULL;
        if (r->socket >= 0)
                (void)close(r->socket); /* an older connection did */
        if (r->body.data != NULL)
                explicit_bzero(r->body.data, r->body.size);
        if (r->response.data != NULL)
                explicit_bzero(r->response.data, r->response.size);
        buf_clear(&r->body);
        buf_clear(&r->response);
        buf_clear(&r->response_headers);
        free(r);
}

static int error_of(const struct http_request *r, CURLcode code, const char **ret_text)
{
        *ret_text = r->error[0] != '\0' ? r->error : curl_easy_strerror(code);
        if (r->cancelled || r->refused_chunk) {
                *ret_text = "cancelled";
                return -ECANCELED;
        }
        if (r->too_long) {
                *ret_text = "the answer is too long";
                return -EMSGSIZE;
        }
        if (r->socket_error != 0) {
                *ret_text = strerror(-r->socket_error);
                return r->socket_error;
        }
        if (code == CURLE_OK)
                return 0;
        for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
                if (codes[i].curl == code)
                        return codes[i].error;
        return -EIO;
}

static void finish(struct http_request *r, CURLcode code)
{
        long status = 0;
        const char *text;
        (void)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
        int error = error_of(r, code, &text);
        struct http_response response = {
                .status = (int)status,
                .body = r->response.data != NULL ? r->response.data : "",
                .body_length = r->response.length,
                .headers = r->response_headers.data != NULL ? r->response_headers.data : "",
        };
        detach(r);
        r->done(r->arg, error, error == 0 ? "" : text, &response);
        release(r);
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
        struct http_request *r = arg;
        size_t n = size * count;
        long status = 0;
        if (r->cancelled)
                return 0;
        (void)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
        if (r->on_chunk != NULL && status >= 200 && status < 300) {
                r->refused_chunk = !r->on_chunk(r->arg, data, n);
                return r->refused_chunk ? 0 : n;
        }
        if (r->response.length + n > r->max_body) {
                r->too_long = true;
                return 0;
        }
        buf_append(&r->response, data, n);
        return n;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
        struct http_request *r = arg;
        if (size * count > 5 && memcmp(data, "HTTP/", 5) == 0)
                r->response_headers.length = 0; /* what came before was an interim answer */
        if (r->response_headers.length + size * count < 65536)
                buf_append(&r->response_headers, data, size * count);
        return size * count;
}

/* ---- curl on libuv ---- */

static void on_poll(uv_poll_t *h, int status, int events)
{
        struct http_socket *s = h->data;
        struct http_client *c = s->client;
        int flags = status < 0 ? CURL_CSELECT_ERR : 0, running;
        if ((events & UV_READABLE) != 0)
                flags |= CURL_CSELECT_IN;
        if ((events & UV_WRITABLE) != 0)
                flags |= CURL_CSELECT_OUT;
        (void)curl_multi_socket_action(c->multi, s->fd, flags, &running);
        check_finished(c);
}

static void on_socket_closed(uv_handle_t *h)
{
        free(h->data);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
        struct http_client *c = arg;
        struct http_socket *s = socket_arg;
        (void)easy;
        if (what == CURL_POLL_REMOVE) {
                if (s != NULL) {
                        (void)uv_poll_stop(&s->poll);
                        (void)curl_multi_assign(c->multi, fd, NULL);
                        uv_close((uv_handle_t *)&s->poll, on_socket_closed);
                }
                return 0;
        }
        if (s == NULL) {
                s = mem_zalloc(sizeof *s);
                s->client = c;
                s->fd = fd;
                if (uv_poll_init(c->loop, &s->poll, fd) != 0) {
                        free(s);
                        return -1;
                }
                s->poll.data = s;
                (void)curl_multi_assign(c->multi, fd, s);
        }
        int events = (what & CURL_POLL_IN ? UV_READABLE : 0) |
                     (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
        (void)uv_poll_start(&s->poll, events, on_poll);
        return 0;
}

static void on_timeout(uv_timer_t *t)
{
        struct http_client *c = t->data;
        int running;
        (void)curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        check_finished(c);
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
        struct http_client *c = arg;
        (void)multi;
        if (timeout_ms < 0)
                (void)uv_timer_stop(&c->timer);
        else
                (void)uv_timer_start(&c->timer, on_timeout, (uint64_t)timeout_ms, 0);
        return 0;
}

static void check_finished(struct http_client *c)
{
        CURLMsg *m;
        int left;
        while (!c->closing && (m = curl_multi_info_read(c->multi, &left)) != NULL) {
                struct http_request *r;
                if (m->msg != CURLMSG_DONE)
                        continue;
                CURLcode code = m->data.result;
                (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&r);
                if (r->opened != NULL) {
                        const char *text;
                        int error = error_of(r, code, &text);
                        r->opened(r->arg, error, text);
                } else {
                        finish(r, code);
                }
        }
}

static void on_reap(uv_timer_t *t)
{
        struct http_client *c = t->data;
        struct http_request *r = c->requests;
        for (struct http_request *p = r; p != NULL; p = p->next)
                if (p->pending) {
                        p->pending = false;
                        (void)curl_multi_add_handle(c->multi, p->easy);
                }
        while (r != NULL && !c->closing) {
                // finish unlinks what it frees: requests never names it again
                if (r->cancelled || r->socket_error != 0) { // NOLINT(clang-analyzer-unix.Malloc)
                        finish(r, CURLE_ABORTED_BY_CALLBACK);
                        r = c->requests; /* done may have started or cancelled others */
                } else {
                        r = r->next;
                }
        }
}

/* ---- sockets from outside ---- */

static void add_to_curl(struct http_request *r)
{
        r->pending = curl_multi_add_handle(r->client->multi, r->easy) != CURLM_OK;
        if (r->pending)
                (void)uv_timer_start(&r->client->reaper, on_reap, 0, 0);
}

static void on_socket_given(void *arg, int fd)
{
        struct ticket *t = arg;
        struct http_request *r = t->request;
        free(t);
        if (r == NULL) {
                if (fd >= 0)
                        (void)close(fd);
                return;
        }
        r->ticket = NULL;
        r->socket = fd;
        if (fd >= 0) {
                add_to_curl(r);
                return;
        }
        r->socket_error = fd;
        (void)uv_timer_start(&r->client->reaper, on_reap, 0, 0);
}

/* The request goes to curl when its socket is there; curl asks for it unless it still holds an idle
 * connection. */
static void await_socket(struct http_request *r, http_connect_fn connect, void *arg)
{
        given_socket_use(r->easy, &r->socket);
        r->ticket = mem_zalloc(sizeof *r->ticket);
        r->ticket->request = r;
        connect(arg, on_socket_given, r->ticket);
}

/* ---- public ---- */

struct http_client *http_client_new(uv_loop_t *loop)
{
        struct http_client *c = mem_zalloc(sizeof *c);
        static bool initialised;
        if (!initialised)
                (void)curl_global_init(CURL_GLOBAL_DEFAULT);
        initialised = true;
        c->loop = loop;
        c->multi = curl_multi_init();
        (void)uv_timer_init(loop, &c->timer);
        (void)uv_timer_init(loop, &c->reaper);
        c->timer.data = c->reaper.data = c;
        (void)curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        (void)curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
        (void)curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
        (void)curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
        (void)curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, 8L);
        return c;
}

static void on_client_closed(uv_handle_t *h)
{
        struct http_client *c = h->data;
        if (--c->open == 0)
                free(c);
}

void http_client_close(struct http_client *c)
{
        if (c == NULL || c->closing)
                return;
        c->closing = true;
        while (c->requests != NULL) {
                // both unlink what they free
                c->requests->cancelled = true; // NOLINT(clang-analyzer-unix.Malloc)
                if (c->requests->opened != NULL)
                        http_tunnel_close((struct http_tunnel *)c->requests);
                else
                        finish(c->requests, CURLE_ABORTED_BY_CALLBACK);
        }
        (void)curl_multi_cleanup(c->multi);
        c->open = 2;
        uv_close((uv_handle_t *)&c->timer, on_client_closed);
        uv_close((uv_handle_t *)&c->reaper, on_client_closed);
}

static const char *first_set(const char *const *names)
{
        for (; *names != NULL; names++) {
                const char *value = getenv(*names);
                if (value != NULL && *value != '\0')
                        return value;
        }
        return "";
}

/* Whether url names IPv6 link-local, with its brackets: curl 7.88 does not find those in a list. */
static bool is_link_local6(const char *url)
{
        const char *host = strstr(url, "://");
        return host != NULL && strncasecmp(host, "://[fe", 6) == 0 &&
               strchr("89abAB", host[6]) != NULL && host[6] != '\0';
}

/* Proxies as the configuration reference has them, not as curl would: upper case counts for http
 * too, https falls back to the http proxy, and this machine and the link-local services (IMDS, the
 * task endpoints) are never behind one. */
static void set_proxy(CURL *easy, const char *url, bool none)
{
        static const char *const http[] = {"HTTP_PROXY", "http_proxy", NULL};
        static const char *const https[] = {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY",
                                            "http_proxy", NULL};
        static const char *const exempt[] = {"NO_PROXY", "no_proxy", NULL};
        const char *proxy = first_set(strncasecmp(url, "https:", 6) == 0 ? https : http);
        none = none || is_link_local6(url);
        /* an empty text keeps curl from looking into the environment itself */
        (void)curl_easy_setopt(easy, CURLOPT_PROXY, none ? "" : proxy);
        const char *more = first_set(exempt);
        char *list = strcmp(more, "*") == 0
                             ? mem_strdup(more)
                             : mem_printf("localhost,127.0.0.0/8,::1,169.254.0.0/16,fe80::/10,"
                                          "169.254.169.254,169.254.170.2,fd00:ec2::254%s%s",
                                          *more != '\0' ? "," : "", more);
        (void)curl_easy_setopt(easy, CURLOPT_NOPROXY, list);
        (void)curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
        free(list);
}

static void set_body(struct http_request *r, const struct http_options *o)
{
        (void)curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, o->method);
        if (strcmp(o->method, "HEAD") == 0)
                (void)curl_easy_setopt(r->easy, CURLOPT_NOBODY, 1L);
        if (o->body == NULL && strcmp(o->method, "POST") != 0 && strcmp(o->method, "PUT") != 0)
                return;
        buf_append(&r->body, o->body != NULL ? o->body : "", o->body_length);
        (void)curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, r->body.data);
        (void)curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE, (long)r->body.length);
}

static void set_security(CURL *e, const char *ca_path, const char *ca_file, bool insecure)
{
        (void)curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
        (void)curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        /* a directory, not a bundle: the bundle costs 40 ms and 0.8 MiB at the first connect */
        if (ca_path == NULL)
                ca_path = "/etc/ssl/certs";
        (void)curl_easy_setopt(e, CURLOPT_CAINFO, ca_file);
        (void)curl_easy_setopt(e, CURLOPT_CAPATH, ca_file != NULL ? NULL : ca_path);
        if (insecure) {
                (void)curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
                (void)curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
        }
}

static struct http_request *new_request(struct http_client *c, const char *url, void *arg,
                                        uint32_t connect_timeout_ms)
{
        struct http_request *r = mem_zalloc(sizeof *r);
        uint64_t limit = clock_wait_ms(connect_timeout_ms > 0 ? connect_timeout_ms : 30000);
        r->client = c;
        r->socket = -1;
        r->arg = arg;
        r->easy = curl_easy_init();
        (void)curl_easy_setopt(r->easy, CURLOPT_URL, url);
        (void)curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
        (void)curl_easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
        (void)curl_easy_setopt(r->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        (void)curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->error);
        (void)curl_easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)limit);
        return r;
}

static void add_request(struct http_request *r)
{
        r->next = r->client->requests;
        r->client->requests = r;
}

struct http_request *http_start(struct http_client *c, const struct http_options *o)
{
        struct http_request *r = new_request(c, o->url, o->arg, o->connect_timeout_ms);
        CURL *e = r->easy;
        r->done = o->done;
        r->on_chunk = o->on_chunk;
        r->max_body = o->max_body > 0 ? o->max_body : DEFAULT_MAX_BODY;
        (void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
        (void)curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
        (void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
        (void)curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
        if (o->timeout_ms > 0)
                (void)curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)clock_wait_ms(o->timeout_ms));
        if (o->unix_socket != NULL) {
                (void)curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, o->unix_socket);
                /* "..", as part of a name, must not lead to another object */
                (void)curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
        }
        set_security(e, o->ca_path, o->ca_file, o->insecure);
        for (size_t i = 0; o->headers != NULL && o->headers[i] != NULL; i++)
                r->headers = curl_slist_append(r->headers, o->headers[i]);
        r->headers = curl_slist_append(r->headers, "Expect:");
        (void)curl_easy_setopt(e, CURLOPT_HTTPHEADER, r->headers);
        set_proxy(e, o->url, o->no_proxy || o->unix_socket != NULL);
        set_body(r, o);
        add_request(r);
        if (o->connect != NULL)
                await_socket(r, o->connect, o->connect_arg);
        else
                add_to_curl(r);
        return r;
}

/* ---- tunnels ---- */

struct http_tunnel *http_tunnel_open(struct http_client *c, const struct http_tunnel_options *o)
{
        struct http_request *r = new_request(c, o->url, o->arg, o->connect_timeout_ms);
        r->opened = o->opened;
        (void)curl_easy_setopt(r->easy, CURLOPT_CONNECT_ONLY, 1L);
        set_security(r->easy, o->ca_path, o->ca_file, o->insecure);
        set_proxy(r->easy, o->url, false);
        add_request(r);
        add_to_curl(r);
        return (struct http_tunnel *)r;
}

static struct http_request *tunnel_request(const struct http_tunnel *t)
{
        return (struct http_request *)(uintptr_t)t;
}

int http_tunnel_fd(const struct http_tunnel *t)
{
        curl_socket_t fd = CURL_SOCKET_BAD;
        (void)curl_easy_getinfo(tunnel_request(t)->easy, CURLINFO_ACTIVESOCKET, &fd);
        return fd;
}

long http_tunnel_read(struct http_tunnel *t, void *buf, size_t size)
{
        size_t n = 0;
        CURLcode code = curl_easy_recv(tunnel_request(t)->easy, buf, size, &n);
        if (code == CURLE_AGAIN)
                return -EAGAIN;
        return code == CURLE_OK ? (long)n : -ECONNRESET;
}

long http_tunnel_write(struct http_tunnel *t, const void *data, size_t size)
{
        size_t n = 0;
        CURLcode code = curl_easy_send(tunnel_request(t)->easy, data, size, &n);
        if (code == CURLE_AGAIN)
                return -EAGAIN;
        return code == CURLE_OK ? (long)n : -ECONNRESET;
}

void http_tunnel_close(struct http_tunnel *t)
{
        struct http_request *r = tunnel_request(t);
        detach(r);
        release(r);
}

void http_cancel(struct http_request *r)
{
        r->cancelled = true;
        (void)uv_timer_start(&r->client->reaper, on_reap, 0, 0);
}

bool http_header(const char *headers, const char *name, char *buf, size_t size)
{
        size_t n = strlen(name);
        for (const char *p = headers; *p != '\0';) {
                size_t line = strcspn(p, "\r\n");
                if (line > n && strncasecmp(p, name, n) == 0 && p[n] == ':') {
                        const char *v = p + n + 1, *end = p + line;
                        while (v < end && (*v == ' ' || *v == '\t'))
                                v++;
                        size_t length = (size_t)(end - v) < size - 1 ? (size_t)(end - v) : size - 1;
                        memcpy(buf, v, length);
                        buf[length] = '\0';
                        return true;
                }
                p += line;
                p += strspn(p, "\r\n");
        }
        return false;
}
