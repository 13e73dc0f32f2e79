/* Image references as task definitions hold them. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "docker.h"
#include "image_ref.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *image = mem_strndup((const char *)data, size);
        struct image_ref r;
        image_ref_init(&r, image);
        if (strlen(r.name) + strlen(r.tag) + strlen(r.digest) > strlen(image) ||
            strchr(r.name, '@') != NULL || *image_ref_version(&r) == '\0')
                abort();
        char *host = image_ref_host(&r), *plain = image_ref_plain_name(&r);
        if (strchr(host, '/') != NULL || !image_ref_same(image, image))
                abort();
        char *escaped = docker_escape(r.name);
        if (strpbrk(escaped, " /?&#\r\n") != NULL)
                abort();
        free(escaped);
        free(plain);
        free(host);
        image_ref_deinit(&r);
        free(image);
        return 0;
}
