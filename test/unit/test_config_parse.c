/* Grammar, precedence, clamps, fatal values. Rows H19, H20, H25–H28, H30–H33. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "config_parse.h"
#include "config_table.h"
#include "error.h"

struct loaded {
        struct config *config;
        struct config_warnings warnings;
        struct error error;
        int result;
};

static struct loaded load(char *const *environment, const char *const *files)
{
        struct loaded l = {.config = config_new()};
        const struct config_sources s = {.environment = environment, .files = files};
        l.result = config_load(&s, l.config, &l.warnings, &l.error);
        return l;
}

static void unload(struct loaded *l)
{
        config_free(l->config);
        config_warnings_clear(&l->warnings);
}

static void values_are_normalised(void **state)
{
        static const struct {
                const char *pair, *name, *value;
                size_t warnings;
        } cases[] = {
                {"ECS_DISABLE_PRIVILEGED=T", "ECS_DISABLE_PRIVILEGED", "true", 0},
                {"ECS_DISABLE_PRIVILEGED=yes", "ECS_DISABLE_PRIVILEGED", "false", 1},
                {"ECS_CONTAINER_STOP_TIMEOUT=2m", "ECS_CONTAINER_STOP_TIMEOUT", "120000", 0},
                {"ECS_CONTAINER_STOP_TIMEOUT=1ms", "ECS_CONTAINER_STOP_TIMEOUT", "1000", 1},
                {"ECS_CONTAINER_STOP_TIMEOUT=soon", "ECS_CONTAINER_STOP_TIMEOUT", "30000", 1},
                {"ECS_CONTAINER_START_TIMEOUT=1ms", "ECS_CONTAINER_START_TIMEOUT", "45000", 1},
                {"ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=1ms",
                 "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "10800000", 1},
                {"ECS_RESERVED_PORTS=[80, 443]", "ECS_RESERVED_PORTS", "[80,443]", 0},
                {"ECS_RESERVED_MEMORY=70000", "ECS_RESERVED_MEMORY", "0", 1},
                {"ECS_TASK_METADATA_RPS_LIMIT=0,5", "ECS_TASK_METADATA_RPS_LIMIT", "40,60", 1},
                {"ECS_TASK_METADATA_RPS_LIMIT= 1 , 2 ", "ECS_TASK_METADATA_RPS_LIMIT", "1,2", 0},
                {"ECS_CGROUP_CPU_PERIOD=1s", "ECS_CGROUP_CPU_PERIOD", "100", 1},
                {"ECS_IMAGE_PULL_BEHAVIOR=never", "ECS_IMAGE_PULL_BEHAVIOR", "default", 0},
                {"ECS_CLUSTER= a=b ", "ECS_CLUSTER", "a=b", 0},
        };
        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                char *environment[] = {(char *)cases[i].pair, NULL};
                struct loaded l = load(environment, NULL);
                assert_int_equal(l.result, 0);
                assert_string_equal(config_text(l.config, cases[i].name, ""), cases[i].value);
                assert_int_equal(l.warnings.count, cases[i].warnings);
                unload(&l);
        }
}

static void fatal_values_end_the_start(void **state)
{
        static const char *const pairs[] = {"ECS_INSTANCE_ATTRIBUTES={\"a\":1}",
                                            "ECS_CONTAINER_INSTANCE_TAGS=[]",
                                            "ECS_AVAILABLE_LOGGING_DRIVERS=[\"pigeon\"]"};
        (void)state;
        for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
                char *environment[] = {(char *)pairs[i], NULL};
                struct loaded l = load(environment, NULL);
                assert_int_not_equal(l.result, 0);
                assert_non_null(strstr(l.error.text, "correct it"));
                unload(&l);
        }
}

static void later_files_and_the_environment_win(void **state)
{
        char a[] = "/tmp/ecs-config-a-XXXXXX", b[] = "/tmp/ecs-config-b-XXXXXX";
        int fa = mkstemp(a), fb = mkstemp(b);
        const char *files[] = {a, b, NULL};
        char *environment[] = {(char *)"ECS_DATADIR=/from/environment", NULL};
        static const char first[] = "ECS_CLUSTER=one\nECS_DATADIR=/one\n#X=1\nno equals sign\n";
        static const char second[] = "  ECS_CLUSTER=\"x\"  \nECS_CLUSTER=last\n";
        (void)state;
        assert_int_equal(write(fa, first, sizeof first - 1), sizeof first - 1);
        assert_int_equal(write(fb, second, sizeof second - 1), sizeof second - 1);
        struct loaded l = load(environment, files);
        assert_int_equal(l.result, 0);
        assert_string_equal(config_text(l.config, "ECS_CLUSTER", ""), "last");
        assert_string_equal(config_text(l.config, "ECS_DATADIR", ""), "/from/environment");
        unload(&l);
        (void)close(fa);
        (void)close(fb);
        (void)unlink(a);
        (void)unlink(b);
}

static void unknown_names_are_told_with_the_nearest(void **state)
{
        char *environment[] = {(char *)"ECS_CLUSTR=x", NULL};
        (void)state;
        struct loaded l = load(environment, NULL);
        assert_int_equal(l.warnings.count, 1);
        assert_non_null(strstr(l.warnings.texts[0], "is ECS_CLUSTER meant?"));
        unload(&l);
}

static void secrets_reach_their_reader_only(void **state)
{
        char *environment[] = {(char *)"AWS_SECRET_ACCESS_KEY=hush",
                               (char *)"ECS_ENGINE_AUTH_DATA={}", NULL};
        (void)state;
        struct loaded l = load(environment, NULL);
        struct config *backend = config_for(l.config, FOR_BACKEND);
        struct config *engine = config_for(l.config, FOR_ENGINE);
        struct config *metadata = config_for(l.config, FOR_METADATA);
        assert_string_equal(config_text(backend, "AWS_SECRET_ACCESS_KEY", ""), "hush");
        assert_null(config_find(engine, "AWS_SECRET_ACCESS_KEY"));
        assert_null(config_find(metadata, "AWS_SECRET_ACCESS_KEY"));
        assert_non_null(config_find(engine, "ECS_ENGINE_AUTH_DATA"));
        assert_null(config_find(backend, "ECS_ENGINE_AUTH_DATA"));
        config_free(backend);
        config_free(engine);
        config_free(metadata);
        unload(&l);
}

/* A default that its own parser does not take would be used, but never be settable. */
static void defaults_are_in_normal_form(void **state)
{
        struct loaded l = load(NULL, NULL);
        (void)state;
        assert_int_equal(l.result, 0);
        assert_int_equal(l.warnings.count, 0);
        for (size_t i = 0; i < config_row_count; i++) {
                assert_non_null(config_rows[i].help);
                if (config_rows[i].fallback != NULL)
                        assert_string_equal(config_text(l.config, config_rows[i].name, "?"),
                                            config_rows[i].fallback);
        }
        unload(&l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(values_are_normalised),
                cmocka_unit_test(fatal_values_end_the_start),
                cmocka_unit_test(later_files_and_the_environment_win),
                cmocka_unit_test(unknown_names_are_told_with_the_nearest),
                cmocka_unit_test(secrets_reach_their_reader_only),
                cmocka_unit_test(defaults_are_in_normal_form)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
