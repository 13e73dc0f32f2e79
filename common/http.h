/* http: requests by libcurl on the loop (AWS, IMDS, Docker over its unix socket).
 * One operation, one struct; done is called exactly once, never before start has returned. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_client;
struct http_request;

/* One curl multi handle on the loop. Returns owned. */
struct http_client *http_client_new(uv_loop_t *loop);
/* Cancels what runs (done gets -ECANCELED), closes tunnels that are still open, and frees itself
 * asynchronously. Not from inside a chunk callback. */
void http_client_close(struct http_client *c);

struct http_response {
        int status;               /* HTTP status, 0 when there was none */
        const char *body;         /* NUL-terminated; empty when a chunk callback took it */
        size_t body_length;
        const char *headers;      /* raw header lines, CRLF separated */
};
/* error: 0, or negative errno (-ETIMEDOUT, -ECONNREFUSED, -ECANCELED, …) with text a sentence.
 * All borrowed for the call. */
typedef void (*http_done_fn)(void *arg, int error, const char *text,
                             const struct http_response *response);
/* Body bytes as they come, only for status 200–299. Return false to cancel. */
typedef bool (*http_chunk_fn)(void *arg, const char *data, size_t length);

/* A connected socket for a request, where this process may not connect by itself. done(done_arg, fd)
 * is called once, now or later: fd is taken; negative errno fails the request. */
typedef void (*http_socket_fn)(void *done_arg, int fd);
typedef void (*http_connect_fn)(void *arg, http_socket_fn done, void *done_arg);

struct http_options {
        const char *method;            /* GET, POST, … */
        const char *url;
        const char *unix_socket;       /* path, or NULL */
        http_connect_fn connect;       /* NULL: curl connects */
        void *connect_arg;
        const char *const *headers;    /* "Name: value", NULL-terminated; may be NULL */
        const void *body;
        size_t body_length;
        uint32_t connect_timeout_ms;   /* 0 = 30 s */
        uint32_t timeout_ms;           /* whole request; 0 = none. Scaled by common/clock */
        size_t max_body;               /* 0 = 64 MiB; longer answers fail with -EMSGSIZE */
        bool no_proxy;
        bool insecure;                 /* skip certificate checks */
        const char *ca_path;           /* directory, or NULL for the system's */
        const char *ca_file;           /* bundle in the directory's place, or NULL */
        http_chunk_fn on_chunk;        /* NULL: the body is collected */
        http_done_fn done;
        void *arg;
};
/* Options are copied. Returns the running request, owned by the client until done. */
struct http_request *http_start(struct http_client *c, const struct http_options *o);
/* done is called with -ECANCELED from the loop, soon. */
void http_cancel(struct http_request *r);
/* The value of a header in a raw block, copied to buf; false if absent. Name without colon. */
bool http_header(const char *headers, const char *name, char *buf, size_t size);

/* tunnel: a connected stream (TCP, TLS, through a proxy) for another protocol: websockets.
 * Source: the CONNECT_ONLY recipe; the handle stays in the multi until closed. */
struct http_tunnel;
/* error 0: connected. Called once, from the loop. */
typedef void (*http_tunnel_fn)(void *arg, int error, const char *text);
struct http_tunnel_options {
        const char *url;             /* http:// or https:// */
        uint32_t connect_timeout_ms;
        bool insecure;
        const char *ca_path, *ca_file;
        http_tunnel_fn opened;
        void *arg;
};
struct http_tunnel *http_tunnel_open(struct http_client *c, const struct http_tunnel_options *o);
/* The socket to poll; for reading until -EAGAIN. */
int http_tunnel_fd(const struct http_tunnel *t);
/* Bytes, 0 at the end, -EAGAIN, or negative errno. */
long http_tunnel_read(struct http_tunnel *t, void *buf, size_t size);
/* After -EAGAIN call again with the same bytes at the same address. */
long http_tunnel_write(struct http_tunnel *t, const void *data, size_t size);
/* opened is not called any more. */
void http_tunnel_close(struct http_tunnel *t);
