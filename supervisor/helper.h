/* helper: a short-lived program of ours that the supervisor runs, mostly without privilege. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct helper {
        int binary; /* of spawn_open_binary */
        char *const *argv;
        int in, out, error; /* its descriptors 0, 1, 2; -1: /dev/null */
        bool drop;          /* we are root: take a user of its own */
        const gid_t *group; /* the one group it keeps, or NULL */
};

/* In the child of a fork: becomes the program, or ends with 126 or 127. */
void helper_become(const struct helper *h) __attribute__((noreturn));
