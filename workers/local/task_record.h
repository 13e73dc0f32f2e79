/* task_record: a task from its making to its end, whoever wanted it: RunTask, StartTask or the
 * service scheduler. What the agent reports is taken in agent_operations.c. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct answer;
struct local;

struct task_wish {
        const json_t *cluster, *definition, *instance;
        const json_t *taken;   /* placement_taken */
        const json_t *request; /* of RunTask, StartTask, or the service: overrides, tags, … */
        const char *group, *started_by;
        const json_t *service;     /* NULL when none */
        const char *deployment_id; /* with service */
};

/* Made, stored, and handed to its agent at commit. Borrowed. */
json_t *task_record_new(struct local *l, const struct task_wish *w);
/* Wants it stopped, for the first reason given; told to its agent at commit (again, when it is
 * stopping already). */
void task_record_stop(struct local *l, json_t *task, const char *stop_code, const char *reason);
/* Its instance is gone: STOPPED as far as ECS knows. */
void task_record_orphan(struct local *l, json_t *task);
/* By ARN or id; NULL when the cluster has none. */
json_t *task_record_find(struct local *l, const json_t *cluster, const char *name);
/* As DescribeTasks has it. Owned. */
json_t *task_record_shown(const json_t *task, bool tags);
/* Overrides name containers of the definition. */
bool task_record_check_overrides(const json_t *definition, const json_t *overrides, struct answer *a);
/* The last part of an ARN. */
const char *task_record_id_of(const char *arn);
