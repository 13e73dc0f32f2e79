/* A backend without a network for what reads ACS's messages: what it would send is kept, what it
 * asks engine and metadata is answered when fake_run() is called. Included once by a program that
 * links worker_backend; its definitions take the place of acs.c, backend.c and ipc's link.c. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "acs_messages.h"
#include "backend.h"
#include "cleanup.h"
#include "mem.h"

#define FAKE_WAITING_MAX 4096

static struct fake {
        struct backend backend;
        json_t *sent; /* envelopes for ACS */
        unsigned activity;
        bool cannot_store;                      /* numbers */
        int status;                             /* of every request's answer */
        Ecs__GetTasksReply tasks;               /* the engine's */
        Ecs__Envelope *asked[FAKE_WAITING_MAX]; /* copies, in order */
        struct {
                ipc_reply_fn done;
                void *arg;
        } waiting[FAKE_WAITING_MAX];
        size_t asked_count, answered_count;
} fake;

struct backend *acs_backend(const struct acs *a)
{
        (void)a;
        return &fake.backend;
}

void acs_saw_activity(struct acs *a)
{
        (void)a;
        fake.activity++;
}

void acs_send(struct acs *a, const char *type, json_t *message)
{
        (void)a;
        (void)json_array_append_new(fake.sent,
                                    json_pack("{s:s, s:o}", "type", type, "message", message));
}

void backend_text(char **field, const char *value)
{
        char *copy = mem_strdup(value != NULL ? value : "");
        free(*field);
        *field = copy;
}

bool backend_store_number(struct backend *b, const char *name, int64_t value)
{
        (void)b;
        (void)name;
        (void)value;
        return !fake.cannot_store;
}

void ipc_link_request(struct ipc_link *l, Ecs__Envelope *e, uint32_t deadline_ms, ipc_reply_fn done,
                      void *arg)
{
        size_t size = ecs__envelope__get_packed_size(e);
        cleanup_free uint8_t *packed = mem_alloc(size + 1);
        (void)l;
        (void)deadline_ms;
        if (fake.asked_count == FAKE_WAITING_MAX)
                abort();
        ecs__envelope__pack(e, packed);
        fake.asked[fake.asked_count] = ecs__envelope__unpack(NULL, size, packed);
        fake.waiting[fake.asked_count].done = done;
        fake.waiting[fake.asked_count++].arg = arg;
}

/* Answers what has been asked, and what is asked because of that. */
static void fake_run(void)
{
        Ecs__Envelope reply = IPC_ENVELOPE(GET_TASKS_REPLY, get_tasks_reply, &fake.tasks);
        for (; fake.answered_count < fake.asked_count; fake.answered_count++)
                fake.waiting[fake.answered_count].done(fake.waiting[fake.answered_count].arg,
                                                       fake.status,
                                                       fake.status == 0 ? &reply : NULL, -1);
}

static void fake_init(void)
{
        static const struct log quiet;
        memset(&fake, 0, sizeof fake);
        fake.backend.log = &quiet;
        fake.backend.acs = (struct acs *)&fake;
        fake.sent = json_array();
        ecs__get_tasks_reply__init(&fake.tasks);
}

static void fake_clear(void)
{
        fake_run();
        task_credentials_drop(&fake.backend, NULL);
        acs_payloads_free(&fake.backend);
        free(fake.backend.manifest_id);
        json_decref(fake.sent);
        for (size_t i = 0; i < fake.asked_count; i++)
                ecs__envelope__free_unpacked(fake.asked[i], NULL);
}
