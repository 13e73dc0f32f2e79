/* log_file: the limit is looked at before each line, so that a file is longer than it by less
 * than one line. Rolled by size: FILE.N with a growing N; by hour: FILE.YYYY-MM-DD-HH, the local
 * hour that ended. The oldest beyond the count go. */
#include "log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "mem.h"

enum log_roll log_roll_from_string(const char *text)
{
        if (strcmp(text, "size") == 0)
                return ROLL_SIZE;
        return strcmp(text, "none") == 0 ? ROLL_NONE : ROLL_HOURLY;
}

/* ---- rolled files ---- */

static int by_number(const void *a, const void *b)
{
        long x = *(const long *)a, y = *(const long *)b;
        return (x > y) - (x < y);
}

/* Numbers of the files FILE.N, rising. Returns owned. */
static long *list_numbers(const char *path, size_t *ret_count)
{
        glob_t g;
        long *list = NULL;
        cleanup_free char *pattern = mem_printf("%s.[0-9]*", path);
        *ret_count = 0;
        if (glob(pattern, 0, NULL, &g) != 0)
                return NULL;
        for (size_t i = 0; i < g.gl_pathc; i++) {
                char *end;
                long n = strtol(g.gl_pathv[i] + strlen(path) + 1, &end, 10);
                if (*end != '\0')
                        continue;
                list = mem_realloc_array(list, *ret_count + 1, sizeof *list);
                list[(*ret_count)++] = n;
        }
        globfree(&g);
        if (list != NULL)
                qsort(list, *ret_count, sizeof *list, by_number);
        return list;
}

static void roll_by_size(const struct log_file *f)
{
        size_t count;
        cleanup_free long *list = list_numbers(f->path, &count);
        long next = count > 0 ? list[count - 1] + 1 : 1;
        cleanup_free char *to = mem_printf("%s.%ld", f->path, next);
        (void)rename(f->path, to);
        for (size_t i = 0; f->max_rolls > 0 && i + (size_t)f->max_rolls < count + 1; i++) {
                cleanup_free char *old = mem_printf("%s.%ld", f->path, list[i]);
                (void)unlink(old);
        }
}

/* Names of hours sort by time. */
static void remove_old_hours(const struct log_file *f)
{
        static const char hour[] = ".[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]-[0-9][0-9]";
        glob_t g;
        cleanup_free char *pattern = mem_printf("%s%s*", f->path, hour);
        if (f->max_rolls <= 0 || glob(pattern, 0, NULL, &g) != 0)
                return;
        for (size_t i = 0; i + (size_t)f->max_rolls < g.gl_pathc; i++)
                (void)unlink(g.gl_pathv[i]);
        globfree(&g);
}

static void roll_by_hour(const struct log_file *f, time_t last_write)
{
        struct tm then, now;
        time_t t = time(NULL);
        char stamp[32];
        (void)localtime_r(&last_write, &then);
        (void)localtime_r(&t, &now);
        if (then.tm_hour == now.tm_hour && t - last_write < 3600)
                return;
        (void)strftime(stamp, sizeof stamp, "%Y-%m-%d-%H", &then);
        cleanup_free char *to = mem_printf("%s.%s", f->path, stamp);
        /* the hour that comes twice in autumn must not remove itself */
        for (int again = 2; again < 10 && access(to, F_OK) == 0; again++) {
                free(to);
                to = mem_printf("%s.%s.%d", f->path, stamp, again);
        }
        (void)rename(f->path, to);
        remove_old_hours(f);
}

/* ---- appending ---- */

static int open_file(const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd >= 0 || errno != ENOENT)
                return fd >= 0 ? fd : -errno;
        cleanup_free char *dir = mem_strdup(path);
        char *slash = strrchr(dir, '/');
        if (slash == NULL || slash == dir)
                return -ENOENT;
        *slash = '\0';
        if (mkdir(dir, 0755) != 0)
                return -errno;
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        return fd >= 0 ? fd : -errno;
}

static int write_all(int fd, const char *data, size_t length, size_t *written)
{
        while (length > 0) {
                ssize_t n = write(fd, data, length);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                length -= (size_t)n;
                *written += (size_t)n;
        }
        return 0;
}

/* How many bytes of lines may go into a file of this size. At least one line. */
static size_t room_for(const struct log_file *f, size_t size, const char *lines, size_t length)
{
        size_t taken = 0;
        if (f->roll != ROLL_SIZE)
                return length;
        while (taken < length && (taken == 0 || size + taken < f->max_size)) {
                const char *end = memchr(lines + taken, '\n', length - taken);
                taken = end != NULL ? (size_t)(end - lines) + 1 : length;
        }
        return taken;
}

int log_file_append(const struct log_file *f, const char *lines, size_t length, size_t *ret_written)
{
        size_t done = 0;
        int r = 0;
        while (r == 0 && done < length) {
                struct stat st;
                bool exists = stat(f->path, &st) == 0 && st.st_size > 0;
                if (exists && f->roll == ROLL_SIZE && (size_t)st.st_size >= f->max_size) {
                        roll_by_size(f);
                        exists = false;
                } else if (exists && f->roll == ROLL_HOURLY) {
                        roll_by_hour(f, st.st_mtime);
                }
                cleanup_fd int fd = open_file(f->path);
                if (fd < 0) {
                        r = fd;
                        break;
                }
                size_t size = exists ? (size_t)st.st_size : 0;
                r = write_all(fd, lines + done, room_for(f, size, lines + done, length - done),
                              &done);
        }
        *ret_written = done;
        return r;
}
