/* cgroup_v1: Docker would make a missing parent by itself, without limits, so it is made in every
 * hierarchy before the first container. Nothing is followed out of the root: paths are opened
 * beneath it, links are not taken (net_cls is one, to the directory that is visited anyway). */
#include "cgroup_v1.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "error.h"
#include "mem.h"

#define PARENT "ecs"
#define ID_MAX 64
#define MAGIC_TWO 0x63677270 /* CGROUP2_SUPER_MAGIC */

bool cgroup_id_is_valid(const char *id)
{
        size_t n = 0;
        for (; id[n] != '\0'; n++)
                if (n >= ID_MAX || !(isalnum((unsigned char)id[n]) || id[n] == '-'))
                        return false;
        return n > 0;
}

static int open_beneath(int dir, const char *path, int flags)
{
        struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC),
                               .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
                                          RESOLVE_NO_MAGICLINKS};
        int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
        return fd >= 0 ? fd : -errno;
}

static bool has_file(int dir, const char *name)
{
        struct stat st;
        return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static int write_file(int dir, const char *name, const char *text)
{
        cleanup_fd int fd = open_beneath(dir, name, O_WRONLY);
        if (fd < 0)
                return fd;
        return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int read_file(int dir, const char *name, char *text, size_t size)
{
        cleanup_fd int fd = open_beneath(dir, name, O_RDONLY);
        ssize_t n = fd >= 0 ? read(fd, text, size - 1) : -1;
        if (n < 0)
                return fd < 0 ? fd : -errno;
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return 0;
}

/* ---- one hierarchy ---- */

/* A new group of cpuset has no processor and no memory node: nothing could run in it. */
static int inherit_cpuset(int parent, int dir)
{
        static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                char own[4096], inherited[4096];
                if (!has_file(dir, files[i]))
                        continue;
                int r = read_file(dir, files[i], own, sizeof own);
                if (r == 0 && own[0] == '\0') {
                        r = read_file(parent, files[i], inherited, sizeof inherited);
                        if (r == 0)
                                r = write_file(dir, files[i], inherited);
                }
                if (r != 0)
                        return r;
        }
        return 0;
}

/* A descriptor of the directory, made if need be. */
static int make_group(int parent, const char *name)
{
        if (mkdirat(parent, name, 0755) != 0 && errno != EEXIST)
                return -errno;
        cleanup_fd int dir = open_beneath(parent, name, O_RDONLY | O_DIRECTORY);
        if (dir < 0)
                return dir;
        int r = inherit_cpuset(parent, dir);
        /* old kernels need to be told, new ones know nothing else */
        if (has_file(dir, "memory.use_hierarchy"))
                (void)write_file(dir, "memory.use_hierarchy", "1");
        return r != 0 ? r : steal_fd(&dir);
}

/* A limit, the file it is written to, and whether some hierarchy had that file. */
struct limit {
        const char *file;
        int64_t value;
        bool written;
};

static int write_limits(int dir, struct limit *limits, size_t count, const char *where,
                        struct error *err)
{
        for (size_t i = 0; i < count; i++) {
                char text[32];
                if (limits[i].value == 0 || !has_file(dir, limits[i].file))
                        continue;
                (void)snprintf(text, sizeof text, "%lld", (long long)limits[i].value);
                int r = write_file(dir, limits[i].file, text);
                if (r != 0)
                        return error_set(err, r, "%s of %s cannot be set to %s: %s", limits[i].file,
                                         where, text, strerror(-r));
                limits[i].written = true;
        }
        return 0;
}

/* ---- all hierarchies ---- */

struct visit {
        const char *id;
        bool two; /* visits the tree of version 2 as well, where Docker makes a group beside ours */
        struct limit *limits;
        size_t limit_count;
        unsigned seen;
};
typedef int (*visit_fn)(struct visit *v, int hierarchy, const char *name, struct error *err);

static bool is_hierarchy(int dir, bool two)
{
        struct statfs fs;
        if (fstatfs(dir, &fs) != 0 || ((unsigned long)fs.f_type == MAGIC_TWO && !two))
                return false;
        return has_file(dir, "cgroup.procs");
}

static int each_hierarchy(const char *root, visit_fn fn, struct visit *v, struct error *err)
{
        int r = 0;
        const struct dirent *e;
        DIR *d = opendir(root);
        if (d == NULL)
                return error_set(err, -errno, "%s: %s", root, strerror(errno));
        while (r == 0 && (e = readdir(d)) != NULL) {
                if (e->d_name[0] == '.')
                        continue;
                cleanup_fd int dir = open_beneath(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY);
                if (dir < 0 || !is_hierarchy(dir, v->two))
                        continue;
                v->seen++;
                r = fn(v, dir, e->d_name, err);
        }
        (void)closedir(d);
        return r;
}

static int create_in(struct visit *v, int hierarchy, const char *name, struct error *err)
{
        cleanup_free char *where = mem_printf("%s/" PARENT "/%s", name, v->id);
        cleanup_fd int parent = make_group(hierarchy, PARENT);
        cleanup_fd int dir = parent >= 0 ? make_group(parent, v->id) : parent;
        if (dir < 0)
                return error_set(err, dir, "%s cannot be made: %s", where, strerror(-dir));
        return write_limits(dir, v->limits, v->limit_count, where, err);
}

int cgroup_v1_create(const char *root, const char *id, const struct cgroup_limits *l,
                     struct error *err)
{
        struct limit limits[] = {
  /* the period first: the quota is checked against it */
                {"cpu.cfs_period_us",     l->cpu_quota_us != 0 ? l->cpu_period_us : 0, false},
                {"cpu.cfs_quota_us",      l->cpu_quota_us,                             false},
                {"cpu.shares",            l->cpu_shares,                               false},
                {"memory.limit_in_bytes", l->memory_bytes,                             false},
                {"pids.max",              l->pids,                                     false},
        };
        struct visit v = {.id = id, .limits = limits, .limit_count = ARRAY_SIZE(limits)};
        if (!cgroup_id_is_valid(id))
                return error_set(err, -EINVAL, "'%.80s' is no id of a task", id);
        int r = each_hierarchy(root, create_in, &v, err);
        if (r != 0)
                return r;
        if (v.seen == 0)
                return error_set(err, -ENOENT, "%s holds no control groups of version 1", root);
        for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
                if (limits[i].value != 0 && !limits[i].written)
                        return error_set(err, -ENOENT, "no hierarchy in %s has %s", root,
                                         limits[i].file);
        return 0;
}

static int remove_in(struct visit *v, int hierarchy, const char *name, struct error *err)
{
        cleanup_fd int parent = open_beneath(hierarchy, PARENT, O_RDONLY | O_DIRECTORY);
        if (parent == -ENOENT)
                return 0;
        if (parent >= 0 && (unlinkat(parent, v->id, AT_REMOVEDIR) == 0 || errno == ENOENT))
                return 0;
        int r = parent < 0 ? parent : -errno;
        return error_set(err, r, "%s/" PARENT "/%s cannot be removed: %s", name, v->id,
                         strerror(-r));
}

int cgroup_v1_remove(const char *root, const char *id, struct error *err)
{
        struct visit v = {.id = id, .two = true};
        if (!cgroup_id_is_valid(id))
                return error_set(err, -EINVAL, "'%.80s' is no id of a task", id);
        return each_hierarchy(root, remove_in, &v, err);
}

/* Notes in written which files the top of a hierarchy has. */
static int look_at(struct visit *v, int hierarchy, const char *name, struct error *err)
{
        (void)name;
        (void)err;
        for (size_t i = 0; i < v->limit_count; i++)
                if (has_file(hierarchy, v->limits[i].file))
                        v->limits[i].written = true;
        return 0;
}

int cgroup_v1_check(const char *root, struct error *err)
{
        struct limit limits[] = {
                {"cpu.shares",            0, false},
                {"memory.limit_in_bytes", 0, false}
        };
        struct visit v = {.limits = limits, .limit_count = ARRAY_SIZE(limits)};
        int r = each_hierarchy(root, look_at, &v, err);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(limits); i++)
                if (!limits[i].written)
                        return error_set(err, -ENOENT,
                                         "no control groups of version 1 in %s have %s", root,
                                         limits[i].file);
        return r;
}
