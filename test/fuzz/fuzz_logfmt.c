/* Any line: reading ends, keys lie within the line, and what log.c wrote is read back. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "log.h"
#include "logfmt.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(void *arg, enum log_level level, const char *line, size_t length)
{
        struct buf value = {0};
        struct logfmt_pair pair = {.value = &value};
        bool found = false;
        (void)level;
        (void)length;
        while (logfmt_next(&line, &pair))
                if (pair.key_length == 4 && memcmp(pair.key, "text", 4) == 0)
                        found = strcmp(value.data, arg) == 0;
        if (!found)
                abort();
        buf_clear(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = mem_strndup((const char *)data, size);
        const char *at = text;
        struct buf value = {0};
        struct logfmt_pair pair = {.value = &value};
        while (logfmt_next(&at, &pair))
                if (pair.key < text || pair.key + pair.key_length > text + strlen(text))
                        abort();
        buf_clear(&value);
        const struct log_field field = LOG_STR("text", text);
        log_set_sink(compare, text);
        log_write(NULL, LOG_LEVEL_INFO, NULL, "message", &field, 1);
        log_set_sink(NULL, NULL);
        free(text);
        return 0;
}
