/* task_list: tasks as the engine knows them, for the commands that show them. */
#pragma once

#include "command.h"
#include "envelope.pb-c.h"

/* arn: "" all, else an ARN or the id at its end. Owned by the caller
 * (ecs__envelope__free_unpacked); NULL after telling why. */
Ecs__Envelope *task_list_get(struct ctl *c, const char *arn);
/* Exactly one task, by its ARN, its id or the beginning of that. NULL after telling why. */
Ecs__Envelope *task_list_find(struct ctl *c, const char *id);
/* The part behind the last slash. */
const char *task_list_id(const char *arn);
/* The essential container that ended first, and so ended the task; NULL when none has an exit code.
 */
const Ecs__ContainerFacts *task_list_first_ended(const Ecs__TaskFacts *t);
/* All facts, as JSON on standard output. */
void task_list_print_json(const Ecs__GetTasksReply *r);
