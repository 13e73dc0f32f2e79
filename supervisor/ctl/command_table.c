/* command_table: every command of ecsctl, in the order of the help text. */
#include "command.h"

#include <stddef.h>

extern const struct command command_status, command_tasks, command_task, command_why,
        command_start, command_stop, command_restart, command_loglevel, command_debug,
        command_local, command_config, command_events, command_run, command_logs, command_exec;

const struct command *const commands[] = {
        &command_run,     &command_logs,     &command_exec,  &command_events,
        &command_status,  &command_tasks,    &command_task,  &command_why,
        &command_start,   &command_stop,     &command_restart,
        &command_loglevel, &command_debug,   &command_config, &command_local, NULL,
};
