/* images: which images tasks have used, by Docker's id, with the names task definitions call them
 * by, byte for byte. What `once` and the image clean-up go by. Source: engine.md 5.5, resources.md
 * B1. Who uses an image is not kept here: that are the tasks themselves. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image {
        struct image *next;
        char *id;
        char **names;
        size_t name_count;
        int64_t size_bytes, pulled_ms, used_ms; /* wall clock */
        bool pull_succeeded;                    /* once, for ever */
        bool has_region;                        /* its Env has AWS_REGION or AWS_DEFAULT_REGION */
        bool dirty;                             /* differs from what is stored */
};
struct images {
        struct image *first;
        char **gone; /* ids to be deleted from the database */
        size_t gone_count;
};

/* Takes in an image that a container uses under this name. inspect: Docker's answer; pulled: by a
 * pull that worked. A name that stood for another image is taken from that. Returns it, borrowed;
 * NULL when the answer has no id. */
struct image *images_note(struct images *all, const char *name, const json_t *inspect, bool pulled,
                          int64_t now_ms);
struct image *images_find(const struct images *all, const char *id);
struct image *images_find_name(const struct images *all, const char *name);
/* Whether an image's environment sets the region itself. */
bool images_has_region(const json_t *inspect);
/* A task that used it has been cleaned up. */
void images_used(struct images *all, const char *id, int64_t now_ms);
/* Docker has removed this name, or the whole image by its id; a record without names goes. */
void images_drop(struct images *all, const char *name_or_id);
void images_add(struct images *all, struct image *i); /* takes it */
void image_add_name(struct image *i, const char *name);
void images_free(struct images *all);
