/* ecsctl support-bundle: what others need to help, in one file, without secrets. Most of it is what
 * other commands of ecsctl print; each source has a deadline, so that Docker hanging or an agent
 * that is down costs that part only. */
#include <errno.h>
#include <glob.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "client.h"
#include "command.h"
#include "config.h"
#include "connection.h"
#include "error.h"
#include "mem.h"
#include "probe.h"
#include "redact.h"
#include "tar_gz.h"

#define PART_MS 8000
#define CHECK_MS 60000
#define LOG_MAX (2u << 20) /* the end of each log file */
#define LOGS_MAX 4
#define CONTAINERS_MAX 200

struct bundle {
        struct ctl *ctl;
        struct tar_gz *tar;
        struct redact *redact;
        char *docker; /* path of its socket */
        json_t *contents;
};

/* Takes text; NULL is told as missing. */
static void add(struct bundle *b, const char *name, char *text)
{
        const char *missing = "(no answer within the time)\n";
        cleanup_free char *clean = redact_text(b->redact, text != NULL ? text : missing);
        tar_gz_add(b->tar, name, clean, strlen(clean));
        (void)json_array_append_new(b->contents,
                                    json_pack("{ss sI sb}", "name", name, "bytes",
                                              (json_int_t)strlen(clean), "complete", text != NULL));
        free(text);
}

/* ---- parts made by programs ---- */

struct program {
        const struct bundle *bundle;
        const char *const *argv;
};

static void exec_program(void *arg)
{
        const struct program *p = arg;
        (void)dup2(STDOUT_FILENO, STDERR_FILENO);
        (void)fclose(stdin);
        (void)execvp(p->argv[0], (char *const *)(uintptr_t)p->argv);
        (void)printf("%s: %s\n", p->argv[0], strerror(errno));
}

static void add_program(struct bundle *b, const char *name, const char *const *argv,
                        uint32_t timeout_ms)
{
        struct program p = {b, argv};
        add(b, name, probe_run(exec_program, &p, timeout_ms));
}

/* One of our own commands. */
static void add_command(struct bundle *b, const char *name, const char *command, const char *option,
                        uint32_t timeout_ms)
{
        const char *const argv[] = {"/proc/self/exe", "--run-dir", b->ctl->run_dir,
                                    command,          option,      NULL};
        add_program(b, name, argv, timeout_ms);
}

/* ---- Docker ---- */

struct docker_question {
        const char *path, *socket;
};

static void ask_docker(void *arg)
{
        const struct docker_question *q = arg;
        int status, fd = probe_connect_unix(q->socket);
        cleanup_free char *request = mem_printf("GET %s HTTP/1.0\r\nHost: docker\r\n\r\n", q->path);
        char *body = fd >= 0 ? probe_http(fd, request, &status) : NULL;
        if (body != NULL)
                (void)fputs(body, stdout);
        else
                (void)printf("{\"message\":\"%s\"}", fd < 0 ? strerror(-fd) : "no answer");
}

static json_t *docker_json(const struct bundle *b, const char *path)
{
        struct docker_question q = {path, b->docker};
        cleanup_free char *text = probe_run(ask_docker, &q, PART_MS);
        return text != NULL ? json_loads(text, 0, NULL) : NULL;
}

static void add_json(struct bundle *b, const char *name, json_t *o)
{
        add(b, name, o != NULL ? json_dumps(o, JSON_INDENT(2) | JSON_ENSURE_ASCII) : NULL);
        json_decref(o);
}

/* False when Docker did not answer at all: then it is asked no more. */
static bool add_containers(struct bundle *b)
{
        static const char list_path[] = "/containers/json?all=1&limit=200&filters=%7B%22label%22%3A"
                                        "%5B%22com.amazonaws.ecs.task-arn%22%5D%7D";
        cleanup_json json_t *list = docker_json(b, list_path);
        json_t *all = json_array(), *c;
        size_t i;
        if (!json_is_array(list)) {
                json_decref(all);
                add(b, "docker-containers.json", NULL);
                return false;
        }
        json_array_foreach (list, i, c) {
                cleanup_free char *path = mem_printf("/containers/%s/json",
                                                     json_string_value(json_object_get(c, "Id")));
                json_t *o = i < CONTAINERS_MAX ? docker_json(b, path) : NULL;
                if (o == NULL)
                        break; /* it hangs now: what there is must do */
                redact_inspect(o);
                (void)json_array_append_new(all, o);
        }
        add_json(b, "docker-containers.json", all);
        return true;
}

static void add_docker(struct bundle *b)
{
        json_t *version = docker_json(b, "/version");
        bool answers = version != NULL;
        add_json(b, "docker-version.json", version);
        if (answers && add_containers(b))
                add_json(b, "docker-info.json", docker_json(b, "/info"));
}

/* ---- files ---- */

static char *tail_of(const char *path)
{
        cleanup_file FILE *f = fopen(path, "re");
        struct stat st;
        if (f == NULL || fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode))
                return mem_printf("%s: %s\n", path, strerror(errno));
        if ((size_t)st.st_size > LOG_MAX)
                (void)fseek(f, -(long)LOG_MAX, SEEK_END);
        char *text = mem_zalloc(LOG_MAX + 1);
        text[fread(text, 1, LOG_MAX, f)] = '\0';
        return text;
}

static void add_file(struct bundle *b, const char *path)
{
        const char *slash = strrchr(path, '/');
        cleanup_free char *name = mem_printf("files/%.80s", slash != NULL ? slash + 1 : path);
        add(b, name, tail_of(path));
}

/* The file and the newest rolled ones. */
static void add_logs(struct bundle *b, const char *path)
{
        glob_t g;
        cleanup_free char *pattern = mem_printf("%s*", path);
        if (*path == '\0' || glob(pattern, 0, NULL, &g) != 0)
                return;
        for (size_t i = 0; i < g.gl_pathc; i++)
                if (i == 0 || i + LOGS_MAX > g.gl_pathc)
                        add_file(b, g.gl_pathv[i]);
        globfree(&g);
}

/* ---- all ---- */

/* A setting of the running agent, or of this environment. Owned. */
static char *setting(struct ctl *c, const char *name, const char *fallback)
{
        struct error err = {0};
        Ecs__CtlConfig m = ECS__CTL_CONFIG__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_CONFIG, ctl_config, &m), *reply = NULL;
        const char *set = getenv(name);
        char *value = NULL;
        m.name = (char *)(uintptr_t)name;
        if (c->client != NULL && client_ask(c->client, &e, PART_MS, &reply, &err) == 0) {
                const Ecs__CtlConfigReply *r = reply->ctl_config_reply;
                if (r->n_settings == 1 && r->settings[0]->is_set)
                        value = mem_strdup(r->settings[0]->value);
                ecs__envelope__free_unpacked(reply, NULL);
        }
        return value != NULL ? value : mem_strdup(set != NULL && *set != '\0' ? set : fallback);
}

static void fill(struct bundle *b)
{
        static const char *const journal[] = {"journalctl", "-u", "ecs",       "-n", "5000",
                                              "--no-pager", "-o", "short-iso", NULL};
        static const char *const system[] = {"uname", "-a", NULL};
        static const char *const files[] = {"/etc/os-release", "/proc/mounts", "/proc/meminfo",
                                            "/proc/loadavg", "/proc/cgroups"};
        cleanup_free char *log = setting(b->ctl, "ECS_LOGFILE", "");
        cleanup_free char *audit = setting(b->ctl, "ECS_AUDIT_LOGFILE", "/var/log/ecs/audit.log");
        add_command(b, "status.txt", "status", NULL, PART_MS);
        add_command(b, "status.json", "status", "--json", PART_MS);
        add_command(b, "tasks.json", "tasks", "--json", PART_MS);
        add_command(b, "events.txt", "events", NULL, PART_MS);
        add_command(b, "config.txt", "config", NULL, PART_MS);
        add_command(b, "top.txt", "top", NULL, PART_MS);
        add_command(b, "db-check.txt", "db-check", NULL, CHECK_MS);
        add_command(b, "check.txt", "check", NULL, CHECK_MS);
        add_docker(b);
        add_program(b, "uname.txt", system, PART_MS);
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                add_file(b, files[i]);
        add_logs(b, log);
        add_logs(b, audit);
        add_program(b, "journal.txt", journal, PART_MS);
}

static int finish(struct bundle *b, const char *path)
{
        size_t count = json_array_size(b->contents);
        if (tar_gz_close(b->tar) != 0) {
                (void)unlink(path);
                return command_fail("%s cannot be written: is the disk full?", path);
        }
        if (b->ctl->json) {
                cleanup_json json_t *o =
                        json_pack("{ss sO}", "path", path, "contents", b->contents);
                (void)json_dumpf(o, stdout, JSON_INDENT(2));
                (void)putchar('\n');
        } else {
                (void)printf(
                        "%s: %zu parts. Secrets and the values of containers' variables are\n"
                        "left out; names, ARNs, addresses and log lines are in it: look before "
                        "you send it.\n",
                        path, count);
        }
        return 0;
}

static int run(struct ctl *c, int argc, char **argv)
{
        (void)argc;
        cleanup_free char *docker = setting(c, "DOCKER_HOST", "unix:///var/run/docker.sock");
        cleanup_free char *data = setting(c, "ECS_DATADIR", "/var/lib/ecs/data");
        cleanup_free char *pairs = mem_printf("%s/local/credentials", data);
        struct bundle b = {.ctl = c,
                           .tar = tar_gz_open(argv[0]),
                           .docker = strncmp(docker, "unix://", 7) == 0 ? docker + 7 : docker,
                           .contents = json_array()};
        if (b.tar == NULL) {
                json_decref(b.contents);
                return command_fail("cannot make %s: %s", argv[0], strerror(errno));
        }
        b.redact = redact_new(pairs);
        fill(&b);
        int code = finish(&b, argv[0]);
        redact_free(b.redact);
        json_decref(b.contents);
        return code;
}

static const struct command_example examples[] = {
        {"ecsctl support-bundle /tmp/ecs.tar.gz", "then look at it: tar -tzf /tmp/ecs.tar.gz"},
        {NULL,                                    NULL                                       },
};

const struct command command_support_bundle = {
        .name = "support-bundle",
        .usage = "FILE",
        .summary = "collects what others need to help, without secrets",
        .text = "FILE is a new .tar.gz with status, tasks, events, settings, checks, Docker's view "
                "of\n"
                "our containers, and the ends of the logs. Values of secret settings, of "
                "credentials\n"
                "and of containers' environment variables are left out. Works while Docker hangs "
                "and\n"
                "without an agent, and ends within a few minutes whatever hangs.",
        .examples = examples,
        .min_args = 1,
        .max_args = 1,
        .complete = COMPLETE_FILE,
        .offline = true,
        .run = run,
};
