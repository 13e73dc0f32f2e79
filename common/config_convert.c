/* config_convert: one converter a type. A converter gives the normalised text, NULL, or a mended
 * text with a complaint; what a complaint means is decided in config_parse. */
#include "config_convert.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "config_table.h"
#include "duration.h"
#include "mem.h"

#define NS_PER_MS 1000000

struct conversion {
        const struct config_row *row;
        const char *text;
        bool bounds;
        struct config_verdict *verdict;
};

static char *refuse(const struct conversion *c, const char *wrong)
{
        c->verdict->wrong = wrong;
        return NULL;
}

static char *trimmed(const char *v)
{
        while (isspace((unsigned char)*v))
                v++;
        size_t n = strlen(v);
        while (n > 0 && isspace((unsigned char)v[n - 1]))
                n--;
        return mem_strndup(v, n);
}

static char *convert_text(const struct conversion *c)
{
        return mem_strdup(c->text);
}

static char *convert_trimmed(const struct conversion *c)
{
        return trimmed(c->text);
}

static char *convert_bool(const struct conversion *c)
{
        static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
        static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
        cleanup_free char *t = trimmed(c->text);
        for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
                if (strcmp(t, yes[i]) == 0)
                        return mem_strdup("true");
                if (strcmp(t, no[i]) == 0)
                        return mem_strdup("false");
        }
        return refuse(c, "is neither true nor false");
}

/* A number outside the row's bounds becomes the bound, or the default where the row says so. */
static char *bounded(const struct conversion *c, int64_t n)
{
        const struct config_row *row = c->row;
        bool limited = c->bounds && (row->min != 0 || row->max != 0);
        bool low = limited && n < row->min;
        bool high = limited && row->max != 0 && n > row->max;
        if (n == 0 && (row->type == CONFIG_DURATION || (row->flags & CONFIG_ZERO_UNSET) != 0))
                return mem_strdup(row->fallback);
        if (row->type == CONFIG_DURATION && n < 0 && !low)
                return refuse(c, "is negative");
        if (low || high) {
                c->verdict->outside = true;
                c->verdict->wrong = low ? "is too small" : "is too large";
                if ((row->flags & CONFIG_DEFAULT_BELOW) != 0)
                        return mem_strdup(row->fallback);
                n = low ? row->min : row->max;
        }
        return mem_printf("%lld", (long long)n);
}

static char *convert_int(const struct conversion *c)
{
        char *end;
        errno = 0;
        long long n = strtoll(c->text, &end, 10);
        if (end == c->text || *end != '\0' || errno != 0)
                return refuse(c, "is not a whole number");
        return bounded(c, n);
}

static char *convert_duration(const struct conversion *c)
{
        int64_t ns;
        if (duration_parse(c->text, &ns) != 0)
                return refuse(c, "is not a duration such as 30s or 1h30m");
        int64_t ms = ns / NS_PER_MS;
        if (ms == 0 && ns != 0)
                ms = ns > 0 ? 1 : -1; /* 0 would mean "not set" */
        return bounded(c, ms);
}

static char *convert_float(const struct conversion *c)
{
        char *end;
        double d = strtod(c->text, &end);
        if (end == c->text || *end != '\0' || !isfinite(d) || d <= 0)
                return refuse(c, "is not a number above 0");
        return mem_strdup(c->text);
}

/* The row's spelling of the word (owned), or NULL. */
static char *choose(const struct config_row *row, const char *word)
{
        size_t n = strlen(word);
        bool exact = (row->flags & CONFIG_EXACT) != 0;
        for (const char *p = row->choices; n > 0 && *p != '\0';) {
                size_t length = strcspn(p, "|");
                if (length == n && (exact ? strncmp(p, word, n) : strncasecmp(p, word, n)) == 0)
                        return mem_strndup(p, length);
                p += length + (p[length] == '|');
        }
        return NULL;
}

static char *convert_word(const struct conversion *c)
{
        cleanup_free char *t = trimmed(c->text);
        char *word = choose(c->row, t);
        return word != NULL ? word : refuse(c, "is not one of the known words");
}

static char *compact(const json_t *j)
{
        return json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
}

/* A list keeps its good elements; keep decides about one. */
static char *convert_list(const struct conversion *c, bool (*keep)(const struct conversion *,
                                                                   const json_t *),
                          const char *no_list, const char *bad_element)
{
        cleanup_json json_t *j = json_loads(c->text, JSON_DISABLE_EOF_CHECK, NULL);
        if (!json_is_array(j))
                return refuse(c, no_list);
        cleanup_json json_t *kept = json_array();
        size_t i;
        json_t *e;
        json_array_foreach(j, i, e) {
                if (keep(c, e))
                        (void)json_array_append(kept, e);
                else
                        c->verdict->wrong = bad_element;
        }
        return compact(kept);
}

static bool keep_port(const struct conversion *c, const json_t *e)
{
        (void)c;
        return json_is_integer(e) && json_integer_value(e) >= 0 && json_integer_value(e) <= 65535;
}

static char *convert_ports(const struct conversion *c)
{
        return convert_list(c, keep_port, "is not a JSON list of ports",
                            "names something that is no port, which is left out");
}

static bool keep_string(const struct conversion *c, const json_t *e)
{
        if (!json_is_string(e) || c->row->choices == NULL)
                return json_is_string(e);
        cleanup_free char *known = choose(c->row, json_string_value(e));
        c->verdict->unknown_member = c->verdict->unknown_member || known == NULL;
        return known != NULL;
}

static char *convert_strings(const struct conversion *c)
{
        return convert_list(c, keep_string, "is not a JSON list of strings",
                            c->row->choices != NULL ? "names something unknown"
                                                    : "holds something other than strings");
}

static bool is_cidr(const char *text)
{
        char address[INET6_ADDRSTRLEN];
        unsigned char bytes[sizeof(struct in6_addr)];
        const char *slash = strchr(text, '/');
        if (slash == NULL || (size_t)(slash - text) >= sizeof address)
                return false;
        (void)memcpy(address, text, (size_t)(slash - text));
        address[slash - text] = '\0';
        long most = inet_pton(AF_INET, address, bytes) == 1    ? 32
                    : inet_pton(AF_INET6, address, bytes) == 1 ? 128
                                                               : -1;
        char *end;
        long length = strtol(slash + 1, &end, 10);
        return isdigit((unsigned char)slash[1]) && *end == '\0' && length <= most;
}

static char *convert_cidrs(const struct conversion *c)
{
        cleanup_json json_t *j = json_loads(c->text, 0, NULL);
        size_t i;
        json_t *e;
        if (!json_is_array(j))
                return refuse(c, "is not a JSON list of networks");
        json_array_foreach(j, i, e)
                if (!json_is_string(e) || !is_cidr(json_string_value(e)))
                        return refuse(c, "names something that is no network such as 10.0.0.0/8");
        return compact(j);
}

static char *convert_map(const struct conversion *c)
{
        cleanup_json json_t *j = json_loads(c->text, 0, NULL);
        const char *key;
        json_t *e;
        if (!json_is_object(j))
                return refuse(c, "is not a JSON object of strings");
        json_object_foreach(j, key, e)
                if (!json_is_string(e))
                        return refuse(c, "is not a JSON object of strings");
        return compact(j);
}

/* Two numbers above 0 with a separator between; false when they are not that. */
static bool take_two(const char *text, char separator, long max, long *ret_a, long *ret_b)
{
        char *end;
        *ret_a = strtol(text, &end, 10);
        while (isspace((unsigned char)*end))
                end++;
        if (end == text || *end != separator)
                return false;
        const char *second = end + 1;
        *ret_b = strtol(second, &end, 10);
        while (isspace((unsigned char)*end))
                end++;
        return end != second && *end == '\0' && *ret_a > 0 && *ret_b > 0 && *ret_a <= max &&
               *ret_b <= max;
}

static char *convert_range(const struct conversion *c)
{
        long low, high;
        if (!take_two(c->text, '-', 65535, &low, &high) || low >= high)
                return refuse(c, "is not a range of ports such as 32768-60999");
        return mem_printf("%ld-%ld", low, high);
}

static char *convert_pair(const struct conversion *c)
{
        long steady, burst;
        if (!take_two(c->text, ',', 1000000, &steady, &burst))
                return refuse(c, "is not two numbers above 0 such as 40,60");
        return mem_printf("%ld,%ld", steady, burst);
}

static char *(*const converters[])(const struct conversion *) = {
        [CONFIG_TEXT] = convert_text,
        [CONFIG_TRIMMED] = convert_trimmed,
        [CONFIG_BOOL] = convert_bool,
        [CONFIG_DURATION] = convert_duration,
        [CONFIG_INT] = convert_int,
        [CONFIG_FLOAT] = convert_float,
        [CONFIG_WORD] = convert_word,
        [CONFIG_JSON_PORTS] = convert_ports,
        [CONFIG_JSON_STRINGS] = convert_strings,
        [CONFIG_JSON_CIDRS] = convert_cidrs,
        [CONFIG_JSON_MAP] = convert_map,
        [CONFIG_RANGE] = convert_range,
        [CONFIG_PAIR] = convert_pair,
};

char *config_convert(const struct config_row *row, const char *text, bool bounds,
                     struct config_verdict *verdict)
{
        const struct conversion c = {row, text, bounds, verdict};
        *verdict = (struct config_verdict){0};
        return converters[row->type](&c);
}
