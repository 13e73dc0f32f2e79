/* pull_reason: hints are a table; an address ends at white space or a quote. */
#include "pull_reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "mem.h"

static const struct {
        const char *first, *then; /* both, in this order */
        const char *hint;
} hints[] = {
        {"denied: User: ",                                     "is not authorized to perform: ecr:BatchGetImage on resource",
         "Check that the role has the permissions to pull images from the registry. "                                                                             },
        {"denied: requested access to the resource is denied", "",
         "Check whether the image exists. "                                                                                                                       },
        {"request canceled while waiting for connection",      "",                                                            "Check your network configuration. "},
};

static const char *find_hint(const char *text)
{
        for (size_t i = 0; i < ARRAY_SIZE(hints); i++) {
                const char *at = strstr(text, hints[i].first);
                if (at != NULL && strstr(at, hints[i].then) != NULL)
                        return hints[i].hint;
        }
        return NULL;
}

/* Length of the address that begins at text, 0 when none does. */
static size_t address(const char *text)
{
        if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
                return 0;
        return strcspn(text, " \t\r\n\"'");
}

static bool is_layer(const char *url, size_t length)
{
        cleanup_free char *copy = mem_strndup(url, length);
        return strstr(copy, "starport-layer-bucket") != NULL;
}

char *pull_reason(const char *name, const char *image, const char *text)
{
        struct buf b = {0};
        const char *hint = find_hint(text);
        buf_printf(&b, "%s: ", name);
        if (hint != NULL)
                buf_printf(&b, "The task can\u2019t pull the image. %s", hint);
        while (*text != '\0') {
                size_t length = address(text);
                if (length > 0 && is_layer(text, length)) {
                        buf_printf(&b, "REDACTED ECR URL related to %s", image);
                } else {
                        length = length > 0 ? length : 1;
                        buf_append(&b, text, length);
                }
                text += length;
        }
        return buf_steal(&b);
}
