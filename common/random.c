/* random: getrandom(2); it cannot fail for such sizes once the kernel is seeded. */
#include "random.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *buf, size_t size)
{
        unsigned char *p = buf;
        while (size > 0) {
                ssize_t n = getrandom(p, size, 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        abort();
                p += n;
                size -= (size_t)n;
        }
}

double random_unit(void)
{
        uint64_t r;
        random_bytes(&r, sizeof r);
        return (double)(r >> 11) / 9007199254740992.0;
}

const char *random_uuid(char buf[RANDOM_UUID])
{
        unsigned char b[16];
        random_bytes(b, sizeof b);
        b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
        b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
        (void)snprintf(buf, RANDOM_UUID,
                       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                       b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
                       b[13], b[14], b[15]);
        return buf;
}
