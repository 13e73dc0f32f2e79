/* The generated texts say what the table says: taking the # from every setting of the commented
 * ecs.config changes nothing, and the manual page has every setting. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "config_parse.h"
#include "config_table.h"
#include "error.h"
#include "mem.h"

static char *read_document(const char *name)
{
        char part[4096];
        size_t n;
        struct buf b = {0};
        cleanup_free char *path = mem_printf("%s/%s", DOCUMENTS_DIR, name);
        cleanup_file FILE *f = fopen(path, "re");
        assert_non_null(f);
        while ((n = fread(part, 1, sizeof part, f)) > 0)
                buf_append(&b, part, n);
        return buf_steal(&b);
}

/* Lines "#NAME=value" without their #. */
static char *uncomment(char *text)
{
        struct buf b = {0};
        char *save = NULL;
        for (char *line = strtok_r(text, "\n", &save); line != NULL;
             line = strtok_r(NULL, "\n", &save))
                if (line[0] == '#' && line[1] != ' ')
                        buf_printf(&b, "%s\n", line + 1);
        return buf_steal(&b);
}

static struct config *load(const char *text, struct config_warnings *w)
{
        char path[] = "/tmp/ecs-documents-XXXXXX";
        cleanup_fd int fd = mkstemp(path);
        assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        char no_json[] = "ECS_AGENT_CONFIG_FILE_PATH=/dev/null";
        char *environment[] = {no_json, NULL};
        const char *files[] = {path, NULL};
        const struct config_sources s = {.environment = environment, .files = files};
        struct config *c = config_new();
        struct error err = {0};
        assert_int_equal(config_load(&s, c, w, &err), 0);
        (void)unlink(path);
        return c;
}

static void the_commented_file_holds_the_defaults(void **state)
{
        struct config_warnings w = {0};
        cleanup_free char *text = read_document("ecs.config");
        cleanup_free char *lines = uncomment(text);
        (void)state;
        assert_true(strlen(lines) > 1000);
        struct config *c = load(lines, &w);
        for (size_t i = 0; i < w.count; i++)
                print_error("%s\n", w.texts[i]);
        assert_int_equal(w.count, 0);
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *row = &config_rows[i];
                const char *value = config_text(c, row->name, NULL);
                if (strcmp(row->name, "ECS_AGENT_CONFIG_FILE_PATH") == 0)
                        continue;
                if ((value == NULL) != (row->fallback == NULL) ||
                    (value != NULL && strcmp(value, row->fallback) != 0))
                        fail_msg("%s=%s is not the default", row->name, value);
        }
        config_warnings_clear(&w);
        config_free(c);
}

static void the_page_has_every_setting_once(void **state)
{
        cleanup_free char *page = read_document("ecs.config.5");
        (void)state;
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *row = &config_rows[i];
                cleanup_free char *item = mem_printf(".It Ev \"%s\"\n", row->name);
                const char *at = strstr(page, item);
                bool hidden = (row->flags & (CONFIG_INTERNAL | CONFIG_FLAG_ONLY)) != 0;
                if ((at == NULL) != hidden || (at != NULL && strstr(at + 1, item) != NULL))
                        fail_msg("%s is not in the page once", row->name);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_commented_file_holds_the_defaults),
                cmocka_unit_test(the_page_has_every_setting_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
