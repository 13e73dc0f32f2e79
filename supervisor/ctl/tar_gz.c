/* tar_gz: ustar headers before each text, all through zlib. */
#include "tar_gz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "mem.h"

#define BLOCK 512u

struct tar_gz {
        gzFile file;
        bool failed;
};

/* Source: POSIX.1-1988, ustar interchange format. */
struct header {
        char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
        char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};

struct tar_gz *tar_gz_open(const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return NULL;
        struct tar_gz *t = mem_zalloc(sizeof *t);
        t->file = gzdopen(fd, "wb");
        if (t->file == NULL) {
                (void)close(fd);
                free(t);
                errno = ENOMEM;
                return NULL;
        }
        return t;
}

static void put(struct tar_gz *t, const void *data, size_t length)
{
        if (length > 0 && gzwrite(t->file, data, (unsigned)length) != (int)length)
                t->failed = true;
}

void tar_gz_add(struct tar_gz *t, const char *name, const char *data, size_t length)
{
        static const char zeros[BLOCK];
        struct header h = {
                .type = '0', .magic = "ustar", .version = {'0', '0'}
        };
        unsigned sum = 0;
        (void)snprintf(h.name, sizeof h.name, "%s", name);
        (void)snprintf(h.mode, sizeof h.mode, "%07o", 0600u);
        (void)snprintf(h.uid, sizeof h.uid, "%07o", 0u);
        (void)snprintf(h.gid, sizeof h.gid, "%07o", 0u);
        (void)snprintf(h.size, sizeof h.size, "%011llo", (unsigned long long)length);
        (void)snprintf(h.mtime, sizeof h.mtime, "%011llo", (unsigned long long)time(NULL));
        memset(h.checksum, ' ', sizeof h.checksum);
        const unsigned char *bytes = (const unsigned char *)&h;
        for (size_t i = 0; i < sizeof h; i++)
                sum += bytes[i];
        (void)snprintf(h.checksum, sizeof h.checksum, "%06o", sum & 0777777u);
        put(t, &h, sizeof h);
        put(t, data, length);
        put(t, zeros, (BLOCK - length % BLOCK) % BLOCK);
}

int tar_gz_close(struct tar_gz *t)
{
        static const char end[2 * BLOCK];
        put(t, end, sizeof end);
        bool failed = t->failed;
        if (gzclose(t->file) != Z_OK)
                failed = true;
        free(t);
        return failed ? -EIO : 0;
}
