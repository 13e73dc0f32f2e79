/* requirements: the attributes a container instance must have for a task definition: what ECS shows
 * as requiresAttributes. An agent advertises a capability only if it has it (backend.md 4.3), so a
 * task that needs a feature is never placed where it would be ignored. */
#pragma once

#include <jansson.h>

/* Array of {name}, each once. Owned. */
json_t *requirements_of(const json_t *definition);
