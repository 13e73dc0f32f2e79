/* Pages: order, limits, tokens, and items that go while one turns the pages. */
#include "page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "local.h"
#include "mem.h"
#include "unit.h"

static json_t *items(int count, int without)
{
        json_t *o = json_object();
        for (int i = count - 1; i >= 0; i--) {
                char name[16];
                (void)snprintf(name, sizeof name, "arn:%03d", i);
                if (i != without)
                        (void)json_object_set_new(o, name, json_string(name));
        }
        return o;
}

static json_t *ask(json_t *all, json_int_t limit, const char *token, bool descending)
{
        const struct page_spec spec = {"names", 10, 100, descending};
        struct answer a = {0};
        cleanup_json json_t *q = json_pack("{s:I, s:s}", "maxResults", limit, "nextToken", token);
        page_answer(all, q, &spec, &a);
        assert_null(a.code);
        return a.body;
}

/* The last item given disappears before the next page is asked for. */
static void pages_follow_each_other_though_items_go(void **state)
{
        bool descending[] = {false, true};
        (void)state;
        for (size_t d = 0; d < ARRAY_SIZE(descending); d++) {
                cleanup_free char *token = mem_strdup("");
                int seen = 0, pages = 0, last = -1;
                do {
                        cleanup_json json_t *page = ask(items(25, last), 10, token, descending[d]);
                        json_t *names = json_object_get(page, "names");
                        size_t n = json_array_size(names);
                        for (size_t i = 0; i < n; i++, seen++) {
                                int at = atoi(json_string_value(json_array_get(names, i)) + 4);
                                assert_int_equal(at, descending[d] ? 24 - seen : seen);
                                last = at;
                        }
                        pages++;
                        free(token);
                        token = mem_strdup(text_of(page, "nextToken"));
                } while (*token != '\0');
                assert_int_equal(seen, 25);
                assert_int_equal(pages, 3);
        }
}

static void a_full_last_page_has_no_token(void **state)
{
        (void)state;
        cleanup_json json_t *page = ask(items(10, -1), 10, "", false);
        assert_int_equal(json_array_size(json_object_get(page, "names")), 10);
        assert_null(json_object_get(page, "nextToken"));
}

static void wrong_limits_and_tokens_are_refused(void **state)
{
        static const char *const requests[] = {
                "{\"maxResults\": 0}", "{\"maxResults\": 101}", "{\"nextToken\": \"nonsense\"}",
                "{\"nextToken\": \"x\"}", "{\"nextToken\": \"====\"}"};
        const struct page_spec spec = {"names", 10, 100, false};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
                struct answer a = {0};
                cleanup_json json_t *q = json_loads(requests[i], 0, NULL);
                page_answer(items(3, -1), q, &spec, &a);
                assert_non_null(a.code);
                assert_string_equal(a.code, "InvalidParameterException");
                assert_null(a.body);
                free(a.text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(pages_follow_each_other_though_items_go),
                cmocka_unit_test(a_full_last_page_has_no_token),
                cmocka_unit_test(wrong_limits_and_tokens_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
