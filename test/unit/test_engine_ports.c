/* H34: where host ports come from: the setting, else the kernel's range, else 49153-65535. E27-E29:
 * what a container gets of them, and how that is reported. */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "engine_tasks.h"
#include "mem.h"
#include "port_mapping.h"

static void the_range_has_its_sources(void **state)
{
        static const struct {
                const char *setting, *kernel; /* kernel: text of the file; NULL: no file */
                uint16_t first, last;
        } cases[] = {
                {"100-200", "32768\t60999\n", 100,   200  },
                {NULL,      "32768\t60999\n", 32768, 60999},
                {NULL,      "garbage",        49153, 65535},
                {NULL,      NULL,             49153, 65535},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char path[] = "/tmp/ecs-ports-XXXXXX";
                cleanup_fd int fd = mkstemp(path);
                const char *text = cases[i].kernel;
                assert_true(fd >= 0);
                if (text != NULL)
                        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
                struct port_range r;
                port_range_init(&r, cases[i].setting, text != NULL ? path : "/no/such/file");
                (void)unlink(path);
                assert_int_equal(r.first, cases[i].first);
                assert_int_equal(r.last, cases[i].last);
        }
}

static bool is_odd(void *arg, uint16_t port)
{
        (void)arg;
        return port % 2 == 1;
}

static bool is_never_free(void *arg, uint16_t port)
{
        (void)arg;
        (void)port;
        return false;
}

static void ports_rise_and_wrap(void **state)
{
        struct port_range r;
        (void)state;
        port_range_init(&r, "100-103", "/no/such/file");
        assert_int_equal(port_range_take(&r, 1, is_odd, NULL), 101);
        assert_int_equal(port_range_take(&r, 1, is_odd, NULL), 103);
        assert_int_equal(port_range_take(&r, 1, is_odd, NULL), 101);
        assert_int_equal(port_range_take(&r, 1, is_never_free, NULL), 0);
}

static bool is_above_104(void *arg, uint16_t port)
{
        (void)arg;
        return port > 104;
}

/* E27: neighbours, found wherever the cursor stands; never across the end of the range. */
static void runs_are_contiguous(void **state)
{
        struct port_range r;
        (void)state;
        port_range_init(&r, "100-109", "/no/such/file");
        assert_int_equal(port_range_take(&r, 3, is_above_104, NULL), 105);
        assert_int_equal(port_range_take(&r, 3, is_above_104, NULL), 105);
        r.next = 107;
        assert_int_equal(port_range_take(&r, 5, is_above_104, NULL), 105);
        assert_int_equal(r.next, 100);
        assert_int_equal(port_range_take(&r, 6, is_above_104, NULL), 0);
        assert_int_equal(port_range_take(&r, 11, is_above_104, NULL), 0);
        for (uint16_t at = 100; at <= 109; at++) {
                r.next = at;
                assert_int_equal(port_range_take(&r, 2, is_odd, NULL), 0);
        }
}

/* ---- mappings ---- */

static void map(struct task *t, unsigned port, const char *range, unsigned host,
                const char *protocol)
{
        Ecs__ContainerSpec *c = t->spec->containers[0];
        Ecs__PortMapping *m = mem_alloc(sizeof *m);
        ecs__port_mapping__init(m);
        m->container_port = port;
        m->host_port = host;
        m->container_port_range = mem_strdup(range);
        m->protocol = mem_strdup(protocol);
        c->port_mappings = mem_realloc_array(c->port_mappings, c->n_port_mappings + 1, sizeof m);
        c->port_mappings[c->n_port_mappings++] = m;
}

/* Ports of arg's task that are already chosen for the protocol are not free. */
static bool is_unused(void *arg, const char *protocol, uint16_t port)
{
        const struct task *t = arg;
        const Ecs__ContainerFacts *f = t->containers[0].facts;
        for (size_t i = 0; i < f->n_ports; i++)
                if (f->ports[i]->host_port == port && strcmp(f->ports[i]->protocol, protocol) == 0)
                        return false;
        return true;
}

static bool is_busy(void *arg, const char *protocol, uint16_t port)
{
        (void)arg;
        (void)protocol;
        (void)port;
        return false;
}

static struct task *one(void)
{
        const bool essential[] = {true};
        return make_task(1, essential);
}

/* E27, E29: single ports, a range, one port under both protocols. */
static void mappings_get_ports_of_their_own(void **state)
{
        struct port_range r;
        struct task *t = one();
        struct container *c = &t->containers[0];
        size_t count;
        (void)state;
        port_range_init(&r, "40000-40009", "/no/such/file");
        map(t, 53, "", 0, "tcp");
        map(t, 53, "", 0, "udp");
        map(t, 0, "7000-7003", 0, "tcp");
        map(t, 80, "", 8080, "tcp");
        assert_true(port_mapping_is_open(c));
        assert_null(port_mapping_choose(c, &r, is_unused, t));
        assert_false(port_mapping_is_open(c));
        assert_int_equal(c->facts->n_ports, 7);
        assert_int_equal(c->facts->ports[0]->host_port, 40000);
        assert_int_equal(c->facts->ports[1]->host_port, 40001);
        for (unsigned i = 0; i < 4; i++) {
                assert_int_equal(c->facts->ports[2 + i]->container_port, 7000 + i);
                assert_int_equal(c->facts->ports[2 + i]->host_port, 40002 + i);
        }
        Ecs__NetworkBinding **b = port_mapping_bindings(c, &count);
        assert_int_equal(count, 4);
        assert_string_equal(b[1]->protocol, "udp");
        assert_string_equal(b[2]->container_port_range, "7000-7003");
        assert_string_equal(b[2]->host_port_range, "40002-40005");
        assert_int_equal(b[2]->container_port, 0);
        assert_int_equal(b[3]->host_port, 8080);
        assert_string_equal(b[3]->container_port_range, "");
        for (size_t i = 0; i < count; i++)
                ecs__network_binding__free_unpacked(b[i], NULL);
        free(b);
        task_free(t);
}

/* E28: the reasons are those users know. */
static void what_cannot_be_had_is_said(void **state)
{
        static const struct {
                const char *range, *reason;
        } cases[] = {
                {"", "HostConfigError: error retrieving docker port map: a host port is "
                     "unavailable"},
                {"1-3", "HostConfigError: error retrieving docker port map: 3 contiguous host "
                        "ports are unavailable"},
                {"3-1", "HostConfigError: error retrieving docker port map: '3-1' is no range of "
                        "ports"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct port_range r;
                struct task *t = one();
                port_range_init(&r, "40000-40009", "/no/such/file");
                map(t, 80, cases[i].range, 0, "tcp");
                char *reason = port_mapping_choose(&t->containers[0], &r, is_busy, t);
                assert_string_equal(reason, cases[i].reason);
                assert_int_equal(t->containers[0].facts->n_ports, 0);
                free(reason);
                task_free(t);
        }
}

static void only_chosen_ports_are_chosen_again(void **state)
{
        struct port_range r;
        struct task *t = one();
        struct container *c = &t->containers[0];
        (void)state;
        port_range_init(&r, "4000-4009", "/no/such/file");
        map(t, 53, "", 0, "tcp");
        map(t, 80, "", 8080, "tcp");
        assert_null(port_mapping_choose(c, &r, is_unused, t));
        assert_true(port_mapping_clashes(c, "Bind for 0.0.0.0:4000 failed: port is already "
                                            "allocated"));
        assert_true(port_mapping_clashes(c, "listen tcp4 0.0.0.0:4000: bind: address already in "
                                            "use"));
        assert_false(port_mapping_clashes(c, "Bind for 0.0.0.0:40001 failed: port is already "
                                             "allocated"));
        assert_false(port_mapping_clashes(c, "Bind for 0.0.0.0:8080 failed: port is already "
                                             "allocated"));
        assert_false(port_mapping_clashes(c, "no such file: 0.0.0.0:4000"));
        task_free(t);
}

static void ranges_are_read_strictly(void **state)
{
        static const char *const wrong[] = {"",     "1",   "1-",      "-1",     "0-1",   "2-1",
                                            "1-2 ", " 1-2", "1-65536", "1-2-3", "a-b", "1--2"};
        unsigned first = 7, last = 7;
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                assert_false(port_mapping_range(wrong[i], &first, &last));
        assert_int_equal(first, 7);
        assert_true(port_mapping_range("1-65535", &first, &last));
        assert_int_equal(last, 65535);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_range_has_its_sources),
                cmocka_unit_test(ports_rise_and_wrap),
                cmocka_unit_test(runs_are_contiguous),
                cmocka_unit_test(mappings_get_ports_of_their_own),
                cmocka_unit_test(what_cannot_be_had_is_said),
                cmocka_unit_test(only_chosen_ports_are_chosen_again),
                cmocka_unit_test(ranges_are_read_strictly),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
