/* ecs-backend: speaks to ECS for the whole agent. */
#include "backend_private.h"

int main(int argc, char **argv)
{
        return worker_main(&backend_spec, argc, argv);
}
