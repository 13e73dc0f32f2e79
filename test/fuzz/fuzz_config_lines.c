/* ecs.config from anywhere: any text through the line grammar and every converter. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "config_convert.h"
#include "config_parse.h"
#include "config_table.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void convert(void *arg, const char *name, const char *value)
{
        const struct config_row *row = config_row_find(name);
        (void)arg;
        /* a name of one letter picks a row, so that the fuzzer need not guess long names */
        if (row == NULL && name[1] == '\0')
                row = &config_rows[(unsigned char)name[0] % config_row_count];
        if (row == NULL)
                return;
        struct config_verdict v, again;
        char *normal = config_convert(row, value, true, &v);
        if (normal == NULL && v.wrong == NULL && row->fallback != NULL)
                abort();
        /* numbers apart (milliseconds are no duration text), normal forms are stable */
        if (normal != NULL && row->type != CONFIG_DURATION && v.wrong == NULL) {
                char *twice = config_convert(row, normal, true, &again);
                if (twice == NULL)
                        abort();
                free(twice);
        }
        free(normal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = mem_strndup((const char *)data, size);
        config_parse_lines(text, convert, NULL);
        free(text);
        return 0;
}
