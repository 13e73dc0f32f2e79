/* ecsctl's parsers: Docker's streams, whatever their pieces, and what is taken out of a bundle. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "mem.h"
#include "redact.h"
#include "stream.h"

#define HEAD "HTTP/1.1 200 OK\r\nServer: Docker\r\n\r\n"

static void collect(void *arg, int descriptor, const char *data, size_t length)
{
        struct buf *out = arg;
        buf_append(&out[descriptor], data, length);
}

static const struct {
        const char *name, *bytes;
        size_t length;
        const char *out, *err, *refusal;
} streams[] = {
#define BYTES(s) s, sizeof(s) - 1
        {"frames of both",        BYTES(HEAD "\1\0\0\0\0\0\0\3abc\2\0\0\0\0\0\0\2de\1\0\0\0\0\0\0\1f"),
                                         "abcf",                                                                                                        "de", NULL                                            },
        {"an empty frame",        BYTES(HEAD "\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1x"),                      "x",            "",   NULL                                            },
        {"a terminal",            BYTES(HEAD "/ # echo\r\n"),                                           "/ # echo\r\n", "",   NULL                                            },
        {"a terminal, few bytes", BYTES(HEAD "\1a"),                                                    "\1a",          "",   NULL                                            },
        {"nothing",               BYTES(HEAD),                                                          "",             "",   NULL                                            },
        {"upgraded",              BYTES("HTTP/1.1 101 UPGRADED\r\n\r\nraw"),                            "raw",          "",   NULL                                            },
        {"refused",               BYTES("HTTP/1.0 409 Conflict\r\n\r\n{\"message\":\"not running\"}"),  "",             "",
                                         "not running"                                                                                                                                                        },
        {"refused in chunks",
                                         BYTES("HTTP/1.1 404 X\r\n\r\n12\r\n{\"message\":\"no\"}\r\n0\r\n\r\n"),                        "",             "",   "no"                                            },
        {"closed at once",        BYTES(""),                                                            "",             "",   "Docker closed the connection without an answer"},
};

static void streams_are_read_in_any_pieces(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
                for (size_t piece = 1; piece <= 64; piece++) {
                        struct buf out[3] = {0};
                        struct stream s = {.output = collect, .arg = out};
                        for (size_t at = 0; at < streams[i].length; at += piece) {
                                size_t left = streams[i].length - at;
                                assert_true(stream_feed(&s, streams[i].bytes + at,
                                                        left < piece ? left : piece));
                        }
                        stream_end(&s);
                        cleanup_free char *refusal = stream_refusal(&s);
                        assert_string_equal(out[1].data != NULL ? out[1].data : "", streams[i].out);
                        assert_string_equal(out[2].data != NULL ? out[2].data : "", streams[i].err);
                        assert_int_equal(refusal != NULL, streams[i].refusal != NULL);
                        if (refusal != NULL)
                                assert_string_equal(refusal, streams[i].refusal);
                        buf_clear(&out[1]);
                        buf_clear(&out[2]);
                        stream_clear(&s);
                }
}

static void what_is_no_answer_is_refused(void **state)
{
        static const char *const cases[] = {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/2 200\r\n\r\n",
                                            "HTTP/1.1\r\n\r\n 200 OK\r\n\r\n",
                                            HEAD "\1\0\0\0\0\0\0\1x/no frame"};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct buf out[3] = {0};
                struct stream s = {.output = collect, .arg = out};
                size_t length =
                        i == 3 ? sizeof(HEAD "\1\0\0\0\0\0\0\1x/no frame") - 1 : strlen(cases[i]);
                assert_false(stream_feed(&s, cases[i], length));
                buf_clear(&out[1]);
                stream_clear(&s);
        }
}

static void secrets_are_taken_out(void **state)
{
        static const struct {
                const char *text, *clean;
        } cases[] = {
                {"nothing here",                  "nothing here"                       },
                {"https://user:pw@proxy:3128/x",  "https://(removed)@proxy:3128/x"     },
                {"https://proxy:3128/a@b:c",      "https://proxy:3128/a@b:c"           },
                {"--password=abc next",           "--password=(removed) next"          },
                {"\"SecretAccessKey\": \"abc\",", "\"SecretAccessKey\": \"(removed)\","},
                {"the password is long",          "the password is long"               },
                {"key 0123456789abcdef!",         "key (removed)!"                     },
        };
        (void)state;
        (void)setenv("AWS_SECRET_ACCESS_KEY", "0123456789abcdef", 1);
        struct redact *r = redact_new("/nonexistent");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *clean = redact_text(r, cases[i].text);
                assert_string_equal(clean, cases[i].clean);
        }
        redact_free(r);
        (void)unsetenv("AWS_SECRET_ACCESS_KEY");
}

static void environment_keeps_its_names_only(void **state)
{
        cleanup_json json_t *c = json_loads(
                "{\"Config\":{\"Env\":[\"A=1\",\"B=x=y\",\"C\"]},\"HostConfig\":{\"LogConfig\":"
                "{\"Config\":{\"splunk-token\":\"t\",\"tag\":\"x\"}}}}",
                0, NULL);
        (void)state;
        redact_inspect(c);
        cleanup_free char *text = json_dumps(c, JSON_COMPACT);
        assert_string_equal(
                text, "{\"Config\":{\"Env\":[\"A=(removed)\",\"B=(removed)\",\"=(removed)\"]},"
                      "\"HostConfig\":{\"LogConfig\":{\"Config\":{\"splunk-token\":\"(removed)\","
                      "\"tag\":\"x\"}}}}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(streams_are_read_in_any_pieces),
                cmocka_unit_test(what_is_no_answer_is_refused),
                cmocka_unit_test(secrets_are_taken_out),
                cmocka_unit_test(environment_keeps_its_names_only),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
