/* fetch: what is wanted from registries, through Docker: the digest a tag stands for, and images.
 * One fetch serves all who want the same; it is tried again with growing waits, has a limit for all
 * its tries, and ends when nobody wants it any more. So many images at once, the others in turn.
 * Source: engine.md 4, 5.2, 5.4. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "docker.h"

struct fetches;
struct fetch_want; /* one container's wish */

struct fetch_settings {
        uint32_t manifest_ms;              /* for a digest, all tries */
        uint32_t pull_ms;                  /* for an image, all tries */
        uint32_t silence_ms;               /* a pull without progress fails */
        unsigned at_once;                  /* images pulled at once */
        const char *auth_type, *auth_data; /* registry_auth.h; borrowed for the fetches' life */
};
struct fetches *fetches_new(uv_loop_t *loop, struct docker *docker,
                            const struct fetch_settings *settings);
/* Ends all without a word to anybody. Before the Docker client is closed. NULL is fine. */
void fetches_close(struct fetches *f);
/* After the Docker client's last calls have ended. */
void fetches_free(struct fetches *f);

enum fetch_outcome {
        FETCH_DONE,
        FETCH_FAILED,
        FETCH_OUTAGE, /* Docker itself is away: no verdict */
};
/* digest: of FETCH_DIGEST; "" when the registry has an old manifest without one. reason: of a
 * failure, "<Name>Error: …". Both borrowed. */
typedef void (*fetch_done_fn)(void *arg, enum fetch_outcome outcome, const char *digest,
                              const char *reason);

enum fetch_kind { FETCH_DIGEST, FETCH_IMAGE };

struct fetch_request {
        enum fetch_kind kind;
        const char *image;        /* as in the task definition */
        const char *digest;       /* FETCH_IMAGE: pull this, then tag it; "" = pull as written */
        bool once;                /* one try: the image is here and of no registry */
        void (*begun)(void *arg); /* FETCH_IMAGE: bytes are asked for now; may be NULL */
        fetch_done_fn done; /* once, never before fetch_start returns; not after fetch_leave */
        void *arg;
};
struct fetch_want *fetch_start(struct fetches *f, const struct fetch_request *r);
/* Nobody waits at this end any more. Frees the wish. */
void fetch_leave(struct fetch_want *w);
/* "pulling nginx:1: 12 of 34 MiB". Returns owned. */
char *fetch_describe(const struct fetch_want *w);
/* Whether this image is being fetched, under this very reference. */
bool fetch_is_under_way(const struct fetches *f, const char *image);
