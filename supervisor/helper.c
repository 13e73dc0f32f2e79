/* helper: async-signal-safe calls only. */
#include "helper.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNPRIVILEGED 61199 /* nobody's number: what runs as 'nobody' could trace it */

static bool drop_privilege(const struct helper *h)
{
        return setgroups(h->group != NULL, h->group) == 0 &&
               setresgid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED) == 0 &&
               setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED) == 0;
}

void helper_become(const struct helper *h)
{
        static char *const environment[] = {NULL};
        const struct rlimit none = {0, 0};
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        (void)dup2(h->in >= 0 ? h->in : null, STDIN_FILENO);
        (void)dup2(h->out >= 0 ? h->out : null, STDOUT_FILENO);
        (void)dup2(h->error >= 0 ? h->error : null, STDERR_FILENO);
        (void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
        (void)setrlimit(RLIMIT_CORE, &none);
        if (h->drop && !drop_privilege(h))
                _exit(126);
        /* after the change of user, which takes the signal back */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
                _exit(126);
        (void)syscall(SYS_execveat, h->binary, "", h->argv, environment, AT_EMPTY_PATH);
        _exit(127);
}
