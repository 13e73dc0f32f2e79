/* local_call: operations of the local control plane, asked for over its IPC: ecsctl needs neither
 * keys nor the network. */
#pragma once

#include <jansson.h>

struct ctl;

/* Takes request. *ret is owned. 0, or 1 after telling why. */
int local_call(struct ctl *c, const char *operation, json_t *request, json_t **ret);
