/* reconcile: what one service needs now. Called in a transaction. */
#pragma once

#include <jansson.h>
#include <stdint.h>

struct local;

/* Starts, stops and accounts for tasks of the service and moves its deployments on. Returns after
 * how many milliseconds to look again even if nothing changes; INT64_MAX: not needed. */
int64_t reconcile_service(struct local *l, json_t *service);
