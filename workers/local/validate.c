/* validate: see validate.h. A member's type is read from the table's text where it stands; nothing
 * is compiled or kept. */
#include "validate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "local.h"
#include "mem.h"

/* What a walk carries: where it is, and how refusals are called. */
struct walk {
        struct answer *answer;
        const char *refusal;
};

static bool check_value(const struct walk *w, const char *path, const char *type, json_t *v);

const struct shape *shape_find(const char *name, size_t length)
{
        for (size_t i = 0; i < shape_count; i++)
                if (strncmp(shapes[i].name, name, length) == 0 && shapes[i].name[length] == '\0')
                        return &shapes[i];
        return NULL;
}

static size_t word_length(const char *p)
{
        return strcspn(p, " ");
}

static const char *next_word(const char *p)
{
        p += word_length(p);
        return *p == ' ' ? p + 1 : p;
}

static const char *type_name(const json_t *v)
{
        switch (json_typeof(v)) {
        case JSON_STRING:
                return "STRING_VALUE";
        case JSON_INTEGER:
        case JSON_REAL:
                return "NUMBER_VALUE";
        case JSON_TRUE:
                return "TRUE_VALUE";
        case JSON_FALSE:
                return "FALSE_VALUE";
        case JSON_ARRAY:
                return "START_ARRAY";
        case JSON_OBJECT:
                return "START_OBJECT";
        default:
                return "NULL_VALUE";
        }
}

static bool mistyped(const struct walk *w, const char *path, const json_t *v, const char *wanted)
{
        answer_error(w->answer, "SerializationException", "%s can not be converted to %s: %s",
                     type_name(v), wanted, path);
        return false;
}

static bool unsupported(const struct walk *w, const char *path, const char *value)
{
        answer_error(w->answer, "UnsupportedFeatureException",
                     "%s%s%s is not supported by the local control plane.", path,
                     *value != '\0' ? " " : "", value);
        return false;
}

/* Said, but asking for nothing. */
static bool is_empty(const json_t *v)
{
        return json_is_false(v) || (json_is_string(v) && *json_string_value(v) == '\0') ||
               (json_is_array(v) && json_array_size(v) == 0) ||
               (json_is_object(v) && json_object_size(v) == 0);
}

/* The values as words, without the table's marks. Owned. */
static char *values_of(const struct shape *e)
{
        char *text = mem_strdup(e->members), *to = text;
        for (const char *p = e->members; *p != '\0'; p++)
                if (*p != '-' || (p > e->members && p[-1] != ' '))
                        *to++ = *p;
        *to = '\0';
        return text;
}

static bool is_int32(const json_t *v)
{
        return json_is_integer(v) && json_integer_value(v) >= INT32_MIN &&
               json_integer_value(v) <= INT32_MAX;
}

static bool check_enum(const struct walk *w, const char *path, const struct shape *e,
                       const json_t *v)
{
        const char *text = json_string_value(v);
        if (text == NULL)
                return mistyped(w, path, v, "a String");
        for (const char *p = e->members; *p != '\0'; p = next_word(p)) {
                bool refused = *p == '-';
                const char *value = p + refused;
                size_t n = word_length(value);
                if (strncmp(value, text, n) == 0 && text[n] == '\0')
                        return !refused || unsupported(w, path, text);
        }
        cleanup_free char *values = values_of(e);
        answer_error(w->answer, w->refusal, "Invalid value '%s' for %s: it should be one of %s.",
                     text, path, values);
        return false;
}

static bool check_list(const struct walk *w, const char *path, const char *type, json_t *v)
{
        const char *bound = strchr(type, '<');
        size_t i;
        json_t *e;
        if (!json_is_array(v))
                return mistyped(w, path, v, "a List");
        if (bound != NULL && bound < type + word_length(type) &&
            json_array_size(v) > strtoul(bound + 1, NULL, 10)) {
                answer_error(w->answer, w->refusal, "%s cannot have more than %lu entries.", path,
                             strtoul(bound + 1, NULL, 10));
                return false;
        }
        json_array_foreach (v, i, e) {
                cleanup_free char *at = mem_printf("%s[%zu]", path, i);
                if (!check_value(w, at, type + 1, e))
                        return false;
        }
        return true;
}

static bool check_map(const struct walk *w, const char *path, const char *type, json_t *v)
{
        const char *key;
        json_t *e;
        if (!json_is_object(v))
                return mistyped(w, path, v, "a Map");
        json_object_foreach (v, key, e) {
                cleanup_free char *at = mem_printf("%s.%s", path, key);
                if (!check_value(w, at, type + 1, e))
                        return false;
        }
        return true;
}

/* The table's words for key, or NULL. */
static const char *find_member(const struct shape *s, const char *key)
{
        size_t n = strlen(key);
        for (const char *p = s->members; *p != '\0'; p = next_word(p))
                if (strncmp(p, key, n) == 0 && (p[n] == ':' || p[n] == '!'))
                        return p;
        return NULL;
}

static bool check_required(const struct walk *w, const char *path, const struct shape *s,
                           const json_t *v)
{
        for (const char *p = s->members; *p != '\0'; p = next_word(p)) {
                size_t n = strcspn(p, ":!");
                if (p[n] != '!')
                        continue;
                cleanup_free char *name = mem_strndup(p, n);
                const json_t *member = json_object_get(v, name);
                if (member != NULL &&
                    !(json_is_string(member) && *json_string_value(member) == '\0'))
                        continue;
                answer_error(w->answer, w->refusal, "%s%s%s should not be null or empty.", path,
                             *path != '\0' ? "." : "", name);
                return false;
        }
        return true;
}

static bool check_structure(const struct walk *w, const char *path, const struct shape *s,
                            json_t *v)
{
        const char *key;
        json_t *member;
        void *next;
        if (!json_is_object(v))
                return mistyped(w, path, v, "a Structure");
        json_object_foreach_safe (v, next, key, member) {
                if (json_is_null(member)) {
                        (void)json_object_del(v, key);
                        continue;
                }
                const char *found = find_member(s, key);
                cleanup_free char *at = mem_printf("%s%s%s", path, *path != '\0' ? "." : "", key);
                if (found == NULL) {
                        answer_error(w->answer, w->refusal, "Unknown parameter in input: \"%s\".",
                                     at);
                        return false;
                }
                if (!check_value(w, at, strchr(found, ':') + 1, member))
                        return false;
        }
        return check_required(w, path, s, v);
}

static bool check_value(const struct walk *w, const char *path, const char *type, json_t *v)
{
        bool refused = *type == '-';
        type += refused;
        if (refused && is_empty(v))
                return true;
        if (refused)
                return unsupported(w, path, "");
        switch (*type) {
        case '[':
                return check_list(w, path, type, v);
        case '{':
                return check_map(w, path, type, v);
        case 's':
                return json_is_string(v) || mistyped(w, path, v, "a String");
        case 'i':
                return is_int32(v) || mistyped(w, path, v, "an Integer");
        case 'l':
                return json_is_integer(v) || mistyped(w, path, v, "a Long");
        case 'u':
                return (json_is_integer(v) && json_integer_value(v) >= 0) ||
                       mistyped(w, path, v, "a Long from 0");
        case 'f':
                return (json_is_number(v) && json_number_value(v) >= 0) ||
                       mistyped(w, path, v, "a Double from 0");
        case 'b':
                return json_is_boolean(v) || mistyped(w, path, v, "a Boolean");
        case 'd':
                return json_is_number(v) || mistyped(w, path, v, "a Double");
        default:
                break;
        }
        const struct shape *s = shape_find(type, strcspn(type, " <"));
        return s->name[0] == '@' ? check_enum(w, path, s, v) : check_structure(w, path, s, v);
}

bool validate(const char *operation, json_t *q, struct answer *a)
{
        const struct shape *s = shape_find(operation, strlen(operation));
        const struct walk w = {.answer = a,
                               .refusal = strstr(operation, "TaskDefinition") != NULL
                                                  ? "ClientException"
                                                  : "InvalidParameterException"};
        return s == NULL || check_structure(&w, "", s, q);
}
