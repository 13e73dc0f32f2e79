/* user_clusters: clusters as people see them. A deleted one is INACTIVE for an hour. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "instance.h"
#include "local.h"
#include "mem.h"
#include "page.h"

static char *cluster_arn(const struct local *l, const char *name)
{
        if (strncmp(name, "arn:", 4) == 0)
                return mem_strdup(name);
        cleanup_free char *resource = mem_printf("cluster/%s", *name != '\0' ? name : "default");
        return store_arn(l, resource);
}

static json_int_t count_in(struct local *l, enum kind k, const json_t *cluster, const char *status)
{
        json_int_t n = 0;
        const char *arn;
        json_t *o;
        json_object_foreach (l->objects[k], arn, o)
                n += has_text(o, "clusterArn", text_of(cluster, "clusterArn")) &&
                     has_text(o, "status", status);
        return n;
}

static json_int_t count_instances(struct local *l, const json_t *cluster)
{
        return count_in(l, K_INSTANCE, cluster, "ACTIVE") +
               count_in(l, K_INSTANCE, cluster, "DRAINING");
}

/* The cluster with its counts of this moment. Owned. */
static json_t *shown(struct local *l, const json_t *cluster, bool tags, bool settings)
{
        json_t *out = store_shown(cluster);
        const char *arn = text_of(cluster, "clusterArn");
        const struct {
                const char *name;
                json_int_t value;
        } counts[] = {
                {"registeredContainerInstancesCount", count_instances(l, cluster)},
                {                                    "runningTasksCount",                                  count_tasks(l,                                       arn,         "RUNNING")},
                {                  "pendingTasksCount",               count_tasks(l,                                          arn,                              "PENDING")},
                { "activeServicesCount", count_in(l,                                           K_SERVICE,                                                   cluster, "ACTIVE")},
        };
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
                (void)json_object_set_new(out, counts[i].name, json_integer(counts[i].value));
        if (!tags)
                (void)json_object_set_new(out, "tags", json_array());
        if (!settings)
                (void)json_object_set_new(out, "settings", json_array());
        return out;
}

/* Letters, digits, hyphens and underscores, up to 255. */
static bool check_name(const char *name, struct answer *a)
{
        bool valid = strlen(name) <= 255;
        for (const char *p = name; *p != '\0'; p++)
                valid = valid && (isalnum((unsigned char)*p) || *p == '-' || *p == '_');
        if (!valid)
                answer_error(a, "InvalidParameterException", "Invalid cluster name: %s.", name);
        return valid;
}

void op_create_cluster(struct local *l, const json_t *q, struct answer *a)
{
        const char *name = text_of(q, "clusterName");
        if (*name == '\0')
                name = "default";
        if (!check_name(name, a) || !check_tags(json_object_get(q, "tags"), a))
                return;
        cleanup_free char *arn = cluster_arn(l, name);
        json_t *c = store_find(l, K_CLUSTER, arn);
        if (c == NULL || !has_text(c, "status", "ACTIVE")) {
                const json_t *settings = json_object_get(q, "settings");
                json_t *tags = json_array();
                merge_tags(tags, json_object_get(q, "tags"));
                c = json_pack("{s:s, s:s, s:s, s:[], s:o, s:o, s:[], s:[]}", "clusterArn", arn,
                              "clusterName", name, "status", "ACTIVE", "statistics", "tags", tags,
                              "settings",
                              settings != NULL
                                      ? json_deep_copy(settings)
                                      : json_pack("[{s:s, s:s}]", "name", "containerInsights",
                                                  "value", "disabled"),
                              "capacityProviders", "defaultCapacityProviderStrategy");
                (void)store_put(l, K_CLUSTER, arn, c);
        }
        a->body = json_pack("{s:o}", "cluster", shown(l, c, true, true));
}

void op_list_clusters(struct local *l, const json_t *q, struct answer *a)
{
        static const struct page_spec spec = {"clusterArns", 100, 100, false};
        json_t *items = json_object(), *c;
        const char *arn;
        json_object_foreach (l->objects[K_CLUSTER], arn, c)
                if (has_text(c, "status", "ACTIVE"))
                        (void)json_object_set_new(items, arn, json_string(arn));
        page_answer(items, q, &spec, a);
}

void op_describe_clusters(struct local *l, const json_t *q, struct answer *a)
{
        cleanup_json json_t *standard = json_pack("[s]", "default");
        const json_t *names = json_object_get(q, "clusters");
        json_t *found = json_array(), *failures = json_array(), *n;
        size_t i;
        json_array_foreach (json_array_size(names) > 0 ? names : standard, i, n) {
                cleanup_free char *arn = cluster_arn(l, json_string_value(n));
                const json_t *c = store_find(l, K_CLUSTER, arn);
                if (c != NULL)
                        (void)json_array_append_new(
                                found, shown(l, c, includes(q, "TAGS"), includes(q, "SETTINGS")));
                else
                        add_failure(failures, arn, "MISSING", NULL);
        }
        a->body = json_pack("{s:o, s:o}", "clusters", found, "failures", failures);
}

void op_delete_cluster(struct local *l, const json_t *q, struct answer *a)
{
        json_t *c = find_cluster(l, q, a);
        const char *arn = text_of(c, "clusterArn");
        if (c == NULL)
                return;
        if (count_instances(l, c) > 0)
                answer_error(a, "ClusterContainsContainerInstancesException",
                             "The Cluster cannot be deleted while Container Instances are active "
                             "or draining.");
        else if (count_in(l, K_SERVICE, c, "ACTIVE") + count_in(l, K_SERVICE, c, "DRAINING") > 0)
                answer_error(a, "ClusterContainsServicesException",
                             "The Cluster cannot be deleted while Services are active.");
        else if (count_tasks(l, arn, "RUNNING") + count_tasks(l, arn, "PENDING") > 0)
                answer_error(a, "ClusterContainsTasksException",
                             "The Cluster cannot be deleted while Tasks are active.");
        if (a->code != NULL)
                return;
        (void)json_object_set_new(c, "status", json_string("INACTIVE"));
        (void)json_object_set_new(c, "x-goneAt", json_real(local_now()));
        (void)store_changed(l, K_CLUSTER, arn);
        a->body = json_pack("{s:o}", "cluster", shown(l, c, true, true));
}
