/* ecs-imds: prints what the metadata service of EC2 knows, and ends. A program of its own, run by
 * the supervisor as an unprivileged user: what comes from the network is read here only, and the
 * supervisor takes checked lines (imds.h). IMDSv2; IMDSv1 where a token is refused.
 * Arguments: endpoint; v1 or no-v1; where the region is to come from. */
#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "buf.h"
#include "cleanup.h"
#include "config_parse.h"
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

struct answer {
        char *body;  /* owned; NULL unless 200 */
        long status; /* 0: nobody answered */
        CURLcode code;
};

static struct answer request(const char *url, const char *method, const char *header)
{
        struct buf body = {0};
        struct answer a = {0};
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
        a.code = curl_easy_perform(c);
        (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a.status);
        curl_slist_free_all(headers);
        curl_easy_cleanup(c);
        if (a.code == CURLE_OK && a.status == 200)
                a.body = buf_steal(&body);
        buf_clear(&body);
        return a;
}

static struct answer get(const char *endpoint, const char *path, const char *header)
{
        cleanup_free char *url = mem_printf("%s/latest/%s", endpoint, path);
        return request(url, "GET", header);
}

/* What the supervisor logs when something is missing. */
static void tell(const char *what, const struct answer *a)
{
        if (a->status == 0)
                (void)printf("failed %s: %s\n", what, curl_easy_strerror(a->code));
        else
                (void)printf("failed %s: status %ld\n", what, a->status);
}

static void put_user_data(const char *endpoint, const char *header)
{
        struct answer a = get(endpoint, "user-data", header);
        struct config_warnings w = {0};
        cleanup_free char *text = a.body;
        if (text == NULL && a.status != 404)
                tell("user data", &a);
        if (text == NULL || *text == '\0')
                return;
        (void)puts("user-data");
        cleanup_free char *lines = config_user_data_lines(text, &w);
        char *save = NULL;
        for (char *line = strtok_r(lines, "\n", &save); line != NULL;
             line = strtok_r(NULL, "\n", &save))
                (void)printf("set %s\n", line);
        for (size_t i = 0; i < w.count; i++)
                (void)printf("warning %s\n", w.texts[i]);
        config_warnings_clear(&w);
}

static void put_region(const char *endpoint, const char *header, bool document)
{
        struct answer a =
                get(endpoint,
                    document ? "dynamic/instance-identity/document" : "meta-data/placement/region",
                    header);
        cleanup_free char *text = a.body;
        if (text == NULL) {
                tell("region", &a);
                return;
        }
        cleanup_json json_t *o = document ? json_loads(text, 0, NULL) : NULL;
        const char *region = document ? json_string_value(json_object_get(o, "region")) : text;
        if (region != NULL && strchr(region, '\n') == NULL) /* a second line would be another word */
                (void)printf("region %s\n", region);
        else
                (void)puts("failed region: the identity document names none");
}

int main(int argc, char **argv)
{
        if (argc != 4) {
                (void)fputs("usage: ecs-imds ENDPOINT v1|no-v1 no-region|document|placement\n",
                            stderr);
                return 2;
        }
        /* of no use to others of our user while it holds what came from the network */
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        (void)curl_global_init(CURL_GLOBAL_DEFAULT);
        cleanup_free char *token_url = mem_printf("%s/latest/api/token", argv[1]);
        struct answer token = request(token_url, "PUT", "X-aws-ec2-metadata-token-ttl-seconds: 60");
        cleanup_free char *text = token.body;
        if (text == NULL && (token.status == 0 || strcmp(argv[2], "v1") != 0)) {
                tell("token", &token);
                return 1;
        }
        cleanup_free char *header =
                text != NULL ? mem_printf("X-aws-ec2-metadata-token: %s", text) : NULL;
        put_user_data(argv[1], header);
        if (strcmp(argv[3], "no-region") != 0)
                put_region(argv[1], header, strcmp(argv[3], "document") == 0);
        return fflush(stdout) != 0;
}
