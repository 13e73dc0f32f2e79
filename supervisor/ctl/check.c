/* ecsctl check: what the agent needs, looked at one by one: each a line that says ok, warn or fail,
 * and what to do. Nothing here needs the agent; what hangs is told as hanging. */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "cleanup.h"
#include "client.h"
#include "command.h"
#include "config.h"
#include "config_parse.h"
#include "connection.h"
#include "error.h"
#include "mem.h"
#include "probe.h"

#define PROBE_MS 5000
#define LOW 10 /* percent of a disk that should be free */
#define VERY_LOW 3

struct facts {
        struct ctl *ctl;
        struct config *config;
        struct config_warnings warnings;
        struct error error;    /* of the configuration; code 0 when it loads */
        Ecs__Envelope *status; /* NULL: no agent runs */
        bool local;
};

/* A check prints "ok text", "warn text\tremedy" or "fail text\tremedy". */
static void ok(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void ok(const char *format, ...)
{
        va_list ap;
        va_start(ap, format);
        (void)fputs("ok ", stdout);
        (void)vprintf(format, ap);
        va_end(ap);
}
#define WARN(remedy, ...) (void)(fputs("warn ", stdout), printf(__VA_ARGS__), printf("\t" remedy))
#define FAIL(remedy, ...) (void)(fputs("fail ", stdout), printf(__VA_ARGS__), printf("\t" remedy))

/* ---- the checks; each runs in a child ---- */

static void check_configuration(const struct facts *f)
{
        if (f->error.code != 0)
                FAIL("correct the setting; 'man ecs.config' explains each", "%s", f->error.text);
        else if (f->warnings.count > 0)
                WARN("'ecsctl config' shows what is in effect; 'man ecs.config' explains each",
                     "%s%s", f->warnings.texts[0], f->warnings.count > 1 ? " (and others)" : "");
        else
                ok("every setting is understood");
}

static void check_agent(const struct facts *f)
{
        if (f->status == NULL) {
                WARN("'systemctl start ecs', or look at 'journalctl -u ecs' if it does not stay up",
                     "no agent runs: %s", f->ctl->no_client);
                return;
        }
        const Ecs__CtlStatusReply *s = f->status->ctl_status_reply;
        for (size_t i = 0; i < s->n_workers; i++)
                if (strcmp(s->workers[i]->state, "ready") != 0) {
                        FAIL("'ecsctl status' and the log say more; 'ecsctl start' starts a "
                             "stopped "
                             "worker",
                             "worker %s is %s%s%s", s->workers[i]->name, s->workers[i]->state,
                             s->workers[i]->last_exit[0] != '\0' ? ", last end: " : "",
                             s->workers[i]->last_exit);
                        return;
                }
        if (s->n_notices > 0)
                WARN("see 'ecsctl status' for all of them", "%s", s->notices[0]);
        else
                ok("%zu workers are ready", s->n_workers);
}

static void check_clock(const struct facts *f)
{
        struct timex t = {0};
        (void)f;
        int state = adjtimex(&t);
        if (time(NULL) < 1700000000)
                FAIL("set the clock: AWS refuses signatures that are 5 minutes off",
                     "the clock stands in the past");
        else if (state == TIME_ERROR || (t.status & STA_UNSYNC) != 0)
                WARN("run chronyd or systemd-timesyncd: AWS refuses signatures that are 5 minutes "
                     "off",
                     "the kernel does not know the clock as synchronised");
        else
                ok("synchronised, error at most %ld ms", t.maxerror / 1000);
}

/* Host and port of a URL. Owned; *ret_port points to a literal or into the result. */
static char *host_of(const char *url, const char **ret_port)
{
        const char *begin = strstr(url, "://");
        const char *at = strrchr(url, '@');
        *ret_port = strncmp(url, "https", 5) == 0 || begin == NULL ? "443" : "80";
        begin = begin != NULL ? begin + 3 : url;
        if (at != NULL && at > begin)
                begin = at + 1;
        char *host = mem_strndup(begin, strcspn(begin, "/"));
        char *colon = strrchr(host, ':');
        if (colon != NULL && strchr(host, ']') == NULL) {
                *colon = '\0';
                *ret_port = colon + 1;
        }
        return host;
}

static char *endpoint_of(const struct facts *f)
{
        const char *set = config_text(f->config, "ECS_BACKEND_HOST", "");
        const char *region = config_text(f->config, "AWS_DEFAULT_REGION", "");
        if (f->local)
                return mem_strdup(f->status->ctl_status_reply->local_endpoint);
        if (*set != '\0')
                return mem_printf("%s%s", strstr(set, "://") != NULL ? "" : "https://", set);
        return *region != '\0' ? mem_printf("https://ecs.%s.amazonaws.com%s", region,
                                            strncmp(region, "cn-", 3) == 0 ? ".cn" : "")
                               : NULL;
}

/* A wrong setting ends the reading of them; then the environment still says something. */
static const char *proxy_of(const struct facts *f)
{
        static const char *const names[] = {"HTTPS_PROXY", "HTTP_PROXY"};
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const char *set = getenv(names[i]), *proxy = config_text(f->config, names[i], set);
                if (proxy != NULL && *proxy != '\0')
                        return proxy;
        }
        return "";
}

static void check_dns(const struct facts *f)
{
        const char *port;
        char *text = NULL;
        cleanup_free char *url = endpoint_of(f);
        if (url == NULL) {
                WARN("set AWS_DEFAULT_REGION, or let the agent ask the metadata service",
                     "the region is not known here, so neither is the ECS endpoint");
                return;
        }
        cleanup_free char *host = host_of(url, &port);
        if (*proxy_of(f) != '\0') {
                ok("%s is resolved by the proxy", host);
                return;
        }
        int fd = probe_connect_tcp(host, port, &text);
        if (fd < 0 && text != NULL)
                FAIL("check /etc/resolv.conf and the VPC's DNS settings", "%s: %s", host, text);
        else if (fd < 0)
                FAIL("check routes, security groups and VPC endpoints; with a proxy set "
                     "HTTPS_PROXY",
                     "%s is resolved but port %s cannot be reached: %s", host, port, strerror(-fd));
        else
                ok("%s is resolved and answers on port %s", host, port);
}

static void check_proxy(const struct facts *f)
{
        const char *port, *proxy = proxy_of(f), *none = config_text(f->config, "NO_PROXY", "");
        char *text = NULL;
        if (*proxy == '\0') {
                ok("none is set");
                return;
        }
        cleanup_free char *host = host_of(proxy, &port);
        int fd = probe_connect_tcp(host, port, &text);
        if (fd < 0)
                FAIL("correct HTTPS_PROXY in ecs.config, or the proxy", "%s port %s: %s", host,
                     port, text != NULL ? text : strerror(-fd));
        else if (*none != '\0' && strstr(none, "169.254.169.254") == NULL)
                WARN("add 169.254.169.254,169.254.170.2 to NO_PROXY",
                     "%s answers, but NO_PROXY lacks the metadata addresses", host);
        else
                ok("%s answers on port %s", host, port);
}

static void check_imds(const struct facts *f)
{
        char *text = NULL;
        int status;
        if (f->local || config_bool(f->config, "ECS_EXTERNAL", false) ||
            config_bool(f->config, "AWS_EC2_METADATA_DISABLED", false)) {
                ok("not used here");
                return;
        }
        int fd = probe_connect_tcp("169.254.169.254", "80", &text);
        if (fd < 0) {
                FAIL("outside EC2 set ECS_EXTERNAL=true, or start with --local; on EC2 enable the "
                     "metadata service and check the host's routes",
                     "the metadata service of EC2 cannot be reached: %s", strerror(-fd));
                return;
        }
        cleanup_free char *token = probe_http(fd,
                                              "PUT /latest/api/token HTTP/1.0\r\nHost: "
                                              "169.254.169.254\r\nContent-Length: 0\r\n"
                                              "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n",
                                              &status);
        if (token == NULL)
                FAIL("allow IMDSv2: 'aws ec2 modify-instance-metadata-options --http-endpoint "
                     "enabled'",
                     "the metadata service gives no token (status %d)", status);
        else
                ok("gives tokens");
}

static const char *docker_path(const struct facts *f)
{
        const char *host = config_text(f->config, "DOCKER_HOST", "unix:///var/run/docker.sock");
        return strncmp(host, "unix://", 7) == 0 ? host + 7 : NULL;
}

static void check_docker(const struct facts *f)
{
        int status;
        const char *path = docker_path(f);
        if (path == NULL) {
                FAIL("set DOCKER_HOST to unix:///var/run/docker.sock",
                     "DOCKER_HOST is no unix socket");
                return;
        }
        int fd = probe_connect_unix(path);
        if (fd < 0) {
                FAIL("'systemctl start docker'; set DOCKER_HOST if its socket is elsewhere",
                     "%s: %s", path, strerror(-fd));
                return;
        }
        cleanup_free char *body =
                probe_http(fd, "GET /version HTTP/1.0\r\nHost: docker\r\n\r\n", &status);
        cleanup_json json_t *o = body != NULL ? json_loads(body, 0, NULL) : NULL;
        const char *api = json_string_value(json_object_get(o, "ApiVersion"));
        const char *version = json_string_value(json_object_get(o, "Version"));
        int minor = 0;
        if (api == NULL || sscanf(api, "1.%d", &minor) != 1)
                FAIL("look at 'journalctl -u docker'", "%s answers, but not as Docker does", path);
        else if (minor < 24)
                FAIL("upgrade Docker", "version %s speaks API %s; 1.24 is needed", version, api);
        else
                ok("version %s, API %s", version, api);
}

static void check_cgroups(const struct facts *f)
{
        struct stat st;
        (void)f;
        if (stat("/sys/fs/cgroup/cgroup.controllers", &st) == 0)
                ok("version 2");
        else if (stat("/sys/fs/cgroup/memory", &st) == 0 && stat("/sys/fs/cgroup/cpu", &st) == 0)
                ok("version 1, with cpu and memory");
        else
                FAIL("mount the cgroup file system with cpu and memory; task limits need them",
                     "neither version 2 nor cpu and memory of version 1 in /sys/fs/cgroup");
}

/* What the rules are for is tried, not how they look. */
static void check_firewall(const struct facts *f)
{
        char *text = NULL;
        if (f->status == NULL) {
                ok("not looked at: the rules stand only while the agent runs");
                return;
        }
        int fd = probe_connect_tcp("169.254.170.2", "80", &text);
        if (fd < 0)
                FAIL("'ecsctl status' says whether the host rules stand; check other nftables or "
                     "iptables rules that drop",
                     "tasks' endpoint 169.254.170.2 is not reached from this host: %s",
                     strerror(-fd));
        else
                ok("169.254.170.2 leads to the agent");
}

static int free_percent(const char *path)
{
        struct statvfs v;
        cleanup_free char *dir = mem_strdup(path);
        while (statvfs(dir, &v) != 0) { /* not made yet: what it will be made in */
                char *slash = strrchr(dir, '/');
                if (errno != ENOENT || slash == NULL || slash == dir)
                        return -1;
                *slash = '\0';
        }
        if (v.f_blocks == 0)
                return -1;
        int blocks = (int)(v.f_bavail * 100 / v.f_blocks);
        int inodes = v.f_files > 0 ? (int)(v.f_favail * 100 / v.f_files) : 100;
        return blocks < inodes ? blocks : inodes;
}

static void check_disk(const struct facts *f)
{
        const char *dirs[] = {config_text(f->config, "ECS_DATADIR", "/var/lib/ecs/data"),
                              "/var/lib/docker", "/var/log/ecs"};
        int least = 100;
        const char *where = dirs[0];
        if (f->status != NULL)
                dirs[0] = f->status->ctl_status_reply->data_dir;
        for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
                int percent = free_percent(dirs[i]);
                if (percent >= 0 && percent < least) {
                        least = percent;
                        where = dirs[i];
                }
        }
        if (least < VERY_LOW)
                FAIL("remove images ('docker image prune'), logs, or grow the disk",
                     "%d %% free at %s", least, where);
        else if (least < LOW)
                WARN("remove images ('docker image prune'), logs, or grow the disk",
                     "%d %% free at %s", least, where);
        else
                ok("at least %d %% free for data, images and logs", least);
}

static const struct {
        const char *name;
        void (*fn)(const struct facts *f);
} checks[] = {
        {"configuration", check_configuration},
        {"agent",         check_agent        },
        {"clock",         check_clock        },
        {"dns",           check_dns          },
        {"proxy",         check_proxy        },
        {"imds",          check_imds         },
        {"docker",        check_docker       },
        {"cgroups",       check_cgroups      },
        {"firewall",      check_firewall     },
        {"disk",          check_disk         },
};

/* ---- running them ---- */

struct probe {
        size_t index;
        const struct facts *facts;
};

static void run_one(void *arg)
{
        const struct probe *p = arg;
        checks[p->index].fn(p->facts);
}

/* What the running agent was told goes before what this shell and the files say. */
static void take_running(struct facts *f)
{
        static const char *const names[] = {"DOCKER_HOST", "ECS_BACKEND_HOST", "AWS_DEFAULT_REGION",
                                            "ECS_EXTERNAL"};
        struct error err = {0};
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                Ecs__CtlConfig m = ECS__CTL_CONFIG__INIT;
                Ecs__Envelope e = IPC_ENVELOPE(CTL_CONFIG, ctl_config, &m), *reply = NULL;
                m.name = (char *)(uintptr_t)names[i];
                if (client_ask(f->ctl->client, &e, PROBE_MS, &reply, &err) != 0)
                        return;
                const Ecs__CtlConfigReply *r = reply->ctl_config_reply;
                if (r->n_settings == 1 && r->settings[0]->is_set && !r->settings[0]->secret)
                        config_set(f->config, names[i], r->settings[0]->value);
                ecs__envelope__free_unpacked(reply, NULL);
        }
}

static void load_facts(struct facts *f)
{
        static const char *const files[] = {"/var/lib/ecs/ecs.config", "/etc/ecs/ecs.config", NULL};
        const char *given = ctl_option(f->ctl, "config");
        const char *one[] = {given, NULL};
        const struct config_sources sources = {.environment = environ,
                                               .files = given != NULL ? one : files};
        struct error err = {0};
        Ecs__CtlStatus m = ECS__CTL_STATUS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_STATUS, ctl_status, &m);
        f->config = config_new();
        (void)config_load(&sources, f->config, &f->warnings, &f->error);
        if (f->ctl->client != NULL &&
            client_ask(f->ctl->client, &e, PROBE_MS, &f->status, &err) != 0)
                f->ctl->no_client = "it does not answer on its control socket";
        if (f->status != NULL)
                take_running(f);
        f->local = f->status != NULL && f->status->ctl_status_reply->local_mode;
}

/* Returns true when it failed. */
static bool tell(const struct ctl *c, const char *name, char *line, json_t *all)
{
        char *text = strchr(line, ' ');
        char *remedy = strchr(line, '\t');
        if (text != NULL)
                *text++ = '\0';
        if (remedy != NULL)
                *remedy++ = '\0';
        if (c->json)
                (void)json_array_append_new(all, json_pack("{ss ss ss ss}", "check", name, "result",
                                                           line, "text", text != NULL ? text : "",
                                                           "remedy", remedy != NULL ? remedy : ""));
        else
                (void)printf("%-4s  %-13s  %s%s%s\n", line, name, text != NULL ? text : "",
                             remedy != NULL ? "\n                     -> " : "",
                             remedy != NULL ? remedy : "");
        return strcmp(line, "fail") == 0;
}

static int run(struct ctl *c, int argc, char **argv)
{
        struct facts f = {.ctl = c};
        bool failed = false;
        cleanup_json json_t *all = json_array();
        (void)argc;
        (void)argv;
        load_facts(&f);
        for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
                struct probe p = {i, &f};
                cleanup_free char *line = probe_run(run_one, &p, PROBE_MS);
                if (line == NULL || *line == '\0') {
                        free(line);
                        line = mem_strdup(
                                "fail no answer within 5 s\tit hangs: look at it by hand");
                }
                failed = tell(c, checks[i].name, line, all) || failed;
                (void)fflush(stdout);
        }
        if (c->json) {
                (void)json_dumpf(all, stdout, JSON_INDENT(2));
                (void)putchar('\n');
        }
        if (f.status != NULL)
                ecs__envelope__free_unpacked(f.status, NULL);
        config_warnings_clear(&f.warnings);
        config_free(f.config);
        return failed ? 1 : 0;
}

static const struct command_option options[] = {
        {"config", 0, "FILE", "in place of the two ecs.config files"},
        {NULL,     0, NULL,   NULL                                  },
};
static const struct command_example examples[] = {
        {"ecsctl check",                                               "before the first start, or when something is wrong"},
        {"ecsctl check --json | jq '.[] | select(.result != \"ok\")'", "what is not well"                                  },
        {NULL,                                                         NULL                                                },
};

const struct command command_check = {
        .name = "check",
        .usage = "[--config FILE]",
        .summary = "whether this host has what the agent needs",
        .text = "Configuration, agent, clock, DNS, proxy, metadata service, Docker, cgroups, "
                "firewall\n"
                "and disk: a line each with ok, warn or fail, and the remedy. Works without an "
                "agent;\n"
                "nothing takes longer than 5 s. Exit code 1 when something fails.",
        .options = options,
        .examples = examples,
        .offline = true,
        .run = run,
};
