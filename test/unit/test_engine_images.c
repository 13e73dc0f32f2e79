/* Images: references, credentials of registries, progress, reasons, records and their database. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "engine.h"
#include "engine_tasks.h"
#include "error.h"
#include "image_ref.h"
#include "images_db.h"
#include "pull_progress.h"
#include "pull_reason.h"
#include "registry_auth.h"
#include "task_db.h"

static void references_are_taken_apart(void **state)
{
        static const struct {
                const char *text, *name, *version, *host, *plain;
        } cases[] = {
                {"x",                       "x",                   "latest",    "",              "x"          },
                {"x:1",                     "x",                   "1",         "",              "x"          },
                {"library/x:1",             "library/x",           "1",         "",              "x"          },
                {"docker.io/library/x",     "docker.io/library/x", "latest",    "",              "x"          },
                {"a/b",                     "a/b",                 "latest",    "",              "a/b"        },
                {"host:5000/x",             "host:5000/x",         "latest",    "host:5000",     "host:5000/x"},
                {"host:5000/x:1",           "host:5000/x",         "1",         "host:5000",     "host:5000/x"},
                {"localhost/x",             "localhost/x",         "latest",    "localhost",     "localhost/x"},
                {"r.example.com/a/b:2",     "r.example.com/a/b",   "2",         "r.example.com",
                 "r.example.com/a/b"                                                                          },
                {"x@sha256:ab",             "x",                   "sha256:ab", "",              "x"          },
                {"host:5000/x:1@sha256:ab", "host:5000/x",         "sha256:ab", "host:5000",     "host:5000/x"},
                {"",                        "",                    "latest",    "",              ""           },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct image_ref r;
                image_ref_init(&r, cases[i].text);
                cleanup_free char *host = image_ref_host(&r), *plain = image_ref_plain_name(&r);
                assert_string_equal(r.name, cases[i].name);
                assert_string_equal(image_ref_version(&r), cases[i].version);
                assert_string_equal(host, cases[i].host);
                assert_string_equal(plain, cases[i].plain);
                image_ref_deinit(&r);
        }
        assert_true(image_ref_same("x", "docker.io/library/x:latest"));
        assert_false(image_ref_same("x", "x:1"));
        assert_false(image_ref_same("x:1", "host:5000/x:1"));
}

/* 5.4: by the normalised name; a port is no tag. */
static void a_digest_is_found_by_its_name(void **state)
{
        struct image_ref r;
        cleanup_json json_t *list = json_pack("[s,s,s,i]", "other@sha256:1", "host:5000/x@sha256:2",
                                              "docker.io/library/y@sha256:3", 4);
        (void)state;
        image_ref_init(&r, "host:5000/x:tag");
        assert_string_equal(image_ref_find_digest(&r, list), "sha256:2");
        image_ref_deinit(&r);
        image_ref_init(&r, "y");
        assert_string_equal(image_ref_find_digest(&r, list), "sha256:3");
        image_ref_deinit(&r);
        image_ref_init(&r, "z");
        assert_null(image_ref_find_digest(&r, list));
        image_ref_deinit(&r);
}

/* E72 */
static void credentials_go_to_their_registry_alone(void **state)
{
        static const char docker[] =
                "{\"https://r.example.com\":{\"Username\":\"u\",\"password\":\"p\",\"x\":1},"
                "\"r.example.com/team\":{\"username\":\"team\",\"password\":\"p\"},"
                "\"index.docker.io/v1/\":{\"username\":\"hub\",\"password\":\"p\"},"
                "\"path.example.com/a\":{\"username\":\"a\",\"password\":\"p\"},"
                "\"path.example.com/a/b\":{\"username\":\"ab\",\"password\":\"p\"},\"bad\":1}";
        static const char dockercfg[] =
                "{\"http://host:5000\":{\"auth\":\"dTpwOng=\"},"
                "\"other\":{\"auth\":\"???\"},\"h2:1\":{\"auth\":\"bm8=\"}}";
        static const struct {
                const char *type, *data, *image;
                const char *want; /* in the header's JSON, "{}" = anonymous */
        } cases[] = {
                {"docker",    docker,    "r.example.com/x",         "{\"username\":\"u\",\"password\":\"p\"}"  },
                {"docker",    docker,    "r.example.com/team/x:1",
                 "{\"username\":\"u\",\"password\":\"p\"}"                                                     },
                {"docker",    docker,    "x",                       "{\"username\":\"hub\",\"password\":\"p\"}"},
                {"docker",    docker,    "docker.io/a/b",           "{\"username\":\"hub\",\"password\":\"p\"}"},
                {"docker",    docker,    "path.example.com/a/b/c",
                 "{\"username\":\"ab\",\"password\":\"p\"}"                                                    },
                {"docker",    docker,    "path.example.com/a/x",
                 "{\"username\":\"a\",\"password\":\"p\"}"                                                     },
                {"docker",    docker,    "path.example.com/z",      "{}"                                       },
                {"docker",    docker,    "r.example.com.evil.io/x", "{}"                                       },
                {"dockercfg", dockercfg, "host:5000/x",
                 "{\"username\":\"u\",\"password\":\"p:x\",\"serveraddress\":\"host:5000\"}"                   },
                {"dockercfg", dockercfg, "other/x",                 "{}"                                       },
                {"dockercfg", dockercfg, "h2:1/x",                  "{}"                                       },
                {"dockercfg", "[1]",     "x",                       "{}"                                       },
                {"else",      docker,    "x",                       "{}"                                       },
                {NULL,        NULL,      "x",                       "{}"                                       },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char *header = registry_auth_header(cases[i].type, cases[i].data, cases[i].image);
                cleanup_json json_t *want = json_loads(cases[i].want, 0, NULL);
                char decoded[512] = "";
                FILE *f;
                cleanup_free char *command =
                        mem_printf("printf %%s '%s' | tr -- -_ +/ | base64 -d", header);
                f = popen(command, "r");
                assert_non_null(f);
                (void)!fread(decoded, 1, sizeof decoded - 1, f);
                (void)pclose(f);
                cleanup_json json_t *got = json_loads(decoded, 0, NULL);
                if (!json_equal(got, want))
                        fail_msg("%s: %s", cases[i].image, decoded);
                registry_auth_free(header);
        }
        assert_null(registry_auth_problem(NULL, NULL));
        assert_null(registry_auth_problem("docker", docker));
        assert_non_null(registry_auth_problem("docker", "secret"));
        assert_null(strstr(registry_auth_problem("docker", "secret"), "secret"));
}

/* E77 */
static void reasons_have_hints_and_no_layer_addresses(void **state)
{
        static const struct {
                const char *text, *want;
        } cases[] = {
                {"plain",                                                                  "CannotPullContainerError: plain"                                         },
                {"x denied: User: me is not authorized to perform: ecr:BatchGetImage on resource: "
                 "y",                                                                         "CannotPullContainerError: The task can’t pull the image. Check that the role has "
                 "the "
                 "permissions to pull images from the registry. x denied: User: me is not "
                 "authorized to "
                 "perform: ecr:BatchGetImage on resource: y"                                                                                                                                                 },
                {"pull access denied: requested access to the resource is denied",
                 "CannotPullContainerError: The task can’t pull the image. Check whether the image "
                 "exists. pull access denied: requested access to the resource is denied"},
                {"net/http: request canceled while waiting for connection",
                 "CannotPullContainerError: The task can’t pull the image. Check your network "
                 "configuration. net/http: request canceled while waiting for connection"                                                                                                                    },
                {"Get "
                 "\"https://prod-us-starport-layer-bucket.s3.amazonaws.com/a?X-Amz-Sig=secret\": "
                 "EOF",                                                                    "CannotPullContainerError: Get \"REDACTED ECR URL related to img:1\": EOF"},
                {"Get https://other/a: EOF",                                               "CannotPullContainerError: Get https://other/a: EOF"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *got =
                        pull_reason("CannotPullContainerError", "img:1", cases[i].text);
                assert_string_equal(got, cases[i].want);
        }
}

static void take_line(struct pull_progress *p, const char *id, const char *status, int current,
                      int total)
{
        cleanup_json json_t *line = json_pack("{s:s,s:s,s:{s:i,s:i}}", "id", id, "status", status,
                                              "progressDetail", "current", current, "total", total);
        pull_progress_take(p, line);
}

static void progress_is_the_sum_over_layers(void **state)
{
        struct pull_progress *p = mem_zalloc(sizeof *p);
        char text[PULL_PROGRESS_TEXT];
        (void)state;
        assert_string_equal(pull_progress_text(p, text), "");
        take_line(p, "latest", "Pulling from x", 0, 0);
        take_line(p, "aa", "Downloading", 2 << 20, 10 << 20);
        take_line(p, "bb", "Downloading", 1 << 20, 24 << 20);
        assert_string_equal(pull_progress_text(p, text), "3 of 34 MiB");
        take_line(p, "aa", "Download complete", 0, 0);
        take_line(p, "aa", "Extracting", 1, 10 << 20);
        assert_string_equal(pull_progress_text(p, text), "11 of 34 MiB");
        for (int i = 0; i < 2 * PULL_LAYERS_MAX; i++) {
                char id[16];
                (void)snprintf(id, sizeof id, "l%d", i);
                take_line(p, id, "Downloading", -5, 1 << 20);
        }
        assert_int_equal(p->count, PULL_LAYERS_MAX);
        free(p);
}

/* ---- records ---- */

static json_t *inspected(const char *id, const char *variable)
{
        return json_pack("{s:s,s:i,s:{s:[s]}}", "Id", id, "Size", 7, "Config", "Env", variable);
}

static void a_name_moves_to_another_image(void **state)
{
        struct images all = {0};
        cleanup_json json_t *one = inspected("sha256:1", "A=b");
        cleanup_json json_t *two = inspected("sha256:2", "AWS_REGION=");
        (void)state;
        (void)images_note(&all, "x:1", one, true, 1000);
        (void)images_note(&all, "y", one, false, 2000);
        (void)images_note(&all, "x:1", two, false, 3000);
        const struct image *i = images_find(&all, "sha256:1");
        assert_int_equal(i->name_count, 1);
        assert_string_equal(i->names[0], "y");
        assert_true(i->pull_succeeded);
        assert_int_equal(i->pulled_ms, 1000);
        assert_false(i->has_region);
        i = images_find_name(&all, "x:1");
        assert_string_equal(i->id, "sha256:2");
        assert_false(i->pull_succeeded);
        assert_true(i->has_region); /* R76 */
        images_drop(&all, "y");
        assert_null(images_find(&all, "sha256:1"));
        assert_int_equal(all.gone_count, 1);
        images_free(&all);
}

static struct state_db *open_db(const char *dir)
{
        struct state_db *db = NULL;
        struct error err = {0};
        if (task_db_open(dir, NULL, &db, &err) != 0)
                fail_msg("%s", err.text);
        return db;
}

static void store(struct state_db *db, struct images *all)
{
        assert_int_equal(state_db_begin(db), 0);
        assert_int_equal(images_db_store(db, all), 0);
        assert_int_equal(state_db_commit(db), 0);
        images_db_stored(all);
}

/* R75: what `once` goes by is still known after a restart. */
static void records_outlive_the_engine(void **state)
{
        char dir[] = "/tmp/ecs-images-XXXXXX";
        struct images all = {0}, again = {0};
        cleanup_json json_t *one = inspected("sha256:1", "AWS_DEFAULT_REGION=r");
        cleanup_json json_t *two = inspected("sha256:2", "A=b");
        (void)state;
        assert_non_null(mkdtemp(dir));
        struct state_db *db = open_db(dir);
        (void)images_note(&all, "x:1", one, true, 1000);
        (void)images_note(&all, "x", one, false, 1000);
        (void)images_note(&all, "z", two, false, 1000);
        store(db, &all);
        images_used(&all, "sha256:1", 5000);
        (void)images_note(&all, "z", one, false, 6000); /* a name moves: no name is doubled */
        images_drop(&all, "sha256:2");
        store(db, &all);
        state_db_close(db);
        db = open_db(dir);
        assert_int_equal(images_db_load(db, &again), 0);
        const struct image *i = again.first;
        assert_null(i->next);
        assert_string_equal(i->id, "sha256:1");
        assert_int_equal(i->name_count, 3);
        assert_int_equal(i->used_ms, 5000);
        assert_int_equal(i->size_bytes, 7);
        assert_true(i->pull_succeeded && i->has_region && !i->dirty);
        images_free(&all);
        images_free(&again);
        state_db_close(db);
        cleanup_free char *command = mem_printf("rm -r %s", dir);
        assert_int_equal(system(command), 0);
}

/* R65: an image is in use while a task has it, under any of its names. */
static void an_image_is_in_use_while_a_task_has_it(void **state)
{
        const bool essential = true;
        struct engine e = {.tasks = make_task(1, &essential)};
        struct container *c = &e.tasks->containers[0];
        cleanup_json json_t *one = inspected("sha256:1", "A=b");
        (void)state;
        assert_true(images_is_used(&e, "img:1"));
        assert_true(images_is_used(&e, "docker.io/library/img:1"));
        assert_false(images_is_used(&e, "img:2"));
        assert_false(images_is_used(&e, "sha256:1"));
        (void)images_note(&e.images, "img:1", one, true, 1000);
        (void)images_note(&e.images, "alias", one, true, 1000);
        assert_true(images_is_used(&e, "sha256:1")); /* not created yet, by its name */
        assert_false(images_is_used(&e, "alias"));
        text_set(&c->facts->image_id, "sha256:9");
        assert_true(images_is_used(&e, "sha256:9"));
        task_free(e.tasks);
        e.tasks = NULL;
        assert_false(images_is_used(&e, "sha256:1"));
        images_free(&e.images);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(references_are_taken_apart),
                cmocka_unit_test(a_digest_is_found_by_its_name),
                cmocka_unit_test(credentials_go_to_their_registry_alone),
                cmocka_unit_test(reasons_have_hints_and_no_layer_addresses),
                cmocka_unit_test(progress_is_the_sum_over_layers),
                cmocka_unit_test(a_name_moves_to_another_image),
                cmocka_unit_test(records_outlive_the_engine),
                cmocka_unit_test(an_image_is_in_use_while_a_task_has_it),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
