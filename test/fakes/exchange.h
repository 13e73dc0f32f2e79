/* exchange: the HTTP server's side of a handler under test, in memory: no socket, no library. Link
 * with ecs_fake_exchange (test/CMakeLists.txt), which wraps the functions of http_server.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http_server.h"

#define EXCHANGE_HEADERS 16

struct http_exchange {
        const char *method, *target, *body;
        size_t body_length;
        struct http_answer_header headers[EXCHANGE_HEADERS + 1]; /* of the request */
        int outcomes;           /* answers, upgrades, drops, suspensions; more than one aborts */
        int status;             /* of the answer; 0 = none */
        char *answer;           /* owned, NUL-terminated */
        size_t answer_length;
        bool is_json;
        uint64_t tag;
};

/* The handler of the last http_server_new, and its argument. */
extern http_handler_fn exchange_handler;
extern void *exchange_handler_arg;

/* Calls the handler; aborts unless it decided exactly once. */
void exchange_run(struct http_exchange *x, http_handler_fn handler, void *arg);
/* Frees the answer. */
void exchange_clear(struct http_exchange *x);
