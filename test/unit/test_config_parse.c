/* Settings from their layers to normalised values: each case is an environment, an ecs.config and a
 * JSON file, and what one setting becomes. Rows H19–H34 of the host reference. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "cleanup.h"
#include "config_parse.h"
#include "config_table.h"
#include "error.h"
#include "mem.h"

static char dir[] = "/tmp/ecs-config-XXXXXX";

struct outcome {
        int r;
        struct config *config;
        struct config_warnings warnings;
        struct error error;
};

static void write_file(const char *path, const char *text)
{
        cleanup_file FILE *f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
}

/* lines: ecs.config; env: one "NAME=value" or NULL; json, user_data: text or NULL. */
static struct outcome load(const char *env, const char *lines, const char *json,
                           const char *user_data)
{
        struct outcome o = {.config = config_new()};
        cleanup_free char *low = mem_printf("%s/low.config", dir);
        cleanup_free char *high = mem_printf("%s/ecs.config", dir);
        cleanup_free char *json_path = mem_printf("%s/ecs.config.json", dir);
        cleanup_free char *path = mem_printf("ECS_AGENT_CONFIG_FILE_PATH=%s", json_path);
        cleanup_free char *first = mem_strdup(env != NULL ? env : "UNRELATED=1");
        char *environment[] = {path, first, NULL};
        const char *files[] = {low, high, NULL};
        (void)unlink(json_path);
        write_file(low, "ECS_DETAILED_OS_FAMILY=low\nECS_CLUSTER=low\n");
        write_file(high, lines != NULL ? lines : "");
        if (json != NULL)
                write_file(json_path, json);
        cleanup_free char *pairs =
                user_data != NULL ? config_user_data_lines(user_data, &o.warnings) : NULL;
        const struct config_sources s = {
                .environment = environment, .files = files, .user_data = pairs};
        o.r = config_load(&s, o.config, &o.warnings, &o.error);
        return o;
}

static void clear(struct outcome *o)
{
        config_free(o->config);
        config_warnings_clear(&o->warnings);
}

static bool warned(const struct outcome *o, const char *about)
{
        for (size_t i = 0; i < o->warnings.count; i++)
                if (strstr(o->warnings.texts[i], about) != NULL)
                        return true;
        return false;
}

/* Warnings about values, not about features a build lacks. */
static size_t mistakes(const struct outcome *o)
{
        size_t n = 0;
        for (size_t i = 0; i < o->warnings.count; i++)
                n += strstr(o->warnings.texts[i], "this build does not have") == NULL;
        return n;
}

/* H19, H21, H22, H23 */
static void layers_have_their_order(void **state)
{
        static const struct {
                const char *env, *lines, *json, *user_data, *cluster;
        } cases[] = {
                {"ECS_CLUSTER=env", "ECS_CLUSTER=file", "{\"Cluster\":\"json\"}", NULL, "env"},
                {NULL, "ECS_CLUSTER=file", "{\"Cluster\":\"json\"}", NULL, "file"},
                {NULL, NULL, "{\"Cluster\":\"json\"}", NULL, "low"},
                {NULL, "ECS_CLUSTER=", "{\"cluster\":\"json\"}", NULL, "json"},
                {"ECS_CLUSTER=", "ECS_CLUSTER=file", NULL, NULL, "file"},
                {NULL, "ECS_CLUSTER=", NULL, "{\"ECSAgentConfiguration\":{\"Cluster\":\"ud\"}}",
                 "ud"},
                {NULL, "ECS_CLUSTER=", "{\"Cluster\":\"json\"}",
                 "{\"ECSAgentConfiguration\":{\"Cluster\":\"ud\"}}", "json"},
                {NULL, "ECS_CLUSTER=", NULL, "#!/bin/sh\necho x", NULL},
                {NULL, "ECS_CLUSTER=", "{\"ClusterArn\":\"arn\"}", NULL, "arn"},
                {NULL, "ECS_CLUSTER=", " \n", NULL, NULL},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct outcome o = load(cases[i].env, cases[i].lines, cases[i].json,
                                        cases[i].user_data);
                assert_int_equal(o.r, 0);
                const char *cluster = config_find(o.config, "ECS_CLUSTER");
                if (cases[i].cluster == NULL)
                        assert_null(cluster);
                else
                        assert_string_equal(cluster, cases[i].cluster);
                clear(&o);
        }
}

struct value_case {
        const char *lines, *json, *name, *value; /* value NULL: unset */
        bool warns;
};

static const struct value_case values[] = {
        /* H20, grammar of lines: first '=', quotes kept, last duplicate, comments are nothing special */
        {"ECS_CLUSTER=a=b", NULL, "ECS_CLUSTER", "a=b", false},
        {"ECS_CLUSTER=\"x\"", NULL, "ECS_CLUSTER", "\"x\"", false},
        {"ECS_CLUSTER=a\nECS_CLUSTER=b", NULL, "ECS_CLUSTER", "b", false},
        {"  ECS_CLUSTER= a \r\n", NULL, "ECS_CLUSTER", "a", false},
        {"#ECS_CLUSTER=a", NULL, "ECS_CLUSTER", "low", false},
        {"ECS_CLUSTER", NULL, "ECS_CLUSTER", "low", false},
        /* H25, booleans */
        {"ECS_DISABLE_PRIVILEGED=T", NULL, "ECS_DISABLE_PRIVILEGED", "true", false},
        {"ECS_DISABLE_PRIVILEGED=1", NULL, "ECS_DISABLE_PRIVILEGED", "true", false},
        {"ECS_DISABLE_PRIVILEGED=yes", NULL, "ECS_DISABLE_PRIVILEGED", "false", true},
        {"ECS_ENABLE_FIRELENS_ASYNC=False", NULL, "ECS_ENABLE_FIRELENS_ASYNC", "false", false},
        {"ECS_DISABLE_PRIVILEGED=", "{\"PrivilegedDisabled\":true}", "ECS_DISABLE_PRIVILEGED",
         "true", false},
        /* H26, H27, H28, durations and their minima */
        {"ECS_CONTAINER_STOP_TIMEOUT=2m", NULL, "ECS_CONTAINER_STOP_TIMEOUT", "120000", false},
        {"ECS_CONTAINER_STOP_TIMEOUT=1ms", NULL, "ECS_CONTAINER_STOP_TIMEOUT", "1000", true},
        {"ECS_CONTAINER_STOP_TIMEOUT=1ns", NULL, "ECS_CONTAINER_STOP_TIMEOUT", "1000", true},
        {"ECS_CONTAINER_STOP_TIMEOUT=0", NULL, "ECS_CONTAINER_STOP_TIMEOUT", "30000", false},
        {"ECS_CONTAINER_STOP_TIMEOUT=soon", NULL, "ECS_CONTAINER_STOP_TIMEOUT", "30000", true},
        {"ECS_CONTAINER_START_TIMEOUT=1ms", NULL, "ECS_CONTAINER_START_TIMEOUT", "45000", true},
        {"ECS_CONTAINER_CREATE_TIMEOUT=1ms", NULL, "ECS_CONTAINER_CREATE_TIMEOUT", "60000", true},
        {"ECS_MANIFEST_PULL_TIMEOUT=1ms", NULL, "ECS_MANIFEST_PULL_TIMEOUT", "30000", true},
        {"ECS_IMAGE_PULL_INACTIVITY_TIMEOUT=1ms", NULL, "ECS_IMAGE_PULL_INACTIVITY_TIMEOUT",
         "60000", true},
        {"ECS_IMAGE_PULL_TIMEOUT=-1s", NULL, "ECS_IMAGE_PULL_TIMEOUT", "7200000", true},
        {"ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=1ms", NULL,
         "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "10800000", true},
        {"ECS_IMAGE_CLEANUP_INTERVAL=9m", NULL, "ECS_IMAGE_CLEANUP_INTERVAL", "1800000", true},
        {"ECS_CGROUP_CPU_PERIOD=1ms", NULL, "ECS_CGROUP_CPU_PERIOD", "100", true},
        {"ECS_CGROUP_CPU_PERIOD=10ms", NULL, "ECS_CGROUP_CPU_PERIOD", "10", false},
        {"", "{\"DockerStopTimeout\":2000000000}", "ECS_CONTAINER_STOP_TIMEOUT", "2000", false},
        /* H29, only while polling */
        {"ECS_POLL_METRICS=true\nECS_POLLING_METRICS_WAIT_DURATION=1s", NULL,
         "ECS_POLLING_METRICS_WAIT_DURATION", "5000", true},
        {"ECS_POLL_METRICS=true\nECS_POLLING_METRICS_WAIT_DURATION=1m", NULL,
         "ECS_POLLING_METRICS_WAIT_DURATION", "20000", true},
        {"ECS_POLLING_METRICS_WAIT_DURATION=1m", NULL, "ECS_POLLING_METRICS_WAIT_DURATION",
         "60000", false},
        /* H33, numbers; the CPU period is above, the rate limit below */
        {"ECS_RESERVED_MEMORY=70000", NULL, "ECS_RESERVED_MEMORY", "0", true},
        {"ECS_RESERVED_MEMORY=256", NULL, "ECS_RESERVED_MEMORY", "256", false},
        {"ECS_TASK_PIDS_LIMIT=0", NULL, "ECS_TASK_PIDS_LIMIT", NULL, true},
        {"ECS_TASK_PIDS_LIMIT=4194305", NULL, "ECS_TASK_PIDS_LIMIT", NULL, true},
        {"ECS_TASK_PIDS_LIMIT=100", NULL, "ECS_TASK_PIDS_LIMIT", "100", false},
        {"ECS_NUM_IMAGES_DELETE_PER_CYCLE=-1", NULL, "ECS_NUM_IMAGES_DELETE_PER_CYCLE", "5", true},
        {"ECS_NUM_IMAGES_DELETE_PER_CYCLE=0", NULL, "ECS_NUM_IMAGES_DELETE_PER_CYCLE", "5", false},
        {"NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE=0", NULL,
         "NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE", "5", false},
        {"NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE=-1", NULL,
         "NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE", "-1", false},
        {"ECS_LOG_MAX_FILE_SIZE_MB=nan", NULL, "ECS_LOG_MAX_FILE_SIZE_MB", "5", true},
        /* words */
        {"ECS_IMAGE_PULL_BEHAVIOR=once", NULL, "ECS_IMAGE_PULL_BEHAVIOR", "once", false},
        {"ECS_IMAGE_PULL_BEHAVIOR=Once", NULL, "ECS_IMAGE_PULL_BEHAVIOR", "default", true},
        {"", "{\"ImagePullBehavior\":3}", "ECS_IMAGE_PULL_BEHAVIOR", "prefer-cached", false},
        {"", "{\"ImagePullBehavior\":9}", "ECS_IMAGE_PULL_BEHAVIOR", "default", true},
        {"ECS_INSTANCE_IP_COMPATIBILITY= IPv6 ", NULL, "ECS_INSTANCE_IP_COMPATIBILITY", "ipv6",
         false},
        {"ECS_INSTANCE_IP_COMPATIBILITY=ipx", NULL, "ECS_INSTANCE_IP_COMPATIBILITY", NULL, true},
        {"ECS_LOGLEVEL=CRIT", NULL, "ECS_LOGLEVEL", "crit", false},
        /* H32, H33, H34, ports, ranges, pairs */
        {"ECS_RESERVED_PORTS=[1, 2]", NULL, "ECS_RESERVED_PORTS", "[1,2]", false},
        {"ECS_RESERVED_PORTS=[1] trailing", NULL, "ECS_RESERVED_PORTS", "[1]", false},
        {"ECS_RESERVED_PORTS=[1,\"x\",70000]", NULL, "ECS_RESERVED_PORTS", "[1]", true},
        {"ECS_RESERVED_PORTS=1,2", NULL, "ECS_RESERVED_PORTS", "[22,2375,2376,51678,51679]", true},
        {"ECS_DYNAMIC_HOST_PORT_RANGE=100 - 200", NULL, "ECS_DYNAMIC_HOST_PORT_RANGE", "100-200",
         false},
        {"ECS_DYNAMIC_HOST_PORT_RANGE=200-100", NULL, "ECS_DYNAMIC_HOST_PORT_RANGE", NULL, true},
        {"ECS_TASK_METADATA_RPS_LIMIT=10,20", NULL, "ECS_TASK_METADATA_RPS_LIMIT", "10,20", false},
        {"ECS_TASK_METADATA_RPS_LIMIT=0,20", NULL, "ECS_TASK_METADATA_RPS_LIMIT", "40,60", true},
        {"ECS_TASK_METADATA_RPS_LIMIT=1,2,3", NULL, "ECS_TASK_METADATA_RPS_LIMIT", "40,60", true},
        {"", "{\"TaskMetadataSteadyStateRate\":5,\"TaskMetadataBurstRate\":9}",
         "ECS_TASK_METADATA_RPS_LIMIT", "5,9", false},
        /* lists and maps */
        {"ECS_AVAILABLE_LOGGING_DRIVERS=[\"awslogs\"]", NULL, "ECS_AVAILABLE_LOGGING_DRIVERS",
         "[\"awslogs\"]", false},
        {"ECS_AVAILABLE_LOGGING_DRIVERS=awslogs", NULL, "ECS_AVAILABLE_LOGGING_DRIVERS",
         "[\"json-file\",\"syslog\",\"awslogs\",\"fluentd\",\"none\"]", true},
        {"ECS_INSTANCE_ATTRIBUTES={\"b\":\"2\", \"a\":\"1\"}", NULL, "ECS_INSTANCE_ATTRIBUTES",
         "{\"a\":\"1\",\"b\":\"2\"}", false},
        {"ECS_PAUSE_LABELS={\"a\":1}", NULL, "ECS_PAUSE_LABELS", NULL, true},
        {"ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.0/8\",\"fd00::/8\"]", NULL,
         "ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES", "[\"10.0.0.0/8\",\"fd00::/8\"]", false},
        {"", "{\"ImageCleanupExclusionList\":[\"a:1\",\"b\"]}", "ECS_EXCLUDE_UNTRACKED_IMAGE",
         "a:1,b", false},
        {"", "{\"EngineAuthData\":{\"r\":{\"password\":\"p\"}}}", "ECS_ENGINE_AUTH_DATA",
         "{\"r\":{\"password\":\"p\"}}", false},
        /* other systems' settings */
        {"ECS_FSX_WINDOWS_FILE_SERVER_SUPPORTED=true", NULL,
         "ECS_FSX_WINDOWS_FILE_SERVER_SUPPORTED", "false", true},
};

static void values_are_normalised(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                const struct value_case *c = &values[i];
                struct outcome o = load(NULL, c->lines, c->json, NULL);
                const char *value = config_find(o.config, c->name);
                bool same = o.r == 0 && (c->value == NULL) == (value == NULL) &&
                            (value == NULL || strcmp(value, c->value) == 0);
                if (!same || (mistakes(&o) > 0) != c->warns)
                        fail_msg("%s %s: %s is %s with %zu warnings (%s)", c->lines,
                                 c->json != NULL ? c->json : "", c->name,
                                 value != NULL ? value : "unset", mistakes(&o), o.error.text);
                clear(&o);
        }
}

/* H22, H30, H31 */
static void some_mistakes_are_fatal(void **state)
{
        static const struct {
                const char *lines, *json, *says;
        } cases[] = {
                {"ECS_AVAILABLE_LOGGING_DRIVERS=[\"papyrus\"]", NULL, "names something unknown"},
                {"ECS_AVAILABLE_LOGGING_DRIVERS=[\"JSON-FILE\"]", NULL, "names something unknown"},
                {"ECS_INSTANCE_ATTRIBUTES={\"a\":1}", NULL, "ECS_INSTANCE_ATTRIBUTES"},
                {"ECS_INSTANCE_ATTRIBUTES={} x", NULL, "ECS_INSTANCE_ATTRIBUTES"},
                {"ECS_CONTAINER_INSTANCE_TAGS=[]", NULL, "ECS_CONTAINER_INSTANCE_TAGS"},
                {"ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.0\"]", NULL, "no network"},
                {"ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=[\"10.0.0.0/33\"]", NULL, "no network"},
                {"ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES=x", NULL, "JSON list"},
                {"", "{\"Cluster\":", "not valid JSON at line 1"},
                {"", "[]", "JSON object"},
                {"", "{\"DockerStopTimeout\":5}", "ECS_CONTAINER_STOP_TIMEOUT"},
                {"", "{\"ContainerStartTimeout\":5}", "ECS_CONTAINER_START_TIMEOUT"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct outcome o = load(NULL, cases[i].lines, cases[i].json, NULL);
                assert_int_equal(o.r, -EINVAL);
                if (strstr(o.error.text, cases[i].says) == NULL)
                        fail_msg("%s %s: %s", cases[i].lines, cases[i].json, o.error.text);
                clear(&o);
        }
}

static void secrets_stay_out_of_sentences(void **state)
{
        (void)state;
        struct outcome o = load(NULL, "", "{\"EngineAuthData\": hunter2 }", NULL);
        assert_int_equal(o.r, -EINVAL);
        assert_null(strstr(o.error.text, "hunter2"));
        clear(&o);
}

static void unknown_names_get_a_hint(void **state)
{
        (void)state;
        struct outcome o = load("ECS_CLUSTERS=x", "ECS_POLL_METRICS_WAIT_DURATION=5s\n"
                                                  "ECS_SOMETHING_ELSE_ENTIRELY_UNRELATED=1\n"
                                                  "OTHER=1",
                                NULL, NULL);
        assert_int_equal(o.r, 0);
        assert_int_equal(o.warnings.count, 3);
        assert_true(warned(&o, "is ECS_CLUSTER meant?"));
        assert_true(warned(&o, "is ECS_POLLING_METRICS_WAIT_DURATION meant?"));
        assert_true(warned(&o, "ECS_SOMETHING_ELSE_ENTIRELY_UNRELATED is no known setting, "
                               "ignored"));
        clear(&o);
}

/* A row that lacks a feature refuses what asks for it, and nothing else. */
static void what_is_absent_is_refused_by_name(void **state)
{
        static const struct config_row gpu = {"X", CONFIG_BOOL, .fallback = "false",
                                              .absent = "a feature"};
        static const struct config_row drivers = {"X", CONFIG_JSON_STRINGS, .absent = "a feature",
                                                  .absent_word = "special"};
        (void)state;
        assert_true(config_row_lacks(&gpu, "true"));
        assert_true(config_row_lacks(&drivers, "special"));
        assert_true(config_row_lacks(&drivers, "[\"a\",\"special\"]"));
        assert_false(config_row_lacks(&drivers, "[\"specialist\"]"));
        assert_false(config_row_lacks(&drivers, "[\"very special\"]"));
        assert_false(config_row_lacks(&drivers, NULL));
        struct outcome o = load("ECS_CHECKPOINT=false", "ECS_UPDATES_ENABLED=true\n"
                                                        "ECS_AGENT_RUN_PRIVILEGED=false\n",
                                NULL, NULL);
        assert_int_equal(o.r, 0);
        assert_int_equal(o.warnings.count, 2);
        assert_true(warned(&o, "ECS_CHECKPOINT=false has no effect: state is always kept"));
        assert_true(warned(&o, "ECS_UPDATES_ENABLED=true has no effect"));
        assert_string_equal(config_find(o.config, "ECS_UPDATES_ENABLED"), "false");
        assert_string_equal(config_origin(o.config, "ECS_UPDATES_ENABLED"), "default");
        clear(&o);
}

/* What may come from one source only, from no other. */
static void names_belong_to_their_sources(void **state)
{
        (void)state;
        struct outcome o = load("InsecureTLS=true", "NoIID=true\nInsecureTLS=true\n",
                                "{\"InsecureTLS\":true,\"NoIID\":true}", NULL);
        assert_string_equal(config_find(o.config, "InsecureTLS"), "false");
        assert_string_equal(config_find(o.config, "NoIID"), "true");
        assert_string_equal(config_origin(o.config, "NoIID"), "JSON file");
        assert_true(warned(&o, "JSON file: the key InsecureTLS is no known setting"));
        clear(&o);
}

static void lower_case_proxies_count(void **state)
{
        (void)state;
        struct outcome o = load("http_proxy=http://p:1", NULL, NULL, NULL);
        assert_string_equal(config_find(o.config, "HTTP_PROXY"), "http://p:1");
        clear(&o);
}

static void recipients_get_only_their_rows(void **state)
{
        (void)state;
        struct outcome o = load("AWS_SECRET_ACCESS_KEY=s3cret",
                                "ECS_ENGINE_AUTH_DATA={}\nECS_CLUSTER=c", NULL, NULL);
        struct config *backend = config_for(o.config, FOR_BACKEND);
        struct config *metadata = config_for(o.config, FOR_METADATA);
        assert_string_equal(config_find(backend, "AWS_SECRET_ACCESS_KEY"), "s3cret");
        assert_null(config_find(backend, "ECS_ENGINE_AUTH_DATA"));
        assert_null(config_find(metadata, "AWS_SECRET_ACCESS_KEY"));
        assert_string_equal(config_find(metadata, "ECS_CLUSTER"), "c");
        config_free(backend);
        config_free(metadata);
        clear(&o);
}

/* A default that its own converter would change or refuse is a mistake in the table. */
static void defaults_are_normalised(void **state)
{
        struct outcome o = load(NULL, "ECS_CLUSTER=", NULL, NULL);
        (void)state;
        assert_int_equal(o.r, 0);
        assert_int_equal(o.warnings.count, 0);
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *row = &config_rows[i];
                assert_ptr_equal(config_row_find(row->name), row); /* no name twice */
                assert_true(row->help != NULL && *row->help != '\0');
                if (row->type == CONFIG_BOOL && row->fallback != NULL)
                        assert_true(strcmp(row->fallback, "true") == 0 ||
                                    strcmp(row->fallback, "false") == 0);
                if (row->type == CONFIG_WORD)
                        assert_non_null(row->choices);
                if (row->bounded_if != NULL)
                        assert_non_null(config_row_find(row->bounded_if));
        }
        clear(&o);
}

static int make_dir(void **state)
{
        (void)state;
        return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
        static const char *const names[] = {"low.config", "ecs.config", "ecs.config.json"};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                cleanup_free char *path = mem_printf("%s/%s", dir, names[i]);
                (void)unlink(path);
        }
        return rmdir(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(layers_have_their_order),
                cmocka_unit_test(values_are_normalised),
                cmocka_unit_test(some_mistakes_are_fatal),
                cmocka_unit_test(secrets_stay_out_of_sentences),
                cmocka_unit_test(unknown_names_get_a_hint),
                cmocka_unit_test(what_is_absent_is_refused_by_name),
                cmocka_unit_test(names_belong_to_their_sources),
                cmocka_unit_test(lower_case_proxies_count),
                cmocka_unit_test(recipients_get_only_their_rows),
                cmocka_unit_test(defaults_are_normalised),
        };
        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
