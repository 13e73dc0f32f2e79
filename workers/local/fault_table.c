/* fault_table: every kind of fault, what it may be told, and the acts. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "fault.h"
#include "local.h"
#include "mem.h"
#include "session.h"

static const char *text_setting(const json_t *settings, const char *name)
{
        return json_string_value(json_object_get(settings, name));
}

static int act_close(struct local *l, const char *on, const json_t *s, unsigned *ret_count,
                     struct error *err)
{
        json_int_t code = json_integer_value(json_object_get(s, "code"));
        if (code < 1000 || code > 4999 || strlen(text_setting(s, "reason")) > 120)
                return error_set(err, -EINVAL,
                                 "a close code is 1000 to 4999, a reason at most 120 "
                                 "bytes");
        *ret_count = sessions_close(l, on, (unsigned)code, text_setting(s, "reason"));
        return 0;
}

static int act_drop(struct local *l, const char *on, const json_t *s, unsigned *ret_count,
                    struct error *err)
{
        (void)s;
        (void)err;
        *ret_count = sessions_close(l, on, 0, "");
        return 0;
}

static int act_send(struct local *l, const char *on, const json_t *s, unsigned *ret_count,
                    struct error *err)
{
        (void)err;
        *ret_count = 0;
        for (struct session *i = l->sessions; i != NULL; i = i->next) {
                if (!session_is_named(on, session_name(i)))
                        continue;
                session_send(i, text_setting(s, "type"),
                             json_deep_copy(json_object_get(s, "message")));
                ++*ret_count;
        }
        return 0;
}

static int act_text(struct local *l, const char *on, const json_t *s, unsigned *ret_count,
                    struct error *err)
{
        const char *text = text_setting(s, "text");
        (void)err;
        *ret_count = sessions_send_text(l, on, text, false, strlen(text));
        return 0;
}

/* The table has judged the digits. */
static char *bytes_of(const char *hex, size_t *ret_length)
{
        size_t n = strlen(hex) / 2;
        char *out = mem_alloc(n + 1);
        for (size_t i = 0; i < n; i++) {
                unsigned byte = 0;
                (void)sscanf(hex + 2 * i, "%2x", &byte);
                out[i] = (char)byte;
        }
        *ret_length = n;
        return out;
}

static int act_binary(struct local *l, const char *on, const json_t *s, unsigned *ret_count,
                      struct error *err)
{
        size_t length;
        cleanup_free char *bytes = bytes_of(text_setting(s, "hex"), &length);
        (void)err;
        *ret_count = sessions_send_text(l, on, bytes, true, length);
        return 0;
}

static int act_malformed(struct local *l, const char *on, const json_t *s, unsigned *ret_count,
                         struct error *err)
{
        size_t length;
        cleanup_free char *bytes = bytes_of(text_setting(s, "hex"), &length);
        (void)err;
        *ret_count = sessions_send_raw(l, on, bytes, length);
        return 0;
}

static int act_expire(struct local *l, const char *on, const json_t *s, unsigned *ret_count,
                      struct error *err)
{
        int64_t ms = json_integer_value(json_object_get(s, "ms"));
        (void)err;
        *ret_count = acs_renew_credentials(l, on, clock_wall_ms() + ms);
        return 0;
}

/* ON of requests and sessions: an operation's name, acs, tcs (handshakes and sessions), or '*'. */
const struct fault_kind fault_kinds[] = {
        {"refuse",
         FAULT_REQUEST, FAULT_ID_REFUSE,
         {{"count", 'n', "0"}},
         "close the connection of a call or handshake without an answer",                  NULL,
         false},
        {"hang",
         FAULT_REQUEST, FAULT_ID_HANG,
         {{"count", 'n', "0"}},
         "take a call or handshake and answer nothing until the fault is cleared",         NULL,
         false},
        {"delay",
         FAULT_REQUEST, FAULT_ID_DELAY,
         {{"ms", 'n', "1000"}, {"count", 'n', "0"}},
         "answer so much later",                                                           NULL,
         false},
        {"throttle",
         FAULT_REQUEST, FAULT_ID_ERROR,
         {{"code", 's', "ThrottlingException"},
          {"status", 'n', "400"},
          {"text", 's', "Rate exceeded"},
          {"count", 'n', "0"}},
         "answer that there were too many calls",                                          NULL,
         false},
        {"error",
         FAULT_REQUEST, FAULT_ID_ERROR,
         {{"code", 's', NULL},
          {"status", 'n', "400"},
          {"text", 's', "a fault is switched on"},
          {"count", 'n', "0"}},
         "answer with this error",                                                         NULL,
         false},
        {"unavailable",
         FAULT_REQUEST, FAULT_ID_ERROR,
         {{"code", 's', ""},
          {"status", 'n', "503"},
          {"text", 's', "Service Unavailable"},
          {"count", 'n', "0"}},
         "answer with an HTTP status and a text that is no JSON, as a load balancer does", NULL,
         false},
        {"endpoint",
         FAULT_SESSION, FAULT_ID_ENDPOINT,
         {{"url", 's', NULL}},
         "give agents this URL for their acs or tcs sessions, to put a proxy in between",  NULL,
         false},
        {"silence",
         FAULT_SESSION, FAULT_ID_SILENCE,
         {{NULL, 0, NULL}},
         "send nothing on sessions, not even heartbeats",                                  NULL,
         false},
        {"fragment",
         FAULT_SESSION, FAULT_ID_FRAGMENT,
         {{"bytes", 'n', "1"}},
         "send messages in frames of so many bytes",                                       NULL,
         false},
        {"close",
         FAULT_ACT,     FAULT_ID_ACT,
         {{"code", 'n', "1000"}, {"reason", 's', ""}},
         "close sessions with a close frame",                                              act_close,
         false},
        {"drop",
         FAULT_ACT,     FAULT_ID_ACT,
         {{NULL, 0, NULL}},
         "close sessions without a close frame",                                           act_drop,
         false},
        {"send",
         FAULT_ACT,     FAULT_ID_ACT,
         {{"type", 's', NULL}, {"message", 'j', "{}"}},
         "send a message of any type",                                                     act_send,
         false},
        {"text",
         FAULT_ACT,     FAULT_ID_ACT,
         {{"text", 's', NULL}},
         "send a text frame as it is",                                                     act_text,
         false},
        {"binary",
         FAULT_ACT,     FAULT_ID_ACT,
         {{"hex", 'x', NULL}},
         "send a binary frame",                                                            act_binary,
         false},
        {"malformed",
         FAULT_ACT,     FAULT_ID_ACT,
         {{"hex", 'x', "ffffffffff"}},
         "send bytes that are no websocket frame",                                         act_malformed,
         false},
        {"expire",
         FAULT_ACT,     FAULT_ID_ACT,
         {{"ms", 'n', "0"}},
         "give a task (its ARN, or '*') credentials that end in so many ms",               act_expire,
         true },
};
const size_t fault_kind_count = sizeof fault_kinds / sizeof fault_kinds[0];
