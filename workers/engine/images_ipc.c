/* images_ipc: images on behalf of others: what there is, and removal of what nobody needs. Whether
 * a task needs an image is asked right before each removal, and Docker has the last word (409).
 * Source: resources.md B2, engine.md 18. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "engine.h"
#include "image_ref.h"
#include "mem.h"

#define LIST_MS 600000
#define REMOVE_MS 180000

static bool needs(const struct container *c, const char *name_or_id)
{
        return image_ref_same(c->spec->image, name_or_id) ||
               strcmp(c->facts->image_id, name_or_id) == 0;
}

static bool is_needed(const struct engine *e, const char *name_or_id)
{
        for (const struct task *t = e->tasks; t != NULL; t = t->next)
                for (size_t i = 0; i < t->container_count; i++)
                        if (needs(&t->containers[i], name_or_id))
                                return true;
        return e->fetches != NULL && fetch_is_under_way(e->fetches, name_or_id);
}

bool images_is_used(const struct engine *e, const char *name_or_id)
{
        const struct image *i = images_find(&e->images, name_or_id);
        if (i == NULL)
                i = images_find_name(&e->images, name_or_id);
        /* one name of an image may go while another is needed; the image itself may not */
        bool whole = i != NULL && strcmp(i->id, name_or_id) == 0;
        for (size_t n = 0; whole && n < i->name_count; n++)
                if (is_needed(e, i->names[n]))
                        return true;
        return is_needed(e, name_or_id);
}

/* ---- list ---- */

struct asked {
        struct engine *engine;
        struct ipc_request *request;
        char *image; /* to be removed */
};

static void asked_free(struct asked *a)
{
        free(a->image);
        free(a);
}

static void fill(const struct engine *e, const json_t *from, Ecs__ImageFacts *to)
{
        const char *id = json_string_value(json_object_get(from, "Id"));
        const json_t *tags = json_object_get(from, "RepoTags");
        const struct image *known = images_find(&e->images, id != NULL ? id : "");
        ecs__image_facts__init(to);
        to->id = (char *)(id != NULL ? id : "");
        to->tags = mem_zalloc((json_array_size(tags) + 1) * sizeof *to->tags);
        for (size_t i = 0; i < json_array_size(tags); i++) {
                const char *t = json_string_value(json_array_get(tags, i));
                if (t != NULL)
                        to->tags[to->n_tags++] = (char *)t;
        }
        to->size_bytes = json_integer_value(json_object_get(from, "Size"));
        to->created_at_ms = json_integer_value(json_object_get(from, "Created")) * 1000;
        to->in_use = images_is_used(e, to->id);
        for (size_t i = 0; i < to->n_tags; i++)
                to->in_use = to->in_use || images_is_used(e, to->tags[i]);
        if (known == NULL)
                return;
        to->names = known->names;
        to->n_names = known->name_count;
        to->pulled_at_ms = known->pulled_ms;
        to->last_used_at_ms = known->used_ms;
        to->pull_succeeded = known->pull_succeeded;
}

static void on_listed(void *arg, const struct docker_answer *a)
{
        struct asked *k = arg;
        size_t n = json_array_size(a->body);
        if (a->error != 0 || a->status != 200) {
                cleanup_free char *text =
                        mem_printf("Docker does not list its images: %s", a->text);
                ipc_reply_error(k->request, a->error != 0 ? a->error : -EIO, text);
                asked_free(k);
                return;
        }
        Ecs__ListImagesReply reply = ECS__LIST_IMAGES_REPLY__INIT;
        Ecs__ImageFacts *facts = mem_zalloc((n + 1) * sizeof *facts);
        reply.images = mem_zalloc((n + 1) * sizeof *reply.images);
        for (size_t i = 0; i < n; i++) {
                fill(k->engine, json_array_get(a->body, i), &facts[i]);
                reply.images[reply.n_images++] = &facts[i];
        }
        Ecs__Envelope answer = IPC_ENVELOPE(LIST_IMAGES_REPLY, list_images_reply, &reply);
        ipc_reply(k->request, &answer);
        for (size_t i = 0; i < n; i++)
                free(facts[i].tags);
        free(facts);
        free(reply.images);
        asked_free(k);
}

static struct asked *ask(struct engine *e, struct ipc_request *r)
{
        if (!docker_is_up(e->docker)) {
                ipc_reply_error(r, -EAGAIN, "Docker does not answer");
                return NULL;
        }
        struct asked *k = mem_zalloc(sizeof *k);
        *k = (struct asked){.engine = e, .request = r};
        return k;
}

void handle_list_images(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct engine *e = context;
        struct asked *k = ask(e, r);
        (void)m;
        if (k != NULL)
                docker_call(e->docker, "GET", "/images/json", NULL, LIST_MS, on_listed, k);
}

/* ---- remove ---- */

static void on_removed(void *arg, const struct docker_answer *a)
{
        struct asked *k = arg;
        struct engine *e = k->engine;
        if (a->error != 0 || (a->status >= 300 && a->status != 404)) {
                cleanup_free char *text =
                        mem_printf("Docker did not remove %s: %s", k->image, a->text);
                ipc_reply_error(k->request,
                                a->error != 0      ? a->error
                                : a->status == 409 ? -EBUSY
                                                   : -EIO,
                                text);
        } else {
                images_drop(&e->images, k->image);
                e->touched = true;
                Ecs__RemoveImageReply reply = ECS__REMOVE_IMAGE_REPLY__INIT;
                Ecs__Envelope answer = IPC_ENVELOPE(REMOVE_IMAGE_REPLY, remove_image_reply, &reply);
                ipc_reply(k->request, &answer);
                log_info(e->log, "image removed", LOG_STR("image", k->image));
        }
        asked_free(k);
}

void handle_remove_image(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct engine *e = context;
        const char *image = m->remove_image->image;
        if (*image == '\0' || strpbrk(image, "?# %\r\n") != NULL) {
                ipc_reply_error(r, -EINVAL, "that is no name or id of an image");
                return;
        }
        if (images_is_used(e, image)) {
                cleanup_free char *text = mem_printf("%s is in use: a task has it, or it is being "
                                                     "pulled",
                                                     image);
                ipc_reply_error(r, -EBUSY, text);
                return;
        }
        struct asked *k = ask(e, r);
        if (k == NULL)
                return;
        k->image = mem_strdup(image);
        cleanup_free char *path = mem_printf("/images/%s?noprune=1", image);
        docker_call(e->docker, "DELETE", path, NULL, REMOVE_MS, on_removed, k);
}
