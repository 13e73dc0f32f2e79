/* container_table: which event moves a container from which status. A cell that does not apply is
 * written out as such: the event is old news or meant for a later state. Rows of engine.md 1.3. */
#include "model.h"

#include <string.h>

#define IGNORED {false, S_NONE}

const struct container_cell container_cells[S_STATUSES][EV_EVENTS] = {
        [S_NONE] = {
                [EV_MANIFEST_PULLED] = {true, S_MANIFEST_PULLED},
                [EV_PULLED] = {true, S_PULLED},
                [EV_PULL_FAILED] = {true, S_STOPPED},
                [EV_CREATED] = {true, S_CREATED},      /* found by name after a crash */
                [EV_CREATE_FAILED] = {true, S_STOPPED},
                [EV_RUNNING] = {true, S_RUNNING},
                [EV_START_FAILED] = {true, S_STOPPED},
                [EV_EXITED] = {true, S_STOPPED},
                [EV_VANISHED] = IGNORED,               /* nothing was made yet */
                [EV_STOP_WANTED] = {true, S_STOPPED},
                [EV_HOPELESS] = {true, S_STOPPED},
                [EV_PORT_TAKEN] = IGNORED,
        },
        [S_MANIFEST_PULLED] = {
                [EV_MANIFEST_PULLED] = IGNORED,
                [EV_PULLED] = {true, S_PULLED},
                [EV_PULL_FAILED] = {true, S_STOPPED},
                [EV_CREATED] = {true, S_CREATED},
                [EV_CREATE_FAILED] = {true, S_STOPPED},
                [EV_RUNNING] = {true, S_RUNNING},
                [EV_START_FAILED] = {true, S_STOPPED},
                [EV_EXITED] = {true, S_STOPPED},
                [EV_VANISHED] = IGNORED,
                [EV_STOP_WANTED] = {true, S_STOPPED},
                [EV_HOPELESS] = {true, S_STOPPED},
                [EV_PORT_TAKEN] = IGNORED,
        },
        [S_PULLED] = {
                [EV_MANIFEST_PULLED] = IGNORED,
                [EV_PULLED] = IGNORED,
                [EV_PULL_FAILED] = IGNORED,
                [EV_CREATED] = {true, S_CREATED},
                [EV_CREATE_FAILED] = {true, S_STOPPED},
                [EV_RUNNING] = {true, S_RUNNING},
                [EV_START_FAILED] = {true, S_STOPPED},
                [EV_EXITED] = {true, S_STOPPED},
                [EV_VANISHED] = IGNORED,
                [EV_STOP_WANTED] = {true, S_STOPPED},
                [EV_HOPELESS] = {true, S_STOPPED},
                [EV_PORT_TAKEN] = IGNORED,
        },
        [S_CREATED] = {
                [EV_MANIFEST_PULLED] = IGNORED,
                [EV_PULLED] = IGNORED,
                [EV_PULL_FAILED] = IGNORED,
                [EV_CREATED] = IGNORED,
                [EV_CREATE_FAILED] = IGNORED,
                [EV_RUNNING] = {true, S_RUNNING},
                [EV_START_FAILED] = {true, S_STOPPED},
                [EV_EXITED] = {true, S_STOPPED},
                [EV_VANISHED] = {true, S_STOPPED},     /* E10 */
                [EV_STOP_WANTED] = {true, S_STOPPED},
                [EV_HOPELESS] = {true, S_STOPPED},
                [EV_PORT_TAKEN] = {true, S_PULLED},   /* nothing was started */
        },
        [S_RUNNING] = {
                [EV_MANIFEST_PULLED] = IGNORED,
                [EV_PULLED] = IGNORED,
                [EV_PULL_FAILED] = IGNORED,
                [EV_CREATED] = IGNORED,
                [EV_CREATE_FAILED] = IGNORED,
                [EV_RUNNING] = IGNORED,
                [EV_START_FAILED] = IGNORED,           /* it was seen running */
                [EV_EXITED] = {true, S_STOPPED},
                [EV_VANISHED] = {true, S_STOPPED},     /* E10 */
                [EV_STOP_WANTED] = IGNORED,            /* Docker must be asked */
                [EV_HOPELESS] = IGNORED,
                [EV_PORT_TAKEN] = IGNORED,
        },
        [S_STOPPED] = {
                [EV_MANIFEST_PULLED] = IGNORED,
                [EV_PULLED] = IGNORED,
                [EV_PULL_FAILED] = IGNORED,
                [EV_CREATED] = IGNORED,
                [EV_CREATE_FAILED] = IGNORED,
                [EV_RUNNING] = IGNORED,                /* E62: stopped again by the caller */
                [EV_START_FAILED] = IGNORED,
                [EV_EXITED] = IGNORED,
                [EV_VANISHED] = IGNORED,
                [EV_STOP_WANTED] = IGNORED,
                [EV_HOPELESS] = IGNORED,
                [EV_PORT_TAKEN] = IGNORED,
        },
};

static const char *const names[S_STATUSES] = {
        [S_NONE] = "NONE",       [S_MANIFEST_PULLED] = "MANIFEST_PULLED",
        [S_PULLED] = "PULLED",   [S_CREATED] = "CREATED",
        [S_RUNNING] = "RUNNING", [S_STOPPED] = "STOPPED",
};

const char *status_name(enum status s)
{
        return names[s];
}

enum status status_from_name(const char *name)
{
        for (int i = 0; i < S_STATUSES; i++)
                if (strcmp(names[i], name) == 0)
                        return (enum status)i;
        return S_NONE;
}
