/* credentials: the instance's own: from the configuration, else from IMDSv2 (role), kept in memory
 * only and renewed some minutes early; unexpired ones are used while IMDS fails.
 * Source: backend.md 1. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "cleanup.h"
#include "clock.h"
#include "mem.h"
#include "role_credentials.h"

#define EARLY_MS      300000
#define CAP_MS        3600000
#define IMDS_DEFAULT  "http://169.254.169.254"
#define ROLE_PATH     "/latest/meta-data/iam/security-credentials/"

struct fetch {
        struct backend *backend;
        credentials_fn done;
        void *arg;
        char *token, *role;
};

static void set_secret(char **field, const char *value)
{
        if (*field != NULL)
                explicit_bzero(*field, strlen(*field));
        backend_text(field, value);
}

static void fetch_end(struct fetch *f, int error, const char *text)
{
        credentials_fn done = f->done;
        void *arg = f->arg;
        struct backend *b = f->backend;
        if (error != 0 && b->access_key_id != NULL && *b->access_key_id != '\0' &&
            b->credentials_expire_ms > clock_wall_ms())
                error = 0;
        free(f->token);
        free(f->role);
        free(f);
        done(arg, error, text);
}

static const char *imds_base(const struct backend *b)
{
        return config_text(b->config, "AWS_EC2_METADATA_SERVICE_ENDPOINT", IMDS_DEFAULT);
}

static void imds(struct fetch *f, const char *method, const char *path, const char *header,
                 http_done_fn done)
{
        cleanup_free char *url = mem_printf("%s%s", imds_base(f->backend), path);
        const char *headers[] = {header, NULL};
        struct http_options o = {.method = method,
                                 .url = url,
                                 .headers = headers,
                                 .connect_timeout_ms = 1000,
                                 .timeout_ms = 5000,
                                 .max_body = 1 << 20,
                                 .no_proxy = true,
                                 .done = done,
                                 .arg = f};
        (void)http_start(f->backend->http, &o);
}

static void on_role_credentials(void *arg, int error, const char *text,
                                const struct http_response *r)
{
        struct fetch *f = arg;
        struct backend *b = f->backend;
        struct role_credentials c = {0};
        if (error != 0 || role_credentials_parse(r->body, r->body_length, &c) != 0) {
                fetch_end(f, error != 0 ? error : -ENOENT,
                          error != 0 ? text : "IMDS gave no role credentials");
                return;
        }
        int64_t cap = clock_wall_ms() + CAP_MS;
        set_secret(&b->access_key_id, c.access_key_id);
        set_secret(&b->secret_access_key, c.secret_access_key);
        set_secret(&b->session_token, c.session_token);
        b->credentials_expire_ms = c.until_ms == 0 || c.until_ms > cap ? cap : c.until_ms;
        role_credentials_clear(&c);
        fetch_end(f, 0, "");
}

static char *token_header(const struct fetch *f)
{
        return f->token != NULL ? mem_printf("X-aws-ec2-metadata-token: %s", f->token)
                                : mem_strdup("X-ecs-agent: imdsv1");
}

static void on_role_name(void *arg, int error, const char *text, const struct http_response *r)
{
        struct fetch *f = arg;
        if (error != 0 || r->status != 200) {
                fetch_end(f, error != 0 ? error : -ENOENT,
                          error != 0 ? text : "the instance has no role");
                return;
        }
        f->role = mem_strndup(r->body, strcspn(r->body, "\r\n"));
        cleanup_free char *path = mem_printf("%s%s", ROLE_PATH, f->role);
        cleanup_free char *header = token_header(f);
        imds(f, "GET", path, header, on_role_credentials);
}

static void on_token(void *arg, int error, const char *text, const struct http_response *r)
{
        struct fetch *f = arg;
        bool refused = error == 0 && (r->status == 403 || r->status == 404 || r->status == 405);
        bool no_v1 = config_bool(f->backend->config, "AWS_EC2_METADATA_V1_DISABLED", false);
        if (error == 0 && r->status == 200)
                f->token = mem_strdup(r->body);
        else if (no_v1 || (error == 0 && !refused)) {
                fetch_end(f, error != 0 ? error : -EACCES,
                          error != 0 ? text : "IMDS gave no token");
                return;
        }
        cleanup_free char *header = token_header(f);
        imds(f, "GET", ROLE_PATH, header, on_role_name);
}

void credentials_need(struct backend *b, credentials_fn done, void *arg)
{
        bool have = b->access_key_id != NULL && *b->access_key_id != '\0';
        if (have && (b->credentials_expire_ms == 0 ||
                     b->credentials_expire_ms > clock_wall_ms() + EARLY_MS)) {
                done(arg, 0, "");
                return;
        }
        if (config_bool(b->config, "AWS_EC2_METADATA_DISABLED", false)) {
                done(arg, -ENOENT,
                     "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                     "allow the instance metadata service");
                return;
        }
        struct fetch *f = mem_zalloc(sizeof *f);
        *f = (struct fetch){.backend = b, .done = done, .arg = arg};
        imds(f, "PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 300", on_token);
}
