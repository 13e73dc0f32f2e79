/* acs_handshake: the body of a refusal names the exception that decides how long to wait, so a
 * refusal is complete only with its body. */
#include "acs_handshake.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "mem.h"
#include "random.h"

#define ANSWER_MAX  65536
#define REFUSAL_MAX 1024
#define WS_GUID     "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static void put_encoded(struct buf *q, const char *text)
{
        for (const char *p = text; *p != '\0'; p++) {
                bool plain = strchr("-_.~", *p) != NULL || (*p >= '0' && *p <= '9') ||
                             (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
                if (plain)
                        buf_append(q, p, 1);
                else if (*p == ' ')
                        buf_append_str(q, "+");
                else
                        buf_printf(q, "%%%02X", (unsigned char)*p);
        }
}

char *acs_handshake_query(const struct backend *b, bool send_credentials)
{
        bool docker = b->docker_version != NULL && *b->docker_version != '\0';
        cleanup_free char *version = mem_printf("DockerVersion: %s",
                                                docker ? b->docker_version : "");
        const struct {
                const char *key, *value;
        } parameters[] = {
                {"agentHash", ECS_COMMIT},
                {"agentVersion", ECS_VERSION},
                {"clusterArn", b->identity.cluster},
                {"containerInstanceArn", b->identity.instance_arn},
                {"dockerVersion", docker ? version : NULL},
                {"protocolVersion", "2"},
                {"sendCredentials", send_credentials ? "true" : "false"},
                {"seqNum", "1"},
        };
        struct buf q = {0};
        for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
                if (parameters[i].value == NULL)
                        continue;
                buf_printf(&q, "%s%s=", i > 0 ? "&" : "", parameters[i].key);
                put_encoded(&q, parameters[i].value);
        }
        return buf_steal(&q);
}

char *acs_handshake_url(const char *endpoint)
{
        static const struct {
                const char *given, *used;
        } schemes[] = {
                {"http://", "http://"},
                {"https://", "https://"},
                {"ws://", "http://"},
                {"wss://", "https://"},
        };
        for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
                size_t n = strlen(schemes[i].given), length = strlen(endpoint);
                if (strncmp(endpoint, schemes[i].given, n) == 0 && length > n)
                        return mem_printf("%s%s%s", schemes[i].used, endpoint + n,
                                          endpoint[length - 1] == '/' ? "" : "/");
        }
        return NULL;
}

static char *accept_of(const char *key)
{
        unsigned char hash[20];
        char text[32];
        cleanup_free char *both = mem_printf("%s" WS_GUID, key);
        (void)EVP_Digest(both, strlen(both), hash, NULL, EVP_sha1(), NULL);
        (void)EVP_EncodeBlock((unsigned char *)text, hash, sizeof hash);
        return mem_strdup(text);
}

void acs_handshake_request(const struct backend *b, bool send_credentials, struct buf *out,
                           char **ret_accept)
{
        unsigned char key[16];
        char key_text[32], time[SIGV4_TIME];
        random_bytes(key, sizeof key);
        (void)EVP_EncodeBlock((unsigned char *)key_text, key, sizeof key);
        cleanup_free char *url = acs_handshake_url(b->acs_endpoint);
        const char *host_at = strstr(url, "://") + 3;
        size_t n = strcspn(host_at, "/");
        cleanup_free char *host = mem_strndup(host_at, n);
        cleanup_free char *query = acs_handshake_query(b, send_credentials);
        cleanup_free char *path = mem_printf("%sws?%s", host_at + n, query);
        cleanup_free char *authorization = NULL;
        (void)sigv4_time(clock_wall_ms() + b->clock_skew_ms, time);
        bool token = b->session_token != NULL && *b->session_token != '\0';
        const struct sigv4_header headers[] = {{"host", host},
                                               {"x-amz-date", time},
                                               {"x-amz-security-token", b->session_token}};
        const struct sigv4_request r = {.method = "GET",
                                        .path = path,
                                        .headers = headers,
                                        .header_count = token ? 3 : 2,
                                        .double_encode = true};
        const struct sigv4_credentials c = {b->access_key_id, b->secret_access_key,
                                            b->session_token};
        (void)sigv4_sign(&r, &c, time, b->region, "ecs", NULL, NULL, &authorization);
        buf_printf(out,
                   "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nX-Amz-Date: %s\r\n"
                   "Authorization: %s\r\n",
                   path, host, key_text, time, authorization);
        if (token)
                buf_printf(out, "X-Amz-Security-Token: %s\r\n", b->session_token);
        buf_append_str(out, "\r\n");
        *ret_accept = accept_of(key_text);
}

/* How much of the body is worth waiting for. */
static size_t body_wanted(const char *headers)
{
        char text[32];
        if (!http_header(headers, "Content-Length", text, sizeof text))
                return REFUSAL_MAX;
        unsigned long length = strtoul(text, NULL, 10);
        return length < REFUSAL_MAX ? length : REFUSAL_MAX;
}

enum acs_answer acs_handshake_answer(const struct buf *in, bool at_end, const char *accept,
                                     size_t *ret_length, char **ret_refusal)
{
        const char *end = in->length > 0 ? strstr(in->data, "\r\n\r\n") : NULL;
        int status = 0;
        char given[64];
        if (end == NULL) {
                if (!at_end && in->length <= ANSWER_MAX)
                        return ACS_ANSWER_PARTIAL;
                *ret_refusal = mem_strdup(at_end ? "closed during the upgrade"
                                                 : "the upgrade's answer is too long");
                return ACS_ANSWER_REFUSED;
        }
        size_t length = (size_t)(end + 4 - in->data);
        cleanup_free char *headers = mem_strndup(in->data, length);
        (void)sscanf(headers, "HTTP/%*d.%*d %d", &status);
        if (status != 101) {
                if (!at_end && in->length - length < body_wanted(headers))
                        return ACS_ANSWER_PARTIAL;
                *ret_refusal = mem_printf("the session was refused: HTTP %d %.*s", status,
                                          REFUSAL_MAX, end + 4);
                return ACS_ANSWER_REFUSED;
        }
        if (!http_header(headers, "Sec-WebSocket-Accept", given, sizeof given) ||
            strcmp(given, accept) != 0) {
                *ret_refusal = mem_strdup("the server answered another websocket key than ours");
                return ACS_ANSWER_REFUSED;
        }
        *ret_length = length;
        return ACS_ANSWER_UPGRADED;
}
