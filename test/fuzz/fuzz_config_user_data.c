/* The user data of an instance, which may be anything: what ecs-imds hands back is lines of known
 * names, each one line. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config_parse.h"
#include "config_table.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(void *arg, const char *name, const char *value)
{
        (void)arg;
        (void)value;
        if (config_row_find(name) == NULL)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = mem_strndup((const char *)data, size);
        struct config_warnings w = {0};
        char *lines = config_user_data_lines(text, &w);
        config_parse_lines(lines, check, NULL);
        config_warnings_clear(&w);
        free(lines);
        free(text);
        return 0;
}
