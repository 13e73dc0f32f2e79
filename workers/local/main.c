/* ecs-local: an ECS control plane for one machine. */
#include "local.h"

int main(int argc, char **argv)
{
        return worker_main(&local_spec, argc, argv);
}
