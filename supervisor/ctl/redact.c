/* redact: see the header. Too much is rather taken out than too little. */
#include "redact.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "config_table.h"
#include "mem.h"

#define MASK "(removed)"
#define SHORTEST 8 /* of what is replaced wherever it stands */
#define SECRETS 64

struct redact {
        char *secrets[SECRETS];
        size_t count;
};

static void learn(struct redact *r, const char *value)
{
        if (r->count < SECRETS && strlen(value) >= SHORTEST)
                r->secrets[r->count++] = mem_strdup(value);
}

static void learn_pairs(struct redact *r, const char *path)
{
        cleanup_file FILE *f = path != NULL ? fopen(path, "re") : NULL;
        char line[512], name[64], value[256];
        while (f != NULL && fgets(line, sizeof line, f) != NULL)
                if (sscanf(line, " %63[a-z_] = %255s", name, value) == 2)
                        learn(r, value);
}

struct redact *redact_new(const char *pairs)
{
        struct redact *r = mem_zalloc(sizeof *r);
        learn_pairs(r, pairs);
        for (size_t i = 0; i < config_row_count; i++) {
                const char *value = (config_rows[i].flags & CONFIG_SECRET) != 0
                                            ? getenv(config_rows[i].name)
                                            : NULL;
                if (value != NULL)
                        learn(r, value);
        }
        return r;
}

void redact_free(struct redact *r)
{
        for (size_t i = 0; i < r->count; i++) {
                explicit_bzero(r->secrets[i], strlen(r->secrets[i]));
                free(r->secrets[i]);
        }
        free(r);
}

/* Length of a known secret at p, or 0. */
static size_t known_at(const struct redact *r, const char *p)
{
        for (size_t i = 0; i < r->count; i++) {
                size_t n = strlen(r->secrets[i]);
                if (strncmp(p, r->secrets[i], n) == 0)
                        return n;
        }
        return 0;
}

/* Words behind which a value stands that nobody should see. */
static bool is_secret_word(const char *p, size_t *ret_length)
{
        static const char *const words[] = {"password",          "passwd",       "secretaccesskey",
                                            "secret_access_key", "sessiontoken", "session_token",
                                            "authorization",     "private_key"};
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strncasecmp(p, words[i], strlen(words[i])) == 0) {
                        *ret_length = strlen(words[i]);
                        return true;
                }
        return false;
}

/* Behind such a word: '"', ':', '=', blanks, then the value up to a blank, quote or comma. */
static size_t value_behind(const char *p, size_t *ret_skip)
{
        size_t skip = strspn(p, "\"': =");
        if (skip == 0 || strpbrk(p, ":=") == NULL || strpbrk(p, ":=") >= p + skip)
                return 0;
        *ret_skip = skip;
        return strcspn(p + skip, " \t\r\n\"',;&");
}

/* "user:password@" of a URL that begins at p. */
static size_t user_info(const char *p)
{
        size_t n = strcspn(p, "/ \t\r\n\"'");
        const char *at = memrchr(p, '@', n);
        return at != NULL && memchr(p, ':', (size_t)(at - p)) != NULL ? (size_t)(at - p) : 0;
}

char *redact_text(const struct redact *r, const char *text)
{
        struct buf b = {0};
        for (const char *p = text; *p != '\0';) {
                size_t n = known_at(r, p), word, skip;
                if (n > 0) {
                        buf_append_str(&b, MASK);
                        p += n;
                        continue;
                }
                if (strncmp(p, "://", 3) == 0 && (n = user_info(p + 3)) > 0) {
                        buf_append_str(&b, "://" MASK);
                        p += 3 + n;
                        continue;
                }
                if (is_secret_word(p, &word) && (n = value_behind(p + word, &skip)) > 0) {
                        buf_append(&b, p, word + skip);
                        buf_append_str(&b, MASK);
                        p += word + skip + n;
                        continue;
                }
                buf_append(&b, p++, 1);
        }
        return buf_steal(&b);
}

/* "NAME=value" keeps its name. */
static void hide_values(json_t *list)
{
        size_t i;
        json_t *e;
        json_array_foreach (list, i, e) {
                const char *text = json_string_value(e);
                const char *equals = text != NULL ? strchr(text, '=') : NULL;
                cleanup_free char *kept =
                        mem_printf("%.*s=" MASK, equals != NULL ? (int)(equals - text) : 0,
                                   text != NULL ? text : "");
                (void)json_array_set_new(list, i, json_string(kept));
        }
}

void redact_inspect(json_t *container)
{
        json_t *config = json_object_get(container, "Config");
        json_t *host = json_object_get(container, "HostConfig");
        hide_values(json_object_get(config, "Env"));
        json_t *options = json_object_get(json_object_get(host, "LogConfig"), "Config");
        const char *key;
        json_t *v;
        json_object_foreach (options, key, v)
                if (strstr(key, "token") != NULL || strstr(key, "key") != NULL)
                        (void)json_string_set(v, MASK);
}
