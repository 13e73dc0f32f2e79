/* task_db: engine.db. A task is its definition, when it stopped, and what is published of it. */
#pragma once

#include "model.h"
#include "state_db.h"

struct error;

/* Outcomes as state_db_open. */
int task_db_open(const char *dir, const struct log *log, struct state_db **ret, struct error *err);
/* Calls fn for each stored task, in order of arrival; fn takes it. 0, or negative:
 * -EUCLEAN when the file or a stored message is damaged; fn has had those before it. */
int task_db_load(struct state_db *db, const struct log *log, void (*fn)(void *arg, struct task *t),
                 void *arg);
/* Stores the task and publishes its facts; within the caller's transaction. */
int task_db_store(struct state_db *db, const struct task *t, bool is_new, int64_t *ret_sequence);
int task_db_delete(struct state_db *db, const char *arn, int64_t *ret_sequence);
/* Notes that labelled containers have been looked for, so that this is done once a database;
 * within the caller's transaction. */
int task_db_set_adopted(struct state_db *db);
bool task_db_is_adopted(struct state_db *db);
/* True when a change of this task still waits to be accepted. */
bool task_db_has_unsent(struct state_db *db, const char *arn);
