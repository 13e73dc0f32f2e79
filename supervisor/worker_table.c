/* worker_table: every child of the supervisor, one row each. Adding a worker = one row here, one
 * folder under workers/, one .proto. */
#include "config_table.h"
#include "supervisor.h"

const struct worker_row worker_rows[] = {
        {.name = "engine",
         .exec = "ecs-engine",
         .peer = PEER_ENGINE,
         .recipient = FOR_ENGINE,
         .docker = true},
        {.name = "metadata",
         .exec = "ecs-metadata",
         .peer = PEER_METADATA,
         .may_connect = PEER_ENGINE | PEER_BACKEND,
         .listens = LISTEN_TMDS | LISTEN_INTROSPECTION,
         .recipient = FOR_METADATA},
        {.name = "local",
         .exec = "ecs-local",
         .peer = PEER_LOCAL,
         .listens = LISTEN_LOCAL,
         .recipient = FOR_LOCAL,
         .local_only = true},
        {.name = "backend",
         .exec = "ecs-backend",
         .peer = PEER_BACKEND,
         .may_connect = PEER_ENGINE | PEER_METADATA,
         .recipient = FOR_BACKEND,
         .stops_first = true},
};
const size_t worker_row_count = sizeof worker_rows / sizeof worker_rows[0];
