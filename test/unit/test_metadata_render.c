/* Metadata JSON against texts made from the member tables of endpoints.md 5 and 9: order, presence,
 * forms. golden/metadata_*.json hold one answer each, with a line break where the eye needs one;
 * breaks and the indent behind them are not part of the answer. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"
#include "metadata.h"

#define T(field) (char *)(field)

static Ecs__KeyValue team = ECS__KEY_VALUE__INIT, arn_label = ECS__KEY_VALUE__INIT,
                     option_b = ECS__KEY_VALUE__INIT, option_a = ECS__KEY_VALUE__INIT;
static Ecs__KeyValue *labels[] = {&team, &arn_label}, *options[] = {&option_b, &option_a};
static Ecs__PublishedPort port4 = ECS__PUBLISHED_PORT__INIT, port6 = ECS__PUBLISHED_PORT__INIT;
static Ecs__PublishedPort *ports[] = {&port4, &port6};
static Ecs__NetworkFacts bridge = ECS__NETWORK_FACTS__INIT, hostnet = ECS__NETWORK_FACTS__INIT;
static Ecs__NetworkFacts *networks[] = {&bridge}, *host_networks[] = {&hostnet};
static char *ipv4[] = {T("172.17.0.2")}, *ipv6[] = {T("fd00::2")}, *no_ip[] = {T("")};
static Ecs__VolumeFacts volume = ECS__VOLUME_FACTS__INIT, host_volume = ECS__VOLUME_FACTS__INIT;
static Ecs__VolumeFacts *volumes[] = {&volume, &host_volume};
static Ecs__HealthFacts health = ECS__HEALTH_FACTS__INIT, no_verdict = ECS__HEALTH_FACTS__INIT;
static Ecs__OptionalInt three = ECS__OPTIONAL_INT__INIT, zero = ECS__OPTIONAL_INT__INIT;
static Ecs__ContainerFacts web = ECS__CONTAINER_FACTS__INIT, side = ECS__CONTAINER_FACTS__INIT,
                           pulled = ECS__CONTAINER_FACTS__INIT,
                           waiting = ECS__CONTAINER_FACTS__INIT;
static Ecs__ContainerFacts *containers[] = {&web, &side, &pulled, &waiting};
static Ecs__TaskFacts task = ECS__TASK_FACTS__INIT, bare = ECS__TASK_FACTS__INIT;
static struct metadata metadata;

/* Every field set. */
static void make_web(void)
{
        team.key = T("team"), team.value = T("a<b&c>d");
        arn_label.key = T("com.amazonaws.ecs.task-arn");
        arn_label.value = T("arn:aws:ecs:eu-west-1:111122223333:task/prod/4f1c");
        option_b.key = T("b"), option_b.value = T("2");
        option_a.key = T("a"), option_a.value = T("1/2");
        port4 = port6 = (Ecs__PublishedPort)ECS__PUBLISHED_PORT__INIT;
        port4.container_port = port6.container_port = 80;
        port4.host_port = port6.host_port = 32768;
        port4.protocol = port6.protocol = T("tcp");
        port4.host_ip = T("0.0.0.0"), port6.host_ip = T("::");
        bridge.mode = T("bridge"), bridge.n_ipv4 = 1, bridge.ipv4 = ipv4;
        bridge.n_ipv6 = 1, bridge.ipv6 = ipv6;
        volume.docker_name = T("vol"), volume.source = T("/var/lib/docker/volumes/vol/_data");
        volume.destination = T("/data");
        host_volume.source = T("/srv"), host_volume.destination = T("/mnt");
        health.status = T("UNHEALTHY"), health.since = T("2026-03-01T10:00:30Z");
        health.exit_code = &three, health.output = T("no\tanswer\n");
        three.value = 3;
        web.name = T("web"), web.image = T("registry.test/shop:7"), web.docker_id = T("5f0c");
        web.endpoint_id = T("11111111-1111-4111-8111-111111111111");
        web.docker_name = T("ecs-shop-7-web-c0ffee01"), web.image_id = T("sha256:77aa");
        web.image_digest = T("sha256:88bb");
        web.desired_status = T("STOPPED"), web.known_status = T("STOPPED");
        web.exit_code = &three, web.cpu = 256, web.memory_mib = 512;
        web.created_at = T("2026-03-01T10:00:01.5Z");
        web.started_at = T("2026-03-01T10:00:02Z");
        web.finished_at = T("2026-03-01T10:00:05.12Z");
        web.type = T("NORMAL"), web.n_labels = 2, web.labels = labels;
        web.n_ports = 2, web.ports = ports, web.n_networks = 1, web.networks = networks;
        web.n_volumes = 2, web.volumes = volumes;
        web.log_driver = T("awslogs"), web.n_log_options = 2, web.log_options = options;
        web.container_arn = T("arn:aws:ecs:eu-west-1:111122223333:container/prod/4f1c/aa01");
        web.health = &health, web.restart_count = &zero;
        web.reason = T("never shown"), web.essential = true;
}

static void make_others(void)
{
        hostnet.mode = T("host"), hostnet.n_ipv4 = 1, hostnet.ipv4 = no_ip;
        side.name = T("side"), side.image = T("shop"), side.docker_id = T("6a6a");
        side.docker_name = T("ecs-shop-7-side-c0ffee02"), side.image_id = T("sha256:77aa");
        side.desired_status = T("RUNNING"), side.known_status = T("RUNNING");
        side.exit_code = NULL, side.type = T("NORMAL"), side.health = &no_verdict;
        side.n_networks = 1, side.networks = host_networks;
        pulled.name = T("later"), pulled.image = T("shop"), pulled.image_id = T("sha256:77aa");
        pulled.docker_name = T("ecs-shop-7-later-c0ffee03"), pulled.type = T("NORMAL");
        pulled.desired_status = T("RUNNING"), pulled.known_status = T("PULLED");
        pulled.exit_code = &zero, pulled.cpu = 1;
        waiting = pulled, waiting.known_status = T("NONE"), waiting.name = T("waiting");
}

static int make(void **state)
{
        (void)state;
        make_web();
        make_others();
        task.arn = T("arn:aws:ecs:eu-west-1:111122223333:task/prod/4f1c");
        task.family = T("shop"), task.version = T("7");
        task.desired_status = T("RUNNING"), task.known_status = T("RUNNING");
        task.cpu = 0.25, task.memory_mib = 1024;
        task.pull_started_at_ms = 1772359190000, task.pull_stopped_at_ms = 1772359191120;
        task.execution_stopped_at_ms = 1772359205001;
        task.launch_type = T("EC2"), task.service_name = T("shop-service");
        task.credentials_id = T("never-shown"), task.execution_credentials_id = T("never-shown");
        task.enable_fault_injection = true, task.network_mode = T("bridge");
        task.stopped_reason = T("never shown"), task.waiting_for = T("never shown");
        task.created_at_ms = 1, task.n_containers = 4, task.containers = containers;
        bare.arn = T("arn:bare"), bare.family = T("f"), bare.version = T("1");
        bare.desired_status = T("NONE"), bare.known_status = T("NONE");
        metadata.config = config_new();
        metadata.cluster = T("prod"), metadata.availability_zone = T("eu-west-1a");
        metadata.availability_zone_id = T("euw1-az2"), metadata.vpc_id = T("vpc-0a1b");
        return 0;
}

static int drop(void **state)
{
        (void)state;
        config_free((struct config *)(uintptr_t)metadata.config);
        return 0;
}

/* The file without line breaks and the spaces that follow them. */
static char *golden(const char *name)
{
        cleanup_free char *path = mem_printf(SOURCE_DIR "/test/unit/golden/metadata_%s.json", name);
        cleanup_file FILE *f = fopen(path, "re");
        struct buf b = {0};
        bool skip = false;
        assert_non_null(f);
        for (int c = fgetc(f); c != EOF; c = fgetc(f)) {
                const char byte = (char)c;
                skip = c == '\n' || (skip && c == ' ');
                if (!skip)
                        buf_append(&b, &byte, 1);
        }
        return buf_steal(&b);
}

static void check(const char *name, struct buf *b)
{
        cleanup_free char *expected = golden(name);
        cleanup_free char *got = buf_steal(b);
        assert_string_equal(got, expected);
}

static void containers_are_as_the_table_says(void **state)
{
        static const struct {
                const char *golden;
                const Ecs__ContainerFacts *facts;
                enum api_version version;
        } cases[] = {
                {"v4_container",      &web,    API_V4},
                {"v3_container",      &web,    API_V3},
                {"v2_container",      &web,    API_V2},
                {"v4_container_host", &side,   API_V4},
                {"v4_container_pull", &pulled, API_V4},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf b = {0};
                render_container(&b, cases[i].facts, cases[i].version);
                check(cases[i].golden, &b);
        }
}

static void tasks_are_as_the_table_says(void **state)
{
        static const struct {
                const char *golden;
                const Ecs__TaskFacts *facts;
                enum api_version version;
        } cases[] = {
                {"v4_task",      &task, API_V4},
                {"v3_task",      &task, API_V3},
                {"v4_task_bare", &bare, API_V4},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf b = {0};
                render_task(&b, &metadata, cases[i].facts, cases[i].version);
                check(cases[i].golden, &b);
        }
}

static void the_zone_can_be_hidden(void **state)
{
        struct buf b = {0};
        (void)state;
        config_set((struct config *)(uintptr_t)metadata.config, "ECS_DISABLE_TASK_METADATA_AZ",
                   "true");
        render_task(&b, &metadata, &bare, API_V4);
        assert_null(strstr(b.data, "AvailabilityZone"));
        buf_clear(&b);
}

static void introspection_is_as_the_table_says(void **state)
{
        struct buf b = {0};
        (void)state;
        render_introspection_task(&b, &task);
        check("introspection_task", &b);
}

static void desired_status_is_hidden_when_known_is_ahead(void **state)
{
        static const struct {
                const char *known, *desired, *shown;
        } cases[] = {
                {"STOPPED", "RUNNING", NULL                           },
                {"RUNNING", "CREATED", NULL                           },
                {"CREATED", "RUNNING", "\"DesiredStatus\":\"RUNNING\""},
                {"RUNNING", "STOPPED", "\"DesiredStatus\":\"STOPPED\""},
                {"NONE",    "NONE",    "\"DesiredStatus\":\"PENDING\""},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf b = {0};
                Ecs__TaskFacts t = bare;
                t.known_status = T(cases[i].known), t.desired_status = T(cases[i].desired);
                render_introspection_task(&b, &t);
                if (cases[i].shown != NULL)
                        assert_non_null(strstr(b.data, cases[i].shown));
                else
                        assert_null(strstr(b.data, "DesiredStatus"));
                buf_clear(&b);
        }
}

static void task_cpu_is_the_shortest_text(void **state)
{
        static const struct {
                double cpu;
                const char *shown;
        } cases[] = {
                {0.25,    "\"CPU\":0.25}"              },
                {2,       "\"CPU\":2}"                 },
                {0.1,     "\"CPU\":0.1}"               },
                {10,      "\"CPU\":10}"                },
                {1.0 / 3, "\"CPU\":0.3333333333333333}"}
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf b = {0};
                Ecs__TaskFacts t = bare;
                t.cpu = cases[i].cpu;
                render_task(&b, &metadata, &t, API_V4);
                assert_non_null(strstr(b.data, cases[i].shown));
                buf_clear(&b);
        }
}

static void credentials_have_five_members_in_order(void **state)
{
        Ecs__TaskCredentials c = ECS__TASK_CREDENTIALS__INIT;
        struct buf b = {0};
        (void)state;
        c.role_arn = T("arn:aws:iam::111122223333:role/shop"), c.access_key_id = T("ASIA");
        c.secret_access_key = T("c2/V+cmV0"), c.expiration = T("2026-03-01T16:00:00Z");
        render_credentials(&b, &c);
        assert_string_equal(b.data, "{\"RoleArn\":\"arn:aws:iam::111122223333:role/shop\","
                                    "\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"c2/V+cmV0\","
                                    "\"Token\":\"\",\"Expiration\":\"2026-03-01T16:00:00Z\"}");
        buf_clear(&b);
}

static void strings_are_escaped(void **state)
{
        static const struct {
                const char *text, *json;
        } cases[] = {
                {"",                                     "\"\""                            },
                {"a<b&c>d",                              "\"a\\u003cb\\u0026c\\u003ed\""   },
                {"q\"b\\s/",                             "\"q\\\"b\\\\s/\""                },
                {"\b\f\n\r\t\x01\x7f",                   "\"\\b\\f\\n\\r\\t\\u0001\x7f\""  },
                // NOLINTNEXTLINE(misc-misleading-bidirectional): written as escapes, not hidden
                {"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", "\"\\u2028\\u2029\xe2\x80\xaa\""  },
                {"\xc3\xa9\xf0\x9f\x98\x80",             "\"\xc3\xa9\xf0\x9f\x98\x80\""    },
                {"a\xffz",                               "\"a\\ufffdz\""                   },
                {"\xc3",                                 "\"\\ufffd\""                     },
                {"\xe2\x80",                             "\"\\ufffd\\ufffd\""              },
                {"\xc0\xaf",                             "\"\\ufffd\\ufffd\""              },
                {"\xed\xa0\x80",                         "\"\\ufffd\\ufffd\\ufffd\""       },
                {"\xf4\x90\x80\x80",                     "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf b = {0};
                render_string(&b, cases[i].text);
                assert_string_equal(b.data, cases[i].json);
                buf_clear(&b);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(containers_are_as_the_table_says),
                cmocka_unit_test(tasks_are_as_the_table_says),
                cmocka_unit_test(introspection_is_as_the_table_says),
                cmocka_unit_test(desired_status_is_hidden_when_known_is_ahead),
                cmocka_unit_test(task_cpu_is_the_shortest_text),
                cmocka_unit_test(credentials_have_five_members_in_order),
                cmocka_unit_test(strings_are_escaped),
                cmocka_unit_test(the_zone_can_be_hidden),
        };
        return cmocka_run_group_tests(tests, make, drop);
}
