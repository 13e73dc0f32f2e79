/* Paths and queries of the two metadata servers: endpoints.md 1 and 9. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "metadata.h"

static void paths_are_decoded_and_cleaned(void **state)
{
        static const struct {
                const char *target, *decoded, *clean;
        } cases[] = {
                {"/v4/x/task",    "/v4/x/task",    "/v4/x/task"},
                {"/v4/x?y=/../",  "/v4/x",         "/v4/x"     },
                {"/v4%2Fx",       "/v4/x",         "/v4/x"     },
                {"/%zz%4",        "/%zz%4",        "/%zz%4"    },
                {"/a%00b",        "/a%00b",        "/a%00b"    },
                {"//v4//x",       "//v4//x",       "/v4/x"     },
                {"/v4/x/",        "/v4/x/",        "/v4/x/"    },
                {"/v4/./x/../y/", "/v4/./x/../y/", "/v4/y/"    },
                {"/../../x",      "/../../x",      "/x"        },
                {"/x/..",         "/x/..",         "/"         },
                {"/%2e%2e/x",     "/../x",         "/x"        },
                {"/...",          "/...",          "/..."      },
                {"",              "",              "/"         },
                {"*",             "*",             "/*"        },
                {"/",             "/",             "/"         },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *decoded = path_decode(cases[i].target);
                cleanup_free char *clean = path_clean(decoded);
                assert_string_equal(decoded, cases[i].decoded);
                assert_string_equal(clean, cases[i].clean);
        }
}

static void locations_cannot_break_the_header(void **state)
{
        cleanup_free char *plain = path_location("/v4/x", "//v4//x?y=1&z=%20");
        cleanup_free char *odd = path_location("/a b\r\n\"<\xc3\xa9", "/whatever");
        (void)state;
        assert_string_equal(plain, "/v4/x?y=1&z=%20");
        assert_string_equal(odd, "/a%20b%0D%0A%22%3C%C3%A9");
}

static void parameters_are_found_whole(void **state)
{
        static const struct {
                const char *target, *name, *value;
        } cases[] = {
                {"/x?id=7",             "id", "7"        },
                {"/x?a=1&id=7&id=8",    "id", "7"        },
                {"/x?myid=1&id2=2",     "id", NULL       },
                {"/x?id",               "id", ""         },
                {"/x?id=&a",            "id", ""         },
                {"/x?id=a%3Ab%2fc+d=e", "id", "a:b/c d=e"},
                {"/x?",                 "id", NULL       },
                {"/x",                  "id", NULL       },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *value = path_parameter(cases[i].target, cases[i].name);
                if (cases[i].value == NULL)
                        assert_null(value);
                else
                        assert_string_equal(value, cases[i].value);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(paths_are_decoded_and_cleaned),
                cmocka_unit_test(locations_cannot_break_the_header),
                cmocka_unit_test(parameters_are_found_whole),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
