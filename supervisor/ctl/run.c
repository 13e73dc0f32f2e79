/* ecsctl run: a task definition from a file to its end: registered, run, followed, its output
 * shown. Ctrl-C stops the task and waits; a second one leaves it to stop alone. What ecsctl itself
 * says goes to standard error, so that standard output is the containers'. */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "connection.h"
#include "error.h"
#include "local_call.h"
#include "log_view.h"
#include "mem.h"
#include "task_list.h"

#define LOOK_MS 1000     /* at the task, also when no event came */
#define PATIENCE_MS 5000 /* before it says what is waited for */
#define DRAIN_MS 3000    /* for output after the end */
#define EXIT_NONE 1      /* no container has an exit code */

static volatile sig_atomic_t interrupts;

static void on_signal(int number)
{
        (void)number;
        interrupts++;
}

struct run {
        struct ctl *ctl;
        struct log_view view;
        struct client engine; /* its events say when to look */
        bool changed;
        char *arn;
        char *shown; /* the status told last */
        bool stop_asked, waiting_told;
        uint64_t begun_ms;
        bool over;
        int code;
};

static void say(const struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const struct run *r, const char *format, ...)
{
        va_list ap;
        if (r->ctl->json)
                return;
        va_start(ap, format);
        (void)vfprintf(stderr, format, ap);
        va_end(ap);
        (void)fputc('\n', stderr);
}

/* ---- begin ---- */

static json_t *read_definition(const char *path)
{
        json_error_t where;
        json_t *o = strcmp(path, "-") == 0 ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &where)
                                           : json_load_file(path, JSON_REJECT_DUPLICATES, &where);
        if (o == NULL) {
                (void)command_fail("%s, line %d: %s", path, where.line > 0 ? where.line : 0,
                                   where.text);
                return NULL;
        }
        /* what describe-task-definition prints is taken as well */
        json_t *inner = json_object_get(o, "taskDefinition");
        if (json_is_object(inner)) {
                json_incref(inner);
                json_decref(o);
                o = inner;
        }
        if (!json_is_array(json_object_get(o, "containerDefinitions"))) {
                (void)command_fail(
                        "%s is no task definition: it has no containerDefinitions; 'aws "
                        "ecs register-task-definition --generate-cli-skeleton' shows one",
                        path);
                json_decref(o);
                return NULL;
        }
        return o;
}

/* What ECS fills in and does not take back. */
static void drop_answers(json_t *definition)
{
        static const char *const names[] = {"taskDefinitionArn",  "revision",        "status",
                                            "requiresAttributes", "compatibilities", "registeredAt",
                                            "registeredBy",       "deregisteredAt"};
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                (void)json_object_del(definition, names[i]);
}

static int start_task(struct run *r, json_t *definition)
{
        cleanup_json json_t *registered = NULL, *ran = NULL;
        drop_answers(definition);
        int code = local_call(r->ctl, "RegisterTaskDefinition", definition, &registered);
        if (code != 0)
                return code;
        const json_t *made = json_object_get(registered, "taskDefinition");
        const char *arn = json_string_value(json_object_get(made, "taskDefinitionArn"));
        say(r, "registered %s", task_list_id(arn != NULL ? arn : ""));
        code = local_call(
                r->ctl, "RunTask",
                json_pack("{ss* si ss}", "taskDefinition", arn, "count", 1, "startedBy", "ecsctl"),
                &ran);
        if (code != 0)
                return code;
        const json_t *task = json_array_get(json_object_get(ran, "tasks"), 0);
        const json_t *failure = json_array_get(json_object_get(ran, "failures"), 0);
        const char *task_arn = json_string_value(json_object_get(task, "taskArn"));
        const char *reason = json_string_value(json_object_get(failure, "reason"));
        if (task_arn == NULL)
                return command_fail("the task cannot be placed: %s",
                                    reason != NULL ? reason : "no reason given");
        r->arn = mem_strdup(task_arn);
        say(r, "task %s", task_list_id(task_arn));
        return 0;
}

/* ---- follow ---- */

static int exit_code(const Ecs__TaskFacts *t)
{
        const Ecs__ContainerFacts *first = task_list_first_ended(t);
        return first != NULL ? first->exit_code->value & 0xff : EXIT_NONE;
}

static void tell_end(struct run *r, const Ecs__TaskFacts *t)
{
        for (size_t i = 0; i < t->n_containers; i++) {
                const Ecs__ContainerFacts *f = t->containers[i];
                if (f->reason[0] != '\0')
                        say(r, "container %s: %s", f->name, f->reason);
                else if (f->exit_code != NULL)
                        say(r, "container %s: exit code %d", f->name, f->exit_code->value);
        }
        if (t->stopped_reason[0] != '\0')
                say(r, "stopped: %s", t->stopped_reason);
}

static void tell_ports(const struct run *r, const Ecs__TaskFacts *t)
{
        for (size_t i = 0; i < t->n_containers; i++)
                for (size_t k = 0; k < t->containers[i]->n_ports; k++) {
                        const Ecs__PublishedPort *p = t->containers[i]->ports[k];
                        if (strchr(p->host_ip, ':') == NULL)
                                say(r, "container %s: port %u is %u on this host",
                                    t->containers[i]->name, p->container_port, p->host_port);
                }
}

static bool is_shown(const struct run *r, const char *container)
{
        for (size_t i = 0; i < r->view.count; i++)
                if (strcmp(r->view.entries[i].container, container) == 0)
                        return true;
        return false;
}

/* The output of containers that have begun. */
static void add_output(struct run *r, const Ecs__TaskFacts *t)
{
        for (size_t i = 0; i < t->n_containers && r->view.count < LOG_VIEW_MAX; i++) {
                const Ecs__ContainerFacts *f = t->containers[i];
                bool begun = strcmp(f->known_status, "RUNNING") == 0 ||
                             (strcmp(f->known_status, "STOPPED") == 0 && f->exit_code != NULL);
                if (begun && f->docker_id[0] != '\0' && !is_shown(r, f->name))
                        (void)log_view_add(&r->view, r->arn, f->name);
        }
}

static void take_task(struct run *r, const Ecs__TaskFacts *t)
{
        r->view.options.prefix = t->n_containers > 1;
        if (r->shown == NULL || strcmp(r->shown, t->known_status) != 0) {
                free(r->shown);
                r->shown = mem_strdup(t->known_status);
                if (strcmp(t->known_status, "NONE") != 0)
                        say(r, "task is %s", t->known_status);
                if (strcmp(t->known_status, "RUNNING") == 0)
                        tell_ports(r, t);
        }
        if (!r->waiting_told && t->waiting_for[0] != '\0' &&
            clock_now_ms() - r->begun_ms > PATIENCE_MS) {
                say(r, "it waits for %s", t->waiting_for);
                r->waiting_told = true;
        }
        if (ctl_option(r->ctl, "detach") != NULL) {
                r->over = strcmp(t->known_status, "RUNNING") == 0;
                r->code = 0;
        } else {
                add_output(r, t);
        }
        if (strcmp(t->known_status, "STOPPED") == 0) {
                r->over = true;
                r->code = exit_code(t);
        }
}

static void on_event(void *arg, const Ecs__Envelope *e)
{
        struct run *r = arg;
        if (e->body_case == ECS__ENVELOPE__BODY_TASKS_CHANGED)
                r->changed = true;
}

/* The task's facts; NULL while the engine has none. */
static Ecs__Envelope *look(struct run *r)
{
        Ecs__GetTasks m = ECS__GET_TASKS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(GET_TASKS, get_tasks, &m), *reply = NULL;
        struct error err = {0};
        m.arn = r->arn;
        r->changed = false;
        if (r->engine.fd < 0 && client_open_peer(r->ctl->client, "engine", &r->engine, &err) != 0) {
                client_close(&r->engine);
                r->over = err.code != -ETIMEDOUT; /* else the engine is away, and will be back */
                if (r->over)
                        r->code = command_fail("%s; the task goes on", err.text);
                return NULL;
        }
        r->engine.on_event = on_event;
        r->engine.event_arg = r;
        if (client_ask(&r->engine, &e, 10000, &reply, &err) != 0) {
                client_close(&r->engine); /* the engine is being restarted */
                return NULL;
        }
        if (reply->get_tasks_reply->n_tasks == 1)
                return reply;
        ecs__envelope__free_unpacked(reply, NULL);
        return NULL;
}

static void look_and_take(struct run *r)
{
        Ecs__Envelope *reply = look(r);
        if (reply == NULL)
                return;
        take_task(r, reply->get_tasks_reply->tasks[0]);
        if (r->over && strcmp(r->shown, "STOPPED") == 0)
                tell_end(r, reply->get_tasks_reply->tasks[0]);
        ecs__envelope__free_unpacked(reply, NULL);
}

static void ask_stop(struct run *r)
{
        cleanup_json json_t *answer = NULL;
        r->stop_asked = true;
        say(r, "stopping the task; Ctrl-C again leaves it to stop alone");
        (void)local_call(r->ctl, "StopTask",
                         json_pack("{ss ss}", "task", r->arn, "reason", "stopped by ecsctl run"),
                         &answer);
}

/* Waits for output, an event, a signal or time. */
static void wait_for_news(struct run *r)
{
        struct pollfd fds[LOG_VIEW_MAX + 1];
        size_t n = r->view.count;
        log_view_poll(&r->view, fds);
        fds[n] = (struct pollfd){.fd = r->engine.fd, .events = POLLIN};
        if (poll(fds, n + 1, LOOK_MS) > 0) {
                log_view_read(&r->view, fds);
                if (fds[n].revents != 0 && client_wait_event(&r->engine, 0) < 0)
                        client_close(&r->engine);
        } else {
                r->changed = true;
        }
}

static void drain(struct run *r)
{
        uint64_t until = clock_now_ms() + DRAIN_MS;
        while (log_view_is_open(&r->view) && clock_now_ms() < until && interrupts < 2) {
                struct pollfd fds[LOG_VIEW_MAX];
                log_view_poll(&r->view, fds);
                if (poll(fds, r->view.count, 100) > 0)
                        log_view_read(&r->view, fds);
        }
}

static int follow(struct run *r)
{
        r->changed = true;
        while (!r->over) {
                if (interrupts > 0 && !r->stop_asked)
                        ask_stop(r);
                if (interrupts > 1)
                        return 130;
                if (r->changed)
                        look_and_take(r);
                if (!r->over)
                        wait_for_news(r);
        }
        if (ctl_option(r->ctl, "detach") == NULL)
                drain(r);
        return r->code;
}

static void catch_signals(void)
{
        const struct sigaction a = {.sa_handler = on_signal};
        (void)sigaction(SIGINT, &a, NULL);
        (void)sigaction(SIGTERM, &a, NULL);
        (void)sigaction(SIGHUP, &a, NULL);
}

static int run(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        const struct log_view_options o = {.follow = true, .tail = ""};
        struct run r = {
                .ctl = c, .engine = {.fd = -1}, .begun_ms = clock_now_ms(), .code = EXIT_NONE};
        json_t *definition = read_definition(argv[0]);
        if (definition == NULL)
                return 1;
        log_view_init(&r.view, c, &o);
        int code = start_task(&r, definition);
        if (code == 0) {
                catch_signals();
                code = follow(&r);
                if (c->json || ctl_option(c, "detach") != NULL)
                        (void)printf(c->json ? "{\"taskArn\":\"%s\",\"exitCode\":%d}\n" : "%s\n",
                                     r.arn, code);
        }
        log_view_clear(&r.view);
        client_close(&r.engine);
        free(r.arn);
        free(r.shown);
        return code;
}

static const struct command_option options[] = {
        {"detach", 'd', NULL, "end once the task runs; prints its ARN"},
        {NULL,     0,   NULL, NULL                                    },
};
static const struct command_example examples[] = {
        {"ecsctl run hello.json",                                                 "until the task ends, or Ctrl-C stops it"},
        {"ecsctl run -d web.json",                                                "and go on with 'ecsctl logs -f'"        },
        {"aws ecs describe-task-definition --task-definition web | ecsctl run -",
         "a definition that is registered elsewhere"                                                                       },
        {NULL,                                                                    NULL                                     },
};

const struct command command_run = {
        .name = "run",
        .usage = "[-d] FILE",
        .summary = "runs a task definition and shows its output, in local mode",
        .text = "FILE is a task definition in JSON, as 'aws ecs register-task-definition\n"
                "--cli-input-json' takes it, or - for standard input. It is registered as a new\n"
                "revision, run once, and followed. Ctrl-C stops the task.\n\n"
                "The exit code is that of the essential container that ended the task; 1 when "
                "none\n"
                "ever ran.",
        .options = options,
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .complete = COMPLETE_FILE,
        .run = run,
};
