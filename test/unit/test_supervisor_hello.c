/* What a worker is sent when it starts: the settings whose row names it and no other, and nothing
 * secret of another. The Hello is read from the worker's end; no process is started. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "config_table.h"
#include "frame.h"
#include "mem.h"
#include "supervisor.h"
#include "worker.h"

static void fill_every_setting(struct supervisor *s)
{
        s->config = config_new();
        for (size_t i = 0; i < config_row_count; i++)
                config_set(s->config, config_rows[i].name, config_rows[i].name);
}

static Ecs__Envelope *read_hello(struct child_fds *c)
{
        struct buf b = {0};
        static char data[IPC_FRAME_MAX_CONTROL + 4];
        Ecs__Envelope *e = NULL;
        ssize_t n = recv(c->fds[0], data, sizeof data, 0);
        assert_true(n > 0);
        buf_append(&b, data, (size_t)n);
        assert_int_equal(frame_take(&b, IPC_FRAME_MAX_CONTROL, &e), 0);
        assert_int_equal(b.length, 0);
        buf_clear(&b);
        assert_int_equal(e->body_case, ECS__ENVELOPE__BODY_HELLO);
        return e;
}

static bool was_sent(const Ecs__Hello *h, const char *name)
{
        for (size_t i = 0; i < h->n_config; i++)
                if (strcmp(h->config[i]->name, name) == 0)
                        return true;
        return false;
}

static void check_settings(const struct worker_row *row, const Ecs__Hello *h)
{
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *setting = &config_rows[i];
                bool its_own = (setting->recipients & row->recipient) != 0;
                if (was_sent(h, setting->name) != its_own)
                        fail_msg("%s: %s was %ssent", row->name, setting->name,
                                 its_own ? "not " : "");
        }
}

static void a_worker_is_sent_its_own_settings_only(void **state)
{
        struct supervisor s = {.data_dir = (char *)"/data", .run_dir = (char *)"/run"};
        (void)state;
        for (size_t i = 0; i < LISTENERS; i++)
                s.listeners[i] = -1;
        assert_int_equal(uv_loop_init(&s.loop), 0);
        fill_every_setting(&s);
        for (size_t i = 0; i < worker_row_count; i++) {
                struct process p = {.supervisor = &s, .row = &worker_rows[i]};
                struct child_fds c;
                assert_int_equal(spawn_open_channels(&p, false, &c), 0);
                Ecs__Envelope *e = read_hello(&c);
                assert_string_equal(e->hello->worker, worker_rows[i].name);
                assert_string_equal(e->hello->build, ECS_VERSION);
                assert_int_equal(e->hello->protocol, ECS_PROTOCOL_VERSION);
                check_settings(&worker_rows[i], e->hello);
                ecs__envelope__free_unpacked(e, NULL);
                spawn_close_channels(&c);
                (void)uv_run(&s.loop, UV_RUN_DEFAULT);
        }
        config_free(s.config);
        assert_int_equal(uv_loop_close(&s.loop), 0);
}

/* Whoever adds a secret says here who may have it. */
static void secrets_have_the_recipients_they_need(void **state)
{
        static const struct {
                const char *name;
                unsigned recipients;
        } secrets[] = {
                {"ECS_ENGINE_AUTH_DATA", FOR_ENGINE},
                {"AWS_ACCESS_KEY_ID", FOR_BACKEND},
                {"AWS_SECRET_ACCESS_KEY", FOR_BACKEND},
                {"AWS_SESSION_TOKEN", FOR_BACKEND},
                {"HTTP_PROXY", FOR_BACKEND},
                {"HTTPS_PROXY", FOR_BACKEND},
                {"ECS_LOCAL_AGENT_KEY_ID", FOR_LOCAL},
                {"ECS_LOCAL_AGENT_SECRET", FOR_LOCAL},
                {"ECS_LOCAL_USER_KEY_ID", FOR_LOCAL},
                {"ECS_LOCAL_USER_SECRET", FOR_LOCAL},
        };
        (void)state;
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *row = &config_rows[i];
                bool found = false;
                if ((row->flags & CONFIG_SECRET) == 0)
                        continue;
                for (size_t k = 0; k < sizeof secrets / sizeof secrets[0]; k++) {
                        if (strcmp(secrets[k].name, row->name) != 0)
                                continue;
                        found = true;
                        if ((row->recipients & FOR_WORKERS & ~secrets[k].recipients) != 0)
                                fail_msg("%s goes to more workers than it must", row->name);
                }
                if (!found)
                        fail_msg("the secret %s is not listed here", row->name);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_worker_is_sent_its_own_settings_only),
                cmocka_unit_test(secrets_have_the_recipients_they_need),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
