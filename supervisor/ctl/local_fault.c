/* ecsctl local fault: switches that make the local control plane misbehave. The table of faults is
 * the control plane's; this passes words on and prints what it answers. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "client.h"
#include "command.h"
#include "connection.h"
#include "error.h"
#include "local_faults.h"
#include "mem.h"

#define SETTINGS_MAX 8

/* ---- asking ---- */

/* Contents of a file, owned; NULL with errno. */
static char *read_text(const char *path)
{
        struct buf b = {0};
        char data[65536];
        size_t n;
        cleanup_file FILE *f = fopen(path, "re");
        if (f == NULL)
                return NULL;
        while ((n = fread(data, 1, sizeof data, f)) > 0)
                buf_append(&b, data, n);
        return buf_steal(&b);
}

/* Cuts NAME=VALUE in place; the value is owned. */
static int read_setting(char *word, Ecs__LocalSetting *s)
{
        char *equals = strchr(word, '=');
        ecs__local_setting__init(s);
        if (equals == NULL)
                return command_fail("'%s' is no SETTING=VALUE", word);
        *equals = '\0';
        s->name = word;
        s->value = equals[1] == '@' ? read_text(equals + 2) : mem_strdup(equals + 1);
        if (s->value == NULL)
                return command_fail("cannot read %s: %s", equals + 2, strerror(errno));
        return 0;
}

/* The answer, owned; NULL: told why. */
static json_t *ask(struct ctl *c, Ecs__LocalFault *m)
{
        struct client local;
        struct error err = {0};
        json_t *answer = NULL;
        Ecs__Envelope e = IPC_ENVELOPE(LOCAL_FAULT, local_fault, m), *reply = NULL;
        if (client_open_peer(c->client, "local", &local, &err) != 0 ||
            client_ask(&local, &e, 10000, &reply, &err) != 0)
                (void)command_fail("%s", err.text);
        if (reply != NULL)
                answer = json_loads(reply->local_fault_reply->json, 0, NULL);
        if (reply != NULL)
                ecs__envelope__free_unpacked(reply, NULL);
        client_close(&local);
        return answer;
}

/* ---- printing ---- */

static void print_settings(const json_t *settings)
{
        const char *name;
        json_t *v;
        json_object_foreach((json_t *)settings, name, v)
        {
                cleanup_free char *text = json_is_string(v)
                                                  ? mem_strdup(json_string_value(v))
                                                  : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
                (void)printf(" %s=%.60s", name, text);
        }
}

static void print_row(const json_t *r)
{
        json_int_t left = json_integer_value(json_object_get(r, "left"));
        (void)printf("%lld  %s on %s", json_integer_value(json_object_get(r, "id")),
                     json_string_value(json_object_get(r, "fault")),
                     json_string_value(json_object_get(r, "on")));
        print_settings(json_object_get(r, "settings"));
        if (left > 0)
                (void)printf("  (%lld more times)", left);
        (void)putchar('\n');
}

static void print_kind(const json_t *k)
{
        size_t i;
        json_t *s;
        (void)printf("  %-12s %s\n", json_string_value(json_object_get(k, "fault")),
                     json_string_value(json_object_get(k, "does")));
        json_array_foreach(json_object_get(k, "settings"), i, s)
        {
                const char *fallback = json_string_value(json_object_get(s, "default"));
                (void)printf("%s%s=%s", i == 0 ? "               " : "  ",
                             json_string_value(json_object_get(s, "name")),
                             fallback != NULL ? fallback : "(must be given)");
        }
        if (i > 0)
                (void)putchar('\n');
}

static void print_help(const json_t *kinds)
{
        size_t i;
        json_t *k;
        (void)puts("usage: ecsctl local fault [list | clear [ID] | FAULT ON [SETTING=VALUE]...]\n\n"
                   "ON is an operation's name, acs or tcs (the agent's sessions and their\n"
                   "handshakes), or '*' for all that agents send. A fault stays until it is\n"
                   "cleared or has been used count times (0: for ever). A VALUE of @FILE is read\n"
                   "from that file. Needs to be root.\n");
        for (int once = 0; once <= 1; once++) {
                (void)puts(once ? "\nDone once, at once:" : "Stay in force:");
                json_array_foreach(kinds, i, k) if (json_is_true(json_object_get(k, "once")) ==
                                                    once) print_kind(k);
        }
}

static void print_answer(const json_t *a)
{
        const json_t *rows = json_object_get(a, "faults"), *kinds = json_object_get(a, "kinds");
        size_t i;
        json_t *r;
        if (kinds != NULL)
                print_help(kinds);
        else if (json_object_get(a, "cleared") != NULL)
                (void)printf("%lld cleared\n", json_integer_value(json_object_get(a, "cleared")));
        else if (json_object_get(a, "reached") != NULL)
                (void)printf("done, reached %lld\n",
                             json_integer_value(json_object_get(a, "reached")));
        else if (json_object_get(a, "id") != NULL)
                print_row(a);
        json_array_foreach(rows, i, r) print_row(r);
        if (rows != NULL && i == 0)
                (void)puts("no fault is on; 'ecsctl local fault help' lists what there is");
}

int local_fault(struct ctl *c, int argc, char **argv)
{
        Ecs__LocalSetting settings[SETTINGS_MAX], *refs[SETTINGS_MAX];
        Ecs__LocalFault m = ECS__LOCAL_FAULT__INIT;
        int code = 0;
        m.kind = argc > 0 ? argv[0] : (char *)"list";
        m.on = argc > 1 ? argv[1] : (char *)"";
        m.settings = refs;
        if (argc > SETTINGS_MAX + 2)
                return command_fail("too many settings");
        for (int i = 2; i < argc && code == 0; i++) {
                code = read_setting(argv[i], &settings[i - 2]);
                if (code == 0)
                        refs[m.n_settings++] = &settings[i - 2];
        }
        cleanup_json json_t *answer = code == 0 ? ask(c, &m) : NULL;
        if (answer != NULL && c->json)
                (void)json_dumpf(answer, stdout, JSON_INDENT(2));
        else if (answer != NULL)
                print_answer(answer);
        for (size_t i = 0; i < m.n_settings; i++)
                free(refs[i]->value);
        return answer != NULL ? 0 : 1;
}
