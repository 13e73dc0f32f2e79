/* ecs-imds-region: prints the region of this EC2 instance and ends. A program of its own, run by
 * the supervisor as an unprivileged user: what comes from the network is read here only, and the
 * supervisor takes no more than one checked word. IMDSv2; IMDSv1 where a token is refused.
 * Arguments: endpoint, "v1" or "no-v1". */
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "buf.h"
#include "cleanup.h"
#include "mem.h"

#define ANSWER_MAX (64u << 10)
#define TIMEOUT_MS 1500L

static size_t take(char *data, size_t size, size_t count, void *arg)
{
        struct buf *b = arg;
        if (b->length + size * count > ANSWER_MAX)
                return 0;
        buf_append(b, data, size * count);
        return size * count;
}

/* The body of a 200. Returns owned or NULL. */
static char *request(const char *url, const char *method, const char *header)
{
        struct buf body = {0};
        long status = 0;
        CURL *c = curl_easy_init();
        struct curl_slist *headers = header != NULL ? curl_slist_append(NULL, header) : NULL;
        (void)curl_easy_setopt(c, CURLOPT_URL, url);
        (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
        (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
        (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
        (void)curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
        (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http");
        (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
        (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
        (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, &body);
        CURLcode r = curl_easy_perform(c);
        (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
        curl_slist_free_all(headers);
        curl_easy_cleanup(c);
        if (r != CURLE_OK || status != 200) {
                (void)fprintf(stderr, "%s %s: %s, status %ld\n", method, url, curl_easy_strerror(r),
                              status);
                buf_clear(&body);
                return NULL;
        }
        return buf_steal(&body);
}

int main(int argc, char **argv)
{
        if (argc != 3) {
                (void)fputs("usage: ecs-imds-region ENDPOINT v1|no-v1\n", stderr);
                return 2;
        }
        /* of no use to others of our user while it holds what came from the network */
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        (void)curl_global_init(CURL_GLOBAL_DEFAULT);
        cleanup_free char *token_url = mem_printf("%s/latest/api/token", argv[1]);
        cleanup_free char *url = mem_printf("%s/latest/dynamic/instance-identity/document", argv[1]);
        cleanup_free char *token =
                request(token_url, "PUT", "X-aws-ec2-metadata-token-ttl-seconds: 60");
        if (token == NULL && strcmp(argv[2], "v1") != 0)
                return 1;
        cleanup_free char *header =
                token != NULL ? mem_printf("X-aws-ec2-metadata-token: %s", token) : NULL;
        cleanup_free char *document = request(url, "GET", header);
        cleanup_json json_t *o = document != NULL ? json_loads(document, 0, NULL) : NULL;
        const char *region = json_string_value(json_object_get(o, "region"));
        if (region == NULL)
                return 1;
        return puts(region) < 0;
}
