/* config_table: every variable the agent knows: one row each. Source: host.md 1.3–1.5.
 * Parsing, validation, recipients, 'ecsctl config', the manual page and the documented default file
 * all follow from it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
        CONFIG_TEXT,      /* verbatim */
        CONFIG_TRIMMED,
        CONFIG_BOOL,      /* Go's words; other: warning and default */
        CONFIG_DURATION,  /* Go duration, normalised to milliseconds */
        CONFIG_INT,
        CONFIG_FLOAT,
        CONFIG_WORD,      /* one of choices */
        CONFIG_JSON_PORTS,
        CONFIG_JSON_STRINGS,
        CONFIG_JSON_CIDRS,
        CONFIG_JSON_MAP,  /* object of strings */
        CONFIG_RANGE,     /* lo-hi of ports */
        CONFIG_PAIR,      /* steady,burst */
};

enum config_recipient {
        FOR_SUPERVISOR = 1 << 0,
        FOR_BACKEND = 1 << 1,
        FOR_ENGINE = 1 << 2,
        FOR_METADATA = 1 << 3,
        FOR_STATS = 1 << 4,
        FOR_IMAGEGC = 1 << 5,
        FOR_LOCAL = 1 << 6,
        FOR_WORKERS = FOR_BACKEND | FOR_ENGINE | FOR_METADATA | FOR_STATS | FOR_IMAGEGC | FOR_LOCAL,
};

enum config_flags {
        CONFIG_SECRET = 1 << 0,       /* never shown, never logged */
        CONFIG_FATAL = 1 << 1,        /* a bad value ends the start (exit 1) */
        CONFIG_WINDOWS = 1 << 2,      /* recognised, not applicable here */
        CONFIG_INTERNAL = 1 << 3,     /* set by the supervisor or by tests, not documented */
        CONFIG_DEFAULT_BELOW = 1 << 4,/* out of bounds: the default, not the bound */
        CONFIG_OFF_SWITCH = 1 << 5,   /* true asks for nothing: an absent feature is off anyway */
        CONFIG_EXACT = 1 << 6,        /* choices are compared with their case */
        CONFIG_FATAL_MEMBER = 1 << 7, /* only a list member outside choices ends the start */
        CONFIG_STRICT_JSON = 1 << 8,  /* out of bounds in the JSON file ends the start */
        CONFIG_ZERO_UNSET = 1 << 9,   /* 0 means the default */
        CONFIG_JSON_ONLY = 1 << 10,   /* a key of the JSON file and user data, no variable */
        CONFIG_FLAG_ONLY = 1 << 11,   /* of the command line only */
};

struct config_row {
        const char *name;
        enum config_type type;
        const char *fallback;         /* normalised default; NULL = unset */
        unsigned recipients;
        unsigned flags;
        int64_t min, max;             /* both 0 = unbounded; milliseconds for durations */
        const char *json_key;         /* in the JSON file; NULL = none */
        const char *choices;          /* words, or members of a list, separated by | */
        const char *bounded_if;       /* bounds apply only while this boolean is true */
        const char *absent;           /* the feature, while this build lacks it: refused by name */
        const char *absent_word;      /* only this choice needs it; NULL = the whole row does */
        const char *moot;             /* why the setting can have no effect on this agent */
        const char *section;          /* heading of the rows from here on */
        const char *help;             /* sentences of the manual */
};

extern const struct config_row config_rows[];
extern const size_t config_row_count;

/* Does the value (normalised, or NULL) need the feature the row calls absent? */
bool config_row_lacks(const struct config_row *row, const char *value);
/* NULL when there is no such variable. */
const struct config_row *config_row_find(const char *name);
