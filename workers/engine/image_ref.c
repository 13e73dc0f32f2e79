/* image_ref: the first '@' begins the digest; a ':' behind the last '/' begins the tag, one before
 * it is the port of a registry. */
#include "image_ref.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

void image_ref_init(struct image_ref *r, const char *text)
{
        size_t length = strcspn(text, "@");
        const char *digest = text[length] == '@' ? text + length + 1 : "";
        char *name = mem_strndup(text, length);
        char *slash = strrchr(name, '/');
        char *colon = strchr(slash != NULL ? slash : name, ':');
        *r = (struct image_ref){
                .name = name,
                .tag = mem_strdup(colon != NULL ? colon + 1 : ""),
                .digest = mem_strdup(digest),
        };
        if (colon != NULL)
                *colon = '\0';
}

void image_ref_deinit(struct image_ref *r)
{
        free(r->name);
        free(r->tag);
        free(r->digest);
        *r = (struct image_ref){0};
}

const char *image_ref_version(const struct image_ref *r)
{
        return *r->digest != '\0' ? r->digest : *r->tag != '\0' ? r->tag : "latest";
}

char *image_ref_host(const struct image_ref *r)
{
        static const char *const own[] = {"docker.io", "index.docker.io", "registry-1.docker.io"};
        size_t length = strcspn(r->name, "/");
        if (r->name[length] == '\0')
                return mem_strdup("");
        cleanup_free char *host = mem_strndup(r->name, length);
        bool is_host = strpbrk(host, ".:") != NULL || strcmp(host, "localhost") == 0;
        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
                is_host = is_host && strcmp(host, own[i]) != 0;
        return is_host ? STEAL(host) : mem_strdup("");
}

char *image_ref_plain_name(const struct image_ref *r)
{
        static const char *const prefixes[] = {"docker.io/", "index.docker.io/", "library/"};
        const char *p = r->name;
        for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
                if (strncmp(p, prefixes[i], strlen(prefixes[i])) == 0)
                        p += strlen(prefixes[i]);
        return mem_strdup(p);
}

bool image_ref_same(const char *a, const char *b)
{
        struct image_ref x, y;
        image_ref_init(&x, a);
        image_ref_init(&y, b);
        cleanup_free char *p = image_ref_plain_name(&x);
        cleanup_free char *q = image_ref_plain_name(&y);
        bool same = strcmp(p, q) == 0 && strcmp(image_ref_version(&x), image_ref_version(&y)) == 0;
        image_ref_deinit(&x);
        image_ref_deinit(&y);
        return same;
}

const char *image_ref_find_digest(const struct image_ref *r, const json_t *repo_digests)
{
        cleanup_free char *wanted = image_ref_plain_name(r);
        const char *found = NULL;
        size_t i;
        json_t *e;
        json_array_foreach ((json_t *)(uintptr_t)repo_digests, i, e) {
                const char *text = json_string_value(e);
                struct image_ref other;
                if (text == NULL || strchr(text, '@') == NULL)
                        continue;
                image_ref_init(&other, text);
                cleanup_free char *name = image_ref_plain_name(&other);
                image_ref_deinit(&other);
                if (found == NULL && strcmp(name, wanted) == 0)
                        found = strchr(text, '@') + 1;
        }
        return found;
}
