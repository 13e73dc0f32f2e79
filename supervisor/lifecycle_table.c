/* lifecycle_table: what happens to a worker process, as state × event. Every pair is a cell.
 * E_TIMER means: STARTING the ready time-out, STOPPING the stop deadline, BACKOFF the wait is over.
 * P_DEBUG: 'ecsctl debug' runs the worker; E_EXITED there means that ecsctl has gone, and the
 * debugged process is waited for as any other.
 * Source: DESIGN section 3. */
#include "supervisor.h"

const struct process_cell process_cells[P_STATES][E_EVENTS] = {
        [P_STOPPED] = {
                [E_START] = {act_spawn, P_STARTING},
                [E_READY] = {act_none, P_STOPPED},
                [E_EXITED] = {act_none, P_STOPPED},
                [E_STOP] = {act_none, P_STOPPED},
                [E_RESTART] = {act_spawn, P_STARTING},
                [E_TIMER] = {act_none, P_STOPPED},
                [E_DEBUG] = {act_debug, P_DEBUG},
        },
        [P_STARTING] = {
                [E_START] = {act_none, P_STARTING},
                [E_READY] = {act_ready, P_READY},
                [E_EXITED] = {act_backoff, P_BACKOFF},
                [E_STOP] = {act_stop, P_STOPPING},
                [E_RESTART] = {act_stop_then_start, P_STOPPING},
                [E_TIMER] = {act_kill, P_STARTING},
                [E_DEBUG] = {act_stop_then_debug, P_STOPPING},
        },
        [P_READY] = {
                [E_START] = {act_none, P_READY},
                [E_READY] = {act_none, P_READY},
                [E_EXITED] = {act_backoff, P_BACKOFF},
                [E_STOP] = {act_stop, P_STOPPING},
                [E_RESTART] = {act_stop_then_start, P_STOPPING},
                [E_TIMER] = {act_none, P_READY},
                [E_DEBUG] = {act_stop_then_debug, P_STOPPING},
        },
        [P_STOPPING] = {
                [E_START] = {act_stop_then_start, P_STOPPING},
                [E_READY] = {act_none, P_STOPPING},
                [E_EXITED] = {act_exited, P_STOPPED},
                [E_STOP] = {act_stop, P_STOPPING},
                [E_RESTART] = {act_stop_then_start, P_STOPPING},
                [E_TIMER] = {act_kill, P_STOPPING},
                [E_DEBUG] = {act_stop_then_debug, P_STOPPING},
        },
        [P_BACKOFF] = {
                [E_START] = {act_spawn, P_STARTING},
                [E_READY] = {act_none, P_BACKOFF},
                [E_EXITED] = {act_none, P_BACKOFF},
                [E_STOP] = {act_cancel, P_STOPPED},
                [E_RESTART] = {act_spawn, P_STARTING},
                [E_TIMER] = {act_spawn, P_STARTING},
                [E_DEBUG] = {act_debug, P_DEBUG},
        },
        [P_DEBUG] = {
                [E_START] = {act_none, P_DEBUG},
                [E_READY] = {act_ready, P_DEBUG},
                [E_EXITED] = {act_debug_over, P_STOPPING},
                [E_STOP] = {act_debug_end, P_STOPPING},
                [E_RESTART] = {act_none, P_DEBUG},
                [E_TIMER] = {act_none, P_DEBUG},
                [E_DEBUG] = {act_none, P_DEBUG},
        },
};
