/* record: what agents sent and what they were sent, bounded, in memory, without secrets, so that
 * a person or a test sees from outside what went over the wire. */
#pragma once

#include <jansson.h>
#include <stdint.h>

struct http_exchange;
struct record;

struct record *record_new(void);
void record_free(struct record *r);
/* A call (operation named) or a handshake ("acs", "tcs"). Returns the entry's number. */
uint64_t record_request(struct record *r, const char *operation, const struct http_exchange *x);
/* How it was answered: error "" when good; status 0: dropped. */
void record_answer(struct record *r, uint64_t number, int status, const char *error);
/* A message on a session. text: one whole message; error: what is wrong with it, or "". */
void record_message(struct record *r, const char *session, const char *text, size_t length,
                    const char *error);
void record_sent(struct record *r, const char *session, const json_t *envelope);
/* A session's end; code of the agent's close frame, 0 without one. */
void record_end(struct record *r, const char *session, unsigned code);
/* Entries behind `after`, at most some MiB of them. Returns owned text, a JSON array. */
char *record_read(const struct record *r, uint64_t after, uint64_t *ret_last);
/* Replaces what is secret in v, at any depth. */
void record_redact(json_t *v);
