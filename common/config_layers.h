/* config_layers: the texts of every source, laid over each other: for each setting the highest
 * layer that is not empty. Nothing is judged here. Source: host.md 1.1. */
#pragma once

#include <jansson.h>

#include "config.h"

struct config_sources;
struct config_warnings;
struct error;

/* Fills raw, each value with its origin. -EINVAL with err for a JSON file that is none. */
int config_layers_read(const struct config_sources *s, struct config *raw,
                       struct config_warnings *w, struct error *err);
