/* probe: questions that may never be answered, each in a child with a deadline. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Runs fn in a child; what it prints to standard output is returned, owned; NULL when it took
 * longer than timeout_ms or died. */
char *probe_run(void (*fn)(void *arg), void *arg, uint32_t timeout_ms);

/* For use inside a probe: connect, ask, read all. They block; the deadline is the probe's. */
/* A connected socket or negative errno. */
int probe_connect_unix(const char *path);
/* Address of any family. *ret_text (owned): what getaddrinfo says when the name is not known. */
int probe_connect_tcp(const char *host, const char *port, char **ret_text);
/* Sends an HTTP/1.0 request and returns the body of a 2xx answer, owned; NULL with *ret_status. */
char *probe_http(int fd, const char *request, int *ret_status);
