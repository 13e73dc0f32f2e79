/* resource: volumes of Docker are named ecs-<family>-<version>-<volume>-<task id>, shared ones as
 * the definition says. A host volume without a path is one of Docker's, too. */
#include "resource.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"
#include "task_cgroup.h"

static bool is_docker(const Ecs__VolumeSpec *v)
{
        return strcmp(v->type, "docker") == 0;
}

bool resource_volume_is_shared(const Ecs__VolumeSpec *v)
{
        return is_docker(v) && strcmp(v->scope, "task") != 0;
}

static char *volume_name(const struct task *t, const Ecs__VolumeSpec *v)
{
        if (resource_volume_is_shared(v))
                return mem_strdup(v->name);
        return mem_printf("ecs-%s-%s-%s-%s", t->spec->family, t->spec->version, v->name,
                          task_id(t->spec->arn));
}

char *resource_bind_source(const struct task *t, const char *volume)
{
        for (size_t i = 0; i < t->spec->n_volumes; i++) {
                const Ecs__VolumeSpec *v = t->spec->volumes[i];
                if (strcmp(v->name, volume) != 0)
                        continue;
                return !is_docker(v) && *v->source_path != '\0' ? mem_strdup(v->source_path)
                                                                : volume_name(t, v);
        }
        return NULL;
}

/* ---- the list ---- */

static bool is_mounted(const struct task *t, const char *volume)
{
        for (size_t i = 0; i < t->spec->n_containers; i++) {
                const Ecs__ContainerSpec *c = t->spec->containers[i];
                for (size_t k = 0; k < c->n_mount_points; k++)
                        if (strcmp(c->mount_points[k]->source_volume, volume) == 0)
                                return true;
        }
        return false;
}

/* An unnamed host volume that nobody mounts is not made. */
static bool is_wanted(const struct task *t, const Ecs__VolumeSpec *v)
{
        if (is_docker(v))
                return true;
        return *v->source_path == '\0' && is_mounted(t, v->name);
}

static void add(struct task *t, enum resource_kind kind, const Ecs__VolumeSpec *v, char *name)
{
        t->resources[t->resource_count++] =
                (struct resource){.kind = kind, .volume = v, .name = name};
}

void resource_plan(struct task *t)
{
        if (t->resources != NULL)
                return;
        t->resources = mem_zalloc((t->spec->n_volumes + 1) * sizeof *t->resources);
        if (*t->facts->cgroup_parent != '\0')
                add(t, RESOURCE_CGROUP, NULL, mem_strdup(t->facts->cgroup_parent));
        for (size_t i = 0; i < t->spec->n_volumes; i++) {
                const Ecs__VolumeSpec *v = t->spec->volumes[i];
                if (is_wanted(t, v))
                        add(t, RESOURCE_VOLUME, v, volume_name(t, v));
        }
}

void resource_clear(struct task *t)
{
        for (size_t i = 0; i < t->resource_count; i++)
                free(t->resources[i].name);
        free(t->resources);
        t->resources = NULL;
        t->resource_count = 0;
}

struct resource *resource_next(struct task *t)
{
        for (size_t i = 0; i < t->resource_count; i++)
                if (t->resources[i].state == RESOURCE_NONE)
                        return &t->resources[i];
        return NULL;
}

bool task_has_resources(const struct task *t)
{
        for (size_t i = 0; i < t->resource_count; i++)
                if (t->resources[i].state != RESOURCE_CREATED)
                        return false;
        return true;
}

/* ---- verdicts ---- */

char *resource_reason(const struct task *t, const char *format, ...)
{
        char *what = NULL;
        va_list args;
        va_start(args, format);
        int n = vasprintf(&what, format, args);
        va_end(args);
        char *reason = mem_printf("resource cannot be initialized for task %s: %s", t->spec->arn,
                                  n >= 0 ? what : "");
        if (n >= 0)
                free(what);
        return reason;
}

char *resource_check(const struct task *t)
{
        cleanup_free char *large = *t->facts->cgroup_parent != '\0' ? task_cgroup_check(t) : NULL;
        if (large != NULL)
                return resource_reason(t, "%s", large);
        for (size_t i = 0; i < t->spec->n_volumes; i++) {
                const Ecs__VolumeSpec *v = t->spec->volumes[i];
                if (is_docker(v) && !resource_volume_is_shared(v) && v->autoprovision)
                        return resource_reason(t,
                                               "volume [%s] : task scoped volume could not be "
                                               "autoprovisioned",
                                               v->name);
        }
        return NULL;
}

static bool same_pairs(Ecs__KeyValue *const *pairs, size_t count, const json_t *object)
{
        if (json_object_size(object) != count)
                return false;
        for (size_t i = 0; i < count; i++) {
                const char *value = json_string_value(json_object_get(object, pairs[i]->key));
                if (value == NULL || strcmp(value, pairs[i]->value) != 0)
                        return false;
        }
        return true;
}

bool resource_volume_matches(const Ecs__VolumeSpec *v, const json_t *inspect)
{
        return same_pairs(v->labels, v->n_labels, json_object_get(inspect, "Labels")) &&
               same_pairs(v->driver_opts, v->n_driver_opts, json_object_get(inspect, "Options"));
}
