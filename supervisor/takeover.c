/* takeover: never two agents on one data directory. The running supervisor holds an OFD lock on
 * <datadir>/supervisor.lock, in which its pid and run directory stand; a second one waits 5 s (a
 * restart overlaps) and refuses. A supervisor that was killed leaves no lock, but perhaps workers
 * that have not ended yet: their pids stand in <its rundir>/workers; they get the same 5 s, then
 * SIGKILL by pidfd, after a check that the pid still is one of our programs. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "mem.h"

#define WAIT_MS 5000

/* Returns the pid. */
static int read_holder(int fd, char *holder, size_t size)
{
        ssize_t n = pread(fd, holder, size - 1, 0);
        holder[n > 0 ? n : 0] = '\0';
        holder[strcspn(holder, "\n")] = '\0';
        return atoi(holder);
}

/* holder: what stood in the lock file, "PID RUNDIR" of whom had it last. */
static int take_lock(struct supervisor *s, uint64_t until, char *holder, size_t size,
                     struct error *err)
{
        cleanup_free char *path = mem_printf("%s/supervisor.lock", s->data_dir);
        cleanup_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (fd < 0)
                return error_set(err, -errno, "cannot open %s: %s; is the data directory writable?",
                                 path, strerror(errno));
        while (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
                if (clock_now_ms() >= until)
                        return error_set(err, -EBUSY,
                                         "another supervisor (pid %d) uses %s: stop it, or give "
                                         "this one its own ECS_DATADIR",
                                         read_holder(fd, holder, size), s->data_dir);
                if (!supervisor_goes_on(s))
                        return 0;
                (void)usleep(50000);
        }
        (void)read_holder(fd, holder, size);
        cleanup_free char *own = mem_printf("%d %s\n", (int)getpid(), s->run_dir);
        if (ftruncate(fd, 0) != 0 || pwrite(fd, own, strlen(own), 0) < 0)
                return error_set(err, -errno, "cannot write %s: %s", path, strerror(errno));
        s->lock_fd = steal_fd(&fd);
        return 0;
}

/* The program a process was started as: its executable's file name, or what it calls itself where
 * /proc hides the link from us. */
bool takeover_is_program(pid_t pid, const char *exec)
{
        char text[4096];
        cleanup_free char *link = mem_printf("/proc/%d/exe", (int)pid);
        cleanup_free char *line = mem_printf("/proc/%d/cmdline", (int)pid);
        ssize_t n = readlink(link, text, sizeof text - 1);
        if (n <= 0) {
                cleanup_fd int fd = open(line, O_RDONLY | O_CLOEXEC);
                n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
        }
        if (n <= 0)
                return false;
        text[n] = '\0';
        text[strcspn(text, " ")] = '\0'; /* "… (deleted)" after an upgrade */
        const char *slash = strrchr(text, '/');
        return strcmp(slash != NULL ? slash + 1 : text, exec) == 0;
}

static void end_worker(pid_t pid, const char *exec, uint64_t until)
{
        cleanup_fd int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        uint64_t now = clock_now_ms();
        if (fd < 0 || !takeover_is_program(pid, exec))
                return;
        log_warn(NULL, "a worker of an earlier supervisor still runs, waiting for its end",
                 LOG_STR("program", exec), LOG_INT("pid", pid));
        if (poll(&p, 1, until > now ? (int)(until - now) : 0) == 1)
                return;
        log_warn(NULL, "it did not end, killing it", LOG_STR("program", exec), LOG_INT("pid", pid));
        (void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
        (void)poll(&p, 1, 1000);
}

static void end_earlier_workers(const char *run_dir, uint64_t until)
{
        char line[256], exec[128];
        int pid;
        cleanup_free char *path = mem_printf("%s/workers", run_dir);
        cleanup_file FILE *f = fopen(path, "re");
        while (f != NULL && fgets(line, sizeof line, f) != NULL)
                if (sscanf(line, "%d %127s", &pid, exec) == 2 && pid > 1)
                        end_worker(pid, exec, until);
}

int takeover_start(struct supervisor *s, struct error *err)
{
        uint64_t until = clock_now_ms() + WAIT_MS;
        char holder[4096] = "";
        int r = take_lock(s, until, holder, sizeof holder, err);
        if (r != 0 || s->stopping)
                return r;
        const char *earlier = strchr(holder, ' ');
        if (earlier != NULL && strcmp(earlier + 1, s->run_dir) != 0)
                end_earlier_workers(earlier + 1, until);
        end_earlier_workers(s->run_dir, until);
        return 0;
}

/* The run directory is memory, so that writing here does not wait for a disk. */
void takeover_note_workers(struct supervisor *s)
{
        struct buf b = {0};
        cleanup_free char *path = mem_printf("%s/workers", s->run_dir);
        for (size_t i = 0; i < s->process_count; i++)
                if (s->processes[i].pid > 0)
                        buf_printf(&b, "%d %s\n", (int)s->processes[i].pid, s->processes[i].row->exec);
        cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd >= 0 && b.length > 0 && write(fd, b.data, b.length) < 0)
                log_warn(NULL, "the list of workers cannot be written", LOG_STR("path", path),
                         LOG_STR("reason", strerror(errno)));
        buf_clear(&b);
}

void takeover_end(struct supervisor *s)
{
        cleanup_free char *path = mem_printf("%s/workers", s->run_dir != NULL ? s->run_dir : "");
        if (s->lock_fd < 0)
                return;
        (void)unlink(path);
        (void)close(s->lock_fd);
        s->lock_fd = -1;
}
