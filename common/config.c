/* config: a short list of pairs; a worker has a few dozen, looked up at start. Values may be
 * secrets, so they are wiped before they are freed. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

struct config {
        struct pair {
                char *name, *value, *origin;
        } * pairs;
        size_t count;
};

struct config *config_new(void)
{
        return mem_zalloc(sizeof(struct config));
}

static void wipe(char *value)
{
        if (value != NULL)
                explicit_bzero(value, strlen(value));
        free(value);
}

void config_free(struct config *c)
{
        if (c == NULL)
                return;
        for (size_t i = 0; i < c->count; i++) {
                free(c->pairs[i].name);
                wipe(c->pairs[i].value);
                free(c->pairs[i].origin);
        }
        free(c->pairs);
        free(c);
}

static struct pair *find(const struct config *c, const char *name)
{
        for (size_t i = 0; i < c->count; i++)
                if (strcmp(c->pairs[i].name, name) == 0)
                        return &c->pairs[i];
        return NULL;
}

void config_set(struct config *c, const char *name, const char *value)
{
        config_set_from(c, name, value, "");
}

void config_set_from(struct config *c, const char *name, const char *value, const char *origin)
{
        struct pair *p = find(c, name);
        if (p == NULL) {
                c->pairs = mem_realloc_array(c->pairs, c->count + 1, sizeof *c->pairs);
                p = &c->pairs[c->count++];
                *p = (struct pair){.name = mem_strdup(name)};
        }
        char *copy = mem_strdup(value);
        wipe(p->value);
        p->value = copy;
        copy = mem_strdup(origin);
        free(p->origin);
        p->origin = copy;
}

const char *config_origin(const struct config *c, const char *name)
{
        const struct pair *p = find(c, name);
        return p != NULL ? p->origin : NULL;
}

const char *config_find(const struct config *c, const char *name)
{
        const struct pair *p = find(c, name);
        return p != NULL ? p->value : NULL;
}

const char *config_text(const struct config *c, const char *name, const char *fallback)
{
        const char *v = config_find(c, name);
        return v != NULL && *v != '\0' ? v : fallback;
}

bool config_bool(const struct config *c, const char *name, bool fallback)
{
        const char *v = config_find(c, name);
        if (v == NULL || *v == '\0')
                return fallback;
        return strcmp(v, "true") == 0;
}

int64_t config_int(const struct config *c, const char *name, int64_t fallback)
{
        const char *v = config_find(c, name);
        if (v == NULL || *v == '\0')
                return fallback;
        char *end;
        long long n = strtoll(v, &end, 10);
        return *end == '\0' ? n : fallback;
}

json_t *config_json(const struct config *c, const char *name)
{
        const char *v = config_find(c, name);
        return v != NULL ? json_loads(v, JSON_DECODE_ANY, NULL) : NULL;
}

void config_each(const struct config *c, void (*fn)(void *arg, const char *name, const char *value),
                 void *arg)
{
        for (size_t i = 0; i < c->count; i++)
                fn(arg, c->pairs[i].name, c->pairs[i].value);
}
