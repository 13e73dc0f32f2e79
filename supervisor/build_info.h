/* build_info: what this build was made from. Written by cmake/build_info.cmake at every build. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

extern const char build_commit[];
extern const bool build_dirty;
extern const char build_license[];
extern const size_t build_license_size;
