/* local_faults: the parts of `ecsctl local` that talk to the control plane itself. Exit codes. */
#pragma once

struct ctl;

/* [list | clear [ID] | help | FAULT ON [SETTING=VALUE]...]; a VALUE of @FILE is read from it. */
int local_fault(struct ctl *c, int argc, char **argv);
/* [AFTER]: entries of the record behind that number. */
int local_record(struct ctl *c, int argc, char **argv);
