/* No setting is ignored in silence: whatever the table does not call absent or without effect is
 * read by a process that is sent it, and whatever it calls absent is read by none. */
#include "unit.h"

#include <ctype.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "config_show.h"
#include "config_table.h"
#include "mem.h"

/* Who reads what is in a folder. */
static const struct folder {
        const char *pattern;
        unsigned recipient;
} folders[] = {
        {"supervisor/*.c",            FOR_SUPERVISOR},
        {"supervisor/privileged/*.c", FOR_SUPERVISOR},
        {"workers/backend/*.c",       FOR_BACKEND   },
        {"workers/engine/*.c",        FOR_ENGINE    },
        {"workers/metadata/*.c",      FOR_METADATA  },
        {"workers/stats/*.c",         FOR_STATS     },
        {"workers/imagegc/*.c",       FOR_IMAGEGC   },
        {"workers/local/*.c",         FOR_LOCAL     },
};

/* Read where sources are laid over each other, before anybody is sent anything. */
static const char *const read_early[] = {"ECS_AGENT_CONFIG_FILE_PATH"};

static char *texts[sizeof folders / sizeof folders[0]];

static void append_file(struct buf *b, const char *path)
{
        char part[8192];
        size_t n;
        cleanup_file FILE *f = fopen(path, "re");
        assert_non_null(f);
        while ((n = fread(part, 1, sizeof part, f)) > 0)
                buf_append(b, part, n);
}

static int read_sources(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                glob_t g = {0};
                struct buf b = {0};
                cleanup_free char *pattern = mem_printf("%s/%s", SOURCE_DIR, folders[i].pattern);
                if (glob(pattern, 0, NULL, &g) == 0)
                        for (size_t k = 0; k < g.gl_pathc; k++)
                                append_file(&b, g.gl_pathv[k]);
                globfree(&g);
                texts[i] = buf_steal(&b);
        }
        return strlen(texts[0]) > 10000 ? 0 : -1;
}

static int free_sources(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                free(texts[i]);
        return 0;
}

/* Recipients whose sources have the name as a text, or behind the capability table's '!'. */
static unsigned readers(const char *name)
{
        unsigned found = 0;
        cleanup_free char *plain = mem_printf("\"%s\"", name);
        cleanup_free char *negated = mem_printf("\"!%s\"", name);
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
                if (strstr(texts[i], plain) != NULL || strstr(texts[i], negated) != NULL)
                        found |= folders[i].recipient;
        return found;
}

static bool is_read_early(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(read_early); i++)
                if (strcmp(read_early[i], name) == 0)
                        return true;
        return false;
}

static void every_setting_in_effect_has_a_reader(void **state)
{
        unsigned wrong = 0;
        (void)state;
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *row = &config_rows[i];
                bool excused = (row->absent != NULL && row->absent_word == NULL) ||
                               row->moot != NULL || (row->flags & CONFIG_WINDOWS) != 0 ||
                               is_read_early(row->name);
                if (excused || (readers(row->name) & row->recipients) != 0)
                        continue;
                cleanup_free char *who = config_show_recipients(row->recipients);
                print_error("%s is sent to %s, where nobody reads it: say in its row of "
                            "common/config_table.c which feature is absent\n",
                            row->name, who);
                wrong++;
        }
        assert_int_equal(wrong, 0);
}

static void nobody_reads_a_setting_called_absent(void **state)
{
        unsigned wrong = 0;
        (void)state;
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *row = &config_rows[i];
                if (row->absent == NULL || row->absent_word != NULL || readers(row->name) == 0)
                        continue;
                cleanup_free char *who = config_show_recipients(readers(row->name));
                print_error("%s is read by %s: its feature is built, so remove .absent from its "
                            "row in common/config_table.c\n",
                            row->name, who);
                wrong++;
        }
        assert_int_equal(wrong, 0);
}

/* A reader that is not a recipient only ever sees the fallback it passes. */
static void every_reader_is_a_recipient(void **state)
{
        unsigned wrong = 0;
        (void)state;
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *row = &config_rows[i];
                unsigned stray = readers(row->name) & ~row->recipients & ~(unsigned)FOR_SUPERVISOR;
                if (stray == 0 || row->moot != NULL)
                        continue;
                cleanup_free char *who = config_show_recipients(stray);
                print_error("%s is read by %s, which is not sent it: add the recipient to its row "
                            "in common/config_table.c\n",
                            row->name, who);
                wrong++;
        }
        assert_int_equal(wrong, 0);
}

static void every_row_has_words(void **state)
{
        (void)state;
        assert_non_null(config_rows[0].section);
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *row = &config_rows[i];
                size_t n = row->help != NULL ? strlen(row->help) : 0;
                if (n < 10 || row->help[n - 1] != '.' || !isupper((unsigned char)row->help[0]))
                        fail_msg("%s: '%s' is no sentence", row->name, row->help);
                assert_false(row->absent != NULL && row->moot != NULL);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_setting_in_effect_has_a_reader),
                cmocka_unit_test(nobody_reads_a_setting_called_absent),
                cmocka_unit_test(every_reader_is_a_recipient),
                cmocka_unit_test(every_row_has_words),
        };
        return cmocka_run_group_tests(tests, read_sources, free_sources);
}
