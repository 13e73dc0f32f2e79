/* The client token of a registration: the same over a kill until the answer is stored, another for
 * another request. */
#include "unit.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend.h"
#include "cleanup.h"
#include "error.h"
#include "mem.h"
#include "worker_private.h"

static char data_dir[] = "/tmp/ecs-backend-identity-XXXXXX";
static const struct log quiet;

static char *path_of(const char *name)
{
        return mem_printf("%s/backend%s", data_dir, name);
}

static int set_up(void **state)
{
        (void)state;
        if (mkdtemp(data_dir) == NULL)
                return -1;
        cleanup_free char *dir = path_of("");
        return mkdir(dir, 0700);
}

static int tear_down(void **state)
{
        glob_t found;
        cleanup_free char *all = path_of("/*");
        cleanup_free char *dir = path_of("");
        (void)state;
        if (glob(all, 0, NULL, &found) != 0)
                return -1;
        for (size_t i = 0; i < found.gl_pathc; i++)
                (void)unlink(found.gl_pathv[i]);
        globfree(&found);
        return rmdir(dir) != 0 || rmdir(data_dir) != 0;
}

/* A backend that starts, asks, and is killed, or stores the instance it was given. Owned token. */
static char *token_of_a_start(const char *request, const char *arn_or_null)
{
        struct worker w = {.data_dir = data_dir};
        struct backend b = {.worker = &w, .log = &quiet, .region = "eu-west-1"};
        struct error err = {0};
        char **const texts[] = {&b.identity.cluster, &b.identity.instance_arn,
                                &b.identity.availability_zone, &b.identity.registration_token,
                                &b.identity.ec2_instance_id};
        cleanup_free char *dir = path_of("");
        cleanup_json json_t *body =
                json_pack("{s:s, s:s}", "clientToken", "", "attributes", request);
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                backend_text(texts[i], "");
        if (state_db_open(dir, &backend_db_spec, NULL, &b.db, &err) != 0)
                fail_msg("%s", err.text);
        assert_int_equal(identity_settle_token(&b, body, &err), 0);
        char *token = mem_strdup(json_string_value(json_object_get(body, "clientToken")));
        assert_string_equal(token, b.identity.registration_token);
        assert_int_equal(strlen(token), 36);
        if (arn_or_null != NULL) {
                backend_text(&b.identity.instance_arn, arn_or_null);
                assert_int_equal(identity_store(&b, &err), 0);
        }
        state_db_close(b.db);
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                free(*texts[i]);
        return token;
}

static void the_token_outlives_a_kill_and_ends_with_the_answer(void **state)
{
        cleanup_free char *first = token_of_a_start("a", NULL);
        cleanup_free char *again = token_of_a_start("a", NULL);
        cleanup_free char *other = token_of_a_start("b", NULL);
        cleanup_free char *other_again =
                token_of_a_start("b", "arn:aws:ecs:eu-west-1:1:container-instance/default/x");
        cleanup_free char *anew = token_of_a_start("b", NULL);
        (void)state;
        assert_string_equal(first, again);
        assert_string_not_equal(first, other);
        assert_string_equal(other, other_again);
        assert_string_not_equal(other, anew);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_token_outlives_a_kill_and_ends_with_the_answer),
        };
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
