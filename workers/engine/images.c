/* images: a short list; a host has some hundred at most. */
#include "images.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

static void image_free(struct image *i)
{
        for (size_t n = 0; n < i->name_count; n++)
                free(i->names[n]);
        free(i->names);
        free(i->id);
        free(i);
}

static bool take_name(struct image *i, const char *name)
{
        for (size_t n = 0; n < i->name_count; n++)
                if (strcmp(i->names[n], name) == 0) {
                        free(i->names[n]);
                        i->names[n] = i->names[--i->name_count];
                        i->dirty = true;
                        return true;
                }
        return false;
}

void image_add_name(struct image *i, const char *name)
{
        i->names = mem_realloc_array(i->names, i->name_count + 1, sizeof *i->names);
        i->names[i->name_count++] = mem_strdup(name);
}

void images_add(struct images *all, struct image *i)
{
        i->next = all->first;
        all->first = i;
}

struct image *images_find(const struct images *all, const char *id)
{
        for (struct image *i = all->first; i != NULL; i = i->next)
                if (strcmp(i->id, id) == 0)
                        return i;
        return NULL;
}

struct image *images_find_name(const struct images *all, const char *name)
{
        for (struct image *i = all->first; i != NULL; i = i->next)
                for (size_t n = 0; n < i->name_count; n++)
                        if (strcmp(i->names[n], name) == 0)
                                return i;
        return NULL;
}

bool images_has_region(const json_t *inspect)
{
        const json_t *env = json_object_get(json_object_get(inspect, "Config"), "Env");
        for (size_t i = 0; i < json_array_size(env); i++) {
                const char *v = json_string_value(json_array_get(env, i));
                if (v != NULL && (strncmp(v, "AWS_REGION=", 11) == 0 ||
                                  strncmp(v, "AWS_DEFAULT_REGION=", 19) == 0))
                        return true;
        }
        return false;
}

static struct image *new_image(struct images *all, const char *id, int64_t now_ms)
{
        struct image *i = mem_zalloc(sizeof *i);
        *i = (struct image){
                .id = mem_strdup(id), .pulled_ms = now_ms, .used_ms = now_ms, .dirty = true};
        images_add(all, i);
        return i;
}

struct image *images_note(struct images *all, const char *name, const json_t *inspect, bool pulled,
                          int64_t now_ms)
{
        const char *id = json_string_value(json_object_get(inspect, "Id"));
        if (id == NULL || *id == '\0')
                return NULL;
        struct image *i = images_find(all, id), *holder = images_find_name(all, name);
        if (i == NULL)
                i = new_image(all, id, now_ms);
        if (holder != i) {
                if (holder != NULL)
                        (void)take_name(holder, name);
                image_add_name(i, name);
                i->dirty = true;
        }
        if (pulled && !i->pull_succeeded)
                i->pull_succeeded = i->dirty = true;
        if (i->size_bytes == 0) {
                i->size_bytes = json_integer_value(json_object_get(inspect, "Size"));
                i->has_region = images_has_region(inspect);
                i->dirty = true;
        }
        return i;
}

void images_used(struct images *all, const char *id, int64_t now_ms)
{
        struct image *i = images_find(all, id);
        if (i == NULL)
                return;
        i->used_ms = now_ms;
        i->dirty = true;
}

void images_drop(struct images *all, const char *name_or_id)
{
        for (struct image **at = &all->first; *at != NULL; at = &(*at)->next) {
                struct image *i = *at;
                bool whole = strcmp(i->id, name_or_id) == 0;
                if (!whole && !take_name(i, name_or_id))
                        continue;
                if (whole || i->name_count == 0) {
                        all->gone = mem_realloc_array(all->gone, all->gone_count + 1,
                                                      sizeof *all->gone);
                        all->gone[all->gone_count++] = mem_strdup(i->id);
                        *at = i->next;
                        image_free(i);
                }
                return;
        }
}

void images_free(struct images *all)
{
        while (all->first != NULL) {
                struct image *i = all->first;
                all->first = i->next;
                image_free(i);
        }
        for (size_t i = 0; i < all->gone_count; i++)
                free(all->gone[i]);
        free(all->gone);
        *all = (struct images){0};
}
