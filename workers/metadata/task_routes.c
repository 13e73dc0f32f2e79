/* task_routes: the task server on 169.254.170.2: one row a path. {id} is any run without a slash.
 * Source: endpoints.md 1, 2, 4, 5. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"
#include "metadata.h"

struct request {
        struct metadata *metadata;
        struct http_exchange *exchange;
        const char *id;            /* of the path, with its length */
        size_t id_length;
        const char *query;         /* behind '?', "" when there is none */
        enum api_version version;
};

static const struct http_answer_header json_content[] = {{"Content-Type", "application/json"},
                                                      {NULL, NULL}};

static void answer(struct request *r, int status, struct buf *b)
{
        http_answer(r->exchange, status, json_content, b->data, b->length);
        explicit_bzero(b->data, b->size);
        buf_clear(b);
}

/* A bare JSON string. Takes text. */
static void answer_error(struct request *r, int status, char *text)
{
        struct buf b = {0};
        render_string(&b, text);
        free(text);
        answer(r, status, &b);
}

/* ---- metadata ---- */

static void not_found(struct request *r, const char *what, const char *detail)
{
        bool v4 = r->version == API_V4;
        char *text = mem_printf("V%d %s metadata handler: unable to get %s from v3 endpoint ID: %.*s",
                                r->version, what, detail, (int)r->id_length, r->id);
        answer_error(r, v4 ? 404 : 500, text);
}

static void handle_container(struct request *r)
{
        Ecs__TaskFacts *t;
        const Ecs__ContainerFacts *c =
                tasks_find_endpoint(r->metadata, r->id, r->id_length, &t);
        struct buf b = {0};
        if (c == NULL) {
                not_found(r, "container", "container ID from request: unable to get docker ID");
                return;
        }
        render_container(&b, r->metadata, t, c, r->version);
        answer(r, 200, &b);
}

static void handle_task(struct request *r)
{
        Ecs__TaskFacts *t;
        struct buf b = {0};
        if (tasks_find_endpoint(r->metadata, r->id, r->id_length, &t) == NULL) {
                not_found(r, "task", "task arn from request: unable to get task Arn");
                return;
        }
        render_task(&b, r->metadata, t, r->version);
        answer(r, 200, &b);
}

/* ---- credentials ---- */

static void credentials_error(struct request *r, int status, const char *code, const char *message)
{
        struct buf b = {0};
        buf_append_str(&b, "{\"code\":");
        render_string(&b, code);
        buf_printf(&b, ",\"message\":\"CredentialsV%dRequest: %s\",\"HTTPErrorCode\":%d}",
                   r->version, message, status);
        answer(r, status, &b);
}

static void serve_credentials(struct request *r, const char *id)
{
        struct buf b = {0};
        if (*id == '\0') {
                credentials_error(r, 400, "NoIdInRequest", "No Credential ID in the request");
                return;
        }
        const Ecs__TaskCredentials *c = credentials_find(r->metadata, id);
        if (c == NULL) {
                tasks_refresh(r->metadata);
                if (tasks_know_credentials(r->metadata, id))
                        credentials_error(r, 503, "CredentialsUninitialized",
                                          "Credentials uninitialized for ID");
                else
                        credentials_error(r, 400, "InvalidIdInRequest", "Credentials not found");
                return;
        }
        render_credentials(&b, c);
        answer(r, 200, &b);
}

static void handle_credentials_v2(struct request *r)
{
        cleanup_free char *id = mem_strndup(r->id, r->id_length);
        r->version = API_V2;
        serve_credentials(r, id);
}

static void handle_credentials_v1(struct request *r)
{
        const char *p = strncmp(r->query, "id=", 3) == 0 ? r->query : strstr(r->query, "&id=");
        p = p != NULL ? strchr(p, '=') + 1 : "";
        cleanup_free char *id = mem_strndup(p, strcspn(p, "&"));
        r->version = (enum api_version)1;
        serve_credentials(r, id);
}

/* ---- routes ---- */

struct route {
        const char *prefix;   /* before the id */
        const char *suffix;   /* behind it */
        bool rest;            /* the id may hold slashes, and be empty */
        enum api_version version;
        void (*fn)(struct request *r);
};

static const struct route routes[] = {
        {"/v2/credentials/", "", true, API_V2, handle_credentials_v2},
        {"/v3/", "", false, API_V3, handle_container},
        {"/v3/", "/task", false, API_V3, handle_task},
        {"/v4/", "", false, API_V4, handle_container},
        {"/v4/", "/task", false, API_V4, handle_task},
};

/* Percent-decodes in place. */
static void decode(char *text)
{
        char *out = text;
        for (const char *p = text; *p != '\0'; p++) {
                if (*p == '%' && isxdigit((unsigned char)p[1]) && isxdigit((unsigned char)p[2])) {
                        const char hex[3] = {p[1], p[2], '\0'};
                        char c = (char)strtol(hex, NULL, 16);
                        if (c != '\0') {
                                *out++ = c;
                                p += 2;
                                continue;
                        }
                }
                *out++ = *p;
        }
        *out = '\0';
}

/* "//" collapsed, "." and ".." resolved, one trailing slash kept. Returns owned. */
static char *clean_path(const char *path)
{
        struct buf b = {0};
        bool trailing = false;
        while (*path != '\0') {
                path += strspn(path, "/");
                size_t n = strcspn(path, "/");
                trailing = path[n] == '/';
                if (n == 2 && strncmp(path, "..", 2) == 0) {
                        while (b.length > 0 && b.data[b.length - 1] != '/')
                                b.length--;
                        b.length -= b.length > 0;
                } else if (n > 0 && !(n == 1 && *path == '.')) {
                        buf_append(&b, "/", 1);
                        buf_append(&b, path, n);
                }
                path += n;
                if (n == 0)
                        trailing = true;
        }
        if (trailing || b.length == 0)
                buf_append(&b, "/", 1);
        buf_append(&b, "", 0);
        return buf_steal(&b);
}

static bool match(const struct route *t, const char *path, struct request *r)
{
        size_t prefix = strlen(t->prefix), suffix = strlen(t->suffix), length = strlen(path);
        if (length < prefix + suffix || strncmp(path, t->prefix, prefix) != 0 ||
            strcmp(path + length - suffix, t->suffix) != 0)
                return false;
        r->id = path + prefix;
        r->id_length = length - prefix - suffix;
        r->version = t->version;
        return t->rest || memchr(r->id, '/', r->id_length) == NULL;
}

static void answer_404(struct http_exchange *x)
{
        static const struct http_answer_header plain[] = {
                {"Content-Type", "text/plain; charset=utf-8"},
                {"X-Content-Type-Options", "nosniff"},
                {NULL, NULL}};
        http_answer(x, 404, plain, "404 page not found\n", 19);
}

void task_routes(void *arg, struct http_exchange *x)
{
        const char *target = http_target(x);
        size_t n = strcspn(target, "?");
        struct request r = {.metadata = arg, .exchange = x};
        cleanup_free char *path = mem_strndup(target, n);
        r.query = target[n] == '?' ? target + n + 1 : "";
        decode(path);
        cleanup_free char *clean = clean_path(path);
        if (strcmp(path, clean) != 0) {
                cleanup_free char *where = mem_printf("%s%s%s", clean, *r.query != '\0' ? "?" : "",
                                                      r.query);
                const struct http_answer_header location[] = {{"Location", where}, {NULL, NULL}};
                http_answer(x, 301, location, "", 0);
                return;
        }
        if (strcmp(path, "/v1/credentials") == 0) {
                handle_credentials_v1(&r);
                return;
        }
        for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
                if (match(&routes[i], path, &r)) {
                        routes[i].fn(&r);
                        return;
                }
        answer_404(x);
}
