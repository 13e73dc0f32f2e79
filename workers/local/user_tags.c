/* user_tags: tags of any object that has an ARN. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "local.h"

#define TAGS_MAX 50
#define KEY_MAX 128
#define VALUE_MAX 256

void merge_tags(json_t *to, const json_t *from)
{
        size_t i;
        json_t *t;
        json_array_foreach (from, i, t) {
                size_t at = index_of(to, "key", text_of(t, "key"));
                json_t *tag = json_pack("{s:s, s:s}", "key", text_of(t, "key"), "value",
                                        text_of(t, "value"));
                if (at < json_array_size(to))
                        (void)json_array_set_new(to, at, tag);
                else
                        (void)json_array_append_new(to, tag);
        }
}

bool check_tags(const json_t *tags, struct answer *a)
{
        size_t i;
        json_t *t;
        json_array_foreach (tags, i, t) {
                const char *key = text_of(t, "key"), *wrong = NULL;
                if (*key == '\0' || strlen(key) > KEY_MAX)
                        wrong = "a key has 1 to 128 characters";
                else if (strlen(text_of(t, "value")) > VALUE_MAX)
                        wrong = "a value has at most 256 characters";
                else if (strncasecmp(key, "aws:", 4) == 0)
                        wrong = "the prefix 'aws:' is reserved";
                else if (index_of(tags, "key", key) != i)
                        wrong = "a key occurs twice";
                if (wrong == NULL)
                        continue;
                answer_error(a, "InvalidParameterException", "Invalid tag '%s': %s.", key, wrong);
                return false;
        }
        return true;
}

/* The object and its kind; NULL with the error. */
static json_t *find(struct local *l, const json_t *q, enum kind *ret_kind, struct answer *a)
{
        const char *arn = text_of(q, "resourceArn");
        for (size_t k = 0; k < KINDS; k++) {
                json_t *o = store_find(l, (enum kind)k, arn);
                if (o == NULL || has_text(o, "status", "INACTIVE"))
                        continue;
                *ret_kind = (enum kind)k;
                return o;
        }
        answer_error(a, "InvalidParameterException", "The specified resource was not found: %s",
                     arn);
        return NULL;
}

/* The object's own list, made when it has none. */
static json_t *tags_of(json_t *o)
{
        json_t *tags = json_object_get(o, "tags");
        if (tags != NULL)
                return tags;
        tags = json_array();
        (void)json_object_set_new(o, "tags", tags);
        return tags;
}

void op_tag_resource(struct local *l, const json_t *q, struct answer *a)
{
        enum kind k;
        json_t *o = find(l, q, &k, a);
        const json_t *wanted = json_object_get(q, "tags");
        if (o == NULL || !check_tags(wanted, a))
                return;
        cleanup_json json_t *all = json_deep_copy(tags_of(o));
        merge_tags(all, wanted);
        if (json_array_size(all) > TAGS_MAX) {
                answer_error(a, "InvalidParameterException", "A resource can have at most %d tags.",
                             TAGS_MAX);
                return;
        }
        (void)json_object_set(o, "tags", all);
        (void)store_changed(l, k, text_of(q, "resourceArn"));
}

void op_untag_resource(struct local *l, const json_t *q, struct answer *a)
{
        enum kind k;
        json_t *o = find(l, q, &k, a), *e;
        size_t i;
        if (o == NULL)
                return;
        json_array_foreach (json_object_get(q, "tagKeys"), i, e)
                (void)json_array_remove(tags_of(o), index_of(tags_of(o), "key", json_string_value(e)));
        (void)store_changed(l, k, text_of(q, "resourceArn"));
}

void op_list_tags_for_resource(struct local *l, const json_t *q, struct answer *a)
{
        enum kind k;
        json_t *o = find(l, q, &k, a);
        if (o != NULL)
                a->body = json_pack("{s:O}", "tags", tags_of(o));
}
