/* configuration: two passes over the sources. The first says whether and where to ask the metadata
 * service; the second adds what it said. Then come the defaults that depend on this host. */
#include "configuration.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "config_parse.h"
#include "error.h"
#include "imds.h"
#include "mem.h"
#include "supervisor.h"

#define CLOUD_INIT_RESULT "/var/lib/cloud/data/result.json"
#define OS_RELEASE "/etc/os-release"

/* ---- what depends on the host ---- */

char *configuration_host_path(const char *path)
{
        static const char *const moved[][2] = {
                {"/data", "/var/lib/ecs/data"},
                {"/log",  "/var/log/ecs"     }
        };
        for (size_t i = 0; i < ARRAY_SIZE(moved); i++) {
                size_t n = strlen(moved[i][0]);
                if (strncmp(path, moved[i][0], n) == 0 && (path[n] == '/' || path[n] == '\0'))
                        return mem_printf("%s%s", moved[i][1], path + n);
        }
        return mem_strdup(path);
}

static bool in_container(void)
{
        return access("/.dockerenv", F_OK) == 0 || getenv("container") != NULL;
}

static void move_paths(struct supervisor *s)
{
        static const char *const names[] = {"ECS_DATADIR", "ECS_LOGFILE", "ECS_AUDIT_LOGFILE"};
        for (size_t i = 0; i < ARRAY_SIZE(names) && !in_container(); i++) {
                const char *path = config_text(s->config, names[i], NULL);
                cleanup_free char *moved = path != NULL ? configuration_host_path(path) : NULL;
                if (moved == NULL || strcmp(moved, path) == 0)
                        continue;
                cleanup_free char *origin = mem_strdup(config_origin(s->config, names[i]));
                config_set_from(s->config, names[i], moved, origin);
        }
}

/* The value of one line NAME=value, with or without quotes. Returns owned or NULL. */
static char *release_value(const char *line, const char *name)
{
        size_t n = strlen(name);
        if (strncmp(line, name, n) != 0 || line[n] != '=')
                return NULL;
        const char *value = line + n + 1;
        value += *value == '"' || *value == '\'';
        return mem_strndup(value, strcspn(value, "\"'\n"));
}

char *configuration_os_family(const char *path)
{
        char line[512];
        cleanup_free char *id = NULL, *version = NULL;
        cleanup_file FILE *f = fopen(path, "re");
        while (f != NULL && fgets(line, sizeof line, f) != NULL) {
                id = id != NULL ? id : release_value(line, "ID");
                version = version != NULL ? version : release_value(line, "VERSION_ID");
        }
        if (id == NULL || version == NULL)
                return mem_strdup("linux");
        return mem_printf("%s_%s", id, version);
}

static void set_from_host(struct supervisor *s)
{
        /* the endpoints of the SDKs count where ours is unset */
        static const char *const endpoints[] = {"AWS_ENDPOINT_URL_ECS", "AWS_ENDPOINT_URL"};
        move_paths(s);
        if (config_find(s->config, "ECS_DETAILED_OS_FAMILY") == NULL) {
                cleanup_free char *os = configuration_os_family(OS_RELEASE);
                config_set_from(s->config, "ECS_DETAILED_OS_FAMILY", os, OS_RELEASE);
        }
        cleanup_free char *imds = imds_endpoint(s->config);
        if (config_text(s->config, IMDS_ENDPOINT, NULL) == NULL && strcmp(imds, IMDS_V6) == 0)
                config_set_from(s->config, IMDS_ENDPOINT, imds, IMDS_ENDPOINT "_MODE");
        for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++) {
                const char *url = config_text(s->config, endpoints[i], NULL);
                if (url != NULL && config_text(s->config, "ECS_BACKEND_HOST", NULL) == NULL)
                        config_set_from(s->config, "ECS_BACKEND_HOST", url, endpoints[i]);
        }
}

int cloud_init_check(const char *path, bool has_user_data, struct error *err)
{
        cleanup_json json_t *j = json_load_file(path, 0, NULL);
        const json_t *source = json_object_get(json_object_get(j, "v1"), "datasource");
        if (!has_user_data || !json_is_string(source) ||
            strcmp(json_string_value(source), "DataSourceNone") != 0)
                return 0;
        return error_set(err, -ESTALE,
                         "cloud-init found no data source (%s), yet this instance has user data: "
                         "its settings may be missing. Restart the instance",
                         path);
}

/* ---- the sources ---- */

struct pass {
        struct config *config;
        struct config_warnings warnings;
};

static int load(const struct supervisor_options *o, const char *user_data, struct pass *p,
                struct error *err)
{
        static const char *const system_files[] = {"/var/lib/ecs/ecs.config", "/etc/ecs/ecs.config",
                                                   NULL};
        const char *given[] = {o->config_file, NULL};
        const struct config_sources sources = {.flags = (const char *const *)o->settings,
                                               .environment = environ,
                                               .files = o->config_file != NULL ? given
                                                                               : system_files,
                                               .user_data = user_data};
        *p = (struct pass){.config = config_new()};
        if (o->config_file != NULL && access(o->config_file, R_OK) != 0)
                return error_set(err, -EINVAL, "cannot read %s: %s", o->config_file,
                                 strerror(errno));
        return config_load(&sources, p->config, &p->warnings, err);
}

int configuration_read(const struct supervisor_options *o, struct config **ret, struct error *err)
{
        struct pass p;
        int r = load(o, NULL, &p, err);
        config_warnings_clear(&p.warnings);
        if (r == 0)
                *ret = p.config;
        else
                config_free(p.config);
        return r;
}

struct config *configuration_peek(const struct supervisor_options *o)
{
        struct pass p;
        struct error ignored;
        (void)load(o, NULL, &p, &ignored);
        config_warnings_clear(&p.warnings);
        return p.config;
}

static bool may_ask_imds(const struct supervisor *s, const struct config *c)
{
        return !s->options.local && !config_bool(c, "ECS_EXTERNAL", false) &&
               !config_bool(c, "AWS_EC2_METADATA_DISABLED", false);
}

/* Loads again when the user data holds settings. */
static int add_user_data(struct supervisor *s, struct pass *p, const char *user_data,
                         struct error *err)
{
        if (user_data == NULL)
                return 0;
        config_free(p->config);
        config_warnings_clear(&p->warnings);
        return load(&s->options, user_data, p, err);
}

/* Each is a topic of its own, by its text. */
static void note_all(struct supervisor *s, const struct config_warnings *w)
{
        for (size_t i = 0; i < w->count; i++) {
                char *text = mem_strdup(w->texts[i]);
                notice_set(s, text, false, text);
        }
}

static void take_region(struct supervisor *s, const struct imds_answer *a)
{
        if (a->region != NULL && config_text(s->config, "AWS_DEFAULT_REGION", NULL) == NULL)
                config_set_from(s->config, "AWS_DEFAULT_REGION", a->region, CONFIG_FROM_IMDS);
        if (a->failure != NULL)
                log_warn(NULL, "the metadata service of EC2 did not answer",
                         LOG_STR("reason", a->failure));
}

int configuration_load(struct supervisor *s, struct error *err)
{
        struct pass p;
        struct imds_answer a = {0};
        int r = load(&s->options, NULL, &p, err);
        if (r == 0 && may_ask_imds(s, p.config)) {
                imds_ask(s, p.config, config_text(p.config, "AWS_DEFAULT_REGION", NULL) == NULL,
                         &a);
                r = add_user_data(s, &p, a.user_data, err);
        }
        s->config = p.config;
        if (r == 0)
                set_from_host(s);
        if (r == 0)
                r = log_writer_open(s);
        if (r == 0)
                audit_log_open(s);
        if (r == 0)
                r = cloud_init_check(CLOUD_INIT_RESULT, a.has_user_data, err);
        note_all(s, &p.warnings);
        note_all(s, &a.warnings);
        if (config_bool(s->config, "InsecureTLS", false))
                notice_set(s, "insecure", false,
                           mem_strdup("-k: the certificates of AWS endpoints are not checked"));
        take_region(s, &a);
        config_warnings_clear(&p.warnings);
        imds_answer_clear(&a);
        return r;
}
