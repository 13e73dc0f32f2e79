/* task_routes: the task server on 169.254.170.2: one row a path. {id} is any run without a slash.
 * Source: endpoints.md 1, 2, 4, 5. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"
#include "metadata.h"

struct request {
        struct metadata *metadata;
        struct http_exchange *exchange;
        const char *target; /* as sent */
        const char *path;   /* decoded */
        char *id;           /* of the path */
        enum api_version version;
};

static const struct http_answer_header json_content[] = {
        {"Content-Type", "application/json"},
        {NULL,           NULL              }
};

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
        char *text = mem_printf("V%d %s metadata handler: unable to get %s from v3 endpoint ID: %s",
                                r->version, what, detail, r->id);
        answer_error(r, v4 ? 404 : 500, text);
}

static struct http_prepared **kept(struct http_prepared **answers, enum api_version v)
{
        return &answers[v == API_V4 ? ANSWER_V4 : ANSWER_V3];
}

static void keep(struct http_prepared **at, struct buf *b)
{
        *at = http_prepare(200, json_content, b->data, b->length);
        buf_clear(b);
}

static void handle_container(struct request *r)
{
        struct endpoint *e = tasks_find_endpoint(r->metadata, r->id);
        if (e == NULL) {
                not_found(r, "container", "container ID from request: unable to get docker ID");
                return;
        }
        struct http_prepared **at = kept(e->answers, r->version);
        if (*at == NULL) {
                struct buf b = {0};
                render_container(&b, e->container, r->version);
                keep(at, &b);
        }
        http_answer_prepared(r->exchange, *at);
}

static void handle_task(struct request *r)
{
        struct endpoint *e = tasks_find_endpoint(r->metadata, r->id);
        if (e == NULL) {
                not_found(r, "task", "task arn from request: unable to get task Arn");
                return;
        }
        struct http_prepared **at = kept(e->task->answers, r->version);
        if (*at == NULL) {
                struct buf b = {0};
                render_task(&b, r->metadata, e->task->facts, r->version);
                keep(at, &b);
        }
        http_answer_prepared(r->exchange, *at);
}

/* ---- credentials ---- */

static void credentials_error(struct request *r, int status, const char *code, const char *message)
{
        struct buf b = {0};
        buf_append_str(&b, "{\"code\":");
        render_string(&b, code);
        buf_printf(&b, ",\"message\":\"CredentialsV%dRequest: %s\",\"HTTPErrorCode\":%d}",
                   r->version, message, status);
        audit_request(r->metadata, r->exchange, r->path, status, NULL);
        answer(r, status, &b);
}

static void handle_credentials(struct request *r)
{
        struct buf b = {0};
        if (*r->id == '\0') {
                credentials_error(r, 400, "NoIdInRequest", "No Credential ID in the request");
                return;
        }
        const Ecs__TaskCredentials *c = credentials_find(r->metadata, r->id);
        if (c == NULL) {
                tasks_refresh(r->metadata);
                if (!r->metadata->adopted || tasks_know_credentials(r->metadata, r->id))
                        credentials_error(r, 503, "CredentialsUninitialized",
                                          "Credentials uninitialized for ID");
                else
                        credentials_error(r, 400, "InvalidIdInRequest", "Credentials not found");
                return;
        }
        render_credentials(&b, c);
        audit_request(r->metadata, r->exchange, r->path, 200, c);
        answer(r, 200, &b);
}

static void handle_credentials_v1(struct request *r)
{
        free(r->id);
        r->id = path_parameter(r->target, "id");
        if (r->id == NULL)
                r->id = mem_strdup("");
        handle_credentials(r);
}

/* ---- routes ---- */

enum id_form {
        ID_NONE,    /* the path is the prefix */
        ID_SEGMENT, /* any run without a slash, also empty */
        ID_REST,    /* anything, also empty */
};

struct route {
        const char *prefix; /* before the id */
        const char *suffix; /* behind it */
        enum id_form form;
        enum api_version version;
        void (*fn)(struct request *r);
};

static const struct route routes[] = {
        {"/v1/credentials",  "",      ID_NONE,    API_V1, handle_credentials_v1},
        {"/v2/credentials/", "",      ID_REST,    API_V2, handle_credentials   },
        {"/v3/",             "",      ID_SEGMENT, API_V3, handle_container     },
        {"/v3/",             "/task", ID_SEGMENT, API_V3, handle_task          },
        {"/v4/",             "",      ID_SEGMENT, API_V4, handle_container     },
        {"/v4/",             "/task", ID_SEGMENT, API_V4, handle_task          },
};

/* Sets the request's id and version when the path is this route's. */
static bool match(const struct route *t, const char *path, struct request *r)
{
        size_t prefix = strlen(t->prefix), suffix = strlen(t->suffix), length = strlen(path);
        if (length < prefix + suffix || strncmp(path, t->prefix, prefix) != 0 ||
            strcmp(path + length - suffix, t->suffix) != 0)
                return false;
        size_t id_length = length - prefix - suffix;
        if ((t->form == ID_NONE && id_length > 0) ||
            (t->form == ID_SEGMENT && memchr(path + prefix, '/', id_length) != NULL))
                return false;
        r->id = mem_strndup(path + prefix, id_length);
        r->version = t->version;
        return true;
}

static void answer_404(struct http_exchange *x)
{
        static const struct http_answer_header plain[] = {
                {"Content-Type",           "text/plain; charset=utf-8"},
                {"X-Content-Type-Options", "nosniff"                  },
                {NULL,                     NULL                       }
        };
        http_answer(x, 404, plain, "404 page not found\n", 19);
}

static void redirect(struct http_exchange *x, const char *clean)
{
        cleanup_free char *where = path_location(clean, http_target(x));
        const struct http_answer_header location[] = {
                {"Location", where},
                {NULL,       NULL }
        };
        http_answer(x, 301, location, "", 0);
}

void task_routes(void *arg, struct http_exchange *x)
{
        struct request r = {.metadata = arg, .exchange = x, .target = http_target(x)};
        cleanup_free char *path = path_decode(r.target);
        r.path = path;
        cleanup_free char *clean = path_clean(path);
        if (strcmp(path, clean) != 0) {
                redirect(x, clean);
                return;
        }
        for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
                if (match(&routes[i], path, &r)) {
                        routes[i].fn(&r);
                        free(r.id);
                        return;
                }
        answer_404(x);
}
