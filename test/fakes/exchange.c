/* exchange: __wrap_ functions in the place of http_server.c's. */
#include "exchange.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mem.h"

http_handler_fn exchange_handler;
void *exchange_handler_arg;

struct http_server *__wrap_http_server_new(uv_loop_t *, int, const struct http_server_options *);
void __wrap_http_server_close(struct http_server *s);
const char *__wrap_http_method(const struct http_exchange *x);
const char *__wrap_http_target(const struct http_exchange *x);
const char *__wrap_http_request_header(const struct http_exchange *x, const char *name);
const char *__wrap_http_body(const struct http_exchange *x, size_t *ret_length);
const char *__wrap_http_remote(struct http_exchange *x);
void __wrap_http_answer(struct http_exchange *x, int status,
                        const struct http_answer_header *headers, const void *body, size_t length);
void __wrap_http_answer_prepared(struct http_exchange *x, const struct http_prepared *p);
void __wrap_http_upgrade(struct http_exchange *x, const struct http_answer_header *headers,
                         http_upgraded_fn done, void *arg);
void __wrap_http_drop(struct http_exchange *x);
void __wrap_http_suspend(struct http_exchange *x);
bool __wrap_http_has_waited(const struct http_exchange *x);
void __wrap_http_set_tag(struct http_exchange *x, uint64_t tag);
uint64_t __wrap_http_tag(const struct http_exchange *x);

static void decide(struct http_exchange *x)
{
        if (++x->outcomes != 1)
                abort();
}

struct http_server *__wrap_http_server_new(uv_loop_t *loop, int fd,
                                           const struct http_server_options *o)
{
        static char server;
        (void)loop;
        (void)fd;
        exchange_handler = o->handler;
        exchange_handler_arg = o->arg;
        return (struct http_server *)(void *)&server;
}

void __wrap_http_server_close(struct http_server *s)
{
        (void)s;
}

const char *__wrap_http_method(const struct http_exchange *x)
{
        return x->method;
}

const char *__wrap_http_target(const struct http_exchange *x)
{
        return x->target;
}

const char *__wrap_http_request_header(const struct http_exchange *x, const char *name)
{
        for (const struct http_answer_header *h = x->headers; h->name != NULL; h++)
                if (strcasecmp(h->name, name) == 0)
                        return h->value;
        return NULL;
}

const char *__wrap_http_body(const struct http_exchange *x, size_t *ret_length)
{
        *ret_length = x->body_length;
        return x->body != NULL ? x->body : "";
}

const char *__wrap_http_remote(struct http_exchange *x)
{
        (void)x;
        return "127.0.0.1:1";
}

void __wrap_http_answer(struct http_exchange *x, int status,
                        const struct http_answer_header *headers, const void *body, size_t length)
{
        decide(x);
        x->status = status;
        x->answer = mem_strndup(length > 0 ? body : "", length);
        x->answer_length = length;
        for (; headers != NULL && headers->name != NULL; headers++)
                if (strcasecmp(headers->name, "Content-Type") == 0)
                        x->is_json = strstr(headers->value, "json") != NULL;
}

void __wrap_http_answer_prepared(struct http_exchange *x, const struct http_prepared *p)
{
        (void)p;
        decide(x);
        x->status = 200;
}

void __wrap_http_upgrade(struct http_exchange *x, const struct http_answer_header *headers,
                         http_upgraded_fn done, void *arg)
{
        (void)headers;
        (void)done;
        (void)arg;
        decide(x);
        x->status = 101;
}

void __wrap_http_drop(struct http_exchange *x)
{
        decide(x);
}

void __wrap_http_suspend(struct http_exchange *x)
{
        decide(x);
}

bool __wrap_http_has_waited(const struct http_exchange *x)
{
        (void)x;
        return false;
}

void __wrap_http_set_tag(struct http_exchange *x, uint64_t tag)
{
        x->tag = tag;
}

uint64_t __wrap_http_tag(const struct http_exchange *x)
{
        return x->tag;
}

void exchange_run(struct http_exchange *x, http_handler_fn handler, void *arg)
{
        handler(arg, x);
        if (x->outcomes != 1)
                abort();
}

void exchange_clear(struct http_exchange *x)
{
        free(x->answer);
        x->answer = NULL;
}
