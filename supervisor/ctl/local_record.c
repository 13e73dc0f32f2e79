/* ecsctl local record: what agents sent to the local control plane and what it sent them: a line an
 * entry, or JSON with all of it. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "client.h"
#include "command.h"
#include "connection.h"
#include "error.h"
#include "local_faults.h"

static const char *text(const json_t *o, const char *name)
{
        const char *s = json_string_value(json_object_get(o, name));
        return s != NULL ? s : "";
}

static void print_entry(const json_t *e)
{
        char at[32] = "";
        double seconds = json_number_value(json_object_get(e, "at"));
        time_t whole = (time_t)seconds;
        struct tm tm;
        if (localtime_r(&whole, &tm) != NULL)
                (void)strftime(at, sizeof at, "%H:%M:%S", &tm);
        const char *type = text(e, "type");
        (void)printf("%6lld  %s.%03d  %-9s %s %s", json_integer_value(json_object_get(e, "number")),
                     at, (int)((seconds - (double)whole) * 1000), text(e, "kind"),
                     text(e, "operation"),
                     *type != '\0' ? type : text(json_object_get(e, "body"), "type"));
        if (json_object_get(e, "status") != NULL)
                (void)printf(" → %lld %s", json_integer_value(json_object_get(e, "status")),
                             text(e, "error"));
        (void)putchar('\n');
}

/* Appends what is behind *after; returns how many, -1: told why. */
static int read_more(struct client *local, uint64_t *after, json_t *list)
{
        struct error err = {0};
        Ecs__GetLocalRecord m = ECS__GET_LOCAL_RECORD__INIT;
        m.after = *after;
        Ecs__Envelope e = IPC_ENVELOPE(GET_LOCAL_RECORD, get_local_record, &m), *reply = NULL;
        if (client_ask(local, &e, 10000, &reply, &err) != 0) {
                (void)command_fail("%s", err.text);
                return -1;
        }
        cleanup_json json_t *part = json_loads(reply->local_record->json, 0, NULL);
        *after = reply->local_record->last;
        ecs__envelope__free_unpacked(reply, NULL);
        (void)json_array_extend(list, part);
        return (int)json_array_size(part);
}

int local_record(struct ctl *c, int argc, char **argv)
{
        struct client local;
        struct error err = {0};
        cleanup_json json_t *list = json_array();
        uint64_t after = argc > 0 ? strtoull(argv[0], NULL, 10) : 0;
        size_t i;
        json_t *e;
        int more = 1;
        if (client_open_peer(c->client, "local", &local, &err) != 0)
                more = -command_fail("%s", err.text);
        while (more > 0)
                more = read_more(&local, &after, list);
        client_close(&local);
        if (more < 0)
                return 1;
        if (c->json)
                (void)json_dumpf(list, stdout, JSON_INDENT(1));
        json_array_foreach(list, i, e) if (!c->json) print_entry(e);
        return 0;
}
