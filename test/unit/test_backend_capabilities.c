/* The capability table: every row has a condition that can be met, or names the feature that is
 * absent; nothing absent is advertised. */
#include "unit.h"

#include <string.h>

#include "backend.h"
#include "capability_table.h"
#include "cleanup.h"
#include "mem.h"

#define C "com.amazonaws.ecs.capability."
#define E "ecs.capability."

static json_t *attributes(struct config *c, const char *api_version)
{
        struct backend b = {.config = c, .api_version = (char *)api_version};
        json_t *list = json_array();
        capabilities_put(&b, list);
        return list;
}

static bool has(const json_t *list, const char *name)
{
        size_t i;
        json_t *a;
        json_array_foreach(list, i, a) if (strcmp(json_string_value(json_object_get(a, "name")),
                                                  name) == 0) return true;
        return false;
}

/* A configuration in which the row's setting asks for it. */
static struct config *config_for(const struct capability *row, bool met)
{
        struct config *c = config_new();
        bool negated = row->setting != NULL && row->setting[0] == '!';
        if (row->setting != NULL)
                config_set(c, row->setting + negated, met != negated ? "true" : "false");
        return c;
}

static void each_row_is_advertised_when_its_condition_holds(void **state)
{
        (void)state;
        for (size_t i = 0; i < capability_row_count; i++) {
                const struct capability *row = &capability_rows[i];
                struct config *good = config_for(row, true), *bad = config_for(row, false);
                cleanup_json json_t *met = attributes(good, "1.44"),
                                    *unmet = attributes(bad, "1.44"),
                                    *old = attributes(good, "1.16");
                if (has(met, row->name) == (row->absent != NULL))
                        fail_msg("%s: absent: %s", row->name, row->absent ? row->absent : "no");
                if (row->setting != NULL)
                        assert_false(has(unmet, row->name));
                if (row->docker_minor > 16)
                        assert_false(has(old, row->name));
                config_free(good);
                config_free(bad);
        }
}

static void rows_are_named_once_and_say_what_is_absent(void **state)
{
        (void)state;
        for (size_t i = 0; i < capability_row_count; i++) {
                const struct capability *row = &capability_rows[i];
                assert_true(strncmp(row->name, C, strlen(C)) == 0 ||
                            strncmp(row->name, E, strlen(E)) == 0);
                assert_true(row->absent == NULL || *row->absent != '\0');
                for (size_t k = 0; k < i; k++)
                        assert_string_not_equal(capability_rows[k].name, row->name);
        }
}

static void no_attribute_comes_twice(void **state)
{
        struct config *c = config_new();
        (void)state;
        config_set(c, "ECS_AVAILABLE_LOGGING_DRIVERS",
                   "[\"json-file\",\"none\",\"syslog\",\"awslogs\",\"unheard-of\"]");
        cleanup_json json_t *list = attributes(c, "1.44");
        for (size_t i = 0; i < json_array_size(list); i++)
                for (size_t k = 0; k < i; k++)
                        assert_false(json_equal(json_array_get(list, i), json_array_get(list, k)));
        config_free(c);
}

static void log_drivers_need_their_docker(void **state)
{
        static const struct {
                const char *api, *driver;
                bool offered;
        } cases[] = {
                {"1.18", "json-file",  true },
                {"1.17", "json-file",  false},
                {"1.20", "awslogs",    false},
                {"1.21", "awslogs",    true },
                {"1.24", "logentries", false},
                {"1.25", "logentries", true },
                {"1.29", "sumologic",  true },
                {"1.44", "unheard-of", false},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct config *c = config_new();
                cleanup_free char *setting = mem_printf("[\"%s\"]", cases[i].driver);
                cleanup_free char *name = mem_printf(C "logging-driver.%s", cases[i].driver);
                config_set(c, "ECS_AVAILABLE_LOGGING_DRIVERS", setting);
                cleanup_json json_t *list = attributes(c, cases[i].api);
                assert_int_equal(has(list, name), cases[i].offered);
                config_free(c);
        }
}

static void api_versions_are_those_ecs_knows(void **state)
{
        static const char *const known[] = {"1.17", "1.18", "1.19", "1.20", "1.21", "1.22", "1.23",
                                            "1.24", "1.25", "1.28", "1.29", "1.30", "1.32"};
        struct config *c = config_new();
        cleanup_json json_t *list = attributes(c, "1.44"), *old = attributes(c, "1.24");
        size_t count = 0, i;
        json_t *a;
        (void)state;
        for (size_t k = 0; k < ARRAY_SIZE(known); k++) {
                cleanup_free char *name = mem_printf(C "docker-remote-api.%s", known[k]);
                assert_true(has(list, name));
                assert_int_equal(has(old, name), strcmp(known[k], "1.24") <= 0);
        }
        json_array_foreach(list, i, a) count +=
                strstr(json_string_value(json_object_get(a, "name")), "docker-remote-api") != NULL;
        assert_int_equal(count, ARRAY_SIZE(known));
        config_free(c);
}

static void outside_ec2_some_are_never_offered(void **state)
{
        static const char *const removed[] = {
                E "task-eni",
                E "cni-plugin-version",
                E "task-eni.ipv6",
                E "task-eni-block-instance-metadata",
                E "task-eni-trunking",
                E "aws-appmesh",
                E "task-eia",
                E "task-eia.optimized-cpu",
                E "service-connect-v1",
                E "storage.ebs-task-volume-attach",
                E "storage.ebsta-non-root-user",
                E "fault-injection",
        };
        size_t count = 0;
        (void)state;
        for (size_t i = 0; i < capability_row_count; i++) {
                bool listed = false;
                for (size_t k = 0; k < ARRAY_SIZE(removed); k++)
                        listed = listed || strcmp(removed[k], capability_rows[i].name) == 0;
                if (listed != capability_rows[i].not_external)
                        fail_msg("%s", capability_rows[i].name);
                count += listed;
        }
        assert_int_equal(count, ARRAY_SIZE(removed));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_row_is_advertised_when_its_condition_holds),
                cmocka_unit_test(rows_are_named_once_and_say_what_is_absent),
                cmocka_unit_test(no_attribute_comes_twice),
                cmocka_unit_test(log_drivers_need_their_docker),
                cmocka_unit_test(api_versions_are_those_ecs_knows),
                cmocka_unit_test(outside_ec2_some_are_never_offered),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
