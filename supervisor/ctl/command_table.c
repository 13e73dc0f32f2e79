/* command_table: every command of ecsctl, in the order of the help text: looking at the agent,
 * tasks of local mode, changing workers, when something is wrong. */
#include "command.h"

#include <stddef.h>

extern const struct command command_status, command_top, command_tasks, command_task, command_why,
        command_events, command_config, command_run, command_logs, command_exec, command_stop,
        command_start, command_restart, command_loglevel, command_debug, command_local,
        command_check, command_db_check, command_support_bundle;

const struct command *const commands[] = {
        &command_status,  &command_top,      &command_tasks,          &command_task,
        &command_why,     &command_events,   &command_config,         &command_run,
        &command_logs,    &command_exec,     &command_stop,           &command_start,
        &command_restart, &command_loglevel, &command_debug,          &command_local,
        &command_check,   &command_db_check, &command_support_bundle, NULL,
};
