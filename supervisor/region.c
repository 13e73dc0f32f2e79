/* region: where this host is, when no setting says so: the identity document of EC2's metadata
 * service, fetched by ecs-imds-region as an unprivileged user. Its one word is checked here. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "mem.h"

#define DEADLINE_MS  8000
#define UNPRIVILEGED 61199 /* nobody's number: what runs as 'nobody' could trace it */
#define SLICE_MS     100

static void become(int binary, int out, char *const *argv, bool root) __attribute__((noreturn));
static void become(int binary, int out, char *const *argv, bool root)
{
        static char *const environment[] = {NULL};
        const struct rlimit none = {0, 0};
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(out, STDOUT_FILENO);
        (void)dup2(out, STDERR_FILENO);
        (void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
        (void)setrlimit(RLIMIT_CORE, &none);
        if (root && (setgroups(0, NULL) != 0 ||
                     setresgid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED) != 0 ||
                     setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED) != 0))
                _exit(126);
        /* after the change of user, which takes the signal back */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
                _exit(126);
        (void)syscall(SYS_execveat, binary, "", argv, environment, AT_EMPTY_PATH);
        _exit(127);
}

/* Everything the child says until it ends, at most DEADLINE_MS, less when the service is to stop. */
static void read_all(struct supervisor *s, int fd, char *text, size_t size)
{
        size_t length = 0;
        uint64_t until = clock_now_ms() + DEADLINE_MS;
        while (length < size - 1) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                uint64_t now = clock_now_ms();
                if (now >= until || !supervisor_goes_on(s))
                        break;
                if (poll(&p, 1, SLICE_MS) <= 0)
                        continue;
                ssize_t n = read(fd, text + length, size - 1 - length);
                if (n <= 0)
                        break;
                length += (size_t)n;
        }
        text[length] = '\0';
}

bool region_is_valid(const char *text)
{
        size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
        return n > 0 && n < 64 && text[n] == '\0';
}

int region_from_imds(struct supervisor *s, char **ret, struct error *err)
{
        bool six = strcasecmp(config_text(s->config, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", ""),
                              "IPv6") == 0;
        const char *endpoint =
                config_text(s->config, "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                            six ? "http://[fd00:ec2::254]" : "http://169.254.169.254");
        bool no_v1 = config_bool(s->config, "AWS_EC2_METADATA_V1_DISABLED", false);
        cleanup_free char *trimmed = mem_strdup(endpoint);
        size_t length = strlen(trimmed);
        if (length > 0 && trimmed[length - 1] == '/')
                trimmed[length - 1] = '\0';
        char *argv[] = {(char *)"ecs-imds-region", trimmed, (char *)(no_v1 ? "no-v1" : "v1"), NULL};
        char text[512];
        int out[2], status = 0;
        cleanup_fd int binary = spawn_open_binary("ecs-imds-region");
        if (binary < 0)
                return error_set(err, binary, "ecs-imds-region is missing");
        if (pipe2(out, O_CLOEXEC) != 0)
                return error_set(err, -errno, "pipe: %s", strerror(errno));
        pid_t pid = fork();
        if (pid == 0)
                become(binary, out[1], argv, s->root);
        (void)close(out[1]);
        cleanup_fd int in = out[0];
        if (pid < 0)
                return error_set(err, -errno, "fork: %s", strerror(errno));
        read_all(s, in, text, sizeof text);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
        const char *last = strrchr(text, '\n');
        if (last != NULL)
                text[last - text] = '\0';
        const char *word = strrchr(text, '\n');
        word = word != NULL ? word + 1 : text;
        if (!region_is_valid(word))
                return error_set(err, -ENODATA, "%s", text[0] != '\0' ? text : "no answer");
        *ret = mem_strdup(word);
        return 0;
}
