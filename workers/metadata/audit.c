/* audit: one line for each request of credentials, made here and written by the supervisor, which
 * reads nothing that comes from a container. Never holds a credentials id. Source: endpoints.md 1,
 * audit log; host.md 4. */
#include <ctype.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "mem.h"
#include "metadata.h"

#define TEXT_MAX 512 /* of the path and of the User-Agent */
#define VERSION 2    /* of the line's form */

/* In quotes, with what could end them or the line escaped. */
static void put_quoted(struct buf *b, const char *text)
{
        buf_append(b, "\"", 1);
        for (size_t i = 0; text[i] != '\0' && i < TEXT_MAX; i++) {
                unsigned char c = (unsigned char)text[i];
                if (c == '"' || c == '\\')
                        buf_printf(b, "\\%c", c);
                else if (c < ' ' || c >= 0x7f)
                        buf_printf(b, "\\x%02x", c);
                else
                        buf_append(b, &text[i], 1);
        }
        buf_append(b, "\"", 1);
}

/* Below /v2/credentials/ stands the id: cut off. */
static void put_path(struct buf *b, const char *path)
{
        static const char v2[] = "/v2/credentials";
        put_quoted(b, strncmp(path, v2, sizeof v2 - 1) == 0 ? v2 : path);
}

static void put_field(struct buf *b, const char *text)
{
        buf_printf(b, " %s", text != NULL && *text != '\0' ? text : "-");
}

void audit_request(struct metadata *m, struct http_exchange *x, const char *path, int status,
                   const Ecs__TaskCredentials *served)
{
        char now[CLOCK_TEXT];
        struct buf b = {0};
        int64_t wall = clock_wall_ms();
        struct ipc_connection *supervisor = worker_supervisor(m->worker);
        const char *agent = http_request_header(x, "User-Agent");
        if (supervisor == NULL || config_bool(m->config, "ECS_AUDIT_LOGFILE_DISABLED", false))
                return;
        buf_printf(&b, "%s %d %s ", clock_format_ms(wall - wall % 1000, now), status,
                   http_remote(x));
        put_path(&b, path);
        buf_append(&b, " ", 1);
        put_quoted(&b, agent != NULL ? agent : "");
        put_field(&b, served != NULL ? served->task_arn : NULL);
        if (served != NULL) {
                bool execution = strcmp(served->role_type, "TaskExecution") == 0;
                put_field(&b, execution ? "GetCredentialsExecutionRole" : "GetCredentials");
                buf_printf(&b, " %d", VERSION);
                put_field(&b, m->cluster);
                put_field(&b, m->instance_arn);
        } else {
                buf_append(&b, " ", 1); /* the reference ends its line so */
        }
        Ecs__AuditLine line = ECS__AUDIT_LINE__INIT;
        line.text = b.data;
        Ecs__Envelope e = IPC_ENVELOPE(AUDIT_LINE, audit_line, &line);
        (void)ipc_send_event(supervisor, &e);
        buf_clear(&b);
}
