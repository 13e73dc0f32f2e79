/* cleanup: locals that release themselves. Initialise at declaration; hand over with STEAL. */
#pragma once

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_fn(void *p)
{
        free(*(void **)p);
}
static inline void cleanup_fd_fn(int *fd)
{
        if (*fd >= 0)
                (void)close(*fd);
}
static inline void cleanup_json_fn(json_t **j)
{
        json_decref(*j);
}
static inline void cleanup_file_fn(FILE **f)
{
        if (*f != NULL)
                (void)fclose(*f);
}

#define cleanup_free __attribute__((cleanup(cleanup_free_fn)))
#define cleanup_fd   __attribute__((cleanup(cleanup_fd_fn)))
#define cleanup_json __attribute__((cleanup(cleanup_json_fn)))
#define cleanup_file __attribute__((cleanup(cleanup_file_fn)))

/* Hands a pointer over: the local no longer owns it. */
#define STEAL(p)                                                                                   \
        ({                                                                                         \
                __typeof__(p) steal_tmp = (p);                                                     \
                (p) = NULL;                                                                        \
                steal_tmp;                                                                         \
        })
/* Hands a descriptor over, likewise. */
static inline int steal_fd(int *fd)
{
        int taken = *fd;
        *fd = -1;
        return taken;
}
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
