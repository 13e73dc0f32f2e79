/* exec_ipc: 'ecsctl exec', for root alone. Docker makes the exec; then a connection on which its
 * start has been asked for is handed over, so that the session outlives a restart of the engine. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "engine.h"
#include "mem.h"

#define CALL_MS 30000

struct exec {
        struct engine *engine;
        struct ipc_request *request;
        char *id; /* once Docker has made it */
        bool tty;
};

static void finish(struct exec *x)
{
        free(x->id);
        free(x);
}

static void fail(struct ipc_request *r, const struct docker_answer *a)
{
        ipc_reply_error(r, a->error != 0 ? a->error : -EREMOTEIO,
                        a->text != NULL && *a->text != '\0' ? a->text : "Docker refuses");
}

static bool succeeded(const struct docker_answer *a)
{
        return a->error == 0 && a->status < 400;
}

/* False after an error reply. */
static bool docker_answers(const struct engine *e, struct ipc_request *r)
{
        if (docker_is_up(e->docker))
                return true;
        ipc_reply_error(r, -ENOTCONN, "Docker does not answer the engine");
        return false;
}

/* ---- start ---- */

static void on_open(void *arg, int fd)
{
        struct exec *x = arg;
        if (fd < 0) {
                ipc_reply_error(x->request, fd, "Docker does not answer");
        } else {
                Ecs__ExecStartReply reply = ECS__EXEC_START_REPLY__INIT;
                reply.exec_id = x->id;
                Ecs__Envelope answer = IPC_ENVELOPE(EXEC_START_REPLY, exec_start_reply, &reply);
                ipc_reply_fds(x->request, &answer, &fd, 1);
                (void)close(fd);
        }
        finish(x);
}

static void on_made(void *arg, const struct docker_answer *a)
{
        struct exec *x = arg;
        const char *id = json_string_value(json_object_get(a->body, "Id"));
        if (!succeeded(a) || id == NULL) {
                fail(x->request, a);
                finish(x);
                return;
        }
        x->id = mem_strdup(id);
        const char *body =
                x->tty ? "{\"Detach\":false,\"Tty\":true}" : "{\"Detach\":false,\"Tty\":false}";
        char *request = mem_printf("POST /exec/%s/start HTTP/1.1\r\nHost: docker\r\n"
                                   "Connection: Upgrade\r\nUpgrade: tcp\r\n"
                                   "Content-Type: application/json\r\n"
                                   "Content-Length: %zu\r\n\r\n%s",
                                   id, strlen(body), body);
        docker_stream_open(x->engine, request, on_open, x);
}

void handle_exec_start(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct engine *e = context;
        const Ecs__ExecStart *q = m->exec_start;
        if (!docker_answers(e, r))
                return;
        if (q->n_command == 0) {
                ipc_reply_error(r, -EINVAL, "a command is needed");
                return;
        }
        const struct container *c = engine_ask_container(e, r, q->task, q->container);
        if (c == NULL)
                return;
        json_t *command = json_array();
        for (size_t i = 0; i < q->n_command; i++)
                (void)json_array_append_new(command, json_string(q->command[i]));
        cleanup_json json_t *body =
                json_pack("{s:b, s:b, s:b, s:b, s:o}", "AttachStdin", (int)q->interactive,
                          "AttachStdout", 1, "AttachStderr", 1, "Tty", (int)q->tty, "Cmd", command);
        if (body == NULL) {
                ipc_reply_error(r, -EINVAL, "the command is not UTF-8");
                return;
        }
        if (*q->term != '\0') {
                cleanup_free char *term = mem_printf("TERM=%s", q->term);
                (void)json_object_set_new(body, "Env", json_pack("[s]", term));
        }
        log_info(&c->log, "command is run in the container for an operator",
                 LOG_STR("command", q->command[0]));
        struct exec *x = mem_zalloc(sizeof *x);
        *x = (struct exec){.engine = e, .request = r, .tty = q->tty};
        cleanup_free char *path = mem_printf("/containers/%s/exec", c->facts->docker_id);
        docker_call(e->docker, "POST", path, body, CALL_MS, on_made, x);
}

/* ---- while it runs, and after ---- */

/* Ids are Docker's hexadecimal ones; anything else must not get into a path. */
static bool check_id(struct ipc_request *r, const char *id)
{
        size_t n = strspn(id, "0123456789abcdef");
        if (id[n] == '\0' && n > 0 && n <= 64)
                return true;
        ipc_reply_error(r, -EINVAL, "that is no id of an exec");
        return false;
}

static void on_resized(void *arg, const struct docker_answer *a)
{
        struct ipc_request *r = arg;
        Ecs__ExecResizeReply reply = ECS__EXEC_RESIZE_REPLY__INIT;
        Ecs__Envelope answer = IPC_ENVELOPE(EXEC_RESIZE_REPLY, exec_resize_reply, &reply);
        if (succeeded(a))
                ipc_reply(r, &answer);
        else
                fail(r, a);
}

void handle_exec_resize(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct engine *e = context;
        const Ecs__ExecResize *q = m->exec_resize;
        if (!check_id(r, q->exec_id) || !docker_answers(e, r))
                return;
        cleanup_free char *path =
                mem_printf("/exec/%s/resize?h=%u&w=%u", q->exec_id, q->rows, q->columns);
        docker_call(e->docker, "POST", path, NULL, CALL_MS, on_resized, r);
}

static void on_status(void *arg, const struct docker_answer *a)
{
        struct ipc_request *r = arg;
        Ecs__ExecStatusReply reply = ECS__EXEC_STATUS_REPLY__INIT;
        Ecs__Envelope answer = IPC_ENVELOPE(EXEC_STATUS_REPLY, exec_status_reply, &reply);
        if (!succeeded(a)) {
                fail(r, a);
                return;
        }
        reply.running = json_is_true(json_object_get(a->body, "Running"));
        reply.exit_code = (int32_t)json_integer_value(json_object_get(a->body, "ExitCode"));
        ipc_reply(r, &answer);
}

void handle_exec_status(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        struct engine *e = context;
        const Ecs__ExecStatus *q = m->exec_status;
        if (!check_id(r, q->exec_id) || !docker_answers(e, r))
                return;
        cleanup_free char *path = mem_printf("/exec/%s/json", q->exec_id);
        docker_call(e->docker, "GET", path, NULL, CALL_MS, on_status, r);
}
