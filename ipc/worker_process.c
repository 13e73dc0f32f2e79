/* worker_process: what a worker does to its own process: signals, limits, user, log channel.
 * The log channel never blocks: a full one drops the line and says so on the next. */
#include "worker_private.h"

#include <cap-ng.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

#define RECORD_MAX 8192

static bool channel;
static unsigned dropped;

static void on_abort(int signal_number)
{
        void *frames[64];
        int count = backtrace(frames, 64);
        backtrace_symbols_fd(frames, count, STDERR_FILENO);
        (void)signal(signal_number, SIG_DFL);
        (void)raise(signal_number);
}

void worker_prepare_process(void)
{
        void *warm_up[1];
        (void)backtrace(warm_up, 1); /* loads libgcc now, not in the handler */
        (void)umask(0077);
        (void)signal(SIGPIPE, SIG_IGN);
        (void)signal(SIGABRT, on_abort);
        /* Ctrl-C in a terminal reaches the whole group; the supervisor decides who stops when. */
        (void)signal(SIGINT, SIG_IGN);
        (void)fcntl(WORKER_CONTROL_FD, F_SETFD, FD_CLOEXEC);
        (void)fcntl(WORKER_LOG_FD, F_SETFD, FD_CLOEXEC);
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
}

static int change_user(const Ecs__Hello *h, struct error *err)
{
        gid_t groups[32];
        size_t count = h->n_groups < 32 ? h->n_groups : 32;
        for (size_t i = 0; i < count; i++)
                groups[i] = h->groups[i];
        if (setgroups(count, groups) != 0 || setresgid(h->gid, h->gid, h->gid) != 0 ||
            setresuid(h->uid, h->uid, h->uid) != 0)
                return error_set(err, -errno, "cannot become user %u, group %u: %s", h->uid, h->gid,
                                 strerror(errno));
        return 0;
}

int worker_drop_privileges(const Ecs__Hello *h, struct error *err)
{
        /* the bounding set first: it needs a capability itself, and may lack it in a container */
        capng_clear(CAPNG_SELECT_BOTH);
        if (geteuid() == 0)
                (void)capng_apply(CAPNG_SELECT_BOUNDS);
        if (h->uid != 0 && geteuid() == 0) {
                int r = change_user(h, err);
                if (r != 0)
                        return r;
        }
        if (geteuid() == 0 && capng_apply(CAPNG_SELECT_CAPS) != 0)
                return error_set(err, -EPERM, "cannot give up capabilities");
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
                return error_set(err, -errno, "no_new_privs: %s", strerror(errno));
        if (h->debug)
                (void)signal(SIGINT, SIG_DFL); /* whoever runs us by hand ends us with Ctrl-C */
        if (prctl(PR_SET_DUMPABLE, h->debug ? 1 : 0, 0, 0, 0) != 0)
                return error_set(err, -errno, "dumpable: %s", strerror(errno));
        return 0;
}

/* One record: the level as a digit, then the line. */
static bool send_record(enum log_level level, const char *line, size_t length)
{
        char record[RECORD_MAX];
        if (length > sizeof record - 1)
                length = sizeof record - 1;
        record[0] = (char)('0' + (int)level);
        memcpy(record + 1, line, length);
        return send(WORKER_LOG_FD, record, length + 1, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static void to_channel(void *arg, enum log_level level, const char *line, size_t length)
{
        (void)arg;
        if (!channel) {
                (void)fprintf(stderr, "%.*s\n", (int)length, line);
                return;
        }
        char with_drops[RECORD_MAX];
        if (dropped > 0) {
                int n = snprintf(with_drops, sizeof with_drops, "%.*s dropped=%u",
                                 (int)(length < RECORD_MAX - 64 ? length : RECORD_MAX - 64), line,
                                 dropped);
                line = with_drops;
                length = (size_t)n;
        }
        if (send_record(level, line, length))
                dropped = 0;
        else
                dropped++;
}

void worker_log_open(void)
{
        int type = 0;
        socklen_t size = sizeof type;
        channel = getsockopt(WORKER_LOG_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
        log_set_sink(to_channel, NULL);
}

void worker_log_close(void)
{
        log_set_sink(NULL, NULL);
}
