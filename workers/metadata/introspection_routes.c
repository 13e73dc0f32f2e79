/* introspection_routes: port 51678. Unknown paths list the commands. Source: endpoints.md 9. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "mem.h"
#include "metadata.h"

#define SHORT_ID 12

static const struct http_answer_header json_content[] = {{"Content-Type", "application/json"},
                                                      {NULL, NULL}};
static const struct http_answer_header text_type[] = {
        {"Content-Type", "text/plain; charset=utf-8"}, {NULL, NULL}};

static void answer(struct http_exchange *x, int status, struct buf *b)
{
        http_answer(x, status, json_content, b->data, b->length);
        buf_clear(b);
}

static void answer_metadata(const struct metadata *m, struct http_exchange *x)
{
        struct buf b = {0};
        buf_append_str(&b, "{\"Cluster\":");
        render_string(&b, m->cluster);
        buf_append_str(&b, ",\"ContainerInstanceArn\":");
        if (*m->instance_arn != '\0')
                render_string(&b, m->instance_arn);
        else
                buf_append_str(&b, "null");
        buf_append_str(&b, ",\"Version\":\"Amazon ECS Agent - v" ECS_VERSION " (c)\"}");
        answer(x, 200, &b);
}

static void answer_no_task(struct http_exchange *x, int status)
{
        static const char none[] = "{\"Arn\":\"\",\"KnownStatus\":\"\",\"Family\":\"\","
                                   "\"Version\":\"\",\"Containers\":null}";
        http_answer(x, status, json_content, none, sizeof none - 1);
}

/* Value of a query parameter, owned; NULL when it is not there. */
static char *parameter(const char *query, const char *name)
{
        size_t n = strlen(name);
        while (*query != '\0') {
                size_t length = strcspn(query, "&");
                if (length >= n && strncmp(query, name, n) == 0 &&
                    (length == n || query[n] == '='))
                        return mem_strndup(query + n + (length > n), length - n - (length > n));
                query += length + (query[length] == '&');
        }
        return NULL;
}

static void decode_colons(char *text)
{
        char *out = text;
        for (const char *p = text; *p != '\0'; p++) {
                if (strncasecmp(p, "%3a", 3) == 0 || strncasecmp(p, "%2f", 3) == 0) {
                        *out++ = p[1] == '3' ? ':' : '/';
                        p += 2;
                } else {
                        *out++ = *p;
                }
        }
        *out = '\0';
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

static void answer_tasks(struct metadata *m, struct http_exchange *x, const char *query)
{
        cleanup_free char *arn = parameter(query, "taskarn");
        cleanup_free char *id = parameter(query, "dockerid");
        tasks_refresh(m);
        if (arn != NULL && id != NULL) {
                answer_no_task(x, 400);
                return;
        }
        if (id != NULL) {
                answer_by_docker_id(m, x, id);
                return;
        }
        if (arn != NULL) {
                const struct shown_task *t = m->tasks;
                decode_colons(arn);
                while (t != NULL && strcmp(t->facts->arn, arn) != 0)
                        t = t->next;
                answer_one(x, t != NULL ? t->facts : NULL);
                return;
        }
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

void introspection_routes(void *arg, struct http_exchange *x)
{
        static const char commands[] =
                "{\"AvailableCommands\":[\"/v1/metadata\",\"/v1/tasks\",\"/license\"]}";
        static const char license[] = "Apache License, Version 2.0\n"
                                      "http://www.apache.org/licenses/LICENSE-2.0\n";
        struct metadata *m = arg;
        const char *target = http_target(x);
        size_t n = strcspn(target, "?");
        if (strncmp(target, "/v1/metadata", n) == 0 && n == strlen("/v1/metadata"))
                answer_metadata(m, x);
        else if (strncmp(target, "/v1/tasks", n) == 0 && n == strlen("/v1/tasks"))
                answer_tasks(m, x, target[n] == '?' ? target + n + 1 : "");
        else if (strncmp(target, "/license", n) == 0 && n == strlen("/license"))
                http_answer(x, 200, text_type, license, sizeof license - 1);
        else
                http_answer(x, 200, text_type, commands, sizeof commands - 1);
}
