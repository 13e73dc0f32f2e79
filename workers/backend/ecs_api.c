/* ecs_api: POST / with X-Amz-Target, signed; standard retries with waits of random [0,1)·2ⁿ s up to
 * 20 s; the signing clock follows the server's Date when it says we are off.
 * Source: backend.md 2.1–2.3, 3.1, 3.2. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend.h"
#include "cleanup.h"
#include "clock.h"
#include "mem.h"
#include "random.h"

#define TARGET    "AmazonEC2ContainerServiceV20141113"
#define LIMIT_MS  42000
#define RETRY_COST         5
#define RETRY_COST_TIMEOUT 10

struct api_call {
        struct backend *backend;
        char *operation, *body;
        unsigned tries, tried;
        int paid;  /* for the last retry; given back when it succeeds */
        ecs_done_fn done;
        void *arg;
        uv_timer_t wait;
};

static const char *const retried_codes[] = {
        "RequestTimeout", "RequestTimeoutException", "Throttling", "ThrottlingException",
        "ThrottledException", "RequestThrottled", "RequestThrottledException",
        "TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded",
        "LimitExceededException", "SlowDown", "PriorRequestNotComplete", "EC2ThrottledException",
        "ProvisionedThroughputExceededException", "TransactionInProgressException",
};
static const char *const skew_codes[] = {
        "RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed",
        "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure",
};

static bool listed(const char *const *list, size_t count, const char *code)
{
        for (size_t i = 0; i < count; i++)
                if (strcmp(list[i], code) == 0)
                        return true;
        return false;
}

bool ecs_api_is_temporary(int error, int status, const char *code)
{
        static const int statuses[] = {500, 502, 503, 504};
        if (error != 0)
                return error != -ECANCELED;
        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
                if (status == statuses[i])
                        return true;
        return listed(retried_codes, ARRAY_SIZE(retried_codes), code);
}

/* ---- endpoint ---- */

static const struct {
        const char *prefix, *suffix;
} partitions[] = {
        {"cn-", "amazonaws.com.cn"},      {"us-gov-", "amazonaws.com"},
        {"us-isob-", "sc2s.sgov.gov"},    {"us-isof-", "csp.hci.ic.gov"},
        {"us-iso-", "c2s.ic.gov"},        {"eu-isoe-", "cloud.adc-e.uk"},
        {"eusc-de-", "amazonaws.eu"},     {"", "amazonaws.com"},
};

char *ecs_api_endpoint(const char *backend_host, const char *region)
{
        if (*backend_host != '\0') {
                size_t n = strlen(backend_host);
                bool has_scheme = strncmp(backend_host, "http://", 7) == 0 ||
                                  strncmp(backend_host, "https://", 8) == 0;
                while (n > 0 && backend_host[n - 1] == '/')
                        n--;
                return mem_printf("%s%.*s", has_scheme ? "" : "https://", (int)n, backend_host);
        }
        size_t i = 0;
        while (strncmp(region, partitions[i].prefix, strlen(partitions[i].prefix)) != 0)
                i++;
        return mem_printf("https://ecs.%s.%s", region, partitions[i].suffix);
}

/* Path and host of the endpoint, for the signature. */
static void split_url(const char *url, char **ret_host, char **ret_path)
{
        const char *host = strstr(url, "://") + 3;
        size_t n = strcspn(host, "/?");
        *ret_host = mem_strndup(host, n);
        *ret_path = mem_printf("%s%s", host + n, host[n] == '\0' ? "/" : "");
}

/* ---- one try ---- */

static void try_now(struct api_call *c);

static void on_freed(uv_handle_t *h)
{
        free(h->data);
}

static void finish(struct api_call *c, const struct ecs_answer *a)
{
        c->done(c->arg, a);
        free(c->operation);
        explicit_bzero(c->body, strlen(c->body));
        free(c->body);
        uv_close((uv_handle_t *)&c->wait, on_freed);
}

static void on_wait(uv_timer_t *t)
{
        try_now(t->data);
}

/* Retries of all calls share one purse, so that a broken backend is not asked ever more often. */
static bool retry(struct api_call *c, int cost)
{
        struct backend *b = c->backend;
        if (c->tried >= c->tries || b->stopping || b->retry_tokens < cost)
                return false;
        b->retry_tokens -= cost;
        c->paid = cost;
        double ms = random_unit() * 1000.0 * (double)(1u << (c->tried < 6 ? c->tried : 5));
        (void)uv_timer_start(&c->wait, on_wait, clock_wait_ms((uint64_t)(ms < 20000 ? ms : 20000)),
                             0);
        return true;
}

/* The name out of "ns#Name:url". Returns owned. */
static char *plain_code(const char *code)
{
        const char *hash = strchr(code, '#');
        size_t n = strcspn(code, ":");
        if (hash != NULL && hash < code + n)
                return mem_strndup(hash + 1, n - (size_t)(hash + 1 - code));
        return mem_strndup(code, n);
}

static char *error_code(const struct http_response *r, const json_t *body)
{
        char header[256];
        const char *code = json_string_value(json_object_get(body, "__type"));
        if (http_header(r->headers, "x-amzn-errortype", header, sizeof header))
                code = header;
        if (code == NULL)
                code = json_string_value(json_object_get(body, "code"));
        cleanup_free char *plain = code != NULL ? plain_code(code) : NULL;
        return plain != NULL && *plain != '\0' ? STEAL(plain) : mem_printf("HTTP %d", r->status);
}

/* True when the clock was corrected by a useful amount. */
static bool correct_clock(struct backend *b, const struct http_response *r)
{
        char date[64];
        struct tm tm = {0};
        if (!http_header(r->headers, "Date", date, sizeof date) ||
            strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL)
                return false;
        int64_t skew = (int64_t)timegm(&tm) * 1000 - clock_wall_ms();
        int64_t change = skew - b->clock_skew_ms;
        b->clock_skew_ms = skew;
        return change > 30000 || change < -30000;
}

static void on_answer(void *arg, int error, const char *text, const struct http_response *r)
{
        struct api_call *c = arg;
        struct backend *b = c->backend;
        struct ecs_answer a = {.error = error, .status = r->status, .code = "", .text = text};
        cleanup_json json_t *body = error == 0 ? json_loads(r->body, 0, NULL) : NULL;
        cleanup_free char *code = NULL;
        a.body = body;
        c->tried++;
        if (error != 0) {
                if (ecs_api_is_temporary(error, 0, "") &&
                    retry(c, error == -ETIMEDOUT ? RETRY_COST_TIMEOUT : RETRY_COST))
                        return;
                finish(c, &a);
                return;
        }
        if (r->status == 200) {
                int back = c->tried == 1 ? 1 : c->paid;
                b->retry_tokens = b->retry_tokens + back < ECS_API_RETRY_TOKENS
                                          ? b->retry_tokens + back
                                          : ECS_API_RETRY_TOKENS;
                finish(c, &a);
                return;
        }
        a.code = code = error_code(r, body);
        a.text = json_string_value(json_object_get(body, "message"));
        if (a.text == NULL)
                a.text = json_string_value(json_object_get(body, "Message"));
        if (a.text == NULL || *a.text == '\0')
                a.text = "no reason given";
        bool skewed = listed(skew_codes, ARRAY_SIZE(skew_codes), code) && correct_clock(b, r);
        if (skewed && c->tried < c->tries + 1) {
                try_now(c);
                return;
        }
        if (ecs_api_is_temporary(0, r->status, code) && retry(c, RETRY_COST))
                return;
        finish(c, &a);
}

char *ecs_api_user_agent(const struct config *c)
{
        const char *set = config_find(c, "ECS_DETAILED_OS_FAMILY");
        const char *os = set != NULL ? set : "LINUX";
        return mem_printf("Amazon ECS Agent - v%s (%s) (linux%s%s) (+http://aws.amazon.com/ecs/)",
                          ECS_VERSION, ECS_COMMIT, *os != '\0' ? "; " : "", os);
}

static void send_signed(struct api_call *c)
{
        struct backend *b = c->backend;
        char time[SIGV4_TIME], *host, *path, *authorization = NULL;
        cleanup_free char *endpoint =
                ecs_api_endpoint(config_text(b->config, "ECS_BACKEND_HOST", ""), b->region);
        cleanup_free char *url = mem_printf("%s/", endpoint);
        split_url(url, &host, &path);
        cleanup_free char *target = mem_printf(TARGET ".%s", c->operation);
        cleanup_free char *length = mem_printf("%zu", strlen(c->body));
        (void)sigv4_time(clock_wall_ms() + b->clock_skew_ms, time);
        struct sigv4_header signed_headers[8] = {{"content-length", length},
                                                 {"content-type", "application/x-amz-json-1.1"},
                                                 {"host", host},
                                                 {"x-amz-date", time},
                                                 {"x-amz-target", target}};
        size_t count = 5;
        bool token = b->session_token != NULL && *b->session_token != '\0';
        if (token)
                signed_headers[count++] =
                        (struct sigv4_header){"x-amz-security-token", b->session_token};
        const struct sigv4_request request = {.method = "POST",
                                              .path = path,
                                              .headers = signed_headers,
                                              .header_count = count,
                                              .body = c->body,
                                              .body_length = strlen(c->body),
                                              .double_encode = true};
        const struct sigv4_credentials credentials = {b->access_key_id, b->secret_access_key,
                                                      b->session_token};
        (void)sigv4_sign(&request, &credentials, time, b->region, "ecs", NULL, NULL,
                         &authorization);
        char *lines[10];
        size_t n = 0;
        for (size_t i = 1; i < count; i++) /* curl sets Content-Length itself */
                lines[n++] = mem_printf("%s: %s", signed_headers[i].name, signed_headers[i].value);
        lines[n++] = mem_printf("Authorization: %s", authorization);
        cleanup_free char *agent = ecs_api_user_agent(b->config);
        lines[n++] = mem_printf("User-Agent: %s", agent);
        lines[n] = NULL;
        struct http_options o = {.method = "POST",
                                 .url = url,
                                 .headers = (const char *const *)lines,
                                 .body = c->body,
                                 .body_length = strlen(c->body),
                                 .connect_timeout_ms = 30000,
                                 .timeout_ms = LIMIT_MS,
                                 .ca_path = config_find(b->config, "SSL_CERT_DIR"),
                                 .ca_file = config_find(b->config, "AWS_CA_BUNDLE"),
                                 .insecure = config_bool(b->config, "InsecureTLS", false),
                                 .done = on_answer,
                                 .arg = c};
        (void)http_start(b->http, &o);
        for (size_t i = 0; i < n; i++)
                free(lines[i]);
        free(authorization);
        free(host);
        free(path);
}

static void on_credentials(void *arg, int error, const char *text)
{
        struct api_call *c = arg;
        struct ecs_answer a = {.error = error, .code = "", .text = text};
        if (error == 0)
                send_signed(c);
        else
                finish(c, &a);
}

static void try_now(struct api_call *c)
{
        credentials_need(c->backend, on_credentials, c);
}

void ecs_api_call(struct backend *b, const char *operation, const json_t *body, unsigned tries,
                  ecs_done_fn done, void *arg)
{
        struct api_call *c = mem_zalloc(sizeof *c);
        *c = (struct api_call){.backend = b,
                               .operation = mem_strdup(operation),
                               .body = json_dumps(body, JSON_COMPACT),
                               .tries = tries,
                               .done = done,
                               .arg = arg};
        (void)uv_timer_init(worker_loop(b->worker), &c->wait);
        c->wait.data = c;
        (void)uv_timer_start(&c->wait, on_wait, 0, 0); /* never calls back from here */
}
