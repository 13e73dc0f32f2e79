/* authenticate: SigV4, as strict as AWS: every signed header is taken from the request, the
 * signature is made again and compared. Two key pairs are known: the agent's and the users'. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "clock.h"
#include "local.h"
#include "mem.h"
#include "sigv4.h"

#define SKEW_MAX_MS 300000
#define HEADERS_MAX 32

struct authorization {
        char key_id[128], date[16], region[64], service[32], headers[1024], signature[128];
};

static bool parse(const char *text, struct authorization *a)
{
        return text != NULL &&
               sscanf(text,
                      "AWS4-HMAC-SHA256 Credential=%127[^/]/%15[^/]/%63[^/]/%31[^/]/aws4_request,"
                      " SignedHeaders=%1023[^,], Signature=%127s",
                      a->key_id, a->date, a->region, a->service, a->headers, a->signature) == 6;
}

static bool is_fresh(const char *amz_date)
{
        struct tm tm = {0};
        if (amz_date == NULL || strptime(amz_date, "%Y%m%dT%H%M%SZ", &tm) == NULL)
                return false;
        int64_t skew = (int64_t)timegm(&tm) * 1000 - clock_wall_ms();
        return skew < SKEW_MAX_MS && skew > -SKEW_MAX_MS;
}

/* The request as it was signed; false when a signed header is not there. */
static bool collect(const struct http_exchange *x, char *names, struct sigv4_header *headers,
                    size_t *ret_count)
{
        char *save = NULL;
        *ret_count = 0;
        for (char *n = strtok_r(names, ";", &save); n != NULL; n = strtok_r(NULL, ";", &save)) {
                const char *value = http_request_header(x, n);
                if (value == NULL || *ret_count == HEADERS_MAX)
                        return false;
                headers[(*ret_count)++] = (struct sigv4_header){n, value};
        }
        return true;
}

static bool is_signed_by(struct http_exchange *x, struct authorization *a, const char *secret)
{
        struct sigv4_header headers[HEADERS_MAX];
        size_t count, length;
        cleanup_free char *expected = NULL;
        const char *body = http_body(x, &length);
        if (!collect(x, a->headers, headers, &count))
                return false;
        const struct sigv4_request r = {.method = http_method(x),
                                        .path = http_target(x),
                                        .headers = headers,
                                        .header_count = count,
                                        .body = body,
                                        .body_length = length,
                                        .double_encode = true};
        const struct sigv4_credentials c = {a->key_id, secret, NULL};
        const char *date = http_request_header(x, "x-amz-date");
        if (sigv4_sign(&r, &c, date, a->region, a->service, NULL, NULL, &expected) != 0)
                return false;
        const char *signature = strstr(expected, "Signature=") + strlen("Signature=");
        return strlen(signature) == strlen(a->signature) &&
               CRYPTO_memcmp(signature, a->signature, strlen(signature)) == 0;
}

unsigned authenticate(struct local *l, struct http_exchange *x, struct answer *a)
{
        const struct {
                const char *id, *secret;
                unsigned caller;
        } pairs[] = {
                {"ECS_LOCAL_USER_KEY_ID", "ECS_LOCAL_USER_SECRET", CALLER_USER},
                {"ECS_LOCAL_AGENT_KEY_ID", "ECS_LOCAL_AGENT_SECRET", CALLER_AGENT},
        };
        struct authorization auth;
        if (!parse(http_request_header(x, "Authorization"), &auth)) {
                answer_error(a, "MissingAuthenticationTokenException",
                             "Missing Authentication Token: use the keys that 'ecsctl local env' "
                             "sets");
                return 0;
        }
        if (!is_fresh(http_request_header(x, "x-amz-date"))) {
                answer_error(a, "RequestTimeTooSkewed",
                             "the request's time differs from the server's by more than 5 minutes");
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
                const char *id = config_text(l->config, pairs[i].id, "");
                if (*id == '\0' || strcmp(id, auth.key_id) != 0)
                        continue;
                if (strcmp(auth.service, "ecs") == 0 && strcmp(auth.region, l->region) == 0 &&
                    is_signed_by(x, &auth, config_text(l->config, pairs[i].secret, "")))
                        return pairs[i].caller;
                answer_error(a, "InvalidSignatureException",
                             "the signature does not match: check secret, region (%s) and service",
                             l->region);
                return 0;
        }
        answer_error(a, "UnrecognizedClientException",
                     "the access key is not known here: use the keys that 'ecsctl local env' sets");
        return 0;
}
