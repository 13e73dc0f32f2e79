/* Docker's event stream, cut where the first byte says. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "docker.h"
#include "json_lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_object(void *arg, const json_t *object)
{
        const char *action, *id;
        (void)arg;
        if (docker_read_event(object, &action, &id) && (*action == '\0' || *id == '\0'))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct json_lines l = {0};
        size_t cut = size > 0 ? data[0] % size : 0;
        (void)json_lines_feed(&l, (const char *)data, cut, on_object, NULL);
        (void)json_lines_feed(&l, (const char *)data + cut, size - cut, on_object, NULL);
        json_lines_clear(&l);
        return 0;
}
