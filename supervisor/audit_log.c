/* audit_log: the file of credential requests, ECS_AUDIT_LOGFILE. The metadata worker makes the
 * lines; here they get a queue of their own, so that neither a storm in the agent's log nor a slow
 * disk loses them one for the other. Source: endpoints.md 1, audit log. */
#include "supervisor.h"

#include <string.h>

#include "log_sink.h"
#include "mem.h"

#define QUEUE_MAX (1u << 20)

static void on_health(void *arg, const char *path, const char *problem)
{
        struct supervisor *s = arg;
        notice_set(s, "audit log", true,
                   problem == NULL
                           ? NULL
                           : mem_printf("audit log %s: %s; its lines are lost until it can be "
                                        "written again",
                                        path, problem));
        supervisor_changed(s);
}

void audit_log_open(struct supervisor *s)
{
        const struct config *c = s->config;
        if (config_bool(c, "ECS_AUDIT_LOGFILE_DISABLED", false))
                return;
        struct log_sink_options o = {
                .loop = &s->loop,
                .target = TARGET_FILE,
                .file = log_writer_file(
                        c, config_text(c, "ECS_AUDIT_LOGFILE", "/var/log/ecs/audit.log")),
                .queue_max = QUEUE_MAX,
                .health = on_health,
                .arg = s};
        if (o.file.roll == ROLL_NONE)
                o.file.roll = ROLL_HOURLY; /* as the reference has it */
        s->audit = log_sink_new(&o);
}

bool audit_log_close(struct supervisor *s)
{
        bool written = log_sink_close(s->audit);
        s->audit = NULL;
        return written;
}

void handle_audit_line(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        const struct process *p = context;
        struct supervisor *s = p->supervisor;
        const char *text = m->audit_line->text;
        (void)r;
        if (s->audit == NULL)
                return;
        for (const char *c = text; *c != '\0'; c++)
                if ((unsigned char)*c < ' ') {
                        log_warn(&p->log_context, "audit line refused: control bytes in it");
                        return;
                }
        unsigned dropped = log_sink_take_dropped(s->audit);
        if (dropped > 0)
                log_error(&p->log_context, "audit lines were lost", LOG_INT("dropped", dropped));
        (void)log_sink_put(s->audit, text, strlen(text));
}
