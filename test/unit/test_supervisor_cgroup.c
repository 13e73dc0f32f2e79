/* Control groups of tasks without a kernel's: a tree of plain files stands in for the hierarchies.
 * The real ones: test/e2e/test_engine_cgroups.py. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "error.h"
#include "mem.h"
#include "privileged/cgroup_v1.h"

#define ID "0123456789abcdef"

static void put(const char *root, const char *path, const char *text)
{
        cleanup_free char *full = mem_printf("%s/%s", root, path);
        for (char *p = full + strlen(root) + 1; *p != '\0'; p++)
                if (*p == '/') {
                        *p = '\0';
                        (void)mkdir(full, 0755);
                        *p = '/';
                }
        cleanup_fd int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void expect(const char *root, const char *path, const char *text)
{
        char found[64] = "";
        cleanup_free char *full = mem_printf("%s/%s", root, path);
        cleanup_fd int fd = open(full, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, found, sizeof found - 1) < 0)
                fail_msg("%s: %s", path, strerror(errno));
        assert_string_equal(found, text);
}

/* A root with hierarchies for cpu and memory. Freed by drop_root. */
static char *make_root(void)
{
        static const char *const files[] = {"cpu/cgroup.procs", "cpu/cpu.shares",
                                            "memory/cgroup.procs", "memory/memory.limit_in_bytes",
                                            "notes/readme"};
        char *root = mem_strdup("/tmp/ecs-cgroup-XXXXXX");
        assert_non_null(mkdtemp(root));
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                put(root, files[i], "");
        return root;
}

static void drop_root(char *root)
{
        cleanup_free char *command = mem_printf("rm -rf '%s'", root);
        assert_int_equal(system(command), 0);
        free(root);
}

static void ids_are_strict(void **state)
{
        static const char *const wrong[] = {"",
                                            ".",
                                            "..",
                                            "a/b",
                                            "../x",
                                            "a.b",
                                            "a b",
                                            "a\n",
                                            "%s",
                                            "0123456789012345678901234567890123456789"
                                            "0123456789012345678901234"};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct error err = {0};
                const struct cgroup_limits none = {0};
                assert_false(cgroup_id_is_valid(wrong[i]));
                assert_int_equal(cgroup_v1_create("/nowhere", wrong[i], &none, &err), -EINVAL);
                assert_int_equal(cgroup_v1_remove("/nowhere", wrong[i], &err), -EINVAL);
        }
        assert_true(cgroup_id_is_valid("d2c7a3b0-1234-5678-9abc-def012345678"));
        assert_true(cgroup_id_is_valid("0123456789abcdef0123456789abcdef"));
}

/* What is there is used, and its limits are written anew. */
static void limits_are_written(void **state)
{
        static const char *const files[] = {
                "cpu/ecs/" ID "/cpu.cfs_period_us", "cpu/ecs/" ID "/cpu.cfs_quota_us",
                "cpu/ecs/" ID "/cpu.shares", "memory/ecs/" ID "/memory.limit_in_bytes"};
        const struct cgroup_limits l = {
                .cpu_quota_us = 25000, .cpu_period_us = 50000, .memory_bytes = 4294967296};
        struct error err = {0};
        char *root = make_root();
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                put(root, files[i], "");
        assert_int_equal(cgroup_v1_create(root, ID, &l, &err), 0);
        expect(root, files[0], "50000");
        expect(root, files[1], "25000");
        expect(root, files[2], "");
        expect(root, files[3], "4294967296");
        cleanup_free char *other = mem_printf("%s/notes/ecs", root);
        assert_int_equal(access(other, F_OK), -1);
        drop_root(root);
}

/* R85: a limit that no hierarchy takes is an error, not a task without limits. */
static void a_limit_that_cannot_be_set_is_an_error(void **state)
{
        const struct cgroup_limits l = {.cpu_shares = 2, .pids = 10};
        struct error err = {0};
        char *root = make_root();
        (void)state;
        put(root, "cpu/ecs/" ID "/cpu.shares", "");
        assert_int_equal(cgroup_v1_create(root, ID, &l, &err), -ENOENT);
        assert_non_null(strstr(err.text, "has pids.max"));
        drop_root(root);
}

static void links_lead_nowhere(void **state)
{
        const struct cgroup_limits l = {.cpu_shares = 2};
        struct error err = {0};
        char *root = make_root();
        cleanup_free char *link = mem_printf("%s/cpu/ecs", root);
        cleanup_free char *target = mem_printf("%s/notes", root);
        (void)state;
        assert_int_equal(symlink(target, link), 0);
        assert_int_equal(cgroup_v1_create(root, ID, &l, &err), -ELOOP);
        assert_int_equal(cgroup_v1_remove(root, ID, &err), -ELOOP);
        drop_root(root);
}

static void what_is_gone_is_removed(void **state)
{
        const struct cgroup_limits none = {0};
        struct error err = {0};
        char *root = make_root();
        (void)state;
        assert_int_equal(cgroup_v1_remove(root, ID, &err), 0);
        assert_int_equal(cgroup_v1_create(root, ID, &none, &err), 0);
        assert_int_equal(cgroup_v1_create(root, ID, &none, &err), 0);
        put(root, "cpu/ecs/" ID "/busy/x", "");
        assert_int_equal(cgroup_v1_remove(root, ID, &err), -ENOTEMPTY);
        assert_int_equal(cgroup_v1_check(root, &err), 0);
        drop_root(root);
        assert_int_equal(cgroup_v1_check("/nowhere", &err), -ENOENT);
        assert_int_equal(cgroup_v1_check("/proc/self/task", &err), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ids_are_strict),
                cmocka_unit_test(limits_are_written),
                cmocka_unit_test(a_limit_that_cannot_be_set_is_an_error),
                cmocka_unit_test(links_lead_nowhere),
                cmocka_unit_test(what_is_gone_is_removed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
