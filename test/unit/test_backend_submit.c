/* The body of SubmitTaskStateChange. */
#include "unit.h"

#include <string.h>

#include "cleanup.h"
#include "mem.h"
#include "submit_json.h"

static const char *text(const json_t *o, const char *key)
{
        return json_string_value(json_object_get(o, key));
}

static Ecs__StateChange change(const char *status)
{
        Ecs__StateChange c = ECS__STATE_CHANGE__INIT;
        c.task_arn = (char *)"arn:t";
        c.status = (char *)status;
        return c;
}

static json_t *body(const Ecs__StateChange *c)
{
        const struct submit_options o = {.cluster = "default", .drop_ipv6 = true};
        return submit_json(&c, 1, &o);
}

static void only_what_is_known_is_said(void **state)
{
        Ecs__StateChange c = change("RUNNING");
        cleanup_json json_t *j = body(&c);
        cleanup_json json_t *wanted = json_pack("{s:s, s:s, s:s, s:s}", "cluster", "default",
                                                "task", "arn:t", "status", "RUNNING", "reason", "");
        (void)state;
        assert_true(json_equal(j, wanted));
}

static void times_are_seconds(void **state)
{
        Ecs__StateChange c = change("STOPPED");
        c.pull_started_at_ms = 1700000000123;
        c.execution_stopped_at_ms = 1700000001000;
        cleanup_json json_t *j = body(&c);
        (void)state;
        assert_float_equal(json_number_value(json_object_get(j, "pullStartedAt")), 1700000000.123,
                           0.0005);
        assert_null(json_object_get(j, "pullStoppedAt"));
        assert_float_equal(json_number_value(json_object_get(j, "executionStoppedAt")),
                           1700000001.0, 0.0005);
}

/* B20 */
static void texts_are_cut_between_characters(void **state)
{
        static const struct {
                const char *text;
                size_t max, length;
        } cases[] = {
                {"abc",              3, 3},
                {"abcd",             3, 3},
                {"",                 3, 0},
                {"ab\xc3\xa4",       3, 2},
                {"ab\xc3\xa4",       4, 4},
                {"\xf0\x9f\x98\x80", 3, 0},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *cut = submit_json_cut(cases[i].text, cases[i].max);
                assert_int_equal(strlen(cut), cases[i].length);
        }
}

static void limits_of_ecs_hold_for_every_text(void **state)
{
        cleanup_free char *long_text = mem_zalloc(5001);
        memset(long_text, 'x', 5000);
        Ecs__ContainerChange container = ECS__CONTAINER_CHANGE__INIT, *list[] = {&container};
        Ecs__StateChange c = change("STOPPED");
        container.name = (char *)"one";
        container.status = (char *)"STOPPED";
        container.reason = container.runtime_id = container.image_digest = long_text;
        c.reason = long_text;
        c.n_containers = 1;
        c.containers = list;
        cleanup_json json_t *j = body(&c);
        const json_t *o = json_array_get(json_object_get(j, "containers"), 0);
        (void)state;
        assert_int_equal(strlen(text(j, "reason")), 1024);
        assert_int_equal(strlen(text(o, "reason")), 1024);
        assert_int_equal(strlen(text(o, "runtimeId")), 255);
        assert_int_equal(strlen(text(o, "imageDigest")), 255);
}

static void bytes_that_are_no_text_are_replaced(void **state)
{
        static const struct {
                const char *given, *sent;
        } cases[] = {
                {"caf\xc3\xa9",            "caf\xc3\xa9"      },
                {"a\xff"
                 "b\xc3", "a?b?"             },
                {"\xc3\x28",               "?("               },
                {"\xed\xa0\x80",           "???"              },
                {"\xf0\x9f\x98\x80\x80",   "\xf0\x9f\x98\x80?"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Ecs__StateChange c = change("STOPPED");
                c.reason = (char *)cases[i].given;
                cleanup_json json_t *j = body(&c);
                assert_string_equal(text(j, "reason"), cases[i].sent);
        }
}

static void exit_codes_of_zero_are_said(void **state)
{
        Ecs__OptionalInt zero = ECS__OPTIONAL_INT__INIT;
        Ecs__ContainerChange one = ECS__CONTAINER_CHANGE__INIT, two = ECS__CONTAINER_CHANGE__INIT,
                             *list[] = {&one, &two};
        Ecs__StateChange c = change("STOPPED");
        one.name = (char *)"one";
        two.name = (char *)"two";
        one.exit_code = &zero;
        c.n_containers = 2;
        c.containers = list;
        cleanup_json json_t *j = body(&c);
        const json_t *containers = json_object_get(j, "containers");
        (void)state;
        assert_true(json_is_integer(json_object_get(json_array_get(containers, 0), "exitCode")));
        assert_null(json_object_get(json_array_get(containers, 1), "exitCode"));
}

static void bindings_are_single_ports_or_ranges(void **state)
{
        Ecs__NetworkBinding single = ECS__NETWORK_BINDING__INIT, range = ECS__NETWORK_BINDING__INIT,
                            v6 = ECS__NETWORK_BINDING__INIT, *list[] = {&single, &range, &v6};
        Ecs__ContainerChange container = ECS__CONTAINER_CHANGE__INIT, *containers[] = {&container};
        Ecs__StateChange c = change("RUNNING");
        single.bind_ip = range.bind_ip = (char *)"0.0.0.0";
        single.protocol = range.protocol = v6.protocol = (char *)"tcp";
        single.container_port = 80;
        single.host_port = 32768;
        range.container_port_range = (char *)"100-102";
        range.host_port_range = (char *)"40000-40002";
        v6.bind_ip = (char *)"::";
        container.name = (char *)"one";
        container.n_network_bindings = 3;
        container.network_bindings = list;
        c.n_containers = 1;
        c.containers = containers;
        cleanup_json json_t *j = body(&c);
        cleanup_json json_t *wanted = json_pack(
                "[{s:s, s:i, s:i, s:s}, {s:s, s:s, s:s, s:s}]", "bindIP", "0.0.0.0",
                "containerPort", 80, "hostPort", 32768, "protocol", "tcp", "bindIP", "0.0.0.0",
                "containerPortRange", "100-102", "hostPortRange", "40000-40002", "protocol", "tcp");
        const json_t *o = json_array_get(json_object_get(j, "containers"), 0);
        (void)state;
        assert_true(json_equal(json_object_get(o, "networkBindings"), wanted));
}

static void later_changes_take_the_place_of_earlier_ones(void **state)
{
        Ecs__ContainerChange early = ECS__CONTAINER_CHANGE__INIT,
                             late = ECS__CONTAINER_CHANGE__INIT, *first[] = {&early},
                             *second[] = {&late};
        Ecs__StateChange a = change("PENDING"), b = change("RUNNING");
        const Ecs__StateChange *changes[] = {&a, &b};
        const struct submit_options o = {.cluster = "default"};
        early.name = late.name = (char *)"one";
        early.status = (char *)"PENDING";
        late.status = (char *)"RUNNING";
        a.n_containers = b.n_containers = 1;
        a.containers = first;
        b.containers = second;
        cleanup_json json_t *j = submit_json(changes, 2, &o);
        const json_t *containers = json_object_get(j, "containers");
        (void)state;
        assert_string_equal(text(j, "status"), "RUNNING");
        assert_int_equal(json_array_size(containers), 1);
        assert_string_equal(text(json_array_get(containers, 0), "status"), "RUNNING");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_what_is_known_is_said),
                cmocka_unit_test(times_are_seconds),
                cmocka_unit_test(texts_are_cut_between_characters),
                cmocka_unit_test(limits_of_ecs_hold_for_every_text),
                cmocka_unit_test(bytes_that_are_no_text_are_replaced),
                cmocka_unit_test(exit_codes_of_zero_are_said),
                cmocka_unit_test(bindings_are_single_ports_or_ranges),
                cmocka_unit_test(later_changes_take_the_place_of_earlier_ones),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
