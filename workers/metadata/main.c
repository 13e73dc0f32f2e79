/* ecs-metadata: serves task metadata and credentials to containers. */
#include "metadata.h"

static const struct worker_spec spec = {
        .name = "metadata",
        .summary = "serves task metadata and credentials to containers",
        .start = metadata_start,
        .stop = metadata_stop,
        .destroy = metadata_destroy,
        .handlers = metadata_handlers,
};

int main(int argc, char **argv)
{
        return worker_main(&spec, argc, argv);
}
