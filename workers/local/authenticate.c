/* authenticate: SigV4, as strict as AWS: every signed header is taken from the request, the
 * signature is made again and compared. Two key pairs are known: the agent's and the users'. */
#include "authenticate.h"

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

/* The headers that were signed; false when one of them is not there. */
static bool collect(const struct signed_request *q, char *names, struct sigv4_header *headers,
                    size_t *ret_count)
{
        char *save = NULL;
        *ret_count = 0;
        for (char *n = strtok_r(names, ";", &save); n != NULL; n = strtok_r(NULL, ";", &save)) {
                const char *value = q->header(q->source, n);
                if (value == NULL || *ret_count == HEADERS_MAX)
                        return false;
                headers[(*ret_count)++] = (struct sigv4_header){n, value};
        }
        return true;
}

static bool names(const char *list, const char *name)
{
        size_t n = strlen(name);
        for (const char *p = list; p != NULL;
             p = strchr(p, ';') != NULL ? strchr(p, ';') + 1 : NULL)
                if (strncmp(p, name, n) == 0 && (p[n] == ';' || p[n] == '\0'))
                        return true;
        return false;
}

/* Headers that AWS does not take unsigned. */
static bool signs_enough(const struct signed_request *q, const char *signed_names)
{
        static const char *const must[] = {"x-amz-target", "x-amz-security-token"};
        for (size_t i = 0; i < ARRAY_SIZE(must); i++)
                if (q->header(q->source, must[i]) != NULL && !names(signed_names, must[i]))
                        return false;
        return names(signed_names, "host") && names(signed_names, "x-amz-date");
}

static bool is_signed_by(const struct signed_request *q, struct authorization *a,
                         const char *secret)
{
        struct sigv4_header headers[HEADERS_MAX];
        size_t count;
        cleanup_free char *expected = NULL;
        if (!signs_enough(q, a->headers) || !collect(q, a->headers, headers, &count))
                return false;
        const struct sigv4_request r = {.method = q->method,
                                        .path = q->target,
                                        .headers = headers,
                                        .header_count = count,
                                        .body = q->body,
                                        .body_length = q->length,
                                        .double_encode = true};
        const struct sigv4_credentials c = {a->key_id, secret, NULL};
        const char *date = q->header(q->source, "x-amz-date");
        if (sigv4_sign(&r, &c, date, a->region, a->service, NULL, NULL, &expected) != 0)
                return false;
        const char *signature = strstr(expected, "Signature=") + strlen("Signature=");
        return strlen(signature) == strlen(a->signature) &&
               CRYPTO_memcmp(signature, a->signature, strlen(signature)) == 0;
}

unsigned authenticate(struct local *l, const struct signed_request *q, struct answer *a)
{
        const struct {
                const char *id, *secret;
                unsigned caller;
        } pairs[] = {
                {"ECS_LOCAL_USER_KEY_ID",  "ECS_LOCAL_USER_SECRET",  CALLER_USER },
                {"ECS_LOCAL_AGENT_KEY_ID", "ECS_LOCAL_AGENT_SECRET", CALLER_AGENT},
        };
        struct authorization auth;
        if (!parse(q->header(q->source, "Authorization"), &auth)) {
                answer_error(a, "MissingAuthenticationTokenException",
                             "Missing Authentication Token: use the keys that 'ecsctl local env' "
                             "sets");
                return 0;
        }
        if (!is_fresh(q->header(q->source, "x-amz-date"))) {
                answer_error(a, "RequestTimeTooSkewed",
                             "the request's time differs from the server's by more than 5 minutes");
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
                const char *id = config_text(l->config, pairs[i].id, "");
                if (*id == '\0' || strcmp(id, auth.key_id) != 0)
                        continue;
                if (strcmp(auth.service, "ecs") == 0 && strcmp(auth.region, l->region) == 0 &&
                    is_signed_by(q, &auth, config_text(l->config, pairs[i].secret, "")))
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
