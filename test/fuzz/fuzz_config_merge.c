/* All layers at once: the input is cut at zero bytes into an ecs.config, a JSON file, lines of user
 * data and variables. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config_parse.h"
#include "config_table.h"
#include "error.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_PART, JSON_PART, USER_DATA_PART, VARIABLE_PART, PARTS = 8 };

/* A file in memory; its path is owned by the caller. */
static char *make_file(const char *text, int *ret_fd)
{
        *ret_fd = memfd_create("part", 0);
        if (*ret_fd < 0 || write(*ret_fd, text, strlen(text)) != (ssize_t)strlen(text))
                abort();
        return mem_printf("/proc/self/fd/%d", *ret_fd);
}

static void check(void *arg, const char *name, const char *value)
{
        const struct config_row *row = config_row_find(name);
        (void)arg;
        if (row == NULL || value == NULL)
                abort();
        if (row->type == CONFIG_BOOL && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *parts[PARTS], *copy = mem_alloc(size + 1);
        int lines_fd, json_fd;
        memcpy(copy, data, size);
        copy[size] = '\0';
        char *at = copy;
        for (size_t i = 0; i < PARTS; i++) {
                parts[i] = at;
                at += strlen(at) + (at + strlen(at) < copy + size);
        }
        char *lines = make_file(parts[FILE_PART], &lines_fd);
        char *json = make_file(parts[JSON_PART], &json_fd);
        char *where = mem_printf("ECS_AGENT_CONFIG_FILE_PATH=%s", json);
        char *environment[] = {where, parts[VARIABLE_PART], parts[VARIABLE_PART + 1], NULL};
        const char *files[] = {lines, NULL};
        const struct config_sources s = {
                .environment = environment, .files = files, .user_data = parts[USER_DATA_PART]};
        struct config *c = config_new();
        struct config_warnings w = {0};
        struct error err;
        (void)config_load(&s, c, &w, &err);
        config_each(c, check, NULL);
        config_warnings_clear(&w);
        config_free(c);
        (void)close(lines_fd);
        (void)close(json_fd);
        free(lines);
        free(json);
        free(where);
        free(copy);
        return 0;
}
