/* sigv4: canonical request → string to sign → signature. Header values are trimmed and inner runs
 * of blanks become one; paths are normalised and encoded (twice but for S3), queries sorted. */
#include "sigv4.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "buf.h"
#include "cleanup.h"
#include "mem.h"

#define HASH 32

static void to_hex(const unsigned char *hash, char hex[SIGV4_SIGNATURE])
{
        for (size_t i = 0; i < HASH; i++)
                (void)snprintf(hex + i * 2, 3, "%02x", hash[i]);
}

static void sha256_hex(const void *data, size_t length, char hex[SIGV4_SIGNATURE])
{
        unsigned char hash[HASH];
        (void)EVP_Digest(length > 0 ? data : "", length, hash, NULL, EVP_sha256(), NULL);
        to_hex(hash, hex);
}

static void hmac(const void *key, size_t key_length, const char *text, unsigned char out[HASH])
{
        unsigned int n = HASH;
        (void)HMAC(EVP_sha256(), key, (int)key_length, (const unsigned char *)text, strlen(text),
                   out, &n);
}

static void put_encoded(struct buf *b, const char *text, size_t length, bool keep_slash)
{
        for (size_t i = 0; i < length; i++) {
                unsigned char ch = (unsigned char)text[i];
                bool unreserved = isalnum(ch) || (ch != '\0' && strchr("-_.~", ch) != NULL);
                if (unreserved || (keep_slash && ch == '/'))
                        buf_append(b, &text[i], 1);
                else
                        buf_printf(b, "%%%02X", ch);
        }
}

/* "/a/./b//../c/" → "/a/c/": dot segments and doubled slashes go, one trailing slash stays. */
static void put_normalized(struct buf *out, const char *path, size_t length)
{
        size_t at = 0;
        bool trailing = false;
        while (at < length) {
                while (at < length && path[at] == '/')
                        at++;
                size_t start = at;
                while (at < length && path[at] != '/')
                        at++;
                size_t n = at - start;
                trailing = at < length || n == 0;
                if (n == 0 || (n == 1 && path[start] == '.')) {
                        trailing = true;
                        continue;
                }
                if (n == 2 && path[start] == '.' && path[start + 1] == '.') {
                        while (out->length > 0 && out->data[--out->length] != '/')
                                continue;
                        trailing = true;
                        continue;
                }
                buf_append(out, "/", 1);
                buf_append(out, path + start, n);
        }
        if (trailing || out->length == 0)
                buf_append(out, "/", 1);
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* Decodes what the URL encodes, then encodes as the signature wants it. In a query a plus is a
 * blank, in a path it is itself. */
static char *recode(const char *text, size_t length, bool is_path)
{
        struct buf plain = {0}, encoded = {0};
        for (size_t i = 0; i < length; i++) {
                char c = text[i];
                if (c == '%' && i + 2 < length && hex_digit(text[i + 1]) >= 0 &&
                    hex_digit(text[i + 2]) >= 0) {
                        c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
                        i += 2;
                } else if (c == '+' && !is_path) {
                        c = ' ';
                }
                buf_append(&plain, &c, 1);
        }
        put_encoded(&encoded, plain.data != NULL ? plain.data : "", plain.length, is_path);
        buf_clear(&plain);
        return buf_steal(&encoded);
}

static void put_path(struct buf *b, const struct sigv4_request *r, size_t length)
{
        struct buf path = {0};
        if (r->no_normalize)
                buf_append(&path, r->path, length);
        else
                put_normalized(&path, r->path, length);
        if (path.length == 0)
                buf_append(&path, "/", 1);
        if (r->double_encode) {
                put_encoded(b, path.data, path.length, true);
        } else {
                cleanup_free char *once = recode(path.data, path.length, true);
                buf_append_str(b, once);
        }
        buf_clear(&path);
}

struct parameter {
        char *name, *value;  /* encoded */
};

static int compare_parameters(const void *a, const void *b)
{
        const struct parameter *x = a, *y = b;
        int r = strcmp(x->name, y->name);
        return r != 0 ? r : strcmp(x->value, y->value);
}

static void put_query(struct buf *b, const char *query)
{
        struct parameter *list = NULL;
        size_t count = 0;
        while (query != NULL && *query != '\0') {
                size_t n = strcspn(query, "&");
                const char *eq = memchr(query, '=', n);
                size_t name = eq != NULL ? (size_t)(eq - query) : n;
                if (n > 0) {
                        list = mem_realloc_array(list, count + 1, sizeof *list);
                        list[count].name = recode(query, name, false);
                        list[count].value = eq != NULL ? recode(eq + 1, n - name - 1, false)
                                                       : mem_strdup("");
                        count++;
                }
                query += query[n] == '&' ? n + 1 : n;
        }
        if (count > 0)
                qsort(list, count, sizeof *list, compare_parameters);
        for (size_t i = 0; i < count; i++) {
                buf_printf(b, "%s%s=%s", i > 0 ? "&" : "", list[i].name, list[i].value);
                free(list[i].name);
                free(list[i].value);
        }
        free(list);
}

struct canonical_header {
        char *name, *value;
        size_t order;
};

static int compare_headers(const void *a, const void *b)
{
        const struct canonical_header *x = a, *y = b;
        int r = strcmp(x->name, y->name);
        return r != 0 ? r : (x->order > y->order) - (x->order < y->order);
}

static char *squeeze(const char *value)
{
        struct buf b = {0};
        bool blank = false;
        for (; *value != '\0'; value++) {
                if (isspace((unsigned char)*value)) {
                        blank = b.length > 0;
                        continue;
                }
                if (blank)
                        buf_append(&b, " ", 1);
                blank = false;
                buf_append(&b, value, 1);
        }
        return buf_steal(&b);
}

/* Appends "name:value\n" lines to lines and "name;name" to names; equal names are joined. */
static void put_headers(const struct sigv4_request *r, struct buf *lines, struct buf *names)
{
        struct canonical_header *list = mem_zalloc((r->header_count + 1) * sizeof *list);
        for (size_t i = 0; i < r->header_count; i++) {
                list[i].name = mem_strdup(r->headers[i].name);
                for (char *p = list[i].name; *p != '\0'; p++)
                        *p = (char)tolower((unsigned char)*p);
                list[i].value = squeeze(r->headers[i].value);
                list[i].order = i;
        }
        qsort(list, r->header_count, sizeof *list, compare_headers);
        for (size_t i = 0; i < r->header_count; i++) {
                bool again = i > 0 && strcmp(list[i].name, list[i - 1].name) == 0;
                if (again) {
                        lines->length--; /* the newline of the first */
                        buf_printf(lines, ",%s\n", list[i].value);
                } else {
                        buf_printf(lines, "%s:%s\n", list[i].name, list[i].value);
                        buf_printf(names, "%s%s", names->length > 0 ? ";" : "", list[i].name);
                }
        }
        for (size_t i = 0; i < r->header_count; i++) {
                free(list[i].name);
                free(list[i].value);
        }
        free(list);
}

static char *canonical_request(const struct sigv4_request *r, struct buf *names)
{
        struct buf b = {0}, lines = {0};
        char hash[SIGV4_SIGNATURE];
        size_t path = strcspn(r->path, "?");
        put_headers(r, &lines, names);
        sha256_hex(r->body, r->body_length, hash);
        buf_printf(&b, "%s\n", r->method);
        put_path(&b, r, path);
        buf_append_str(&b, "\n");
        put_query(&b, r->path[path] == '?' ? r->path + path + 1 : NULL);
        buf_printf(&b, "\n%s\n%s\n%s", lines.data != NULL ? lines.data : "", names->data, hash);
        buf_clear(&lines);
        return buf_steal(&b);
}

static void signature(const char *secret, const char *date, const char *region, const char *service,
                      const char *string_to_sign, char hex[SIGV4_SIGNATURE])
{
        unsigned char key[HASH], next[HASH];
        char *first = mem_printf("AWS4%s", secret);
        hmac(first, strlen(first), date, key);
        explicit_bzero(first, strlen(first));
        free(first);
        const char *const steps[] = {region, service, "aws4_request", string_to_sign};
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                hmac(key, sizeof key, steps[i], next);
                memcpy(key, next, sizeof key);
        }
        to_hex(key, hex);
        explicit_bzero(key, sizeof key);
        explicit_bzero(next, sizeof next);
}

int sigv4_sign(const struct sigv4_request *r, const struct sigv4_credentials *c, const char *time,
               const char *region, const char *service, char **ret_canonical,
               char **ret_string_to_sign, char **ret_authorization)
{
        if (strlen(time) != SIGV4_TIME - 1)
                return -EINVAL;
        struct buf names = {0};
        char hash[SIGV4_SIGNATURE], sig[SIGV4_SIGNATURE], date[9];
        (void)snprintf(date, sizeof date, "%.8s", time);
        buf_append(&names, "", 0);
        cleanup_free char *canonical = canonical_request(r, &names);
        sha256_hex(canonical, strlen(canonical), hash);
        cleanup_free char *scope = mem_printf("%s/%s/%s/aws4_request", date, region, service);
        cleanup_free char *to_sign = mem_printf("AWS4-HMAC-SHA256\n%s\n%s\n%s", time, scope, hash);
        signature(c->secret_access_key, date, region, service, to_sign, sig);
        if (ret_authorization != NULL)
                *ret_authorization = mem_printf(
                        "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
                        c->access_key_id, scope, names.data, sig);
        if (ret_canonical != NULL)
                *ret_canonical = STEAL(canonical);
        if (ret_string_to_sign != NULL)
                *ret_string_to_sign = STEAL(to_sign);
        buf_clear(&names);
        return 0;
}

const char *sigv4_time(long long wall_ms, char buf[SIGV4_TIME])
{
        time_t t = (time_t)(wall_ms / 1000);
        struct tm tm;
        (void)gmtime_r(&t, &tm);
        (void)strftime(buf, SIGV4_TIME, "%Y%m%dT%H%M%SZ", &tm);
        return buf;
}
