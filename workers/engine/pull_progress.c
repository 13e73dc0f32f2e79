/* pull_progress: the sum over layers. What is total grows while Docker begins further layers. */
#include "pull_progress.h"

#include <stdio.h>
#include <string.h>

#define MIB 1048576
#define SIZE_CAP ((int64_t)1 << 50) /* of one layer: sums cannot overflow */

static int64_t number(const json_t *o, const char *key)
{
        int64_t n = json_integer_value(json_object_get(o, key));
        return n < 0 ? 0 : n > SIZE_CAP ? SIZE_CAP : n;
}

void pull_progress_take(struct pull_progress *p, const json_t *line)
{
        const char *id = json_string_value(json_object_get(line, "id"));
        const char *status = json_string_value(json_object_get(line, "status"));
        const json_t *detail = json_object_get(line, "progressDetail");
        size_t i = 0;
        if (id == NULL || status == NULL || strlen(id) >= sizeof p->layers[0].id)
                return;
        while (i < p->count && strcmp(p->layers[i].id, id) != 0)
                i++;
        if (strcmp(status, "Downloading") == 0 && number(detail, "total") > 0) {
                if (i == PULL_LAYERS_MAX)
                        return;
                if (i == p->count)
                        (void)snprintf(p->layers[p->count++].id, sizeof p->layers[0].id, "%s", id);
                p->layers[i].done = number(detail, "current");
                p->layers[i].total = number(detail, "total");
        } else if (i < p->count && (strcmp(status, "Download complete") == 0 ||
                                    strcmp(status, "Pull complete") == 0)) {
                p->layers[i].done = p->layers[i].total;
        }
}

const char *pull_progress_text(const struct pull_progress *p, char buf[PULL_PROGRESS_TEXT])
{
        int64_t done = 0, total = 0;
        for (size_t i = 0; i < p->count; i++) {
                done += p->layers[i].done;
                total += p->layers[i].total;
        }
        *buf = '\0';
        if (total > 0)
                (void)snprintf(buf, PULL_PROGRESS_TEXT, "%lld of %lld MiB",
                               (long long)((done + MIB / 2) / MIB),
                               (long long)((total + MIB - 1) / MIB));
        return buf;
}
