/* user_attributes: attributes people put on container instances, for placement. They live beside
 * those the agent registers, which nobody else may change. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "instance.h"
#include "local.h"
#include "mem.h"
#include "page.h"

#define ATTRIBUTES_MAX 10

/* The instance an attribute names; NULL with the error. */
static json_t *target(struct local *l, const json_t *cluster, const json_t *attribute,
                      struct answer *a)
{
        const char *id = text_of(attribute, "targetId"), *name = text_of(attribute, "name");
        json_t *i = *id != '\0' ? instance_find(l, cluster, id) : NULL;
        if (i == NULL || has_text(i, "status", "INACTIVE")) {
                answer_error(a, "TargetNotFoundException",
                             "The specified target was not found: '%s'.", id);
                return NULL;
        }
        if (strncmp(name, "ecs.", 4) == 0 || strncmp(name, "com.amazonaws.", 14) == 0) {
                answer_error(a, "InvalidParameterException",
                             "Attribute names that begin with 'ecs.' or 'com.amazonaws.' are "
                             "reserved: '%s'.",
                             name);
                return NULL;
        }
        return i;
}

/* What is shown of an attribute of that instance. Owned. */
static json_t *shown(const json_t *attribute, const char *instance_arn)
{
        json_t *out = json_pack("{s:O, s:s, s:s}", "name", json_object_get(attribute, "name"),
                                "targetId", instance_arn, "targetType", "container-instance");
        if (json_object_get(attribute, "value") != NULL)
                (void)json_object_set(out, "value", json_object_get(attribute, "value"));
        return out;
}

static bool put(json_t *i, const json_t *attribute, struct answer *a)
{
        json_t *list = json_object_get(i, OWN_ATTRIBUTES);
        if (list == NULL) {
                list = json_array();
                (void)json_object_set_new(i, OWN_ATTRIBUTES, list);
        }
        size_t at = index_of(list, "name", text_of(attribute, "name"));
        if (at == ATTRIBUTES_MAX) {
                answer_error(a, "AttributeLimitExceededException",
                             "A resource can have at most %d custom attributes.", ATTRIBUTES_MAX);
                return false;
        }
        json_t *e = json_pack("{s:O}", "name", json_object_get(attribute, "name"));
        if (json_object_get(attribute, "value") != NULL)
                (void)json_object_set(e, "value", json_object_get(attribute, "value"));
        if (at < json_array_size(list))
                (void)json_array_set_new(list, at, e);
        else
                (void)json_array_append_new(list, e);
        return true;
}

static bool drop(json_t *i, const json_t *attribute, struct answer *a)
{
        json_t *list = json_object_get(i, OWN_ATTRIBUTES);
        const json_t *value = json_object_get(attribute, "value");
        size_t at = index_of(list, "name", text_of(attribute, "name"));
        const json_t *e = json_array_get(list, at);
        if (e == NULL || (value != NULL && !has_text(e, "value", json_string_value(value)))) {
                answer_error(a, "InvalidParameterException", "The attribute '%s' was not found.",
                             text_of(attribute, "name"));
                return false;
        }
        (void)json_array_remove(list, at);
        return true;
}

/* All or nothing: every target is found before the first is changed, and a failed change ends the
 * request's transaction. */
static void change(struct local *l, const json_t *q, struct answer *a,
                   bool (*fn)(json_t *i, const json_t *attribute, struct answer *a))
{
        const json_t *cluster = find_cluster(l, q, a),
                     *attributes = json_object_get(q, "attributes");
        json_t *done, *e;
        size_t k;
        if (cluster == NULL)
                return;
        json_array_foreach (attributes, k, e)
                if (target(l, cluster, e, a) == NULL)
                        return;
        done = json_array();
        json_array_foreach (attributes, k, e) {
                json_t *i = target(l, cluster, e, a);
                if (!fn(i, e, a))
                        break;
                (void)store_changed(l, K_INSTANCE, text_of(i, "containerInstanceArn"));
                (void)json_array_append_new(done, shown(e, text_of(i, "containerInstanceArn")));
        }
        a->body = json_pack("{s:o}", "attributes", done);
}

void op_put_attributes(struct local *l, const json_t *q, struct answer *a)
{
        change(l, q, a, put);
}

void op_delete_attributes(struct local *l, const json_t *q, struct answer *a)
{
        change(l, q, a, drop);
}

void op_list_attributes(struct local *l, const json_t *q, struct answer *a)
{
        static const struct page_spec spec = {"attributes", 100, 100, false};
        const json_t *cluster = find_cluster(l, q, a);
        const char *name = text_of(q, "attributeName"), *value = text_of(q, "attributeValue"), *arn;
        json_t *i, *e, *items;
        size_t k;
        if (cluster == NULL)
                return;
        if (*value != '\0' && *name == '\0') {
                answer_error(a, "InvalidParameterException",
                             "attributeValue needs an attributeName.");
                return;
        }
        items = json_object();
        json_object_foreach (l->objects[K_INSTANCE], arn, i) {
                cleanup_json json_t *all = instance_attributes(i);
                if (!has_text(i, "clusterArn", text_of(cluster, "clusterArn")) ||
                    has_text(i, "status", "INACTIVE"))
                        continue;
                json_array_foreach (all, k, e) {
                        cleanup_free char *key = mem_printf("%s %s", arn, text_of(e, "name"));
                        if ((*name == '\0' || has_text(e, "name", name)) &&
                            (*value == '\0' || has_text(e, "value", value)))
                                (void)json_object_set_new(items, key, shown(e, arn));
                }
        }
        page_answer(items, q, &spec, a);
}
