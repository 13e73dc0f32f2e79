/* Image references as task definitions hold them. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "docker.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *image = mem_strndup((const char *)data, size), *name, *tag;
        docker_split_image(image, &name, &tag);
        if (strlen(name) > strlen(image) || strchr(name, '@') != NULL)
                abort();
        char *escaped = docker_escape(name);
        if (strpbrk(escaped, " /?&#\r\n") != NULL)
                abort();
        free(escaped);
        free(name);
        free(tag);
        free(image);
        return 0;
}
