/* user_clusters: clusters and container instances, as people see them. */
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

static char *cluster_arn(const struct local *l, const char *name)
{
        if (strncmp(name, "arn:", 4) == 0)
                return mem_strdup(name);
        cleanup_free char *resource = mem_printf("cluster/%s", *name != '\0' ? name : "default");
        return store_arn(l, resource);
}

json_t *find_cluster(struct local *l, const json_t *q, struct answer *a)
{
        cleanup_free char *arn = cluster_arn(l, text_of(q, "cluster"));
        json_t *c = store_find(l, K_CLUSTER, arn);
        if (c == NULL)
                answer_error(a, "ClusterNotFoundException", "Cluster not found.");
        return c;
}

/* The cluster with its counts of this moment. Owned. */
static json_t *shown(struct local *l, const json_t *cluster)
{
        json_t *out = json_deep_copy(cluster);
        json_int_t instances = 0, running = 0, pending = 0;
        const char *arn;
        json_t *o;
        json_object_foreach(l->objects[K_INSTANCE], arn, o)
                instances += json_equal(json_object_get(o, "clusterArn"),
                                        json_object_get(cluster, "clusterArn"));
        json_object_foreach(l->objects[K_TASK], arn, o) {
                if (!json_equal(json_object_get(o, "clusterArn"),
                                json_object_get(cluster, "clusterArn")))
                        continue;
                running += strcmp(text_of(o, "lastStatus"), "RUNNING") == 0;
                pending += strcmp(text_of(o, "lastStatus"), "PENDING") == 0;
        }
        (void)json_object_set_new(out, "registeredContainerInstancesCount",
                                  json_integer(instances));
        (void)json_object_set_new(out, "runningTasksCount", json_integer(running));
        (void)json_object_set_new(out, "pendingTasksCount", json_integer(pending));
        return out;
}

void op_create_cluster(struct local *l, const json_t *q, struct answer *a)
{
        const char *name = *text_of(q, "clusterName") != '\0' ? text_of(q, "clusterName")
                                                              : "default";
        cleanup_free char *arn = cluster_arn(l, name);
        if (store_find(l, K_CLUSTER, arn) == NULL)
                (void)store_put(l, K_CLUSTER, arn,
                                json_pack("{s:s, s:s, s:s, s:i, s:[], s:[], s:[]}", "clusterArn",
                                          arn, "clusterName", name, "status", "ACTIVE",
                                          "activeServicesCount", 0, "statistics", "tags",
                                          "settings"));
        a->body = json_pack("{s:o}", "cluster", shown(l, store_find(l, K_CLUSTER, arn)));
}

void op_list_clusters(struct local *l, const json_t *q, struct answer *a)
{
        const char *arn;
        json_t *o, *list = json_array();
        (void)q;
        json_object_foreach(l->objects[K_CLUSTER], arn, o)
                (void)json_array_append_new(list, json_string(arn));
        a->body = json_pack("{s:o}", "clusterArns", list);
}

void op_describe_clusters(struct local *l, const json_t *q, struct answer *a)
{
        cleanup_json json_t *standard = json_pack("[s]", "default");
        const json_t *names = json_object_get(q, "clusters");
        json_t *found = json_array(), *failures = json_array(), *n;
        size_t i;
        json_array_foreach(json_array_size(names) > 0 ? names : standard, i, n) {
                cleanup_free char *arn = cluster_arn(l, json_string_value(n));
                const json_t *c = store_find(l, K_CLUSTER, arn);
                if (c != NULL)
                        (void)json_array_append_new(found, shown(l, c));
                else
                        (void)json_array_append_new(failures, json_pack("{s:s, s:s}", "arn", arn,
                                                                        "reason", "MISSING"));
        }
        a->body = json_pack("{s:o, s:o}", "clusters", found, "failures", failures);
}

/* ---- container instances ---- */

void op_list_container_instances(struct local *l, const json_t *q, struct answer *a)
{
        const json_t *cluster = find_cluster(l, q, a);
        const char *arn;
        json_t *o, *list;
        if (cluster == NULL)
                return;
        list = json_array();
        json_object_foreach(l->objects[K_INSTANCE], arn, o)
                if (strcmp(text_of(o, "clusterArn"), text_of(cluster, "clusterArn")) == 0)
                        (void)json_array_append_new(list, json_string(arn));
        a->body = json_pack("{s:o}", "containerInstanceArns", list);
}

static json_t *shown_instance(struct local *l, const json_t *instance)
{
        json_t *out = json_deep_copy(instance);
        json_int_t running = 0, pending = 0;
        const char *arn;
        json_t *t;
        json_object_foreach(l->objects[K_TASK], arn, t) {
                if (strcmp(text_of(t, "containerInstanceArn"),
                           text_of(instance, "containerInstanceArn")) != 0)
                        continue;
                running += strcmp(text_of(t, "lastStatus"), "RUNNING") == 0;
                pending += strcmp(text_of(t, "lastStatus"), "PENDING") == 0;
        }
        (void)json_object_set_new(out, "runningTasksCount", json_integer(running));
        (void)json_object_set_new(out, "pendingTasksCount", json_integer(pending));
        (void)json_object_del(out, "clusterArn");
        return out;
}

void op_describe_container_instances(struct local *l, const json_t *q, struct answer *a)
{
        const json_t *cluster = find_cluster(l, q, a);
        json_t *found, *failures, *n;
        size_t i;
        if (cluster == NULL)
                return;
        found = json_array();
        failures = json_array();
        json_array_foreach(json_object_get(q, "containerInstances"), i, n) {
                const char *id = json_string_value(n) != NULL ? json_string_value(n) : "";
                cleanup_free char *resource = mem_printf(
                        "container-instance/%s/%s", text_of(cluster, "clusterName"), id);
                cleanup_free char *arn = strncmp(id, "arn:", 4) == 0 ? mem_strdup(id)
                                                                     : store_arn(l, resource);
                const json_t *c = store_find(l, K_INSTANCE, arn);
                if (c != NULL)
                        (void)json_array_append_new(found, shown_instance(l, c));
                else
                        (void)json_array_append_new(failures, json_pack("{s:s, s:s}", "arn", arn,
                                                                        "reason", "MISSING"));
        }
        a->body = json_pack("{s:o, s:o}", "containerInstances", found, "failures", failures);
}
