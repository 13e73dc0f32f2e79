/* record: entries are JSON objects, oldest first; the oldest go when there are too many or they
 * hold too many bytes. */
#include "record.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "http_server.h"
#include "mem.h"

#define ENTRIES_MAX 5000
#define BYTES_MAX (16u << 20)
#define ANSWER_MAX (4u << 20)
#define TEXT_MAX 4096

struct entry {
        struct entry *next;
        uint64_t number;
        json_t *value;
        size_t size;
};

struct record {
        struct entry *head, **tail;
        size_t count, bytes;
        uint64_t last;
};

struct record *record_new(void)
{
        struct record *r = mem_zalloc(sizeof *r);
        r->tail = &r->head;
        return r;
}

static void drop_oldest(struct record *r)
{
        struct entry *e = r->head;
        r->head = e->next;
        if (r->head == NULL)
                r->tail = &r->head;
        r->count--;
        r->bytes -= e->size;
        json_decref(e->value);
        free(e);
}

void record_free(struct record *r)
{
        if (r == NULL)
                return;
        while (r->head != NULL)
                drop_oldest(r);
        free(r);
}

/* ---- redaction ---- */

void record_redact(json_t *v)
{
        static const char *const secret[] = {"secretAccessKey", "sessionToken"};
        const char *key;
        json_t *member;
        size_t i;
        json_array_foreach(v, i, member) record_redact(member);
        for (i = 0; json_is_object(v) && i < ARRAY_SIZE(secret); i++)
                json_object_foreach(v, key, member) if (strcasecmp(key, secret[i]) == 0)(void)
                        json_string_set(member, "(not shown)");
        if (json_is_object(v))
                json_object_foreach(v, key, member) record_redact(member);
}

/* JSON without its secrets; else the beginning of the text. Owned. */
static json_t *shown(const char *text, size_t length)
{
        json_t *j = json_loadb(text, length, 0, NULL);
        if (j == NULL)
                j = json_stringn(text, length < TEXT_MAX ? length : TEXT_MAX);
        if (j == NULL)
                j = json_string("(not text)");
        record_redact(j);
        return j;
}

/* ---- adding ---- */

/* Takes value. */
static uint64_t add(struct record *r, json_t *value)
{
        struct entry *e = mem_zalloc(sizeof *e);
        *e = (struct entry){.number = ++r->last, .value = value};
        (void)json_object_set_new(value, "number", json_integer((json_int_t)e->number));
        (void)json_object_set_new(value, "at", json_real((double)clock_wall_ms() / 1000));
        e->size = json_dumpb(value, NULL, 0, JSON_COMPACT);
        *r->tail = e;
        r->tail = &e->next;
        r->count++;
        r->bytes += e->size;
        while (r->count > ENTRIES_MAX || (r->bytes > BYTES_MAX && r->count > 1))
                drop_oldest(r);
        return e->number;
}

/* Headers as they came, but for what proves who sent them. */
static json_t *headers(const struct http_exchange *x)
{
        static const char *const names[] = {"Host",          "Content-Type",        "X-Amz-Target",
                                            "User-Agent",    "X-Amz-Date",          "Upgrade",
                                            "Authorization", "X-Amz-Security-Token"};
        json_t *o = json_object();
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const char *value = http_request_header(x, names[i]);
                if (value == NULL)
                        continue;
                const char *signature = strstr(value, ", Signature=");
                if (strcmp(names[i], "X-Amz-Security-Token") == 0)
                        value = "(not shown)";
                json_t *v = signature != NULL ? json_stringn(value, (size_t)(signature - value))
                                              : json_string(value);
                if (v != NULL)
                        (void)json_object_set_new(o, names[i], v);
        }
        return o;
}

uint64_t record_request(struct record *r, const char *operation, const struct http_exchange *x)
{
        size_t length;
        const char *body = http_body(x, &length);
        json_t *e = json_pack("{s:s, s:s, s:s, s:s, s:o}", "kind",
                              strcmp(http_method(x), "GET") == 0 ? "handshake" : "call",
                              "operation", operation, "method", http_method(x), "target",
                              http_target(x), "headers", headers(x));
        if (e == NULL) /* a target that is no UTF-8 */
                e = json_pack("{s:s, s:s}", "kind", "call", "operation", "");
        if (length > 0)
                (void)json_object_set_new(e, "body", shown(body, length));
        return add(r, e);
}

static struct entry *find(const struct record *r, uint64_t number)
{
        for (struct entry *e = r->head; e != NULL; e = e->next)
                if (e->number == number)
                        return e;
        return NULL;
}

void record_answer(struct record *r, uint64_t number, int status, const char *error)
{
        struct entry *e = find(r, number);
        if (e == NULL)
                return;
        (void)json_object_set_new(e->value, "status", json_integer(status));
        if (*error != '\0')
                (void)json_object_set_new(e->value, "error", json_string(error));
}

void record_message(struct record *r, const char *session, const char *text, size_t length,
                    const char *error)
{
        json_t *e = json_pack("{s:s, s:s, s:o}", "kind", "message", "operation", session, "body",
                              shown(text, length));
        if (*error != '\0')
                (void)json_object_set_new(e, "error", json_string(error));
        (void)add(r, e);
}

void record_sent(struct record *r, const char *session, const json_t *envelope)
{
        const json_t *id = json_object_get(json_object_get(envelope, "message"), "messageId");
        (void)add(r, json_pack("{s:s, s:s, s:O, s:O*}", "kind", "sent", "operation", session,
                               "type", json_object_get(envelope, "type"), "messageId", id));
}

void record_end(struct record *r, const char *session, unsigned code)
{
        (void)add(r, json_pack("{s:s, s:s, s:i}", "kind", "end", "operation", session, "code",
                               (int)code));
}

char *record_read(const struct record *r, uint64_t after, uint64_t *ret_last)
{
        cleanup_json json_t *list = json_array();
        size_t size = 0;
        *ret_last = after;
        for (const struct entry *e = r->head; e != NULL && size < ANSWER_MAX; e = e->next) {
                if (e->number <= after)
                        continue;
                (void)json_array_append(list, e->value);
                size += e->size;
                *ret_last = e->number;
        }
        return json_dumps(list, JSON_COMPACT);
}
