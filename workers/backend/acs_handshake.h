/* acs_handshake: the texts of the websocket upgrade: URL, signed request, the server's answer.
 * No I/O. Source: backend.md 2.3, 6.1. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct backend;
struct buf;

/* Sorted and form-encoded. Returns owned. */
char *acs_handshake_query(const struct backend *b, bool send_credentials);
/* "http(s)://host[:port]/path/" for http, https, ws, wss; NULL for another scheme. Owned. */
char *acs_handshake_url(const char *endpoint);
/* Appends the request, signed for now. *ret_accept: what the answer must carry; owned. */
void acs_handshake_request(const struct backend *b, bool send_credentials, struct buf *out,
                           char **ret_accept);

enum acs_answer { ACS_ANSWER_PARTIAL, ACS_ANSWER_UPGRADED, ACS_ANSWER_REFUSED };
/* Looks at what has arrived; at_end: nothing more comes. *ret_length: bytes of the headers when
 * upgraded. *ret_refusal: a sentence with the first 1024 bytes of the body when refused; owned. */
enum acs_answer acs_handshake_answer(const struct buf *in, bool at_end, const char *accept,
                                     size_t *ret_length, char **ret_refusal);
