/* settings: configuration sources, directories and users, and the key pairs of local mode.
 * Everything is decided here once; workers are sent their share. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "configuration.h"
#include "error.h"
#include "mem.h"
#include "random.h"

#define FALLBACK_ID 61184
#define LOCAL_MODE  "local mode" /* origin of the settings it decides */

static int make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid, bool owned,
                    struct error *err)
{
        cleanup_free char *copy = mem_strdup(path);
        for (char *p = copy + 1; *p != '\0'; p++)
                if (*p == '/') {
                        *p = '\0';
                        if (mkdir(copy, 0755) == 0)
                                (void)chmod(copy, 0755); /* whatever the umask */
                        *p = '/';
                }
        bool made = mkdir(copy, mode) == 0;
        if (!made && errno != EEXIST)
                return error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
        if ((owned && chown(copy, uid, gid) != 0) || ((owned || made) && chmod(copy, mode) != 0))
                return error_set(err, -errno, "cannot set the owner of %s: %s", path,
                                 strerror(errno));
        return 0;
}

/* The group's number, or the fallback; what is missing is added to names. */
static gid_t group_or(const char *name, gid_t fallback, struct buf *names)
{
        const struct group *g = getgrnam(name);
        if (g != NULL)
                return g->gr_gid;
        buf_printf(names, "%s%s", names->length > 0 ? ", " : "", name);
        return fallback;
}

static void find_users(struct supervisor *s)
{
        struct buf names = {0};
        s->state_gid = group_or("ecs-state", FALLBACK_ID + 14, &names);
        s->operators_gid = group_or("ecs-operators", 0, &names);
        for (size_t i = 0; i < s->process_count; i++) {
                struct process *p = &s->processes[i];
                const struct passwd *u = getpwnam(p->row->exec);
                p->uid = u != NULL ? u->pw_uid : (uid_t)(FALLBACK_ID + i);
                p->gid = u != NULL ? u->pw_gid : (gid_t)(FALLBACK_ID + i);
                if (u == NULL)
                        buf_printf(&names, "%s%s", names.length > 0 ? ", " : "", p->row->exec);
        }
        cleanup_free char *missing = buf_steal(&names);
        if (*missing != '\0' && s->root)
                notice_set(s, "users", false,
                           mem_printf("these users and groups do not exist: %s; numbers from %d on "
                                      "are used, and only root may use ecsctl where ecs-operators "
                                      "is one of them",
                                      missing, FALLBACK_ID));
}

/* One directory a worker, so that none may write where another does; readers share a group. */
static int make_dirs(struct supervisor *s, struct error *err)
{
        int r = make_dir(s->data_dir, 0755, 0, 0, false, err);
        if (r == 0)
                r = make_dir(s->run_dir, 0755, 0, 0, false, err);
        for (size_t i = 0; r == 0 && i < s->process_count; i++) {
                const struct process *p = &s->processes[i];
                cleanup_free char *dir = mem_printf("%s/%s", s->data_dir, p->row->name);
                /* people in ecs-operators pass through local/ to its credentials file */
                r = make_dir(dir, p->row->local_only ? 02751 : 02750, p->uid, s->state_gid,
                             s->root, err);
        }
        return r;
}

/* ---- local mode ---- */

static void random_key(const char *prefix, char *id, char *secret)
{
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        static const char all[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/+";
        unsigned char bytes[56];
        random_bytes(bytes, sizeof bytes);
        memcpy(id, prefix, 4);
        for (size_t i = 0; i < 16; i++)
                id[4 + i] = letters[bytes[i] % 32];
        id[20] = '\0';
        for (size_t i = 0; i < 40; i++)
                secret[i] = all[bytes[16 + i] % 64];
        secret[40] = '\0';
}

static int read_pair(const char *text, const char *profile, char id[64], char secret[64])
{
        cleanup_free char *head = mem_printf("\n[%s]\n", profile);
        const char *p = strstr(text, head);
        if (p == NULL || sscanf(p + strlen(head), " aws_access_key_id = %63s"
                                                  " aws_secret_access_key = %63s",
                                id, secret) != 2)
                return -EINVAL;
        return 0;
}

static int write_pairs(struct supervisor *s, const char *path, struct error *err)
{
        char id[2][64], secret[2][64];
        cleanup_free char *temporary = mem_printf("%s.new", path);
        random_key("AKIA", id[0], secret[0]);
        random_key("AKIA", id[1], secret[1]);
        cleanup_free char *text = mem_printf(
                "# Key pairs of the local control plane: default for people and programs, agent\n"
                "# for the agent itself. Remove the file to have new ones made.\n"
                "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n"
                "[agent]\naws_access_key_id = %s\naws_secret_access_key = %s\n",
                id[0], secret[0], id[1], secret[1]);
        /* the directory is a worker's: nothing that it may have put there is followed */
        (void)unlink(temporary);
        cleanup_fd int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fsync(fd) != 0 ||
            fchmod(fd, 0640) != 0 || (s->root && fchown(fd, 0, s->operators_gid) != 0) ||
            rename(temporary, path) != 0)
                return error_set(err, -errno, "cannot write %s: %s", path, strerror(errno));
        explicit_bzero(text, strlen(text));
        return 0;
}

static int load_pairs(struct supervisor *s, struct error *err)
{
        char id[64], secret[64], text[2048] = "";
        cleanup_free char *dir = mem_printf("%s/local", s->data_dir);
        cleanup_free char *path = mem_printf("%s/credentials", dir);
        if (access(path, F_OK) != 0) {
                int r = write_pairs(s, path, err);
                if (r != 0)
                        return r;
        }
        cleanup_fd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
                return error_set(err, -EIO, "cannot read %s", path);
        static const struct {
                const char *profile, *names[4];
        } uses[] = {
                {"default", {"ECS_LOCAL_USER_KEY_ID", "ECS_LOCAL_USER_SECRET", NULL, NULL}},
                {"agent",
                 {"ECS_LOCAL_AGENT_KEY_ID", "ECS_LOCAL_AGENT_SECRET", "AWS_ACCESS_KEY_ID",
                  "AWS_SECRET_ACCESS_KEY"}},
        };
        for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
                if (read_pair(text, uses[i].profile, id, secret) != 0)
                        return error_set(err, -EINVAL,
                                         "%s has no key pair for [%s]; remove the file to have it "
                                         "made anew",
                                         path, uses[i].profile);
                for (size_t k = 0; k < 4 && uses[i].names[k] != NULL; k++)
                        config_set_from(s->config, uses[i].names[k], k % 2 == 0 ? id : secret,
                                        LOCAL_MODE);
        }
        explicit_bzero(text, sizeof text);
        explicit_bzero(secret, sizeof secret);
        return 0;
}

static int local_settings(struct supervisor *s, struct error *err)
{
        cleanup_free char *host =
                mem_printf("http://127.0.0.1:%lld",
                           (long long)config_int(s->config, "ECS_LOCAL_PORT", 51670));
        config_set_from(s->config, "ECS_BACKEND_HOST", host, LOCAL_MODE);
        config_set_from(s->config, "AWS_SESSION_TOKEN", "", LOCAL_MODE);
        if (*config_text(s->config, "ECS_CLUSTER", "") == '\0')
                config_set_from(s->config, "ECS_CLUSTER", "default", LOCAL_MODE);
        if (*config_text(s->config, "AWS_DEFAULT_REGION", "") == '\0')
                config_set_from(s->config, "AWS_DEFAULT_REGION", "us-east-1", LOCAL_MODE);
        config_set_from(s->config, "AWS_EC2_METADATA_DISABLED", "true", LOCAL_MODE);
        return load_pairs(s, err);
}

/* ---- all ---- */

static int find_region(struct supervisor *s, struct error *err)
{
        const char *set = config_text(s->config, "AWS_DEFAULT_REGION", "");
        if (*set != '\0') {
                s->region = mem_strdup(set);
                return 0;
        }
        if (config_bool(s->config, "ECS_EXTERNAL", false))
                return error_set(err, -EINVAL, "outside EC2 (ECS_EXTERNAL) the region must be given: "
                                               "set AWS_DEFAULT_REGION");
        if (config_bool(s->config, "AWS_EC2_METADATA_DISABLED", false))
                return error_set(err, -EINVAL, "the region is not known and "
                                               "AWS_EC2_METADATA_DISABLED is set: set "
                                               "AWS_DEFAULT_REGION");
        return error_set(err, -ENODATA, "the region is not known and the metadata service of EC2 "
                                        "did not say: set AWS_DEFAULT_REGION, or start with --local");
}

int settings_load(struct supervisor *s, struct error *err)
{
        int r = configuration_load(s, err);
        if (r != 0 || s->stopping)
                return r;
        s->data_dir = mem_strdup(config_text(s->config, "ECS_DATADIR", "/var/lib/ecs/data"));
        s->run_dir = mem_strdup(config_text(s->config, "ECS_RUN_DIR", "/run/ecs-agent"));
        find_users(s);
        r = make_dirs(s, err);
        if (r == 0)
                r = takeover_start(s, err);
        if (s->stopping)
                return r;
        if (r == 0 && s->options.local)
                r = local_settings(s, err);
        if (r != 0)
                return r;
        r = find_region(s, err);
        if (r != 0)
                return r;
        config_set(s->config, "REGION", s->region);
        return 0;
}
