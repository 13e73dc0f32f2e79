/* registry_auth: both forms are an object registry -> credentials. Keys of registries lose their
 * scheme; an image of Docker's own registry has the key "index.docker.io/v1/", any other that of
 * its host, or else the longest "host/path" that the image begins with. */
#include "registry_auth.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "image_ref.h"
#include "mem.h"

#define DOCKERS_OWN "index.docker.io/v1/"

/* Members of Docker's AuthConfig. */
static const char *const members[] = {"username",      "password",      "auth",         "email",
                                      "serveraddress", "identitytoken", "registrytoken"};

void registry_auth_free(char *header)
{
        if (header != NULL)
                explicit_bzero(header, strlen(header));
        free(header);
}

static const char *without_scheme(const char *key)
{
        static const char *const schemes[] = {"http://", "https://"};
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
                if (strncmp(key, schemes[i], strlen(schemes[i])) == 0)
                        return key + strlen(schemes[i]);
        return key;
}

/* How well a key fits an image: 0 not at all. */
static size_t fit(const char *key, const char *host, const char *name)
{
        size_t length = strlen(key);
        if (*host == '\0')
                return strcmp(key, DOCKERS_OWN) == 0;
        if (strcmp(key, host) == 0)
                return SIZE_MAX;
        size_t host_length = strlen(host);
        bool below = strncmp(key, host, host_length) == 0 && key[host_length] == '/';
        return below && strncmp(name, key, length) == 0 ? length : 0;
}

static json_t *find(json_t *data, const char *image, const char **ret_key)
{
        struct image_ref r;
        const char *key;
        json_t *value, *found = NULL;
        size_t best = 0;
        image_ref_init(&r, image);
        cleanup_free char *host = image_ref_host(&r);
        json_object_foreach (data, key, value) {
                const char *plain = without_scheme(key);
                size_t f = json_is_object(value) ? fit(plain, host, r.name) : 0;
                if (f > best) {
                        best = f;
                        found = value;
                        *ret_key = plain;
                }
        }
        image_ref_deinit(&r);
        return found;
}

/* ---- docker ---- */

static json_t *from_docker(const json_t *entry)
{
        const char *key;
        json_t *value, *auth = json_object();
        json_object_foreach ((json_t *)(uintptr_t)entry, key, value)
                for (size_t i = 0; i < ARRAY_SIZE(members); i++)
                        if (strcasecmp(key, members[i]) == 0 && json_string_length(value) > 0)
                                (void)json_object_set(auth, members[i], value);
        return auth;
}

/* ---- dockercfg ---- */

/* Decoded text, owned, or NULL. */
static char *decode(const char *base64)
{
        size_t length = strlen(base64);
        if (length == 0 || length % 4 != 0 || length > 65536)
                return NULL;
        char *text = mem_zalloc(length / 4 * 3 + 1);
        int n = EVP_DecodeBlock((unsigned char *)text, (const unsigned char *)base64, (int)length);
        if (n < 0) {
                free(text);
                return NULL;
        }
        /* padding decodes to zeros, which end the text */
        return text;
}

static json_t *from_dockercfg(const json_t *entry, const char *key)
{
        const char *encoded = json_string_value(json_object_get(entry, "auth"));
        char *pair = encoded != NULL ? decode(encoded) : NULL;
        const char *colon = pair != NULL ? strchr(pair, ':') : NULL;
        json_t *auth = NULL;
        if (colon != NULL) {
                auth = json_object();
                (void)json_object_set_new(auth, "username",
                                          json_stringn(pair, (size_t)(colon - pair)));
                (void)json_object_set_new(auth, "password", json_string(colon + 1));
                (void)json_object_set_new(auth, "serveraddress", json_string(key));
        }
        registry_auth_free(pair);
        return auth;
}

/* ---- */

static char *encode(const char *text)
{
        size_t length = strlen(text);
        char *out = mem_zalloc(length / 3 * 4 + 8);
        (void)EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, (int)length);
        for (char *p = out; *p != '\0'; p++)
                *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
        return out;
}

static bool is_type(const char *type, const char *wanted)
{
        return type != NULL && strcmp(type, wanted) == 0;
}

const char *registry_auth_problem(const char *type, const char *data)
{
        if ((type == NULL || *type == '\0') && (data == NULL || *data == '\0'))
                return NULL;
        if (!is_type(type, "docker") && !is_type(type, "dockercfg"))
                return "ECS_ENGINE_AUTH_TYPE is neither docker nor dockercfg";
        cleanup_json json_t *j = data != NULL ? json_loads(data, 0, NULL) : NULL;
        return json_is_object(j) ? NULL : "ECS_ENGINE_AUTH_DATA is no JSON object";
}

char *registry_auth_header(const char *type, const char *data, const char *image)
{
        const char *key = "";
        if (data == NULL || registry_auth_problem(type, data) != NULL)
                return mem_strdup("e30=");
        cleanup_json json_t *all = json_loads(data, 0, NULL);
        const json_t *entry = find(all, image, &key);
        cleanup_json json_t *auth = entry == NULL             ? NULL
                                    : is_type(type, "docker") ? from_docker(entry)
                                                              : from_dockercfg(entry, key);
        if (auth == NULL)
                return mem_strdup("e30=");
        char *text = json_dumps(auth, JSON_COMPACT);
        char *header = encode(text);
        registry_auth_free(text);
        return header;
}
