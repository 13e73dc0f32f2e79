/* Signatures against the published test vectors, read from beside the source tree; and the cases
 * they do not have: paths signed the way every service but S3 wants them. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"
#include "sigv4.h"

#define VECTORS SOURCE_DIR "/../shared/data/sigv4"
#define HEADERS_MAX 16

static char *read_text(const char *name, const char *file)
{
        cleanup_free char *path = mem_printf("%s/%s/%s", VECTORS, name, file);
        cleanup_file FILE *f = fopen(path, "re");
        assert_non_null(f);
        char *text = mem_zalloc(65536);
        size_t n = fread(text, 1, 65535, f);
        while (n > 0 && text[n - 1] == '\n' && strstr(file, "request.txt") == NULL)
                text[--n] = '\0';
        return text;
}

struct vector {
        struct sigv4_header headers[HEADERS_MAX];
        struct sigv4_request request;
};

/* One header line; a line that starts with a blank continues the last value. */
static void take_header(struct vector *v, char *line)
{
        if (*line == ' ') {
                line[-1] = ' '; /* the NUL that ended the line before */
                return;
        }
        char *colon = strchr(line, ':');
        assert_non_null(colon);
        *colon = '\0';
        v->headers[v->request.header_count++] = (struct sigv4_header){line, colon + 1};
}

static void parse_request(struct vector *v, char *text)
{
        char *body = strstr(text, "\n\n"), *save = NULL;
        if (body != NULL) {
                *body = '\0';
                body += 2;
        }
        char *line = strtok_r(text, "\n", &save);
        char *end = strstr(line, " HTTP/1.1");
        assert_non_null(end);
        *end = '\0';
        char *space = strchr(line, ' ');
        *space = '\0';
        v->request = (struct sigv4_request){.method = line,
                                            .path = space + 1,
                                            .headers = v->headers,
                                            .body = body,
                                            .body_length = body != NULL ? strlen(body) : 0};
        while ((line = strtok_r(NULL, "\n", &save)) != NULL)
                take_header(v, line);
}

static void add_header(struct vector *v, const char *name, const char *value)
{
        if (value != NULL)
                v->headers[v->request.header_count++] = (struct sigv4_header){name, value};
}

/* "2015-08-30T12:36:00Z" → "20150830T123600Z" */
static void compact_time(const char *text, char out[SIGV4_TIME])
{
        size_t n = 0;
        for (; *text != '\0' && n < SIGV4_TIME - 1; text++)
                if (*text != '-' && *text != ':')
                        out[n++] = *text;
        out[n] = '\0';
}

static void check_vector(const char *name)
{
        struct vector v = {0};
        char time[SIGV4_TIME];
        const char *key, *secret, *token = NULL, *region, *service, *timestamp;
        int normalize = 1, sign_body = 0, omit = 0;
        cleanup_free char *context_text = read_text(name, "context.json");
        cleanup_json json_t *context = json_loads(context_text, 0, NULL);
        assert_int_equal(json_unpack(context, "{s:{s:s,s:s,s?s},s?b,s?b,s?b,s:s,s:s,s:s}",
                                     "credentials", "access_key_id", &key, "secret_access_key",
                                     &secret, "token", &token, "normalize", &normalize,
                                     "sign_body", &sign_body, "omit_session_token", &omit,
                                     "region", &region, "service", &service, "timestamp",
                                     &timestamp),
                         0);
        compact_time(timestamp, time);
        cleanup_free char *text = read_text(name, "request.txt");
        parse_request(&v, text);
        cleanup_free char *canonical_wanted = read_text(name, "header-canonical-request.txt");
        cleanup_free char *to_sign_wanted = read_text(name, "header-string-to-sign.txt");
        cleanup_free char *signature_wanted = read_text(name, "header-signature.txt");
        add_header(&v, "X-Amz-Date", time);
        add_header(&v, "X-Amz-Security-Token", omit ? NULL : token);
        /* the hash of the body is the last line of the canonical request */
        const char *hash = strrchr(canonical_wanted, '\n') + 1;
        add_header(&v, "x-amz-content-sha256", sign_body ? hash : NULL);
        for (size_t n = strlen(canonical_wanted); n > 0 && canonical_wanted[n - 1] == '\n'; n--)
                canonical_wanted[n - 1] = '\0';
        v.request.no_normalize = !normalize;
        const struct sigv4_credentials c = {key, secret, token};
        cleanup_free char *canonical = NULL, *to_sign = NULL, *authorization = NULL;
        assert_int_equal(sigv4_sign(&v.request, &c, time, region, service, &canonical, &to_sign,
                                    &authorization),
                         0);
        if (strcmp(canonical, canonical_wanted) != 0)
                fail_msg("%s\n%s\n--- wanted ---\n%s", name, canonical, canonical_wanted);
        assert_string_equal(to_sign, to_sign_wanted);
        const char *signature = strstr(authorization, "Signature=");
        assert_non_null(signature);
        assert_string_equal(signature + strlen("Signature="), signature_wanted);
}

static void published_vectors_hold(void **state)
{
        DIR *d = opendir(VECTORS);
        int count = 0;
        (void)state;
        if (d == NULL) {
                print_message("%s is not there: skipped\n", VECTORS);
                skip();
                return;
        }
        for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
                if (e->d_name[0] != '.') {
                        check_vector(e->d_name);
                        count++;
                }
        (void)closedir(d);
        print_message("%d vectors\n", count);
        assert_true(count > 0);
}

/* First three lines of the canonical request, joined with '|'. */
static void paths_and_queries_are_canonical(void **state)
{
        static const struct {
                const char *path;
                bool double_encode;
                const char *canonical;
        } cases[] = {
                {"/", true, "GET|/|"},
                {"", true, "GET|/|"},
                {"/a%20b", true, "GET|/a%2520b|"},
                {"/a%20b", false, "GET|/a%20b|"},
                {"/a+b", false, "GET|/a%2Bb|"},
                {"/v1/%3Aid", true, "GET|/v1/%253Aid|"},
                {"/ws?b=2&a=x%20y&a=%2F", true, "GET|/ws|a=%2F&a=x%20y&b=2"},
                {"/ws?flag", true, "GET|/ws|flag="},
                {"/ws?z=%00", true, "GET|/ws|z=%00"},
                {"/ws?a=b+c", true, "GET|/ws|a=b%20c"},
                {"/ws?&&a=1&", true, "GET|/ws|a=1"},
                {"/../../x/", true, "GET|/x/|"},
        };
        const struct sigv4_header host = {"host", "h"};
        const struct sigv4_credentials c = {"id", "secret", NULL};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct sigv4_request r = {.method = "GET",
                                                .path = cases[i].path,
                                                .headers = &host,
                                                .header_count = 1,
                                                .double_encode = cases[i].double_encode};
                cleanup_free char *canonical = NULL;
                assert_int_equal(sigv4_sign(&r, &c, "20240101T000000Z", "r", "s", &canonical,
                                            NULL, NULL),
                                 0);
                for (int n = 0; n < 2; n++)
                        *strchr(canonical, '\n') = '|';
                *strchr(canonical, '\n') = '\0';
                assert_string_equal(canonical, cases[i].canonical);
        }
}

static void time_has_its_form(void **state)
{
        char buf[SIGV4_TIME];
        const struct sigv4_request r = {.method = "GET", .path = "/"};
        const struct sigv4_credentials c = {"id", "secret", NULL};
        (void)state;
        assert_string_equal(sigv4_time(1440938160000LL, buf), "20150830T123600Z");
        assert_int_equal(sigv4_sign(&r, &c, "2015", "r", "s", NULL, NULL, NULL), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(published_vectors_hold),
                cmocka_unit_test(paths_and_queries_are_canonical),
                cmocka_unit_test(time_has_its_form),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
