/* logs_ipc: 'ecsctl logs'. Operators who may look get the reading end of a relay, never a
 * connection to Docker, since whoever can write to Docker is root. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "engine.h"
#include "mem.h"

#define RELAYS_MAX 64

/* ---- which container is meant ---- */

static struct task *find_task(struct engine *e, const char *wanted, int *ret_matches)
{
        struct task *found = NULL;
        *ret_matches = 0;
        for (struct task *t = e->tasks; t != NULL; t = t->next) {
                const char *id = task_id(t->spec->arn);
                if (strcmp(t->spec->arn, wanted) == 0 || strcmp(id, wanted) == 0) {
                        *ret_matches = 1;
                        return t;
                }
                if (*wanted != '\0' && strncmp(id, wanted, strlen(wanted)) == 0) {
                        found = t;
                        (*ret_matches)++;
                }
        }
        return found;
}

struct container *engine_ask_container(struct engine *e, struct ipc_request *r, const char *task,
                                       const char *name)
{
        int matches;
        struct task *t = find_task(e, task, &matches);
        if (matches != 1) {
                cleanup_free char *text =
                        mem_printf(matches == 0 ? "no task '%s' here; see 'ecsctl tasks'"
                                                : "'%s' is the beginning of several tasks; give "
                                                  "more of the id",
                                   task);
                ipc_reply_error(r, -ENOENT, text);
                return NULL;
        }
        struct container *c = task_find_container(t, name);
        if (c == NULL || *c->facts->docker_id == '\0') {
                cleanup_free char *text = mem_printf(
                        c == NULL ? "task %s has no container '%s'; see 'ecsctl task %s'"
                                  : "task %s: container %s has not been created yet; 'ecsctl why "
                                    "%s' says why",
                        task_id(t->spec->arn), name, task_id(t->spec->arn));
                ipc_reply_error(r, -ENOENT, text);
                return NULL;
        }
        return c;
}

/* ---- logs ---- */

struct logs {
        struct engine *engine;
        struct ipc_request *request;
};

static void answer_with_relay(struct logs *l, int docker)
{
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
                ipc_reply_error(l->request, -errno, "no socketpair");
                (void)close(docker);
                return;
        }
        Ecs__OpenLogsReply reply = ECS__OPEN_LOGS_REPLY__INIT;
        Ecs__Envelope answer = IPC_ENVELOPE(OPEN_LOGS_REPLY, open_logs_reply, &reply);
        ipc_reply_fds(l->request, &answer, &pair[1], 1);
        (void)close(pair[1]);
        stream_relay_start(l->engine, docker, pair[0]);
}

static void on_open(void *arg, int fd)
{
        struct logs *l = arg;
        if (fd < 0)
                ipc_reply_error(l->request, fd, "Docker does not answer");
        else
                answer_with_relay(l, fd);
        free(l);
}

/* Nothing but these characters gets into the request. */
static bool is_made_of(const char *text, const char *characters, size_t most)
{
        size_t n = strspn(text, characters);
        return text[n] == '\0' && n <= most;
}

static size_t count_relays(const struct engine *e)
{
        size_t n = 0;
        for (const struct stream_relay *s = e->relays; s != NULL; s = stream_relay_next(s))
                n++;
        return n;
}

void handle_open_logs(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct engine *e = context;
        const Ecs__OpenLogs *q = m->open_logs;
        if (!is_made_of(q->tail, "0123456789", 9) || !is_made_of(q->since, "0123456789.", 24)) {
                ipc_reply_error(r, -EINVAL, "lines and times are decimal numbers");
                return;
        }
        if (count_relays(e) >= RELAYS_MAX) {
                ipc_reply_error(r, -EBUSY, "too many logs are being read at once");
                return;
        }
        const struct container *c = engine_ask_container(e, r, q->task, q->container);
        if (c == NULL)
                return;
        /* HTTP/1.0: no chunks, and the connection ends with the answer */
        char *request = mem_printf("GET /containers/%s/logs?stdout=1&stderr=1&follow=%d&tail=%s"
                                   "&timestamps=%d&since=%s HTTP/1.0\r\nHost: docker\r\n\r\n",
                                   c->facts->docker_id, q->follow ? 1 : 0,
                                   *q->tail != '\0' ? q->tail : "all", q->timestamps ? 1 : 0,
                                   *q->since != '\0' ? q->since : "0");
        struct logs *l = mem_zalloc(sizeof *l);
        *l = (struct logs){e, r};
        docker_stream_open(e, request, on_open, l);
}
