/* The keys of the JSON file, by way of user data, which takes the same path without a file: what
 * ecs-imds makes of it, and the merge in the supervisor. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "config_parse.h"
#include "error.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char no_file[] = "ECS_AGENT_CONFIG_FILE_PATH=/dev/null";
        char *environment[] = {no_file, NULL};
        char *text = mem_printf("{\"ECSAgentConfiguration\":%.*s}", (int)size, (const char *)data);
        struct config_warnings w = {0};
        char *lines = config_user_data_lines(text, &w);
        const struct config_sources s = {.environment = environment, .user_data = lines};
        struct config *c = config_new();
        struct error err;
        (void)config_load(&s, c, &w, &err);
        config_warnings_clear(&w);
        config_free(c);
        free(lines);
        free(text);
        return 0;
}
