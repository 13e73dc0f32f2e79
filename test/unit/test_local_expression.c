/* The cluster query language: what holds, what does not, what is refused. */
#include "expression.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "unit.h"

/* One instance with a few attributes and two task groups. */
static json_t *values(void *arg, const char *subject)
{
        static const struct {
                const char *subject, *json;
        } known[] = {
                {"attribute:stack",             "[\"prod\"]"                      },
                {"attribute:ecs.instance-type", "[\"t2.small\"]"                  },
                {"attribute:empty",             "[\"\"]"                          },
                {"task:group",                  "[\"service:web\", \"family:db\"]"},
                {"agentVersion",                "[\"1.105.1\"]"                   },
                {"runningTasksCount",           "[\"9\"]"                         },
                {"registeredAt",                "[\"2024-03-01T10:00:00Z\"]"      },
        };
        (void)arg;
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (strcmp(known[i].subject, subject) == 0)
                        return json_loads(known[i].json, 0, NULL);
        return NULL;
}

static const struct {
        const char *text;
        int holds;
} cases[] = {
        {"attribute:stack == prod",                                                        1      },
        {"attribute:stack equals 'prod'",                                                  1      },
        {"attribute:stack == \"prod\"",                                                    1      },
        {"attribute:stack != prod",                                                        0      },
        {"attribute:nothing != prod",                                                      1      },
        {"attribute:nothing == prod",                                                      0      },
        {"attribute:nothing >= 1",                                                         0      },
        {"attribute:stack exists",                                                         1      },
        {"attribute:empty exists",                                                         1      },
        {"attribute:nothing exists",                                                       0      },
        {"attribute:nothing !exists",                                                      1      },
        {"attribute:nothing not_exists",                                                   1      },
        {"attribute:stack in [dev, prod]",                                                 1      },
        {"attribute:stack in [prod]",                                                      1      },
        {"attribute:stack !in [dev,test]",                                                 1      },
        {"attribute:stack not_in [prod]",                                                  0      },
        {"attribute:ecs.instance-type =~ t2.*",                                            1      },
        {"attribute:ecs.instance-type =~ t2",                                              0      },
        {"attribute:ecs.instance-type !~ (t3|m5).*",                                       1      },
        {"(attribute:ecs.instance-type matches (t2|m5).small)",                            1      },
        {"task:group == family:db",                                                        1      },
        {"not(task:group == service:web)",                                                 0      },
        {"! task:group == service:none",                                                   1      },
        {"agentVersion >= 1.9.0",                                                          1      },
        {"agentVersion < 1.105.10",                                                        1      },
        {"agentVersion <= 1.105.1",                                                        1      },
        {"runningTasksCount < 10",                                                         1      },
        {"runningTasksCount greater_than 8",                                               1      },
        {"runningTasksCount > 9",                                                          0      },
        {"registeredAt > 2023-12-31T00:00:00Z",                                            1      },
        {"attribute:stack == dev or attribute:stack == prod and runningTasksCount == 9",   1      },
        {"(attribute:stack == prod or attribute:stack == dev) and runningTasksCount == 8", 0      },
        {"attribute:stack == prod && !(agentVersion < 1.0)",                               1      },
        {"attribute:stack==prod||attribute:stack==dev",                                    1      },
        {"attribute:not == x or attribute:stack == prod",                                  1      },
        {"",                                                                               -EINVAL},
        {"stack == prod",                                                                  -EINVAL},
        {"attribute: == prod",                                                             -EINVAL},
        {"attribute:stack",                                                                -EINVAL},
        {"attribute:stack ==",                                                             -EINVAL},
        {"attribute:stack == prod and",                                                    -EINVAL},
        {"attribute:stack == prod attribute:stack == prod",                                -EINVAL},
        {"attribute:stack in prod",                                                        -EINVAL},
        {"attribute:stack in [prod",                                                       -EINVAL},
        {"attribute:stack == 'prod",                                                       -EINVAL},
        {"(attribute:stack == prod",                                                       -EINVAL},
        {"attribute:stack == prod)",                                                       -EINVAL},
        {"attribute:stack =~ [",                                                           -EINVAL},
        {"attribute:stack =~ a{9999}",                                                     -EINVAL},
        {"attribute:stack =~ (a)\\1",                                                      -EINVAL},
        {"attribute:stack =~ a+++++++++++++++++++++++++++++++++++++++++",                  -EINVAL},
        {"attribute:stack =~ (((((((p+)+)+)+)+)+)+)+rod",                                  -EINVAL},
        {"attribute:stack =~ p+r+o+d+",                                                    1      },
        {"attribute:stack == dev or attribute:stack =~ [",                                 -EINVAL},
};

static void expressions_hold_or_are_refused(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *error = NULL;
                int r = expression_evaluate(cases[i].text, values, NULL, &error);
                if (r != cases[i].holds)
                        fail_msg("'%s': %d, not %d (%s)", cases[i].text, r, cases[i].holds,
                                 error != NULL ? error : "");
                assert_int_equal(error != NULL, r < 0);
        }
}

/* Checking alone refuses the same texts. */
static void expressions_are_checked_without_values(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *error = NULL;
                int r = expression_evaluate(cases[i].text, NULL, NULL, &error);
                if ((r < 0) != (cases[i].holds < 0))
                        fail_msg("'%s': %d (%s)", cases[i].text, r, error != NULL ? error : "");
        }
}

static void deep_and_long_texts_are_refused(void **state)
{
        char text[4096];
        cleanup_free char *error = NULL, *other = NULL;
        (void)state;
        memset(text, '(', 1000);
        strcpy(text + 1000, "attribute:a exists");
        assert_int_equal(expression_evaluate(text, values, NULL, &error), -EINVAL);
        memset(text, ' ', sizeof text);
        strcpy(text + 3000, "attribute:stack exists");
        assert_int_equal(expression_evaluate(text, values, NULL, &other), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(expressions_hold_or_are_refused),
                cmocka_unit_test(expressions_are_checked_without_values),
                cmocka_unit_test(deep_and_long_texts_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
