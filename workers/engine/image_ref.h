/* image_ref: an image reference as a task definition holds it, taken apart. Source: engine.md 5.2.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct image_ref {
        char *name;   /* with the registry's host, as written */
        char *tag;    /* "" when not given */
        char *digest; /* "sha256:…", "" when not given */
};

/* Takes any text apart; what is no reference Docker refuses. Owned: image_ref_deinit. */
void image_ref_init(struct image_ref *r, const char *text);
void image_ref_deinit(struct image_ref *r);
/* What Docker calls the tag of a pull: the digest, else the tag, else "latest". Borrowed. */
const char *image_ref_version(const struct image_ref *r);
/* The registry's host and port, "" for Docker's own. Returns owned. */
char *image_ref_host(const struct image_ref *r);
/* The name without what it means anyway: "docker.io/library/x" and "x" are one. Returns owned. */
char *image_ref_plain_name(const struct image_ref *r);
/* Whether two texts mean the same image: "x" and "docker.io/library/x:latest" do. */
bool image_ref_same(const char *a, const char *b);
/* The digest that an image's RepoDigests hold for this name; borrowed, NULL when none.
 * Source: engine.md 5.4. */
const char *image_ref_find_digest(const struct image_ref *r, const json_t *repo_digests);
