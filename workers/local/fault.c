/* fault: rows in force, in the order they came; the first that fits bends a request. A row with a
 * count goes when it has been used so often. */
#include "fault.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "local.h"
#include "mem.h"
#include "session.h"

#define ROWS_MAX 100

struct fault {
        struct fault *next;
        const struct fault_kind *kind;
        json_int_t number, left; /* left 0 = for ever, -1 = used up, but it holds requests */
        char *on;
        json_t *settings;
};

/* A request that waits. Freed when it goes on. */
struct waiting {
        struct waiting *next;
        struct faults *faults;
        struct http_exchange *exchange;
        json_int_t fault; /* number of the row that holds it; 0: the timer does */
        uv_timer_t timer;
};

struct faults {
        struct local *local;
        struct fault *rows;
        struct waiting *waiting;
        json_int_t last;
};

struct faults *faults_new(struct local *l)
{
        struct faults *f = mem_zalloc(sizeof *f);
        f->local = l;
        return f;
}

static void fault_free(struct fault *r)
{
        free(r->on);
        json_decref(r->settings);
        free(r);
}

static json_int_t number_of(const struct fault *r, const char *name)
{
        return json_integer_value(json_object_get(r->settings, name));
}

/* ---- requests that wait ---- */

static void on_waiting_closed(uv_handle_t *h)
{
        free(h->data);
}

static void unlink_waiting(struct waiting *w)
{
        struct waiting **at = &w->faults->waiting;
        while (*at != w)
                at = &(*at)->next;
        *at = w->next;
        uv_close((uv_handle_t *)&w->timer, on_waiting_closed);
}

static void go_on(struct waiting *w)
{
        struct http_exchange *x = w->exchange;
        unlink_waiting(w);
        http_resume(x);
}

static void on_timer(uv_timer_t *t)
{
        go_on(t->data);
}

static void wait_for(struct faults *f, struct http_exchange *x, const struct fault *r)
{
        struct waiting *w = mem_zalloc(sizeof *w);
        *w = (struct waiting){.next = f->waiting, .faults = f, .exchange = x};
        f->waiting = w;
        (void)uv_timer_init(worker_loop(f->local->worker), &w->timer);
        w->timer.data = w;
        if (r->kind->id == FAULT_ID_HANG)
                w->fault = r->number;
        else
                (void)uv_timer_start(&w->timer, on_timer,
                                     clock_wait_ms((uint64_t)number_of(r, "ms")), 0);
        http_suspend(x);
}

static void release_waiting(struct faults *f, json_int_t number)
{
        for (struct waiting *w = f->waiting, *next; w != NULL; w = next) {
                next = w->next;
                if (w->fault == number)
                        go_on(w);
        }
}

/* ---- rows ---- */

static void remove_row(struct faults *f, struct fault *r)
{
        struct fault **at = &f->rows;
        json_int_t number = r->number;
        while (*at != r)
                at = &(*at)->next;
        *at = r->next;
        fault_free(r);
        release_waiting(f, number);
}

void faults_free(struct faults *f)
{
        if (f == NULL)
                return;
        while (f->waiting != NULL)
                unlink_waiting(f->waiting); /* the server drops their requests */
        while (f->rows != NULL) {
                struct fault *r = f->rows;
                f->rows = r->next;
                fault_free(r);
        }
        free(f);
}

static const struct fault *find_session(const struct faults *f, enum fault_id id,
                                        const char *session)
{
        for (const struct fault *r = f->rows; r != NULL; r = r->next)
                if (r->kind->id == id && session_is_named(r->on, session))
                        return r;
        return NULL;
}

bool fault_is_silent(const struct faults *f, const char *session)
{
        return find_session(f, FAULT_ID_SILENCE, session) != NULL;
}

size_t fault_fragment(const struct faults *f, const char *session)
{
        const struct fault *r = find_session(f, FAULT_ID_FRAGMENT, session);
        return r != NULL ? (size_t)number_of(r, "bytes") : 0;
}

const char *fault_endpoint(const struct faults *f, const char *session)
{
        const struct fault *r = find_session(f, FAULT_ID_ENDPOINT, session);
        return r != NULL ? text_of(r->settings, "url") : NULL;
}

static struct fault *find_request(struct faults *f, const char *operation, bool is_agent,
                                  bool has_waited)
{
        for (struct fault *r = f->rows; r != NULL; r = r->next) {
                bool waits = r->kind->id == FAULT_ID_HANG || r->kind->id == FAULT_ID_DELAY;
                bool fits = strcmp(r->on, "*") == 0 ? is_agent : strcmp(r->on, operation) == 0;
                if (r->kind->when == FAULT_REQUEST && fits && !(waits && has_waited) &&
                    r->left >= 0)
                        return r;
        }
        return NULL;
}

enum fault_verdict fault_request(struct faults *f, struct http_exchange *x, const char *operation,
                                 bool is_agent, struct answer *a)
{
        struct fault *r = find_request(f, operation, is_agent, http_has_waited(x));
        enum fault_verdict verdict = FAULT_TAKEN;
        if (r == NULL)
                return FAULT_NONE;
        switch (r->kind->id) {
        case FAULT_ID_REFUSE:
                http_drop(x);
                break;
        case FAULT_ID_HANG:
        case FAULT_ID_DELAY:
                wait_for(f, x, r);
                break;
        default:
                answer_error(a, "", "%s", text_of(r->settings, "text"));
                a->status = (int)number_of(r, "status");
                (void)snprintf(a->given_code, sizeof a->given_code, "%s",
                               text_of(r->settings, "code"));
                a->code = a->given_code;
                verdict = FAULT_ERROR;
        }
        if (r->left == 1 && r->kind->id == FAULT_ID_HANG)
                r->left = -1;
        else if (r->left == 1)
                remove_row(f, r);
        else if (r->left > 0)
                r->left--;
        return verdict;
}

/* ---- commands ---- */

static const struct fault_kind *find_kind(const char *name)
{
        for (size_t i = 0; i < fault_kind_count; i++)
                if (strcmp(fault_kinds[i].name, name) == 0)
                        return &fault_kinds[i];
        return NULL;
}

static bool is_hex(const char *text)
{
        size_t n = strlen(text);
        for (size_t i = 0; i < n; i++)
                if (!isxdigit((unsigned char)text[i]))
                        return false;
        return n > 0 && n % 2 == 0;
}

/* A setting's text as its type wants it, owned; NULL when it is none of that. */
static json_t *setting_value(char type, const char *text)
{
        char *end = NULL;
        json_t *o;
        switch (type) {
        case 'n':
                errno = 0;
                long long n = strtoll(text, &end, 10);
                return *text != '\0' && *end == '\0' && errno == 0 && n >= 0 && n < INT32_MAX
                               ? json_integer(n)
                               : NULL;
        case 'j':
                o = json_loads(text, 0, NULL);
                if (json_is_object(o))
                        return o;
                json_decref(o);
                return NULL;
        case 'x':
                return is_hex(text) ? json_string(text) : NULL;
        default:
                return json_string(text);
        }
}

static const struct fault_setting *find_setting(const struct fault_kind *k, const char *name)
{
        for (size_t i = 0; i < FAULT_SETTINGS_MAX && k->settings[i].name != NULL; i++)
                if (strcmp(k->settings[i].name, name) == 0)
                        return &k->settings[i];
        return NULL;
}

static int read_settings(const struct fault_kind *k, const json_t *given, json_t **ret,
                         struct error *err)
{
        static const char *const types[] = {['n'] = "a number",
                                            ['s'] = "a text",
                                            ['j'] = "a JSON object",
                                            ['x'] = "bytes in hex"};
        cleanup_json json_t *out = json_object();
        const char *name;
        json_t *value;
        json_object_foreach((json_t *)given, name,
                            value) if (find_setting(k, name) ==
                                       NULL) return error_set(err, -EINVAL,
                                                              "fault %s has no setting '%s'",
                                                              k->name, name);
        for (size_t i = 0; i < FAULT_SETTINGS_MAX && k->settings[i].name != NULL; i++) {
                const struct fault_setting *s = &k->settings[i];
                const char *text = json_string_value(json_object_get(given, s->name));
                if (text == NULL)
                        text = s->fallback;
                if (text == NULL)
                        return error_set(err, -EINVAL, "fault %s needs %s=…", k->name, s->name);
                json_t *v = setting_value(s->type, text);
                if (v == NULL)
                        return error_set(err, -EINVAL, "%s of fault %s must be %s", s->name,
                                         k->name, types[(unsigned char)s->type]);
                (void)json_object_set_new(out, s->name, v);
        }
        *ret = STEAL(out);
        return 0;
}

static json_t *row_json(const struct fault *r)
{
        return json_pack("{s:I, s:s, s:s, s:I, s:O}", "id", r->number, "fault", r->kind->name, "on",
                         r->on, "left", r->left, "settings", r->settings);
}

static json_t *list(const struct faults *f)
{
        json_t *rows = json_array();
        for (const struct fault *r = f->rows; r != NULL; r = r->next)
                (void)json_array_append_new(rows, row_json(r));
        return json_pack("{s:o}", "faults", rows);
}

static int clear(struct faults *f, const char *which, json_t **ret, struct error *err)
{
        bool all = *which == '\0' || strcmp(which, "*") == 0;
        json_int_t number = strtoll(which, NULL, 10), cleared = 0;
        for (struct fault *r = f->rows, *next; r != NULL; r = next) {
                next = r->next;
                if (all || r->number == number) {
                        remove_row(f, r);
                        cleared++;
                }
        }
        if (!all && cleared == 0)
                return error_set(err, -EINVAL, "no fault has the id '%s'; 'list' shows them",
                                 which);
        *ret = json_pack("{s:I}", "cleared", cleared);
        return 0;
}

static json_t *help(void)
{
        json_t *kinds = json_array();
        for (size_t i = 0; i < fault_kind_count; i++) {
                const struct fault_kind *k = &fault_kinds[i];
                json_t *settings = json_array();
                for (size_t n = 0; n < FAULT_SETTINGS_MAX && k->settings[n].name != NULL; n++)
                        (void)json_array_append_new(
                                settings, json_pack("{s:s, s:s*}", "name", k->settings[n].name,
                                                    "default", k->settings[n].fallback));
                (void)json_array_append_new(kinds,
                                            json_pack("{s:s, s:b, s:s, s:o}", "fault", k->name,
                                                      "once", k->when == FAULT_ACT, "does",
                                                      k->summary, "settings", settings));
        }
        return json_pack("{s:o}", "kinds", kinds);
}

static int act(struct faults *f, const struct fault_kind *k, const char *on, const json_t *settings,
               json_t **ret, struct error *err)
{
        unsigned count = 0;
        int r = k->act(f->local, on, settings, &count, err);
        if (r == 0)
                *ret = json_pack("{s:s, s:s, s:i}", "fault", k->name, "on", on, "reached",
                                 (int)count);
        return r;
}

/* Takes settings. */
static int add_row(struct faults *f, const struct fault_kind *k, const char *on, json_t *settings,
                   json_t **ret, struct error *err)
{
        size_t count = 0;
        struct fault **at = &f->rows;
        for (; *at != NULL; at = &(*at)->next)
                count++;
        if (count == ROWS_MAX) {
                json_decref(settings);
                return error_set(err, -EINVAL, "%d faults are in force: clear some first",
                                 ROWS_MAX);
        }
        struct fault *r = mem_zalloc(sizeof *r);
        *r = (struct fault){.kind = k,
                            .number = ++f->last,
                            .left = json_integer_value(json_object_get(settings, "count")),
                            .on = mem_strdup(on),
                            .settings = settings};
        *at = r;
        *ret = row_json(r);
        return 0;
}

/* An act on tasks names its own; else a session, or for requests an operation as well. */
static bool is_target(const struct fault_kind *k, const char *on)
{
        if (session_is_named(on, "acs") || session_is_named(on, "tcs"))
                return true;
        for (size_t i = 0; i < operation_count && k->when == FAULT_REQUEST; i++)
                if (strcmp(operations[i].name, on) == 0)
                        return true;
        return k->on_tasks;
}

int faults_command(struct faults *f, const char *kind, const char *on, const json_t *given,
                   json_t **ret, struct error *err)
{
        cleanup_json json_t *settings = NULL;
        if (strcmp(kind, "clear") == 0)
                return clear(f, on, ret, err);
        if (strcmp(kind, "list") == 0 || strcmp(kind, "help") == 0) {
                *ret = strcmp(kind, "list") == 0 ? list(f) : help();
                return 0;
        }
        const struct fault_kind *k = find_kind(kind);
        if (k == NULL)
                return error_set(err, -EINVAL,
                                 "no fault is called '%s'; 'ecsctl local fault help' "
                                 "lists them",
                                 kind);
        if (!is_target(k, on))
                return error_set(err, -EINVAL,
                                 k->when == FAULT_REQUEST
                                         ? "fault %s is on an operation (as RegisterContainer"
                                           "Instance), acs, tcs or '*', not on '%s'"
                                         : "fault %s is on acs, tcs or '*', not on '%s'",
                                 kind, on);
        int r = read_settings(k, given, &settings, err);
        if (r != 0)
                return r;
        if (k->when == FAULT_ACT)
                return act(f, k, on, settings, ret, err);
        return add_row(f, k, on, STEAL(settings), ret, err);
}
