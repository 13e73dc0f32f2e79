/* duration: Go's duration texts, which the configuration and error texts use. host.md 1.2. */
#pragma once

#include <stdint.h>

/* "1h30m", "500ms", "0", "-2s"; -EINVAL otherwise. */
int duration_parse(const char *text, int64_t *ret_ns);
#define DURATION_TEXT 40
/* As Go prints it: 30s, 4m0s, 1.5s, 250ms. */
const char *duration_format(int64_t ns, char buf[DURATION_TEXT]);
