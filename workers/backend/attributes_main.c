/* ecs-attributes: prints the capabilities this instance would offer to ECS, one a line, name TAB
 * value, and ends. Run by 'ecs-supervisor -ecs-attributes', which gives the settings on standard
 * input, as lines NAME=value. */
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "backend.h"
#include "capability_table.h"
#include "buf.h"
#include "cleanup.h"
#include "config_parse.h"
#include "mem.h"

#define INPUT_MAX (4u << 20)
#define ANSWER_MAX (1u << 20)
#define LIMIT_MS 10000L

static void take_setting(void *arg, const char *name, const char *value)
{
        config_set(arg, name, value);
}

static struct config *read_settings(void)
{
        struct config *c = config_new();
        struct buf text = {0};
        char part[4096];
        size_t n;
        while (text.length < INPUT_MAX && (n = fread(part, 1, sizeof part, stdin)) > 0)
                buf_append(&text, part, n);
        cleanup_free char *lines = buf_steal(&text);
        config_parse_lines(lines, take_setting, c);
        return c;
}

static size_t take(char *data, size_t size, size_t count, void *arg)
{
        struct buf *b = arg;
        if (b->length + size * count > ANSWER_MAX)
                return 0;
        buf_append(b, data, size * count);
        return size * count;
}

/* What GET /version of Docker says. Returns owned or NULL, after saying why. */
static json_t *ask_docker(const char *host)
{
        struct buf body = {0};
        CURL *c = curl_easy_init();
        if (strncmp(host, "unix://", 7) == 0)
                (void)curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, host + 7);
        (void)curl_easy_setopt(c, CURLOPT_URL, "http://docker/version");
        (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, LIMIT_MS);
        (void)curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
        (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
        (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, &body);
        CURLcode r = curl_easy_perform(c);
        curl_easy_cleanup(c);
        json_t *answer = r == CURLE_OK && body.data != NULL ? json_loads(body.data, 0, NULL) : NULL;
        buf_clear(&body);
        if (answer == NULL)
                (void)fprintf(stderr, "ecs-attributes: Docker does not answer at %s: %s\n", host,
                              r != CURLE_OK ? curl_easy_strerror(r) : "no JSON");
        return answer;
}

int main(void)
{
        (void)curl_global_init(CURL_GLOBAL_DEFAULT);
        struct config *c = read_settings();
        cleanup_json json_t *docker =
                ask_docker(config_text(c, "DOCKER_HOST", "unix:///var/run/docker.sock"));
        const char *version = json_string_value(json_object_get(docker, "ApiVersion"));
        const struct backend b = {.config = c,
                                  .api_version = (char *)(version != NULL ? version : "")};
        cleanup_json json_t *list = json_array();
        size_t i;
        json_t *e;
        if (docker != NULL)
                capabilities_put(&b, list);
        json_array_foreach(list, i, e)
        {
                const char *value = json_string_value(json_object_get(e, "value"));
                (void)printf("%s\t%s\n", json_string_value(json_object_get(e, "name")),
                             value != NULL ? value : "");
        }
        config_free(c);
        return docker == NULL || fflush(stdout) != 0;
}
