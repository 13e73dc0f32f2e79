/* control_config: the settings in effect, as 'ecsctl config' asks for them. Values of secret rows
 * never leave this process. One answer is kept within a frame; the rest is asked for again. */
#include "supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config_names.h"
#include "config_show.h"
#include "config_table.h"
#include "mem.h"

#define ANSWER_MAX (40u << 10) /* of a control frame's 64 KiB, for texts of one answer */
#define VALUE_MAX (16u << 10)

struct answer {
        Ecs__CtlSetting *settings;
        Ecs__CtlSetting **list;
        size_t count, bytes;
};

static char *visible_value(const struct config_row *row, const char *value)
{
        if ((row->flags & CONFIG_SECRET) != 0)
                return mem_strdup("");
        char *text = config_show_value(row, value);
        if (strlen(text) > VALUE_MAX)
                memcpy(text + VALUE_MAX - 4, "...", sizeof "...");
        return text;
}

static void add(struct answer *a, const struct config *c, const struct config_row *row)
{
        const char *value = config_text(c, row->name, NULL);
        const char *origin = value != NULL ? config_origin(c, row->name) : "";
        char *obstacle = config_show_obstacle(row, value);
        a->settings = mem_realloc_array(a->settings, a->count + 1, sizeof *a->settings);
        Ecs__CtlSetting *s = &a->settings[a->count++];
        ecs__ctl_setting__init(s);
        s->name = (char *)row->name;
        s->value = visible_value(row, value);
        s->origin = (char *)origin;
        s->recipients = config_show_recipients(row->recipients);
        s->obstacle = obstacle != NULL ? obstacle : mem_strdup("");
        s->fallback = config_show_value(row, row->fallback);
        s->is_set = value != NULL;
        s->secret = (row->flags & CONFIG_SECRET) != 0;
        a->bytes += 64 + strlen(s->name) + strlen(s->value) + strlen(s->origin) +
                    strlen(s->recipients) + strlen(s->obstacle) + strlen(s->fallback);
}

static void send_answer(struct ipc_request *r, struct answer *a, size_t next)
{
        Ecs__CtlConfigReply reply = ECS__CTL_CONFIG_REPLY__INIT;
        a->list = mem_realloc_array(NULL, a->count + 1, sizeof *a->list);
        for (size_t i = 0; i < a->count; i++)
                a->list[i] = &a->settings[i];
        reply.settings = a->list;
        reply.n_settings = a->count;
        reply.next = (uint32_t)next;
        Ecs__Envelope e = IPC_ENVELOPE(CTL_CONFIG_REPLY, ctl_config_reply, &reply);
        ipc_reply(r, &e);
        for (size_t i = 0; i < a->count; i++) {
                free(a->settings[i].value);
                free(a->settings[i].recipients);
                free(a->settings[i].obstacle);
                free(a->settings[i].fallback);
        }
        free(a->settings);
        free(a->list);
}

void handle_config(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        const struct supervisor *s = context;
        const Ecs__CtlConfig *asked = m->ctl_config;
        struct answer a = {0};
        size_t i = asked->from;
        if (*asked->name != '\0') {
                const struct config_row *row = config_row_find(asked->name);
                cleanup_free char *text = row == NULL ? config_names_unknown(asked->name) : NULL;
                if (row == NULL) {
                        ipc_reply_error(r, -ENOENT, text);
                        return;
                }
                add(&a, s->config, row);
                i = config_row_count;
        }
        for (; i < config_row_count && a.bytes < ANSWER_MAX; i++)
                if ((config_rows[i].flags & CONFIG_INTERNAL) == 0)
                        add(&a, s->config, &config_rows[i]);
        send_answer(r, &a, i < config_row_count ? i : 0);
}
