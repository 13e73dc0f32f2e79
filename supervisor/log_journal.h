/* log_journal: lines to systemd's journal, each value as a field of its own, so that
 * `journalctl ECS_TASK=… ECS_WORKER=engine` finds them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* True when standard error is the journal's (systemd says so in JOURNAL_STREAM). */
bool log_journal_is_stderr(void);
/* Sends logfmt lines, each ending with a newline. Returns the bytes sent. May block. */
size_t log_journal_write(const char *lines, size_t length);
