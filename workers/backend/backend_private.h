/* backend_private: the row that makes a process of the backend. */
#pragma once

#include "worker.h"

extern const struct worker_spec backend_spec;
