/* expression: recursive descent, evaluated on the way: or → and → unary → comparison. Everything is
 * read even when the outcome is known, so that a wrong text is refused in any case. */
#include "expression.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "mem.h"

#define LENGTH_MAX 2000
#define DEPTH_MAX 32
#define PATTERN_MAX 200
#define PLUSES_MAX 6

struct reader {
        const char *at;
        expression_values_fn values;
        void *arg;
        char *error;
        int depth;
};

static bool read_or(struct reader *r);

static bool fail(struct reader *r, const char *what)
{
        if (r->error == NULL)
                r->error = mem_printf("%s at '%.40s'", what, r->at);
        return false;
}

static void skip_space(struct reader *r)
{
        while (isspace((unsigned char)*r->at))
                r->at++;
}

static bool is_word_char(char c)
{
        return c != '\0' && !isspace((unsigned char)c) && strchr("()[],&|!=<>~", c) == NULL;
}

/* The sign, when it is next; a word must end there. */
static bool take(struct reader *r, const char *sign)
{
        size_t n = strlen(sign);
        skip_space(r);
        if (strncasecmp(r->at, sign, n) != 0 ||
            (isalpha((unsigned char)*sign) && is_word_char(r->at[n])))
                return false;
        r->at += n;
        return true;
}

/* ---- comparison ---- */

enum comparison { EQUAL, LESS, AT_MOST, GREATER, AT_LEAST, EXISTS, IN, MATCHES };

/* Longer signs stand before their beginnings. */
static const struct {
        const char *sign;
        enum comparison comparison;
        bool negated;
} operators[] = {
        {"==",                 EQUAL,    false},
        {"equals",             EQUAL,    false},
        {"!=",                 EQUAL,    true },
        {"not_equals",         EQUAL,    true },
        {"=~",                 MATCHES,  false},
        {"matches",            MATCHES,  false},
        {"!~",                 MATCHES,  true },
        {"not_matches",        MATCHES,  true },
        {">=",                 AT_LEAST, false},
        {"greater_than_equal", AT_LEAST, false},
        {"<=",                 AT_MOST,  false},
        {"less_than_equal",    AT_MOST,  false},
        {">",                  GREATER,  false},
        {"greater_than",       GREATER,  false},
        {"<",                  LESS,     false},
        {"less_than",          LESS,     false},
        {"exists",             EXISTS,   false},
        {"!exists",            EXISTS,   true },
        {"not_exists",         EXISTS,   true },
        {"in",                 IN,       false},
        {"!in",                IN,       true },
        {"not_in",             IN,       true },
};

/* A word or a quoted text; a pattern may hold any sign but a space. Owned, or NULL. */
static char *read_word(struct reader *r, bool pattern)
{
        skip_space(r);
        const char *start = r->at;
        if (*start == '"' || *start == '\'') {
                const char *end = strchr(start + 1, *start);
                if (end == NULL)
                        return NULL;
                r->at = end + 1;
                return mem_strndup(start + 1, (size_t)(end - start - 1));
        }
        int open = 0;
        while (pattern ? *r->at != '\0' && !isspace((unsigned char)*r->at) : is_word_char(*r->at)) {
                open += *r->at == '(' ? 1 : *r->at == ')' ? -1 : 0;
                if (pattern && open < 0)
                        break;
                r->at++;
        }
        return r->at > start ? mem_strndup(start, (size_t)(r->at - start)) : NULL;
}

/* [a, b] as an owned array of strings; NULL with the error. */
static json_t *read_list(struct reader *r)
{
        cleanup_json json_t *list = json_array();
        if (!take(r, "[")) {
                (void)fail(r, "a list like [a, b] is expected");
                return NULL;
        }
        do {
                cleanup_free char *word = read_word(r, false);
                if (word == NULL || json_array_append_new(list, json_string(word)) != 0) {
                        (void)fail(r, "a value is expected");
                        return NULL;
                }
        } while (take(r, ","));
        if (!take(r, "]")) {
                (void)fail(r, "']' is expected");
                return NULL;
        }
        return STEAL(list);
}

/* Bounded so that compiling stays cheap: each '+' copies what it repeats, so do counts in braces;
 * back references make matching exponential. */
static bool is_modest(const char *pattern)
{
        unsigned pluses = 0;
        if (strlen(pattern) > PATTERN_MAX || strchr(pattern, '{') != NULL)
                return false;
        for (const char *p = pattern; *p != '\0'; p++) {
                pluses += *p == '+';
                if (*p == '\\' && (isdigit((unsigned char)p[1]) || *++p == '\0'))
                        return false;
        }
        return pluses <= PLUSES_MAX;
}

/* Whether a value is matched as a whole; an empty list of values only checks the pattern. */
static bool any_matches(struct reader *r, const json_t *values, const char *pattern)
{
        regex_t regex;
        bool found = false;
        size_t i;
        json_t *v;
        if (!is_modest(pattern))
                return fail(r, "a pattern is too long, or has '{', many '+' or a back reference");
        cleanup_free char *whole = mem_printf("^(%s)$", pattern);
        if (regcomp(&regex, whole, REG_EXTENDED | REG_NOSUB) != 0)
                return fail(r, "a pattern is no regular expression");
        json_array_foreach (values, i, v)
                found = found || regexec(&regex, json_string_value(v), 0, NULL, 0) == 0;
        regfree(&regex);
        return found;
}

static bool list_has(const json_t *list, const char *text)
{
        size_t i;
        json_t *e;
        json_array_foreach (list, i, e)
                if (strcmp(json_string_value(e), text) == 0)
                        return true;
        return false;
}

/* Numbers, versions and ISO dates all order by strverscmp. */
static bool any_in_order(const json_t *values, enum comparison c, const char *than)
{
        bool found = false;
        size_t i;
        json_t *v;
        json_array_foreach (values, i, v) {
                int order = strverscmp(json_string_value(v), than);
                found = found || (c == LESS && order < 0) || (c == AT_MOST && order <= 0) ||
                        (c == GREATER && order > 0) || (c == AT_LEAST && order >= 0);
        }
        return found;
}

static bool compare(struct reader *r, enum comparison c, const json_t *values)
{
        if (c == EXISTS)
                return json_array_size(values) > 0;
        if (c == IN) {
                cleanup_json json_t *list = read_list(r);
                size_t i;
                json_t *v;
                json_array_foreach (values, i, v)
                        if (list_has(list, json_string_value(v)))
                                return true;
                return false;
        }
        cleanup_free char *word = read_word(r, c == MATCHES);
        if (word == NULL)
                return fail(r, "a value is expected");
        if (c == MATCHES)
                return any_matches(r, values, word);
        return c == EQUAL ? list_has(values, word) : any_in_order(values, c, word);
}

static bool is_subject(const char *word)
{
        static const char *const plain[] = {"agentConnected", "agentVersion",      "ec2InstanceId",
                                            "registeredAt",   "runningTasksCount", "task:group"};
        for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
                if (strcmp(word, plain[i]) == 0)
                        return true;
        return strncmp(word, "attribute:", 10) == 0 && word[10] != '\0';
}

static bool read_comparison(struct reader *r)
{
        cleanup_free char *subject = read_word(r, false);
        if (subject == NULL || !is_subject(subject))
                return fail(r, "a subject like attribute:NAME, task:group or agentVersion is "
                               "expected");
        for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
                if (take(r, operators[i].sign)) {
                        cleanup_json json_t *values =
                                r->values != NULL ? r->values(r->arg, subject) : NULL;
                        /* negated comparisons of an absent value hold */
                        return compare(r, operators[i].comparison, values) != operators[i].negated;
                }
        return fail(r, "an operator is expected");
}

/* ---- and, or, not ---- */

static bool read_unary(struct reader *r)
{
        if (++r->depth > DEPTH_MAX)
                return fail(r, "nested too deep");
        bool holds;
        if (take(r, "not") || take(r, "!")) {
                holds = !read_unary(r);
        } else if (take(r, "(")) {
                holds = read_or(r);
                if (!take(r, ")"))
                        (void)fail(r, "')' is expected");
        } else {
                holds = read_comparison(r);
        }
        r->depth--;
        return holds;
}

static bool read_and(struct reader *r)
{
        bool holds = read_unary(r);
        while (r->error == NULL && (take(r, "&&") || take(r, "and"))) {
                bool right = read_unary(r);
                holds = holds && right;
        }
        return holds;
}

static bool read_or(struct reader *r)
{
        bool holds = read_and(r);
        while (r->error == NULL && (take(r, "||") || take(r, "or"))) {
                bool right = read_and(r);
                holds = holds || right;
        }
        return holds;
}

int expression_evaluate(const char *text, expression_values_fn values, void *arg, char **ret_error)
{
        struct reader r = {.at = text, .values = values, .arg = arg};
        bool holds = strlen(text) <= LENGTH_MAX ? read_or(&r) : fail(&r, "longer than 2000 bytes");
        skip_space(&r);
        if (r.error == NULL && *r.at != '\0')
                (void)fail(&r, "nothing more is expected");
        if (r.error == NULL)
                return holds;
        *ret_error = r.error;
        return -EINVAL;
}
