/* given_socket: how libcurl is brought to take a socket that is connected already. */
#include "given_socket.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A listener of our own that never accepts and whose queue is full: connecting to it says "later",
 * whatever the state of the socket. Made once, lives as long as the process. */
static bool full_listener(struct sockaddr_un *ret, socklen_t *ret_length)
{
        static struct sockaddr_un a = {.sun_family = AF_UNIX};
        static socklen_t length;
        if (length == 0) {
                const int flags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
                int listener = socket(AF_UNIX, flags, 0), first = socket(AF_UNIX, flags, 0);
                socklen_t n = sizeof a;
                /* an address without a path: the kernel chooses an abstract name */
                if (bind(listener, (struct sockaddr *)&a, sizeof a.sun_family) != 0 ||
                    listen(listener, 0) != 0 ||
                    getsockname(listener, (struct sockaddr *)&a, &n) != 0 ||
                    connect(first, (struct sockaddr *)&a, n) != 0) {
                        (void)close(listener);
                        (void)close(first);
                        a = (struct sockaddr_un){.sun_family = AF_UNIX};
                        return false;
                }
                length = n;
        }
        *ret = a;
        *ret_length = length;
        return true;
}

/* Trap: libcurl 7.88 connects even what is_connected() says is connected, and takes EISCONN for a
 * failure but EAGAIN for a connection under way, which it then finds to be there. */
static curl_socket_t take_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
        int *given = arg;
        struct sockaddr_un elsewhere;
        socklen_t length;
        curl_socket_t fd = *given;
        (void)purpose;
        if (fd < 0 || !full_listener(&elsewhere, &length))
                return CURL_SOCKET_BAD;
        memcpy(&address->addr, &elsewhere, length);
        address->addrlen = length;
        *given = -1;
        return fd;
}

static int is_connected(void *arg, curl_socket_t fd, curlsocktype purpose)
{
        (void)arg;
        (void)fd;
        (void)purpose;
        return CURL_SOCKOPT_ALREADY_CONNECTED;
}

void given_socket_use(CURL *easy, int *fd)
{
        (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, take_socket);
        (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fd);
        (void)curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, is_connected);
}
