/* random: bytes from the kernel. */
#pragma once

#include <stddef.h>

void random_bytes(void *buf, size_t size);
/* Uniform in [0,1). */
double random_unit(void);
#define RANDOM_UUID 37
/* A lower-case version-4 UUID with dashes. */
const char *random_uuid(char buf[RANDOM_UUID]);
