/* config_convert: one text to its normalised form, as its row says. No I/O. host.md 1.2. */
#pragma once

#include <stdbool.h>

struct config_row;

struct config_verdict {
        const char *wrong;   /* what is wrong, to follow "NAME=value "; NULL when nothing is */
        bool outside;        /* a number beyond the row's bounds */
        bool unknown_member; /* a list names something outside the row's choices */
};

/* The normalised text (owned), or NULL when it cannot be used at all. A value may come with
 * verdict->wrong set: then it was mended. bounds: whether the row's limits apply. */
char *config_convert(const struct config_row *row, const char *text, bool bounds,
                     struct config_verdict *verdict);
