/* configuration: the supervisor's settings from all their sources. */
#pragma once

#include <stdbool.h>

struct config;
struct error;
struct supervisor;
struct supervisor_options;

/* Fills s->config, and opens the log with it. Every mistake becomes a notice. -EINVAL with err for
 * a fatal one; -ESTALE when the service should not be tried again (cloud_init_check). Returns 0
 * early when the service is stopped meanwhile. */
int configuration_load(struct supervisor *s, struct error *err);
/* The settings without the metadata service, for what needs one or two of them; whatever is wrong
 * is left out. Returns owned. */
struct config *configuration_peek(const struct supervisor_options *o);
/* As configuration_peek; -EINVAL with err for what would end the start. */
int configuration_read(const struct supervisor_options *o, struct config **ret, struct error *err);

/* A path inside the official agent's container as a path of this host: /data and /log.
 * Returns owned. Source: host.md 2.5. */
char *configuration_host_path(const char *path);
/* ID_VERSION_ID of an os-release file, "linux" when it says neither. Returns owned. */
char *configuration_os_family(const char *path);
/* -ESTALE with err when cloud-init found no data source although the instance has user data, which
 * may hold the settings. path: its result.json. Source: host.md 1.1. */
int cloud_init_check(const char *path, bool has_user_data, struct error *err);
