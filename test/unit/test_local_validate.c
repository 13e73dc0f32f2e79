/* The shapes hold together, and a request is refused with the member's path. */
#include "validate.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "local.h"
#include "unit.h"

/* Every type a member names is a scalar or a shape of the table; every shape is used or an
 * operation. */
static void every_type_is_known(void **state)
{
        (void)state;
        for (size_t i = 0; i < shape_count; i++) {
                if (shapes[i].name[0] == '@')
                        continue;
                for (const char *p = shapes[i].members; *p != '\0'; p += strspn(p, " ")) {
                        const char *type = strchr(p, ':');
                        size_t n = strcspn(p, " ");
                        if (type == NULL || type > p + n) {
                                fail_msg("%s: '%.*s' has no type", shapes[i].name, (int)n, p);
                                return;
                        }
                        type += 1 + strspn(type + 1, "-[{");
                        p += n;
                        if (strcspn(type, " <") == 1 && strchr("silubdf?", *type) != NULL)
                                continue;
                        if (shape_find(type, strcspn(type, " <")) == NULL)
                                fail_msg("%s: no shape for '%.*s'", shapes[i].name,
                                         (int)strcspn(type, " <"), type);
                }
        }
}

static void every_operation_has_a_shape(void **state)
{
        (void)state;
        for (size_t i = 0; i < operation_count; i++)
                if (shape_find(operations[i].name, strlen(operations[i].name)) == NULL)
                        fail_msg("no shape for %s", operations[i].name);
}

static const struct {
        const char *operation, *request, *code, *words;
} cases[] = {
        {"SubmitTaskStateChange",
         "{\"task\":\"t\",\"status\":\"RUNNING\",\"pullStartedAt\":1.5,\"containers\":[{"
         "\"containerName\":\"c\",\"exitCode\":0,\"networkBindings\":[{\"containerPort\":1,"
         "\"protocol\":\"tcp\"}]}]}",                                                                                NULL,                        NULL                                                 },
        {"SubmitTaskStateChange",     "{\"task\":\"t\",\"status\":\"PAUSED\"}",
         "InvalidParameterException",                                                                                                             "PAUSED"                                             },
        {"SubmitTaskStateChange",     "{\"task\":\"t\",\"containers\":[{\"status\":\"RUNNING\"}]}",
         "InvalidParameterException",                                                                                                             "containers[0].containerName"                        },
        {"SubmitTaskStateChange",
         "{\"task\":\"t\",\"containers\":[{\"containerName\":\"c\",\"exitCode\":\"0\"}]}",                           "SerializationException",    "containers[0].exitCode"                             },
        {"SubmitTaskStateChange",     "{\"task\":\"t\",\"pullStartedAt\":\"now\"}",
         "SerializationException",                                                                                                                "pullStartedAt"                                      },
        {"RegisterContainerInstance",
         "{\"totalResources\":[{\"name\":\"CPU\",\"type\":\"INTEGER\",\"integerValue\":1.5}]}",                      "SerializationException",    "totalResources[0].integerValue"                     },
        {"RegisterContainerInstance", "{\"totalResources\":[],\"attributes\":[{\"value\":\"v\"}]}",
         "InvalidParameterException",                                                                                                             "attributes[0].name"                                 },
        {"RegisterContainerInstance", "{\"totalResources\":[],\"colour\":\"blue\"}",
         "InvalidParameterException",                                                                                                             "colour"                                             },
        {"DiscoverPollEndpoint",      "{\"containerInstance\":\"i\",\"zoneId\":\"\"}",                               NULL,                        NULL                                                 },
        {"DiscoverPollEndpoint",      "{\"zoneId\":\"\"}",                                                           "InvalidParameterException",
         "containerInstance"                                                                                                                                                                           },
        {"PublishMetricsRequest",
         "{\"metadata\":{\"cluster\":\"c\",\"containerInstance\":\"i\",\"messageId\":\"m\"},"
         "\"timestamp\":1.5,\"taskMetrics\":[{\"containerMetrics\":[{\"networkStatsSet\":{"
         "\"rxBytes\":{\"min\":-1,\"max\":1,\"sampleCount\":1,\"sum\":1}}}]}]}",                                     "SerializationException",
         "taskMetrics[0].containerMetrics[0].networkStatsSet.rxBytes.min"                                                                                                                              },
        {"RunTask",                   "{\"taskDefinition\": \"a\"}",                                                 NULL,                        NULL                                                 },
        {"RunTask",                   "{\"taskDefinition\": \"a\", \"cluster\": null, \"tags\": null}",              NULL,                        NULL                                                 },
        {"RunTask",                   "{}",                                                                          "InvalidParameterException", "taskDefinition should not be null"                  },
        {"RunTask",                   "{\"taskDefinition\": \"\"}",                                                  "InvalidParameterException", "taskDefinition"                                     },
        {"RunTask",                   "{\"taskDefinition\": 1}",                                                     "SerializationException",
         "NUMBER_VALUE can not be converted to a String: taskDefinition"                                                                                                                               },
        {"RunTask",                   "{\"taskDefinition\": \"a\", \"count\": 4294967296}",                          "SerializationException",
         "count"                                                                                                                                                                                       },
        {"RunTask",                   "{\"taskDefinition\": \"a\", \"count\": 1.5}",                                 "SerializationException",
         "count"                                                                                                                                                                                       },
        {"RunTask",                   "{\"taskDefinition\": \"a\", \"conut\": 1}",                                   "InvalidParameterException",
         "Unknown parameter in input: \"conut\""                                                                                                                                                       },
        {"RunTask",                   "{\"taskDefinition\": \"a\", \"launchType\": \"FARGATE\"}",
         "UnsupportedFeatureException",                                                                                                           "launchType FARGATE"                                 },
        {"RunTask",                   "{\"taskDefinition\": \"a\", \"launchType\": \"MOON\"}",
         "InvalidParameterException",                                                                                                             "one of EC2 FARGATE EXTERNAL MANAGED_INSTANCES"      },
        {"RunTask",                   "{\"taskDefinition\": \"a\", \"enableExecuteCommand\": false}",                NULL,                        NULL                                                 },
        {"RunTask",                   "{\"taskDefinition\": \"a\", \"tags\": [{\"key\": \"a\"}, {\"kee\": \"a\"}]}",
         "InvalidParameterException",                                                                                                             "tags[1].kee"                                        },
        {"RunTask",
         "{\"taskDefinition\": \"a\", \"overrides\": {\"containerOverrides\": "
         "[{\"name\": \"x\", \"environment\": [{\"name\": 1}]}]}}",                                                  "SerializationException",    "overrides.containerOverrides[0].environment[0].name"},
        {"RegisterTaskDefinition",
         "{\"family\": \"f\", \"containerDefinitions\": [{\"name\": \"a\"}]}",                                       "ClientException",
         "containerDefinitions[0].image"                                                                                                                                                               },
        {"RegisterTaskDefinition",
         "{\"family\": \"f\", \"containerDefinitions\": [{\"name\": \"a\", \"image\": \"i\", "
         "\"dockerLabels\": {\"k\": 1}}]}",                                                                          "SerializationException",    "containerDefinitions[0].dockerLabels.k"             },
        {"RegisterTaskDefinition",
         "{\"family\": \"f\", \"containerDefinitions\": [{\"name\": \"a\", \"image\": \"i\", "
         "\"logConfiguration\": {\"logDriver\": \"json\"}}]}",                                                       "ClientException",           "json-file"                                          },
        {"DescribeServices",
         "{\"services\": [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\","
         "\"9\",\"10\",\"11\"]}",                                                                                    "InvalidParameterException", "services cannot have more than 10 entries"          },
        {"CreateService",             "{\"serviceName\": \"s\", \"loadBalancers\": [1]}",
         "UnsupportedFeatureException",                                                                                                           "loadBalancers"                                      },
        {"CreateService",             "{\"serviceName\": \"s\", \"loadBalancers\": []}",                             NULL,                        NULL                                                 },
};

static void requests_are_accepted_or_refused_by_name(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct answer a = {0};
                cleanup_json json_t *q = json_loads(cases[i].request, 0, NULL);
                assert_non_null(q);
                bool accepted = validate(cases[i].operation, q, &a);
                if (accepted != (cases[i].code == NULL) ||
                    (!accepted && (strcmp(a.code, cases[i].code) != 0 ||
                                   strstr(a.text, cases[i].words) == NULL)))
                        fail_msg("%s: %s: %s", cases[i].request, a.code != NULL ? a.code : "taken",
                                 a.text != NULL ? a.text : "");
                free(a.text);
        }
}

static void a_null_member_is_as_if_absent(void **state)
{
        struct answer a = {0};
        cleanup_json json_t *q = json_loads("{\"cluster\": null}", 0, NULL);
        (void)state;
        assert_true(validate("ListTasks", q, &a));
        assert_null(json_object_get(q, "cluster"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_type_is_known),
                cmocka_unit_test(every_operation_has_a_shape),
                cmocka_unit_test(requests_are_accepted_or_refused_by_name),
                cmocka_unit_test(a_null_member_is_as_if_absent),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
