/* service: a service's record: its deployments and events. What follows from it is scheduler.c. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct local;

/* Own members of deployments. */
#define OWN_SETTLED "x-settled"      /* a task of it has run long enough */
#define OWN_NOT_BEFORE "x-notBefore" /* ms since the epoch: its next task */
#define OWN_DELAY "x-delay"          /* ms, the last wait between tasks that fail */

struct tally {
        json_int_t running, pending;
};

/* By name or ARN, whatever its status; NULL when the cluster has none. */
json_t *service_find(struct local *l, const json_t *cluster, const char *name);
/* Tasks RUNNING and on their way, of one deployment or (NULL) of all. */
struct tally service_tally(struct local *l, const json_t *service, const char *deployment_id);
/* As DescribeServices has it. Owned. */
json_t *service_shown(struct local *l, const json_t *service, bool tags);
/* "(service NAME) " and the text, newest first, the last hundred. Not stored. */
void service_event(json_t *service, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A new PRIMARY deployment of the service's task definition; the one before becomes ACTIVE. reason:
 * NULL for the usual one. Not stored. */
void service_deploy(json_t *service, const char *reason);
/* The PRIMARY deployment, or NULL. */
json_t *service_primary(const json_t *service);
void service_store(struct local *l, const json_t *service);
