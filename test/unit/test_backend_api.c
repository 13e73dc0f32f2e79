/* The backend's decisions about ECS that need no network: endpoints, what is tried again, what a
 * registration's error means, the texts of the websocket upgrade, role credentials of IMDS. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "acs_handshake.h"
#include "backend.h"
#include "buf.h"
#include "cleanup.h"
#include "role_credentials.h"

/* B57 */
static void endpoints_have_a_scheme_and_no_last_slash(void **state)
{
        static const struct {
                const char *host, *region, *endpoint;
        } cases[] = {
                {"",                      "us-east-1",       "https://ecs.us-east-1.amazonaws.com"       },
                {"",                      "cn-north-1",      "https://ecs.cn-north-1.amazonaws.com.cn"   },
                {"",                      "us-gov-west-1",   "https://ecs.us-gov-west-1.amazonaws.com"   },
                {"",                      "us-iso-east-1",   "https://ecs.us-iso-east-1.c2s.ic.gov"      },
                {"",                      "us-isob-east-1",  "https://ecs.us-isob-east-1.sc2s.sgov.gov"  },
                {"",                      "eu-isoe-west-1",  "https://ecs.eu-isoe-west-1.cloud.adc-e.uk" },
                {"",                      "us-isof-south-1", "https://ecs.us-isof-south-1.csp.hci.ic.gov"},
                {"",                      "eusc-de-east-1",  "https://ecs.eusc-de-east-1.amazonaws.eu"   },
                {"example.com",           "x",               "https://example.com"                       },
                {"example.com:8443/a/b/", "x",               "https://example.com:8443/a/b"              },
                {"http://example.com",    "x",               "http://example.com"                        },
                {"https://example.com//", "x",               "https://example.com"                       },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *e = ecs_api_endpoint(cases[i].host, cases[i].region);
                assert_string_equal(e, cases[i].endpoint);
        }
}

/* B59 */
static void user_agent_names_the_system(void **state)
{
        static const struct {
                const char *os, *part;
        } cases[] = {
                {NULL,     "(linux; LINUX)" },
                {"debian", "(linux; debian)"},
                {"",       "(linux)"        }
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct config *c = config_new();
                if (cases[i].os != NULL)
                        config_set(c, "ECS_DETAILED_OS_FAMILY", cases[i].os);
                cleanup_free char *agent = ecs_api_user_agent(c);
                assert_non_null(strstr(agent, cases[i].part));
                assert_int_equal(strncmp(agent, "Amazon ECS Agent - v" ECS_VERSION " (", 20), 0);
                assert_non_null(strstr(agent, ") (+http://aws.amazon.com/ecs/)"));
                config_free(c);
        }
}

static void only_what_may_pass_is_tried_again(void **state)
{
        static const struct {
                int error, status;
                const char *code;
                bool again;
        } cases[] = {
                {-ETIMEDOUT,    0,   "",                          true },
                {-ECONNREFUSED, 0,   "",                          true },
                {-ECANCELED,    0,   "",                          false},
                {0,             500, "",                          true },
                {0,             502, "HTTP 502",                  true },
                {0,             503, "",                          true },
                {0,             504, "",                          true },
                {0,             501, "",                          false},
                {0,             400, "ThrottlingException",       true },
                {0,             400, "TooManyRequestsException",  true },
                {0,             400, "LimitExceededException",    true },
                {0,             400, "ClientException",           false},
                {0,             400, "InvalidParameterException", false},
                {0,             403, "AccessDeniedException",     false},
                {0,             400, "",                          false},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                if (ecs_api_is_temporary(cases[i].error, cases[i].status, cases[i].code) !=
                    cases[i].again)
                        fail_msg("case %zu", i);
}

static void errors_of_registration_are_told_apart(void **state)
{
        static const struct {
                const char *code, *text;
                enum register_outcome outcome;
        } cases[] = {
                {"InvalidParameterException", "bad",                                                REGISTER_REFUSED   },
                {"ClientException",           "bad",                                                REGISTER_REFUSED   },
                {"ClientException",           "Cluster not found.",                                 REGISTER_NO_CLUSTER},
                {"ClusterNotFoundException",  "",                                                   REGISTER_NO_CLUSTER},
                {"SomeException",             "Container instance type changes are not supported.",
                 REGISTER_REFUSED                                                                                      },
                {"ThrottlingException",       "",                                                   REGISTER_THROTTLED },
                {"ServerException",           "",                                                   REGISTER_THROTTLED },
                {"AccessDeniedException",     "",                                                   REGISTER_AGAIN     },
                {"",                          NULL,                                                 REGISTER_AGAIN     },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(register_outcome(cases[i].code, cases[i].text), cases[i].outcome);
}

static void an_attribute_that_does_not_come_back_is_named(void **state)
{
        static const struct {
                const char *echoed, *missing;
        } cases[] = {
                {"[{'name':'a'},{'name':'b','value':'1'},{'name':'more','value':'x'}]", NULL},
                {"[{'name':'a'}]",                                                      "b" },
                {"[{'name':'a'},{'name':'b','value':'2'}]",                             "b" },
                {"[{'name':'b','value':'1'},{'name':'a','value':''}]",                  NULL},
                {"[]",                                                                  "a" },
                {"{}",                                                                  "a" },
                {"[null,7]",                                                            "a" },
        };
        cleanup_json json_t *sent = json_pack("{s:[{s:s},{s:s,s:s}]}", "attributes", "name", "a",
                                              "name", "b", "value", "1");
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char text[200] = "";
                strncpy(text, cases[i].echoed, sizeof text - 1);
                for (char *p = text; *p != '\0'; p++)
                        *p = *p == '\'' ? '"' : *p;
                cleanup_json json_t *instance =
                        json_pack("{s:o}", "attributes", json_loads(text, 0, NULL));
                const char *missing = register_missing_attribute(sent, instance);
                assert_int_equal(missing == NULL, cases[i].missing == NULL);
                if (missing != NULL)
                        assert_string_equal(missing, cases[i].missing);
        }
}

/* ---- the upgrade ---- */

/* B7 */
static void query_is_sorted_and_encoded(void **state)
{
        char cluster[] = "my cluster/ä", arn[] = "arn:aws:ecs:r:1:container-instance/c/1";
        char docker[] = "25.0.3";
        struct backend b = {
                .identity = {.cluster = cluster, .instance_arn = arn},
                  .docker_version = docker
        };
        (void)state;
        cleanup_free char *q = acs_handshake_query(&b, true);
        assert_non_null(strstr(q,
                               "&clusterArn=my+cluster%2F%C3%A4&containerInstanceArn=arn%3Aaws%3A"
                               "ecs%3Ar%3A1%3Acontainer-instance%2Fc%2F1&dockerVersion="
                               "DockerVersion%3A+25.0.3&protocolVersion=2&sendCredentials=true&"
                               "seqNum=1"));
        assert_int_equal(strncmp(q, "agentHash=", 10), 0);
        b.docker_version = NULL;
        cleanup_free char *unknown = acs_handshake_query(&b, false);
        assert_null(strstr(unknown, "dockerVersion"));
        assert_non_null(strstr(unknown, "sendCredentials=false"));
}

static void endpoints_of_sessions_become_http(void **state)
{
        static const struct {
                const char *endpoint, *url;
        } cases[] = {
                {"https://a.example.com/",   "https://a.example.com/"     },
                {"wss://a.example.com:8443", "https://a.example.com:8443/"},
                {"ws://a/x",                 "http://a/x/"                },
                {"http://127.0.0.1:51670",   "http://127.0.0.1:51670/"    },
                {"ftp://a",                  NULL                         },
                {"a.example.com",            NULL                         },
                {"https://",                 NULL                         },
                {"",                         NULL                         },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *url = acs_handshake_url(cases[i].endpoint);
                assert_int_equal(url == NULL, cases[i].url == NULL);
                if (url != NULL)
                        assert_string_equal(url, cases[i].url);
        }
}

static void answers_to_the_upgrade(void **state)
{
        static const struct {
                const char *text;
                bool at_end;
                enum acs_answer answer;
                const char *refusal;
        } cases[] = {
                {"",                                                          false, ACS_ANSWER_PARTIAL, NULL                       },
                {"HTTP/1.1 101 Switching",                                    false, ACS_ANSWER_PARTIAL, NULL                       },
                {"",                                                          true,  ACS_ANSWER_REFUSED, "closed during the upgrade"},
                {"HTTP/1.1 101 OK\r\nSec-WebSocket-Accept: good\r\n\r\nrest", false,
                 ACS_ANSWER_UPGRADED,                                                                    NULL                       },
                {"HTTP/1.1 101 OK\r\nSec-WebSocket-Accept: other\r\n\r\n",    false,
                 ACS_ANSWER_REFUSED,                                                                     "another websocket key"    },
                {"HTTP/1.1 101 OK\r\n\r\n",                                   false, ACS_ANSWER_REFUSED, "another websocket key"    },
                {"HTTP/1.1 400 Bad\r\nContent-Length: 5\r\n\r\nIna",          false, ACS_ANSWER_PARTIAL,
                 NULL                                                                                                               },
                {"HTTP/1.1 400 Bad\r\nContent-Length: 5\r\n\r\nInact",        false, ACS_ANSWER_REFUSED,
                 "HTTP 400 Inact"                                                                                                   },
                {"HTTP/1.1 500 Oh\r\n\r\nbecause",                            true,  ACS_ANSWER_REFUSED, "HTTP 500 because"         },
                {"nonsense\r\n\r\n",                                          true,  ACS_ANSWER_REFUSED, "HTTP 0"                   },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf in = {0};
                size_t length = 0;
                cleanup_free char *refusal = NULL;
                buf_append_str(&in, cases[i].text);
                enum acs_answer a =
                        acs_handshake_answer(&in, cases[i].at_end, "good", &length, &refusal);
                if (a != cases[i].answer ||
                    (cases[i].refusal != NULL && strstr(refusal, cases[i].refusal) == NULL))
                        fail_msg("case %zu: %d, %s", i, a, refusal != NULL ? refusal : "");
                if (a == ACS_ANSWER_UPGRADED)
                        assert_string_equal(in.data + length, "rest");
                buf_clear(&in);
        }
}

/* ---- IMDS ---- */

static void role_credentials_must_be_whole(void **state)
{
#define GOOD "\"Code\":\"success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\""
        static const struct {
                const char *text;
                int result;
                int64_t until_ms;
        } cases[] = {
                {"{" GOOD ",\"Token\":\"T\",\"Expiration\":\"1970-01-01T00:01:00Z\"}",    0,        60000},
                {"{" GOOD "}",                                                            0,        0    },
                {"{" GOOD ",\"Expiration\":\"tomorrow\"}",                                -EBADMSG, 0    },
                {"{\"Code\":\"Failed\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}", -EBADMSG,
                 0                                                                                       },
                {"{\"Code\":\"Success\",\"AccessKeyId\":\"\",\"SecretAccessKey\":\"S\"}", -EBADMSG,
                 0                                                                                       },
                {"{\"Code\":\"Success\",\"AccessKeyId\":7,\"SecretAccessKey\":\"S\"}",    -EBADMSG, 0    },
                {"{\"Code\":\"Success\",\"AccessKeyId\":\"A\"}",                          -EBADMSG, 0    },
                {"[]",                                                                    -EBADMSG, 0    },
                {"<html>",                                                                -EBADMSG, 0    },
                {"",                                                                      -EBADMSG, 0    },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct role_credentials c = {0};
                if (role_credentials_parse(cases[i].text, strlen(cases[i].text), &c) !=
                    cases[i].result)
                        fail_msg("case %zu", i);
                assert_int_equal(c.until_ms, cases[i].until_ms);
                assert_int_equal(c.access_key_id != NULL, cases[i].result == 0);
                role_credentials_clear(&c);
                assert_null(c.secret_access_key);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(endpoints_have_a_scheme_and_no_last_slash),
                cmocka_unit_test(user_agent_names_the_system),
                cmocka_unit_test(only_what_may_pass_is_tried_again),
                cmocka_unit_test(errors_of_registration_are_told_apart),
                cmocka_unit_test(an_attribute_that_does_not_come_back_is_named),
                cmocka_unit_test(query_is_sorted_and_encoded),
                cmocka_unit_test(endpoints_of_sessions_become_http),
                cmocka_unit_test(answers_to_the_upgrade),
                cmocka_unit_test(role_credentials_must_be_whole),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
