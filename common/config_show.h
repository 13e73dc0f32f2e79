/* config_show: a row and its value in words, for 'ecsctl config' and the generated manual. All
 * texts are owned by the caller. */
#pragma once

struct config_row;

/* A normalised value as a person would write it: durations as 1h30m. NULL gives "". */
char *config_show_value(const struct config_row *row, const char *value);
/* "duration", "true or false", … */
const char *config_show_type(const struct config_row *row);
/* "at least 1s", "from 8ms to 100ms", "one of a, b"; "" when any value will do. */
char *config_show_bounds(const struct config_row *row);
/* Who is sent the value: "backend, engine"; "" when nobody is. */
char *config_show_recipients(unsigned recipients);
/* Why the setting does nothing, or NULL when it is in effect. value: its normalised value or NULL.
 */
char *config_show_obstacle(const struct config_row *row, const char *value);
