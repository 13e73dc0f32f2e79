/* log_journal: "level=warn worker=engine msg=\"it failed\" task=4f1c" becomes MESSAGE=it failed
 * task=4f1c, PRIORITY=4, ECS_WORKER=engine, ECS_TASK=4f1c. The journal has the time itself. */
#include "log_journal.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "logfmt.h"
#include "mem.h"

#define FIELDS_MAX 64

bool log_journal_is_stderr(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;
        return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
               fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

struct entry {
        char *fields[FIELDS_MAX]; /* NAME=value, owned */
        size_t count;
        struct buf message;
        int priority;
};

static int priority_of(const char *level)
{
        static const struct {
                const char *level;
                int priority;
        } words[] = {
                {"critical", 2},
                {"error",    3},
                {"warn",     4},
                {"info",     6},
                {"debug",    7}
        };
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcmp(words[i].level, level) == 0)
                        return words[i].priority;
        return 6;
}

static void add_field(struct entry *e, const struct logfmt_pair *p)
{
        if (e->count == FIELDS_MAX)
                return;
        char *field = mem_printf("ECS_%.*s=%s", (int)p->key_length, p->key, p->value->data);
        for (char *c = field; *c != '='; c++)
                *c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
        e->fields[e->count++] = field;
}

static bool is_key(const struct logfmt_pair *p, const char *name)
{
        return p->key_length == strlen(name) && memcmp(p->key, name, p->key_length) == 0;
}

static void read_entry(struct entry *e, const char *line)
{
        struct buf value = {0};
        struct logfmt_pair pair = {.value = &value};
        const char *rest = line;
        e->priority = 6;
        buf_append(&e->message, "MESSAGE=", 8);
        while (logfmt_next(&line, &pair)) {
                if (is_key(&pair, "level"))
                        e->priority = priority_of(value.data);
                else if (is_key(&pair, "msg"))
                        buf_append_str(&e->message, value.data);
                else if (!is_key(&pair, "time"))
                        add_field(e, &pair);
                if (is_key(&pair, "msg"))
                        rest = line;
        }
        buf_append_str(&e->message, rest);
        buf_clear(&value);
}

static int send_entry(struct entry *e)
{
        struct iovec parts[FIELDS_MAX + 3];
        char priority[16];
        size_t n = 0;
        (void)snprintf(priority, sizeof priority, "PRIORITY=%d", e->priority);
        static const char identifier[] = "SYSLOG_IDENTIFIER=ecs-agent";
        parts[n++] = (struct iovec){e->message.data, e->message.length};
        parts[n++] = (struct iovec){priority, strlen(priority)};
        parts[n++] = (struct iovec){(char *)(uintptr_t)identifier, sizeof identifier - 1};
        for (size_t i = 0; i < e->count; i++)
                parts[n++] = (struct iovec){e->fields[i], strlen(e->fields[i])};
        return sd_journal_sendv(parts, (int)n);
}

size_t log_journal_write(const char *lines, size_t length)
{
        size_t done = 0;
        int r = 0;
        while (r >= 0 && done < length) {
                struct entry e = {0};
                size_t n = strcspn(lines + done, "\n");
                cleanup_free char *line = mem_strndup(lines + done, n);
                read_entry(&e, line);
                r = send_entry(&e);
                for (size_t i = 0; i < e.count; i++)
                        free(e.fields[i]);
                buf_clear(&e.message);
                if (r >= 0)
                        done += n + 1;
        }
        return done;
}
