/* Every body of an Envelope is served by some process or answers a body that is, and every row of
 * every handler table says whom it serves and when. Walks the protobuf descriptor, so that a new
 * message without a row fails here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend.h"
#include "cleanup.h"
#include "engine.h"
#include "local.h"
#include "mem.h"
#include "metadata.h"
#include "supervisor.h"
#include "worker_private.h"

/* self: whose table; with: who may be at the other end of its connections. */
static const struct table {
        const char *name;
        const struct ipc_handler *rows;
        unsigned self, with;
} tables[] = {
        {"worker", worker_control_handlers, 0, PEER_SUPERVISOR},
        {"supervisor", supervisor_worker_handlers, PEER_SUPERVISOR,
         PEER_BACKEND | PEER_ENGINE | PEER_METADATA | PEER_LOCAL},
        {"control socket", supervisor_ctl_handlers, PEER_SUPERVISOR, PEER_CTL | PEER_CTL_ROOT},
        {"engine", engine_handlers, PEER_ENGINE, 0},
        {"backend", backend_handlers, PEER_BACKEND, 0},
        {"metadata", metadata_handlers, PEER_METADATA, 0},
        {"local", local_handlers, PEER_LOCAL, 0},
};

/* Answers that are not called <request>_reply. */
static const struct {
        const char *reply, *request;
} answers[] = {
        {"pong", "ping"},         {"host_inventory", "get_host_inventory"},
        {"ctl_done", "ctl_worker"}, {"inventory", "get_inventory"},
        {"held", "get_held"},     {"link", "get_link"},
        {"identity", "get_identity"}, {"local_record", "get_local_record"},
};

static const ProtobufCFieldDescriptor *body_named(const char *name)
{
        return protobuf_c_message_descriptor_get_field_by_name(&ecs__envelope__descriptor, name);
}

static bool is_body(const ProtobufCFieldDescriptor *f)
{
        return (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

static bool is_served(const ProtobufCFieldDescriptor *f)
{
        for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
                if (tables[i].rows[f->id].fn != NULL)
                        return true;
        return false;
}

static bool answers_a_served_body(const char *name)
{
        static const char suffix[] = "_reply";
        size_t length = strlen(name);
        const ProtobufCFieldDescriptor *request = NULL;
        if (length > sizeof suffix - 1 &&
            strcmp(name + length - (sizeof suffix - 1), suffix) == 0) {
                cleanup_free char *asked = mem_strndup(name, length - (sizeof suffix - 1));
                request = body_named(asked);
        }
        for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
                if (strcmp(answers[i].reply, name) == 0)
                        request = body_named(answers[i].request);
        return request != NULL && is_served(request);
}

static void every_body_is_served_or_answers_one(void **state)
{
        (void)state;
        for (unsigned i = 0; i < ecs__envelope__descriptor.n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &ecs__envelope__descriptor.fields[i];
                if (!is_body(f))
                        continue;
                assert_in_range(f->id, 1, IPC_BODY_MAX - 1);
                /* an error answers anything; Hello is read by worker_main before there is a loop */
                if (strcmp(f->name, "error") == 0 || strcmp(f->name, "hello") == 0)
                        continue;
                if (!is_served(f) && !answers_a_served_body(f->name))
                        fail_msg("body '%s' has no handler row in any process", f->name);
        }
}

static void body_numbers_are_dense(void **state)
{
        bool seen[IPC_BODY_MAX] = {false};
        unsigned bodies = 0, first = IPC_BODY_MAX;
        (void)state;
        for (unsigned i = 0; i < ecs__envelope__descriptor.n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &ecs__envelope__descriptor.fields[i];
                if (!is_body(f))
                        continue;
                seen[f->id] = true;
                first = f->id < first ? f->id : first;
                bodies++;
        }
        for (unsigned id = first; id < first + bodies; id++)
                assert_true(seen[id]);
}

/* Peers the process may be connected with, whoever asked for the connection. */
static unsigned possible_peers(const struct table *t)
{
        unsigned peers = t->with;
        for (unsigned bit = 1; t->with == 0 && bit < PEER_ANY; bit <<= 1)
                if (broker_may_connect(t->self, bit) || broker_may_connect(bit, t->self))
                        peers |= bit;
        return peers;
}

static void every_row_names_peers_and_phase(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
                unsigned possible = possible_peers(&tables[i]);
                for (unsigned id = 0; id < IPC_BODY_MAX; id++) {
                        const struct ipc_handler *row = &tables[i].rows[id];
                        if (row->fn == NULL)
                                continue;
                        if (row->peers == 0 || (row->peers & ~possible) != 0)
                                fail_msg("%s, body %u: peers %#x, of which %#x can never ask",
                                         tables[i].name, id, row->peers, row->peers & ~possible);
                        if (row->when != WHEN_READY && row->when != WHEN_ANY)
                                fail_msg("%s, body %u: no phase", tables[i].name, id);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_body_is_served_or_answers_one),
                cmocka_unit_test(body_numbers_are_dense),
                cmocka_unit_test(every_row_names_peers_and_phase),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
