/* page: see page.h. */
#include "page.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "local.h"
#include "mem.h"

static int by_name(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

#define MARK "after:"

static char *make_token(const char *name)
{
        cleanup_free char *text = mem_printf(MARK "%s", name);
        size_t n = strlen(text);
        unsigned char *token = mem_alloc(n / 3 * 4 + 5);
        (void)EVP_EncodeBlock(token, (const unsigned char *)text, (int)n);
        return (char *)token;
}

/* The name in a token, owned; NULL when it is none of ours. */
static char *read_token(const char *token)
{
        size_t n = strlen(token);
        if (n == 0 || n % 4 != 0 || n > 4096)
                return NULL;
        cleanup_free char *text = mem_zalloc(n / 4 * 3 + 1);
        int length = EVP_DecodeBlock((unsigned char *)text, (const unsigned char *)token, (int)n);
        return length > 0 && strncmp(text, MARK, strlen(MARK)) == 0
                       ? mem_strdup(text + strlen(MARK))
                       : NULL;
}

static bool read_limit(const json_t *q, const struct page_spec *spec, struct answer *a,
                       json_int_t *ret)
{
        const json_t *v = json_object_get(q, "maxResults");
        json_int_t limit = v != NULL ? json_integer_value(v) : spec->standard;
        if (limit < 1 || limit > spec->most) {
                answer_error(a, "InvalidParameterException",
                             "maxResults should be between 1 and %lld.", (long long)spec->most);
                return false;
        }
        *ret = limit;
        return true;
}

static const char **sorted_names(json_t *items)
{
        const char **names = mem_realloc_array(NULL, json_object_size(items) + 1, sizeof *names);
        const char *key;
        json_t *v;
        size_t n = 0;
        json_object_foreach (items, key, v)
                names[n++] = key;
        qsort(names, n, sizeof *names, by_name);
        return names;
}

void page_answer(json_t *items, const json_t *q, const struct page_spec *spec, struct answer *a)
{
        cleanup_json json_t *owned = items;
        cleanup_free const char **names = sorted_names(items);
        const char *token = text_of(q, "nextToken");
        cleanup_free char *after = read_token(token);
        size_t count = json_object_size(items), shown = 0, limit_size;
        const char *last = NULL;
        json_int_t limit;
        if (!read_limit(q, spec, a, &limit))
                return;
        if (*token != '\0' && after == NULL) {
                answer_error(a, "InvalidParameterException", "Invalid token: nextToken.");
                return;
        }
        limit_size = (size_t)limit;
        json_t *list = json_array();
        a->body = json_pack("{s:o}", spec->member, list);
        for (size_t i = 0; i < count; i++) {
                const char *name = names[spec->descending ? count - 1 - i : i];
                int order = after != NULL ? strcmp(name, after) : 0;
                if (after != NULL && (spec->descending ? order >= 0 : order <= 0))
                        continue;
                if (shown == limit_size) {
                        cleanup_free char *next = make_token(last);
                        (void)json_object_set_new(a->body, "nextToken", json_string(next));
                        return;
                }
                (void)json_array_append(list, json_object_get(owned, name));
                last = name;
                shown++;
        }
}
