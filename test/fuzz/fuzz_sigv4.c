/* What a stranger may send to a verifier: method, target and header value, one a line. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "sigv4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = mem_strndup((const char *)data, size), *save = NULL;
        const char *target = strtok_r(text, "\n", &save);
        const char *value = strtok_r(NULL, "\n", &save);
        const struct sigv4_header headers[] = {{"Host", value != NULL ? value : ""},
                                               {"host", "again"}};
        const struct sigv4_credentials c = {"id", "secret", NULL};
        for (int flags = 0; flags < 4; flags++) {
                const struct sigv4_request r = {.method = "GET",
                                                .path = target != NULL ? target : "",
                                                .headers = headers,
                                                .header_count = 2,
                                                .no_normalize = (flags & 1) != 0,
                                                .double_encode = (flags & 2) != 0};
                char *canonical = NULL;
                if (sigv4_sign(&r, &c, "20240101T000000Z", "r", "s", &canonical, NULL, NULL) != 0)
                        abort();
                free(canonical);
        }
        free(text);
        return 0;
}
