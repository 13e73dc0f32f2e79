/* tar_gz: writes a .tar.gz of texts that are in memory. */
#pragma once

#include <stddef.h>

struct tar_gz;

/* A new file, mode 0600; an existing one is refused. NULL with errno. */
struct tar_gz *tar_gz_open(const char *path);
/* name: at most 99 bytes. */
void tar_gz_add(struct tar_gz *t, const char *name, const char *data, size_t length);
/* 0, or -EIO when something could not be written. */
int tar_gz_close(struct tar_gz *t);
