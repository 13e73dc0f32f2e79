/* given_socket: a connected socket for libcurl, where only somebody else may open it. */
#pragma once

#include <curl/curl.h>

/* Where easy would connect it takes *fd, which is -1 from then on and curl's; with -1 the transfer
 * fails. fd is borrowed and must live as long as the transfer. Source: DESIGN section 5. */
void given_socket_use(CURL *easy, int *fd);
