/* request: reading members of requests and objects, and resolving the names in them. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "local.h"
#include "mem.h"

const char *text_of(const json_t *o, const char *key)
{
        const char *t = json_string_value(json_object_get(o, key));
        return t != NULL ? t : "";
}

json_int_t integer_of(const json_t *o, const char *key, json_int_t fallback)
{
        const json_t *v = json_object_get(o, key);
        return json_is_integer(v) ? json_integer_value(v) : fallback;
}

bool has_text(const json_t *o, const char *key, const char *text)
{
        return strcmp(text_of(o, key), text) == 0;
}

size_t index_of(const json_t *list, const char *member, const char *text)
{
        size_t i;
        json_t *e;
        json_array_foreach (list, i, e)
                if (has_text(e, member, text))
                        return i;
        return json_array_size(list);
}

json_t *find_named(const json_t *list, const char *name)
{
        return json_array_get(list, index_of(list, "name", name));
}

bool includes(const json_t *q, const char *word)
{
        size_t i;
        json_t *e;
        json_array_foreach (json_object_get(q, "include"), i, e)
                if (strcmp(json_string_value(e), word) == 0)
                        return true;
        return false;
}

void add_failure(json_t *failures, const char *arn, const char *reason, const char *detail)
{
        json_t *f = json_pack("{s:s, s:s}", "arn", arn, "reason", reason);
        if (detail != NULL)
                (void)json_object_set_new(f, "detail", json_string(detail));
        (void)json_array_append_new(failures, f);
}

json_t *find_cluster(struct local *l, const json_t *q, struct answer *a)
{
        const char *name = text_of(q, "cluster");
        cleanup_free char *resource = mem_printf("cluster/%s", *name != '\0' ? name : "default");
        cleanup_free char *arn =
                strncmp(name, "arn:", 4) == 0 ? mem_strdup(name) : store_arn(l, resource);
        json_t *c = store_find(l, K_CLUSTER, arn);
        if (c != NULL && has_text(c, "status", "ACTIVE"))
                return c;
        answer_error(a, "ClusterNotFoundException", "Cluster not found.");
        return NULL;
}

char *arn_in_cluster(struct local *l, const char *kind, const json_t *cluster, const char *name)
{
        cleanup_free char *resource =
                mem_printf("%s/%s/%s", kind, text_of(cluster, "clusterName"), name);
        return strncmp(name, "arn:", 4) == 0 ? mem_strdup(name) : store_arn(l, resource);
}
