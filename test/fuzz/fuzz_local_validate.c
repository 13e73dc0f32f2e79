/* Requests made of the shapes' own words: the bytes choose operation, members and values, so that
 * most inputs get past the first member. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "local.h"
#include "validate.h"

#define DEPTH_MAX 5

struct input {
        const uint8_t *data;
        size_t left;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned next(struct input *in)
{
        if (in->left == 0)
                return 0;
        in->left--;
        return *in->data++;
}

/* A member's name out of the table. */
static json_t *put_member(json_t *o, struct input *in, json_t *value)
{
        const struct shape *s = &shapes[next(in) % shape_count];
        const char *p = s->members;
        char name[64];
        for (unsigned skip = next(in) % 16; skip > 0 && strchr(p, ' ') != NULL; skip--)
                p = strchr(p, ' ') + 1;
        size_t n = strcspn(p, ":! ");
        n = n < sizeof name - 1 ? n : sizeof name - 1;
        memcpy(name, p, n);
        name[n] = '\0';
        (void)json_object_set_new(o, name, value);
        return o;
}

static json_t *make(struct input *in, int depth)
{
        static const char *const words[] = {"", "a", "EC2", "FARGATE", "bridge", "memberOf"};
        unsigned kind = next(in) % 9, count = next(in) % 8;
        json_t *v;
        switch (depth > DEPTH_MAX ? kind % 5 : kind) {
        case 0:
                return json_string(words[count % (sizeof words / sizeof words[0])]);
        case 1:
                return json_integer((json_int_t)((uint64_t)next(in) << (count * 8)));
        case 2:
                return json_boolean(count % 2);
        case 3:
                return json_real(0.5);
        case 4:
                return json_null();
        case 5:
        case 6:
                v = json_array();
                while (count-- > 0)
                        (void)json_array_append_new(v, make(in, depth + 1));
                return v;
        default:
                v = json_object();
                while (count-- > 0)
                        put_member(v, in, make(in, depth + 1));
                return v;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input in = {data, size};
        struct answer a = {0};
        const char *name = operations[next(&in) % operation_count].name;
        json_t *q = json_object();
        for (unsigned count = next(&in) % 8; count > 0; count--)
                put_member(q, &in, make(&in, 0));
        bool taken = validate(name, q, &a);
        if (taken != (a.code == NULL) || (!taken && *a.text == '\0'))
                abort();
        free(a.text);
        json_decref(q);
        return 0;
}
