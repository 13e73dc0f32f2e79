/* fault: what goes wrong on purpose, so that people and tests see how an agent copes: rows that
 * stay in force, and acts that happen once. Commands come from ecsctl. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct answer;
struct error;
struct faults;
struct http_exchange;
struct local;

enum fault_when {
        FAULT_REQUEST, /* a row that bends calls and handshakes */
        FAULT_SESSION, /* a row that bends sessions */
        FAULT_ACT,     /* once, now */
};
enum fault_id {
        FAULT_ID_REFUSE,
        FAULT_ID_HANG,
        FAULT_ID_DELAY,
        FAULT_ID_ERROR,
        FAULT_ID_SILENCE,
        FAULT_ID_FRAGMENT,
        FAULT_ID_ENDPOINT,
        FAULT_ID_ACT,
};

/* A setting of a kind: its type and what it is when not given (NULL: must be given). */
struct fault_setting {
        const char *name;
        char type; /* n number, s text, j JSON object, x bytes in hex */
        const char *fallback;
};
#define FAULT_SETTINGS_MAX 4

/* Does it; *ret_count: how many it reached. on: as given. settings: complete, by name. */
typedef int (*fault_act_fn)(struct local *l, const char *on, const json_t *settings,
                            unsigned *ret_count, struct error *err);
struct fault_kind {
        const char *name;
        enum fault_when when;
        enum fault_id id;
        struct fault_setting settings[FAULT_SETTINGS_MAX];
        const char *summary;
        fault_act_fn act;
        bool on_tasks; /* ON is a task's ARN */
};
extern const struct fault_kind fault_kinds[];
extern const size_t fault_kind_count;

struct faults *faults_new(struct local *l);
void faults_free(struct faults *f);
/* kind: a name of the table, or list, clear (on = number, "" or "*" all), help. settings: object of
 * texts. *ret: owned answer. -EINVAL with a sentence. */
int faults_command(struct faults *f, const char *kind, const char *on, const json_t *settings,
                   json_t **ret, struct error *err);

enum fault_verdict {
        FAULT_NONE,  /* go on */
        FAULT_TAKEN, /* dropped, or waits: nothing to answer */
        FAULT_ERROR, /* answer is filled with an error */
};
/* is_agent: with an agent's keys or none; `*` means only those. */
enum fault_verdict fault_request(struct faults *f, struct http_exchange *x, const char *operation,
                                 bool is_agent, struct answer *a);
bool fault_is_silent(const struct faults *f, const char *session);
/* Bytes a frame, 0 = whole messages. */
size_t fault_fragment(const struct faults *f, const char *session);
/* URL that DiscoverPollEndpoint is to give for "acs" or "tcs", or NULL. */
const char *fault_endpoint(const struct faults *f, const char *session);
