/* The published signature test suite, where it lies beside the checkout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <unistd.h>

#include "sigv4.h"

#define SUITE SOURCE_DIR "/../shared/data/sigv4"
#define HEADERS_MAX 32

static char *slurp(const char *dir, const char *file)
{
        char path[1024];
        static char text[65536];
        (void)snprintf(path, sizeof path, SUITE "/%s/%s", dir, file);
        FILE *f = fopen(path, "r");
        if (f == NULL)
                return NULL;
        size_t n = fread(text, 1, sizeof text - 1, f);
        text[n] = '\0';
        (void)fclose(f);
        return strdup(text);
}

struct parsed {
        char *method, *path, *body;
        struct sigv4_header headers[HEADERS_MAX];
        size_t count;
};

/* Splits "POST /path HTTP/1.1", header lines (with folded ones), blank line, body; in place. */
static void parse(char *text, struct parsed *p)
{
        char *line_end = strchr(text, '\n');
        *line_end = '\0';
        p->method = text;
        p->path = strchr(text, ' ') + 1;
        p->path[-1] = '\0';
        char *last_space = strrchr(p->path, ' ');
        *last_space = '\0';
        char *at = line_end + 1;
        while (*at != '\0' && *at != '\n' && *at != '\r') {
                char *end = at + strcspn(at, "\n");
                while (end[0] == '\n' && (end[1] == ' ' || end[1] == '\t'))
                        end += 1 + strcspn(end + 1, "\n");
                char *next = *end != '\0' ? end + 1 : end;
                *end = '\0';
                char *colon = strchr(at, ':');
                *colon = '\0';
                p->headers[p->count++] = (struct sigv4_header){at, colon + 1};
                at = next;
        }
        p->body = *at != '\0' ? at + 1 : at;
}

static void check_case(const char *name, size_t *ran)
{
        char *context_text = slurp(name, "context.json"), *request = slurp(name, "request.txt");
        char *canonical = slurp(name, "header-canonical-request.txt");
        char *to_sign = slurp(name, "header-string-to-sign.txt");
        char *signature = slurp(name, "header-signature.txt");
        if (context_text == NULL || request == NULL || signature == NULL)
                goto out;
        json_t *context = json_loads(context_text, 0, NULL);
        const json_t *c = json_object_get(context, "credentials");
        const char *token = json_string_value(json_object_get(c, "token"));
        const char *stamp = json_string_value(json_object_get(context, "timestamp"));
        char time[SIGV4_TIME];
        (void)snprintf(time, sizeof time, "%.4s%.2s%.2sT%.2s%.2s%.2sZ", stamp, stamp + 5, stamp + 8,
                       stamp + 11, stamp + 14, stamp + 17);
        struct parsed p = {0};
        parse(request, &p);
        p.headers[p.count++] = (struct sigv4_header){"X-Amz-Date", time};
        if (token != NULL && !json_is_true(json_object_get(context, "omit_session_token")))
                p.headers[p.count++] = (struct sigv4_header){"X-Amz-Security-Token", token};
        if (json_is_true(json_object_get(context, "sign_body"))) {
                json_decref(context);
                goto out; /* a client that adds x-amz-content-sha256: not this one */
        }
        const struct sigv4_request r = {
                .method = p.method, .path = p.path, .headers = p.headers, .header_count = p.count,
                .body = p.body, .body_length = strlen(p.body), .double_encode = true,
                .no_normalize = json_is_false(json_object_get(context, "normalize"))};
        const struct sigv4_credentials keys = {
                json_string_value(json_object_get(c, "access_key_id")),
                json_string_value(json_object_get(c, "secret_access_key")), token};
        char *got_canonical = NULL, *got_to_sign = NULL, *got = NULL;
        assert_int_equal(sigv4_sign(&r, &keys, time,
                                    json_string_value(json_object_get(context, "region")),
                                    json_string_value(json_object_get(context, "service")),
                                    &got_canonical, &got_to_sign, &got),
                         0);
        if (strcmp(got_canonical, canonical) != 0)
                print_message("case %s\n", name);
        assert_string_equal(got_canonical, canonical);
        assert_string_equal(got_to_sign, to_sign);
        signature[strcspn(signature, "\n")] = '\0';
        assert_string_equal(strstr(got, "Signature=") + strlen("Signature="), signature);
        (*ran)++;
        free(got_canonical);
        free(got_to_sign);
        free(got);
        json_decref(context);
out:
        free(context_text);
        free(request);
        free(canonical);
        free(to_sign);
        free(signature);
}

static void the_published_suite(void **state)
{
        DIR *d = opendir(SUITE);
        const struct dirent *e;
        size_t ran = 0;
        (void)state;
        if (d == NULL) {
                print_message("%s is not here: skipped\n", SUITE);
                skip();
        }
        while ((e = readdir(d)) != NULL)
                if (e->d_name[0] != '.')
                        check_case(e->d_name, &ran);
        (void)closedir(d);
        print_message("%zu cases\n", ran);
        assert_true(ran >= 30);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(the_published_suite)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
