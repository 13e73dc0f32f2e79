/* http_server: libmicrohttpd on the loop, on an inherited listening socket. One exchange = one
 * request and its answer. Spikes section 1 has the recipe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_server;
struct http_exchange;

/* Must decide before it returns: exactly one of http_answer, http_upgrade, http_drop and
 * http_suspend. */
typedef void (*http_handler_fn)(void *arg, struct http_exchange *x);

struct http_server_options {
        http_handler_fn handler;
        void *arg;
        size_t max_body;    /* longer bodies get 413 */
        unsigned timeout_s; /* for an idle connection or a request line; again for the rest of the
                             * request and its answer; 0 = none */
        size_t memory;      /* a connection's, for the headers both ways; 0 = 32 KiB. It is cleared
                             * for every request. */
        unsigned connections; /* at most, then the longest idle one is closed; 0 = 1000 */
};
/* fd is duplicated. NULL when the library refuses. */
struct http_server *http_server_new(uv_loop_t *loop, int fd, const struct http_server_options *o);
void http_server_close(struct http_server *s);

/* ---- the request; all borrowed ---- */
const char *http_method(const struct http_exchange *x);
/* As sent, not decoded, with the query. */
const char *http_target(const struct http_exchange *x);
const char *http_request_header(const struct http_exchange *x, const char *name);
const char *http_body(const struct http_exchange *x, size_t *ret_length);
/* "ip:port" of the client, "[ip]:port" for IPv6. */
const char *http_remote(struct http_exchange *x);

struct http_answer_header {
        const char *name, *value;
};
/* Body is copied. headers end with a NULL name; may be NULL. */
void http_answer(struct http_exchange *x, int status, const struct http_answer_header *headers,
                 const void *body, size_t length);

/* An answer made once and sent many times. Body is copied. Exchanges under way keep their own hold
 * on it, so it may be freed at any time. */
struct http_prepared;
struct http_prepared *http_prepare(int status, const struct http_answer_header *headers,
                                   const void *body, size_t length);
void http_prepared_free(struct http_prepared *r);
void http_answer_prepared(struct http_exchange *x, const struct http_prepared *r);

/* 101: done gets the socket, and bytes that came behind the request. The socket is the library's:
 * give it back with http_upgraded_close(handle). */
typedef void (*http_upgraded_fn)(void *arg, int fd, const void *extra, size_t length, void *handle);
void http_upgrade(struct http_exchange *x, const struct http_answer_header *headers,
                  http_upgraded_fn done, void *arg);
void http_upgraded_close(struct http_server *s, void *handle);

/* Closes the connection without an answer. */
void http_drop(struct http_exchange *x);
/* The request waits; http_resume has the handler called again with it. A server that is closed
 * drops those that wait. */
void http_suspend(struct http_exchange *x);
void http_resume(struct http_exchange *x);
bool http_has_waited(const struct http_exchange *x);
/* A number of the handler's own that stays with the request; 0 at first. */
void http_set_tag(struct http_exchange *x, uint64_t tag);
uint64_t http_tag(const struct http_exchange *x);
