/* imds: runs ecs-imds, reads its lines until it ends, at most DEADLINE_MS. Signals that come
 * meanwhile are handled by the loop, so that a stop during the start is a clean one. */
#include "imds.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "helper.h"
#include "mem.h"
#include "supervisor.h"

#define DEADLINE_MS 8000
#define SLICE_MS 100
#define OUTPUT_MAX (256u << 10)
#define CHUNK 4096

/* Everything the child says until it ends. */
static void read_all(struct supervisor *s, int fd, struct buf *out)
{
        uint64_t until = clock_now_ms() + DEADLINE_MS;
        while (out->length < OUTPUT_MAX && clock_now_ms() < until && supervisor_goes_on(s)) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                if (poll(&p, 1, SLICE_MS) <= 0)
                        continue;
                buf_reserve(out, CHUNK);
                ssize_t n = read(fd, out->data + out->length, CHUNK);
                if (n <= 0)
                        break;
                out->length += (size_t)n;
                out->data[out->length] = '\0';
        }
}

bool region_is_valid(const char *text)
{
        size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
        return n > 0 && n < 64 && text[n] == '\0';
}

/* Printable text only, and not much of it: it goes to logs. */
static char *quotable(const char *text)
{
        char *copy = mem_strndup(text, 200);
        for (char *p = copy; *p != '\0'; p++)
                if (!isprint((unsigned char)*p))
                        *p = '?';
        return copy;
}

static void take_region(struct imds_answer *a, const char *rest)
{
        if (!region_is_valid(rest))
                return;
        free(a->region);
        a->region = mem_strdup(rest);
}

/* Pairs may hold registry credentials. */
static void wipe(char *text)
{
        if (text != NULL)
                explicit_bzero(text, strlen(text));
        free(text);
}

static void take_pair(struct imds_answer *a, const char *rest)
{
        char *before = a->user_data;
        a->user_data = mem_printf("%s%s\n", before != NULL ? before : "", rest);
        wipe(before);
}

static void take_user_data(struct imds_answer *a, const char *rest)
{
        (void)rest;
        a->has_user_data = true;
}

static void take_warning(struct imds_answer *a, const char *rest)
{
        config_warn(&a->warnings, quotable(rest));
}

static void take_failure(struct imds_answer *a, const char *rest)
{
        free(a->failure);
        a->failure = quotable(rest);
}

void imds_take_line(struct imds_answer *a, const char *line)
{
        static const struct {
                const char *word;
                void (*take)(struct imds_answer *a, const char *rest);
        } words[] = {
                {"region ",   take_region   },
                {"set ",      take_pair     },
                {"user-data", take_user_data},
                {"warning ",  take_warning  },
                {"failed ",   take_failure  }
        };
        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                size_t n = strlen(words[i].word);
                if (strncmp(line, words[i].word, n) == 0) {
                        words[i].take(a, line + n);
                        return;
                }
        }
}

char *imds_endpoint(const struct config *c)
{
        const char *mode = config_text(c, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv4");
        const char *fallback = strcmp(mode, "IPv6") == 0 ? IMDS_V6 : IMDS_V4;
        char *endpoint = mem_strdup(config_text(c, "AWS_EC2_METADATA_SERVICE_ENDPOINT", fallback));
        size_t length = strlen(endpoint);
        if (length > 0 && endpoint[length - 1] == '/')
                endpoint[length - 1] = '\0';
        return endpoint;
}

void imds_ask(struct supervisor *s, const struct config *c, bool want_region,
              struct imds_answer *ret)
{
        bool no_v1 = config_bool(c, "AWS_EC2_METADATA_V1_DISABLED", false);
        bool no_document = config_bool(c, "NoIID", false);
        cleanup_free char *endpoint = imds_endpoint(c);
        char *argv[] = {(char *)"ecs-imds", endpoint, (char *)(no_v1 ? "no-v1" : "v1"),
                        (char *)(!want_region  ? "no-region"
                                 : no_document ? "placement"
                                               : "document"),
                        NULL};
        struct buf text = {0};
        int out[2];
        cleanup_fd int binary = spawn_open_binary("ecs-imds");
        *ret = (struct imds_answer){0};
        if (binary < 0 || pipe2(out, O_CLOEXEC) != 0) {
                ret->failure = mem_printf("ecs-imds cannot be started: %s",
                                          strerror(binary < 0 ? -binary : errno));
                return;
        }
        pid_t pid = fork();
        if (pid == 0)
                helper_become(&(struct helper){.binary = binary,
                                               .argv = argv,
                                               .in = -1,
                                               .out = out[1],
                                               .error = -1,
                                               .drop = s->root});
        (void)close(out[1]);
        cleanup_fd int in = out[0];
        if (pid < 0) {
                ret->failure = mem_printf("fork: %s", strerror(errno));
                return;
        }
        read_all(s, in, &text);
        (void)kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                continue;
        char *save = NULL;
        for (char *line = text.data != NULL ? strtok_r(text.data, "\n", &save) : NULL; line != NULL;
             line = strtok_r(NULL, "\n", &save))
                imds_take_line(ret, line);
        buf_clear(&text);
}

void imds_answer_clear(struct imds_answer *a)
{
        free(a->region);
        wipe(a->user_data);
        free(a->failure);
        config_warnings_clear(&a->warnings);
        *a = (struct imds_answer){0};
}
