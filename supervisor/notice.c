/* notice: what an operator should know about the host, as long as it holds. */
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "supervisor.h"

static struct notice **find(struct supervisor *s, const char *topic)
{
        struct notice **at = &s->notices;
        while (*at != NULL && strcmp((*at)->topic, topic) != 0)
                at = &(*at)->next;
        return at;
}

static void end(struct notice **at)
{
        struct notice *n = *at;
        log_info(NULL, "notice is over", LOG_STR("text", n->text));
        *at = n->next;
        free(n->text);
        free(n);
}

void notice_set(struct supervisor *s, const char *topic, bool passing, char *text)
{
        struct notice **at = find(s, topic);
        if (text == NULL) {
                if (*at != NULL)
                        end(at);
                return;
        }
        if (*at != NULL && strcmp((*at)->text, text) == 0) {
                free(text);
                return;
        }
        log_warn(NULL, "notice", LOG_STR("text", text));
        if (*at == NULL) {
                *at = mem_zalloc(sizeof **at);
                (*at)->topic = topic;
        }
        free((*at)->text);
        (*at)->text = text;
        (*at)->passing = passing;
}

void notice_free_all(struct supervisor *s)
{
        while (s->notices != NULL) {
                struct notice *n = s->notices;
                s->notices = n->next;
                free(n->text);
                free(n);
        }
}
