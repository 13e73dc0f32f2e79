/* sweep: see sweep.h. */
#include "sweep.h"

#include <stdbool.h>
#include <string.h>

#include "clock.h"
#include "local.h"

static bool is_old(const json_t *o, const char *since)
{
        const json_t *at = json_object_get(o, since);
        return at != NULL && local_now() - json_number_value(at) >
                                     (double)clock_wait_ms(KEEP_S * UINT64_C(1000)) / 1000;
}

static void sweep_kind(struct local *l, enum kind k, const char *status_key, const char *status,
                       const char *since)
{
        const char *arn;
        json_t *o;
        void *next;
        json_object_foreach_safe (l->objects[k], next, arn, o)
                if (has_text(o, status_key, status) && is_old(o, since))
                        (void)store_delete(l, k, arn);
}

static bool names_definition(const json_t *o, const char *arn)
{
        size_t i;
        json_t *d;
        json_array_foreach (json_object_get(o, "deployments"), i, d)
                if (has_text(d, "taskDefinition", arn))
                        return true;
        return has_text(o, "taskDefinitionArn", arn) || has_text(o, "taskDefinition", arn);
}

static bool is_used(struct local *l, const char *definition_arn)
{
        static const enum kind users[] = {K_TASK, K_SERVICE};
        const char *arn;
        json_t *o;
        for (size_t i = 0; i < sizeof users / sizeof users[0]; i++)
                json_object_foreach (l->objects[users[i]], arn, o)
                        if (names_definition(o, definition_arn))
                                return true;
        return false;
}

/* A family's newest revision stays: the next one is numbered after it. */
static bool is_newest(struct local *l, const json_t *definition)
{
        const char *arn;
        json_t *o;
        json_object_foreach (l->objects[K_TASK_DEFINITION], arn, o)
                if (has_text(o, "family", text_of(definition, "family")) &&
                    integer_of(o, "revision", 0) > integer_of(definition, "revision", 0))
                        return false;
        return true;
}

static void sweep_definitions(struct local *l)
{
        const char *arn;
        json_t *d;
        void *next;
        json_object_foreach_safe (l->objects[K_TASK_DEFINITION], next, arn, d)
                if (has_text(d, "status", "DELETE_IN_PROGRESS") && !is_used(l, arn) &&
                    !is_newest(l, d))
                        (void)store_delete(l, K_TASK_DEFINITION, arn);
}

void sweep_objects(struct local *l)
{
        sweep_kind(l, K_TASK, "lastStatus", "STOPPED", "stoppedAt");
        sweep_kind(l, K_CLUSTER, "status", "INACTIVE", "x-goneAt");
        sweep_kind(l, K_INSTANCE, "status", "INACTIVE", "x-goneAt");
        sweep_kind(l, K_SERVICE, "status", "INACTIVE", "x-goneAt");
        sweep_definitions(l);
}
