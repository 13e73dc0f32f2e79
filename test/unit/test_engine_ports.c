/* H34: where host ports come from: the setting, else the kernel's range, else 49153-65535. */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "ports.h"

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
        assert_int_equal(port_range_take(&r, is_odd, NULL), 101);
        assert_int_equal(port_range_take(&r, is_odd, NULL), 103);
        assert_int_equal(port_range_take(&r, is_odd, NULL), 101);
        assert_int_equal(port_range_take(&r, is_never_free, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_range_has_its_sources),
                cmocka_unit_test(ports_rise_and_wrap),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
