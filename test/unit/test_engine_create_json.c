/* What Docker is told to create: from the definition, the raw strings of the task definition, and
 * what must win; and the way back, from what Docker says to an adopted task. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "adopt_json.h"
#include "cleanup.h"
#include "create_json.h"
#include "engine_tasks.h"
#include "error.h"
#include "inspect_json.h"

static const struct create_context context = {
        .cluster = "shop", .region = "eu-west-1", .agent_id = "id-1"};

static struct task *one(void)
{
        const bool essential[] = {true};
        return make_task(1, essential);
}

/* Body of the only container; frees the task. */
static json_t *body_of(struct task *t)
{
        struct error err = {0};
        json_t *body = create_json(&t->containers[0], &context, &err);
        if (body == NULL)
                fail_msg("%s: %s", err.name, err.text);
        task_free(t);
        return body;
}

static json_int_t host_integer(const json_t *body, const char *key)
{
        return json_integer_value(json_object_get(json_object_get(body, "HostConfig"), key));
}

static void cpu_shares_and_memory_are_exact(void **state)
{
        /* E19, E20 */
        static const struct {
                uint32_t cpu, memory_mib;
                json_int_t shares, bytes;
        } cases[] = {
                {0,          0,          2,      0               },
                {1,          100,        2,      104857600       },
                {2,          1,          2,      4194304         }, /* raised to the agent's minimum */
                {3,          4,          3,      4194304         },
                {512,        6,          512,    6291456         },
                {262144,     512,        262144, 536870912       },
                {300000,     4096,       262144, 4294967296      },
                {UINT32_MAX, UINT32_MAX, 262144, 4503599626321920},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct task *t = one();
                t->spec->containers[0]->cpu = cases[i].cpu;
                t->spec->containers[0]->memory_mib = cases[i].memory_mib;
                cleanup_json json_t *body = body_of(t);
                assert_int_equal(host_integer(body, "CpuShares"), cases[i].shares);
                assert_int_equal(host_integer(body, "Memory"), cases[i].bytes);
        }
}

static void raw_settings_are_laid_over(void **state)
{
        /* E6, E21, E22: lists replace, maps merge, keys match without case, unknown ones pass; the
         * labels of ECS win */
        struct task *t = one();
        (void)state;
        Ecs__ContainerSpec *s = t->spec->containers[0];
        s->docker_config = mem_strdup(
                "{\"user\":\"7\",\"LABELS\":{\"a\":\"b\",\"com.amazonaws.ecs.cluster\":\"x\"},"
                "\"Image\":null,\"Novel\":1}");
        s->docker_host_config = mem_strdup("{\"memory\":7,\"CapAdd\":[\"A\"],\"Links\":null}");
        cleanup_json json_t *body = body_of(t);
        const json_t *labels = json_object_get(body, "Labels");
        const json_t *host = json_object_get(body, "HostConfig");
        assert_string_equal(json_string_value(json_object_get(body, "user")), "7");
        assert_int_equal(json_integer_value(json_object_get(body, "Novel")), 1);
        assert_null(json_object_get(body, "Image"));
        assert_string_equal(json_string_value(json_object_get(labels, "a")), "b");
        assert_string_equal(json_string_value(json_object_get(labels, "com.amazonaws.ecs.cluster")),
                            "shop");
        assert_int_equal(host_integer(body, "Memory"), 7);
        assert_int_equal(json_array_size(json_object_get(host, "CapAdd")), 1);
        assert_null(json_object_get(host, "Links"));
}

static void labels_cleared_by_raw_settings_come_back(void **state)
{
        struct task *t = one();
        (void)state;
        t->spec->containers[0]->docker_config = mem_strdup("{\"labels\":null}");
        cleanup_json json_t *body = body_of(t);
        const json_t *labels = json_object_get(body, "Labels");
        assert_int_equal(json_object_size(labels), 7);
        assert_string_equal(json_string_value(json_object_get(labels, LABEL_AGENT)), "id-1");
}

static void bad_raw_json_has_the_ecs_reason(void **state)
{
        /* E23, E79, E47 */
        static const struct {
                const char *config, *host, *health, *mount, *name, *text;
        } cases[] = {
                {"{",  "",   "",       NULL,      "DockerClientConfigError",
                 "Unable decode given docker config: "                                                             },
                {"[]", "",   "",       NULL,      "DockerClientConfigError",
                 "Unable decode given docker config: "                                                             },
                {"{\"Labels\":[]}", "", "", NULL, "DockerClientConfigError",
                 "Unable decode given docker config: Labels"},
                {"",   "{]", "",       NULL,      "HostConfigError",         "Unable to decode given host config: "},
                {"",   "",   "docker", NULL,      "DockerClientConfigError", "docker health check is nil"          },
                {"",   "",   "",       "nowhere", "HostConfigError",         "Invalid volume referenced: nowhere"  },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct task *t = one();
                struct error err = {0};
                Ecs__ContainerSpec *s = t->spec->containers[0];
                s->docker_config = mem_strdup(cases[i].config);
                s->docker_host_config = mem_strdup(cases[i].host);
                s->health_check_type = mem_strdup(cases[i].health);
                if (cases[i].mount != NULL) {
                        s->mount_points = mem_zalloc(sizeof *s->mount_points);
                        s->mount_points[s->n_mount_points++] = mem_alloc(sizeof **s->mount_points);
                        ecs__mount_point__init(s->mount_points[0]);
                        s->mount_points[0]->source_volume = mem_strdup(cases[i].mount);
                        s->mount_points[0]->container_path = mem_strdup("/v");
                }
                assert_null(create_json(&t->containers[0], &context, &err));
                assert_string_equal(err.name, cases[i].name);
                assert_int_equal(strncmp(err.text, cases[i].text, strlen(cases[i].text)), 0);
                task_free(t);
        }
}

static bool has_variable(const json_t *body, const char *pair)
{
        size_t i;
        json_t *e;
        json_array_foreach(json_object_get(body, "Env"), i,
                           e) if (strncmp(json_string_value(e), pair, strlen(pair)) ==
                                  0) return true;
        return false;
}

static void region_variables_are_all_or_none(void **state)
{
        /* E24 */
        static const struct {
                const char *own; /* a variable of the definition */
                bool image;
                bool injected;
        } cases[] = {
                {NULL,                 false, true },
                {"AWS_REGION",         false, false},
                {"AWS_DEFAULT_REGION", false, false},
                {NULL,                 true,  false}
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct task *t = one();
                Ecs__ContainerSpec *s = t->spec->containers[0];
                t->containers[0].image_has_region = cases[i].image;
                s->environment = mem_zalloc(sizeof *s->environment);
                s->environment[s->n_environment++] = mem_alloc(sizeof **s->environment);
                ecs__key_value__init(s->environment[0]);
                s->environment[0]->key = mem_strdup(cases[i].own != NULL ? cases[i].own : "K");
                s->environment[0]->value = mem_strdup("");
                cleanup_json json_t *body = body_of(t);
                assert_int_equal(has_variable(body, "AWS_REGION=eu-west-1"), cases[i].injected);
                assert_int_equal(has_variable(body, "AWS_DEFAULT_REGION=eu-west-1"),
                                 cases[i].injected);
                assert_true(has_variable(body, "ECS_CONTAINER_METADATA_URI_V4=http://169.254"));
        }
}

static void an_adopted_task_is_the_one_that_was_created(void **state)
{
        struct task *t = one();
        (void)state;
        t->spec->containers[0]->memory_mib = 64;
        t->spec->credentials_id = mem_strdup("role-1");
        cleanup_free char *endpoint = mem_strdup(t->containers[0].facts->endpoint_id);
        cleanup_json json_t *config = body_of(t);
        cleanup_json json_t *host = json_incref(json_object_get(config, "HostConfig"));
        (void)json_object_set_new(host, "PortBindings",
                                  json_loads("{\"80/tcp\":[{\"HostPort\":\"4100\"}]}", 0, NULL));
        static const struct {
                const char *state;
                enum status known;
                const char *reason;
                int exit_code;
        } cases[] = {
                {"{\"Running\":true,\"StartedAt\":\"2026-01-01T00:00:00Z\"}",  S_RUNNING, "",    -1},
                {"{\"Running\":false,\"ExitCode\":7,\"StartedAt\":\"2026-01-01T00:00:00Z\","
                 "\"FinishedAt\":\"2026-01-01T00:00:01Z\"}",  S_STOPPED, "",    7 },
                {"{\"Running\":false,\"StartedAt\":\"0001-01-01T00:00:00Z\"}", S_STOPPED,
                 "TaskStateError: the agent's state was lost before this container was started", -1},
        };
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                json_t *inspect =
                        json_pack("{s:s, s:s, s:O, s:O, s:o, s:[{s:s, s:s}]}", "Id", "d1", "Name",
                                  "/ecs-fam-3-a-00", "Config", config, "HostConfig", host, "State",
                                  json_loads(cases[i].state, 0, NULL), "Mounts", "Type", "volume",
                                  "Name", "ecs-fam-3-data-0123");
                assert_true(adopt_json_is_whole(inspect));
                struct task *a = adopt_json_task(&inspect, 1, 9, NULL);
                const struct container *c = &a->containers[0];
                assert_string_equal(a->spec->arn, TEST_ARN);
                assert_string_equal(a->spec->credentials_id, "role-1");
                assert_string_equal(a->spec->volumes[0]->name, "data");
                assert_string_equal(c->spec->name, "a");
                assert_true(c->spec->essential);
                assert_int_equal(c->spec->memory_mib, 64);
                assert_int_equal(c->spec->port_mappings[0]->host_port, 4100);
                assert_string_equal(c->facts->docker_id, "d1");
                assert_string_equal(c->facts->docker_name, "ecs-fam-3-a-00");
                assert_string_equal(c->facts->endpoint_id, endpoint);
                assert_int_equal(c->known, cases[i].known);
                assert_int_equal(a->known, cases[i].known);
                assert_string_equal(c->facts->reason, cases[i].reason);
                if (cases[i].exit_code >= 0)
                        assert_int_equal(c->facts->exit_code->value, cases[i].exit_code);
                else
                        assert_null(c->facts->exit_code);
                /* the same again is no news: nothing to store */
                a->dirty = false;
                inspect_json_apply(&a->containers[0], inspect);
                assert_false(a->dirty);
                /* never started again: it is stopped, or there is nothing to do */
                assert_int_equal(container_next_step(c, true), STEP_NONE);
                task_free(a);
                json_decref(inspect);
        }
}

static void labels_that_are_not_whole_are_not_adopted(void **state)
{
        static const char *const cases[] = {
                "{}", "[]", "{\"Id\":\"x\",\"State\":{}}",
                "{\"Id\":\"x\",\"State\":{},\"Config\":{\"Labels\":{\"com.amazonaws.ecs.task-arn\":"
                "\"a/b\"}}}",
                "{\"Id\":\"x\",\"Config\":{\"Labels\":{\"com.amazonaws.ecs.task-arn\":\"a/b\","
                "\"com.amazonaws.ecs.container-name\":\"c\"}}}"};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_json json_t *j = json_loads(cases[i], 0, NULL);
                assert_non_null(j);
                assert_false(adopt_json_is_whole(j));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(cpu_shares_and_memory_are_exact),
                cmocka_unit_test(raw_settings_are_laid_over),
                cmocka_unit_test(labels_cleared_by_raw_settings_come_back),
                cmocka_unit_test(bad_raw_json_has_the_ecs_reason),
                cmocka_unit_test(region_variables_are_all_or_none),
                cmocka_unit_test(an_adopted_task_is_the_one_that_was_created),
                cmocka_unit_test(labels_that_are_not_whole_are_not_adopted),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
