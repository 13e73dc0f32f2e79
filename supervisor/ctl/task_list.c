/* task_list: asks the engine for tasks and writes them as JSON. */
#include "task_list.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "client.h"
#include "connection.h"
#include "error.h"

Ecs__Envelope *task_list_get(struct ctl *c, const char *arn)
{
        struct client engine;
        struct error err = {0};
        Ecs__GetTasks m = ECS__GET_TASKS__INIT;
        Ecs__Envelope e = IPC_ENVELOPE(GET_TASKS, get_tasks, &m), *reply = NULL;
        m.arn = (char *)arn;
        if (client_open_peer(c->client, "engine", &engine, &err) != 0 ||
            client_ask(&engine, &e, 10000, &reply, &err) != 0)
                (void)command_fail("%s", err.text);
        client_close(&engine);
        return reply;
}

Ecs__Envelope *task_list_find(struct ctl *c, const char *id)
{
        Ecs__Envelope *reply = task_list_get(c, id);
        size_t count = reply != NULL ? reply->get_tasks_reply->n_tasks : 0;
        if (reply == NULL || (count == 1 && *id != '\0'))
                return reply;
        if (count == 0 || *id == '\0')
                (void)command_fail("no task '%s' here; see 'ecsctl tasks'", id);
        else
                (void)command_fail("'%s' is the beginning of %zu tasks; give more of the id", id,
                                   count);
        ecs__envelope__free_unpacked(reply, NULL);
        return NULL;
}

const char *task_list_id(const char *arn)
{
        const char *slash = strrchr(arn, '/');
        return slash != NULL ? slash + 1 : arn;
}

const Ecs__ContainerFacts *task_list_first_ended(const Ecs__TaskFacts *t)
{
        const Ecs__ContainerFacts *first = NULL;
        for (size_t i = 0; i < t->n_containers; i++) {
                const Ecs__ContainerFacts *f = t->containers[i];
                if (f->essential && f->exit_code != NULL &&
                    (first == NULL || strcmp(f->finished_at, first->finished_at) < 0))
                        first = f;
        }
        return first;
}

static json_t *container_json(const Ecs__ContainerFacts *f)
{
        json_t *ports = json_array();
        for (size_t i = 0; i < f->n_ports; i++)
                (void)json_array_append_new(ports,
                                            json_pack("{si si ss}", "containerPort",
                                                      (int)f->ports[i]->container_port, "hostPort",
                                                      (int)f->ports[i]->host_port, "protocol",
                                                      f->ports[i]->protocol));
        json_t *o = json_pack("{ss ss ss ss ss ss ss sb ss so}", "name", f->name, "image", f->image,
                              "dockerId", f->docker_id, "dockerName", f->docker_name,
                              "desiredStatus", f->desired_status, "knownStatus", f->known_status,
                              "reason", f->reason, "essential", (int)f->essential, "endpointId",
                              f->endpoint_id, "ports", ports);
        if (f->exit_code != NULL)
                (void)json_object_set_new(o, "exitCode", json_integer(f->exit_code->value));
        return o;
}

void task_list_print_json(const Ecs__GetTasksReply *r)
{
        cleanup_json json_t *tasks = json_array();
        for (size_t i = 0; i < r->n_tasks; i++) {
                const Ecs__TaskFacts *t = r->tasks[i];
                json_t *containers = json_array();
                for (size_t k = 0; k < t->n_containers; k++)
                        (void)json_array_append_new(containers, container_json(t->containers[k]));
                (void)json_array_append_new(
                        tasks, json_pack("{ss ss ss ss ss ss ss so}", "arn", t->arn, "family",
                                         t->family, "version", t->version, "desiredStatus",
                                         t->desired_status, "knownStatus", t->known_status,
                                         "stoppedReason", t->stopped_reason, "waitingFor",
                                         t->waiting_for, "containers", containers));
        }
        (void)json_dumpf(tasks, stdout, JSON_INDENT(2));
        (void)putchar('\n');
}
