/* ecs-engine: runs the tasks the backend hands it, on Docker. */
#include "engine.h"

static const struct worker_spec spec = {
        .name = "engine",
        .summary = "runs tasks on Docker",
        .start = engine_start,
        .stop = engine_stop,
        .destroy = engine_destroy,
        .handlers = engine_handlers,
        .peer_up = engine_peer_up,
        .peer_down = engine_peer_down,
};

int main(int argc, char **argv)
{
        return worker_main(&spec, argc, argv);
}
