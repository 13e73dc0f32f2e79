/* host_rules: one nftables table of our own, written atomically. It sends 169.254.170.2:80 to the
 * task endpoints, keeps other hosts from loopback addresses and from the introspection port.
 * The commands are run by a helper program, ecs-host-rules.
 * The filter stands before route_localnet is switched on, and goes after it. Source: host.md 2.2, 2.3. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "error.h"
#include "helper.h"
#include "mem.h"

#define DEADLINE_MS    10000
#define TABLE          "ecs_agent"
#define ROUTE_LOCALNET "/proc/sys/net/ipv4/conf/all/route_localnet"

/* A file in memory, not a pipe, so that nothing can block. */
static int commands_file(const char *commands)
{
        cleanup_fd int fd = memfd_create("commands", MFD_CLOEXEC);
        if (fd < 0 || write(fd, commands, strlen(commands)) != (ssize_t)strlen(commands) ||
            lseek(fd, 0, SEEK_SET) != 0)
                return -errno;
        return steal_fd(&fd);
}

/* The helper as a child; its errors come from *ret_errors. */
static pid_t start_helper(const char *commands, int *ret_errors, struct error *err)
{
        static char *const argv[] = {(char *)"ecs-host-rules", NULL};
        int out[2];
        cleanup_fd int binary = spawn_open_binary("ecs-host-rules");
        cleanup_fd int in = commands_file(commands);
        if (binary < 0 || in < 0 || pipe2(out, O_CLOEXEC) != 0)
                return error_set(err, -ENOENT,
                                 "ecs-host-rules cannot be started: install the package again");
        pid_t pid = fork();
        if (pid == 0)
                helper_become(&(struct helper){
                        .binary = binary, .argv = argv, .in = in, .out = -1, .error = out[1]});
        (void)close(out[1]);
        if (pid < 0) {
                (void)close(out[0]);
                return error_set(err, -errno, "fork: %s", strerror(errno));
        }
        *ret_errors = out[0];
        return pid;
}

/* All the helper says, which ends with it; what does not fit in text is dropped. False when it has
 * not ended by the deadline. */
static bool read_to_end(int fd, char *text, size_t size)
{
        uint64_t end = clock_now_ms() + DEADLINE_MS;
        size_t length = 0;
        for (uint64_t now = clock_now_ms(); now < end; now = clock_now_ms()) {
                char part[256];
                struct pollfd p = {.fd = fd, .events = POLLIN};
                ssize_t n = poll(&p, 1, (int)(end - now)) == 1 ? read(fd, part, sizeof part) : -1;
                if (n == 0)
                        return true;
                if (n < 0)
                        continue; /* a signal, or the deadline */
                size_t fits = size - 1 - length < (size_t)n ? size - 1 - length : (size_t)n;
                memcpy(text + length, part, fits);
                length += fits;
                text[length] = '\0';
        }
        return false;
}

/* Runs the commands in a child. 0, or negative errno with what libnftables said. */
static int run_nft(const char *commands, struct error *err)
{
        char text[1024] = "";
        cleanup_fd int in = -1;
        pid_t pid = start_helper(commands, &in, err);
        if (pid < 0)
                return pid;
        int status = 0;
        if (!read_to_end(in, text, sizeof text))
                (void)kill(pid, SIGKILL);
        text[strcspn(text, "\n")] = '\0';
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                continue;
        if (status != 0)
                return error_set(err, -EPERM, "nftables: %s",
                                 text[0] != '\0' ? text : "not available on this host");
        return 0;
}

static char *table_text(const struct supervisor *s)
{
        const struct config *c = s->config;
        long long tmds = config_int(c, "ECS_TMDS_PORT", 51679);
        long long introspection = config_int(c, "ECS_INTROSPECTION_PORT", 51678);
        struct buf b = {0};
        buf_append_str(&b, "add table inet " TABLE "\ndelete table inet " TABLE "\n"
                           "table inet " TABLE " {\n"
                           "  chain prerouting { type nat hook prerouting priority -105;\n");
        buf_printf(&b, "    ip daddr 169.254.170.2 tcp dport 80 dnat ip to 127.0.0.1:%lld\n  }\n",
                   tmds);
        buf_append_str(&b, "  chain output { type nat hook output priority -105;\n");
        buf_printf(&b, "    ip daddr 169.254.170.2 tcp dport 80 redirect to :%lld\n  }\n", tmds);
        buf_append_str(&b, "  chain input { type filter hook input priority -5;\n");
        if (!config_bool(c, "ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS", false))
                buf_printf(&b,
                           "    iifname \"docker0\" tcp dport %lld accept\n"
                           "    iifname != \"lo\" tcp dport %lld drop\n",
                           introspection, introspection);
        if (!config_bool(c, "ECS_SKIP_LOCALHOST_TRAFFIC_FILTER", false))
                buf_append_str(&b, "    ip daddr 127.0.0.0/8 ip saddr != 127.0.0.0/8"
                                   " ct state != { related, established } ct status ! dnat drop\n");
        buf_append_str(&b, "  }\n}\n");
        return buf_steal(&b);
}

static int set_sysctl(const char *path, const char *value)
{
        cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, value, strlen(value)) < 0)
                return -errno;
        return 0;
}

static char *saved_path(const struct supervisor *s)
{
        return mem_printf("%s/route_localnet", s->run_dir);
}

/* Others set it, too (kube-proxy does): what it was before us is kept in the run directory, which a
 * killed supervisor leaves behind and a reboot does not. */
static int save_route_localnet(const struct supervisor *s)
{
        char now[8] = "";
        cleanup_free char *path = saved_path(s);
        cleanup_fd int in = open(ROUTE_LOCALNET, O_RDONLY | O_CLOEXEC);
        if (in < 0 || read(in, now, sizeof now - 1) <= 0)
                return -errno;
        cleanup_fd int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (out < 0)
                return errno == EEXIST ? 0 : -errno;
        return write(out, now, strlen(now)) < 0 ? -errno : 0;
}

static void restore_route_localnet(const struct supervisor *s)
{
        char before[8] = "";
        cleanup_free char *path = saved_path(s);
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && read(fd, before, sizeof before - 1) > 0)
                (void)set_sysctl(ROUTE_LOCALNET, before);
        (void)unlink(path);
}

int host_rules_apply(struct supervisor *s, struct error *err)
{
        if (!s->root)
                return error_set(err, -EPERM,
                                 "not running as root, so containers cannot reach 169.254.170.2");
        cleanup_free char *text = table_text(s);
        int r = run_nft(text, err);
        if (r != 0)
                return r;
        r = save_route_localnet(s);
        if (r == 0)
                r = set_sysctl(ROUTE_LOCALNET, "1");
        if (r != 0)
                return error_set(err, r, "%s cannot be set: %s", ROUTE_LOCALNET, strerror(-r));
        log_info(NULL, "host rules are in place");
        return 0;
}

void host_rules_remove(struct supervisor *s)
{
        struct error err = {0};
        if (!s->root)
                return;
        restore_route_localnet(s);
        if (run_nft("add table inet " TABLE "\ndelete table inet " TABLE "\n", &err) != 0)
                log_warn(NULL, "host rules could not be removed", LOG_STR("reason", err.text));
}
