/* log_file: a file of lines that is rolled by size or by hour. Everything here may block: it is
 * called in libuv's pool. Source: host.md 4. */
#pragma once

#include <stddef.h>

enum log_roll { ROLL_SIZE, ROLL_HOURLY, ROLL_NONE };

struct log_file {
        const char *path; /* borrowed */
        enum log_roll roll;
        size_t max_size; /* bytes; a file this long is rolled before the next line */
        int max_rolls;   /* rolled files kept; 0 or less: all */
};

/* "size", "none", anything else is hourly. */
enum log_roll log_roll_from_string(const char *text);

/* Appends whole lines, each ending with a newline. The file and its folder are made when they are
 * not there. 0, or negative errno: *ret_written bytes are in the file, the others are lost. */
int log_file_append(const struct log_file *f, const char *lines, size_t length,
                    size_t *ret_written);
