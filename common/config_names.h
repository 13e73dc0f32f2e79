/* config_names: a sentence about a name no row has, with the one that may be meant. */
#pragma once

/* Returns owned. */
char *config_names_unknown(const char *name);
/* As above for a key of the JSON file or of user data. */
char *config_names_unknown_key(const char *origin, const char *key);
