/* pull_progress: how far Docker is with an image, from the lines of its progress stream. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define PULL_LAYERS_MAX 128 /* more are not counted; Docker itself allows 127 */

struct pull_progress {
        struct {
                char id[16];
                int64_t done, total; /* bytes */
        } layers[PULL_LAYERS_MAX];
        size_t count;
};

/* Takes in one line. */
void pull_progress_take(struct pull_progress *p, const json_t *line);
/* "12 of 34 MiB", or "" while nothing is known. */
#define PULL_PROGRESS_TEXT 64
const char *pull_progress_text(const struct pull_progress *p, char buf[PULL_PROGRESS_TEXT]);
