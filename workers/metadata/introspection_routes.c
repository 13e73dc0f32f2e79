/* introspection_routes: port 51678. Unknown paths list the commands. Source: endpoints.md 9. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"
#include "metadata.h"

#define SHORT_ID 12

static const struct http_answer_header json_content[] = {
        {"Content-Type", "application/json"},
        {NULL,           NULL              }
};
static const struct http_answer_header text_type[] = {
        {"Content-Type", "text/plain; charset=utf-8"},
        {NULL,           NULL                       }
};

static void answer(struct http_exchange *x, int status, struct buf *b)
{
        http_answer(x, status, json_content, b->data, b->length);
        buf_clear(b);
}

static void answer_metadata(struct metadata *m, struct http_exchange *x)
{
        struct buf b = {0};
        buf_append_str(&b, "{\"Cluster\":");
        render_string(&b, m->cluster);
        buf_append_str(&b, ",\"ContainerInstanceArn\":");
        if (*m->instance_arn != '\0')
                render_string(&b, m->instance_arn);
        else
                buf_append_str(&b, "null");
        buf_append_str(&b,
                       ",\"Version\":\"Amazon ECS Agent - v" ECS_VERSION " (" ECS_COMMIT ")\"}");
        answer(x, 200, &b);
}

static void answer_no_task(struct http_exchange *x, int status)
{
        static const char none[] = "{\"Arn\":\"\",\"KnownStatus\":\"\",\"Family\":\"\","
                                   "\"Version\":\"\",\"Containers\":null}";
        http_answer(x, status, json_content, none, sizeof none - 1);
}

static void answer_one(struct http_exchange *x, const Ecs__TaskFacts *t)
{
        struct buf b = {0};
        if (t == NULL) {
                answer_no_task(x, 404);
                return;
        }
        render_introspection_task(&b, t);
        answer(x, 200, &b);
}

static void answer_by_docker_id(const struct metadata *m, struct http_exchange *x, const char *id)
{
        const Ecs__TaskFacts *found = NULL;
        unsigned matches = 0;
        size_t n = strlen(id);
        for (const struct shown_task *t = m->tasks; t != NULL; t = t->next)
                for (size_t i = 0; i < t->facts->n_containers; i++) {
                        const char *full = t->facts->containers[i]->docker_id;
                        bool same = n > SHORT_ID ? strcmp(full, id) == 0
                                                 : *full != '\0' && strncmp(full, id, n) == 0;
                        if (same) {
                                found = t->facts;
                                matches++;
                        }
                }
        if (matches > 1)
                answer_no_task(x, 400);
        else
                answer_one(x, found);
}

static void answer_all(const struct metadata *m, struct http_exchange *x)
{
        struct buf b = {0};
        buf_append_str(&b, "{\"Tasks\":[");
        for (const struct shown_task *t = m->tasks; t != NULL; t = t->next) {
                if (t != m->tasks)
                        buf_append(&b, ",", 1);
                render_introspection_task(&b, t->facts);
        }
        buf_append_str(&b, "]}");
        answer(x, 200, &b);
}

static void answer_by_arn(const struct metadata *m, struct http_exchange *x, const char *arn)
{
        const struct shown_task *t = m->tasks;
        while (t != NULL && strcmp(t->facts->arn, arn) != 0)
                t = t->next;
        answer_one(x, t != NULL ? t->facts : NULL);
}

static void answer_tasks(struct metadata *m, struct http_exchange *x)
{
        cleanup_free char *arn = path_parameter(http_target(x), "taskarn");
        cleanup_free char *id = path_parameter(http_target(x), "dockerid");
        tasks_refresh(m);
        if (arn != NULL && id != NULL)
                answer_no_task(x, 400);
        else if (id != NULL)
                answer_by_docker_id(m, x, id);
        else if (arn != NULL)
                answer_by_arn(m, x, arn);
        else
                answer_all(m, x);
}

static void answer_license(struct metadata *m, struct http_exchange *x)
{
        static const char license[] = "Apache License, Version 2.0\n"
                                      "http://www.apache.org/licenses/LICENSE-2.0\n";
        (void)m;
        http_answer(x, 200, text_type, license, sizeof license - 1);
}

static void answer_commands(struct http_exchange *x)
{
        static const char commands[] =
                "{\"AvailableCommands\":[\"/v1/metadata\",\"/v1/tasks\",\"/license\"]}";
        http_answer(x, 200, text_type, commands, sizeof commands - 1);
}

static void redirect(struct http_exchange *x, const char *clean)
{
        static const char type[] = "text/html; charset=utf-8";
        cleanup_free char *where = path_location(clean, http_target(x));
        const struct http_answer_header headers[] = {
                {"Content-Type", type },
                {"Location",     where},
                {NULL,           NULL }
        };
        struct buf b = {0};
        buf_append_str(&b, "<a href=\"");
        for (const char *p = where; *p != '\0'; p++)
                buf_append_str(&b, *p == '&'    ? "&amp;"
                                   : *p == '<'  ? "&lt;"
                                   : *p == '>'  ? "&gt;"
                                   : *p == '"'  ? "&#34;"
                                   : *p == '\'' ? "&#39;"
                                                : (const char[]){*p, '\0'});
        buf_append_str(&b, "\">Moved Permanently</a>.\n\n");
        http_answer(x, 301, headers, b.data, b.length);
        buf_clear(&b);
}

static const struct {
        const char *path;
        void (*fn)(struct metadata *m, struct http_exchange *x);
} routes[] = {
        {"/v1/metadata", answer_metadata},
        {"/v1/tasks",    answer_tasks   },
        {"/license",     answer_license },
};

void introspection_routes(void *arg, struct http_exchange *x)
{
        cleanup_free char *path = path_decode(http_target(x));
        cleanup_free char *clean = path_clean(path);
        if (strcmp(path, clean) != 0) {
                redirect(x, clean);
                return;
        }
        for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
                if (strcmp(path, routes[i].path) == 0) {
                        routes[i].fn(arg, x);
                        return;
                }
        answer_commands(x);
}
