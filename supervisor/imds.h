/* imds: what this host's instance metadata service says: settings in the user data, and the region.
 * Fetched by ecs-imds, a short-lived program without privilege; its lines are checked here.
 * Source: host.md 1.1. */
#pragma once

#include <stdbool.h>

#include "config_parse.h"

struct supervisor;

struct imds_answer {
        char *region;                    /* NULL when not asked or not known */
        char *user_data;                 /* lines NAME=value, for config_sources */
        bool has_user_data;              /* any, be it ours or not */
        struct config_warnings warnings; /* of the user data */
        char *failure;                   /* why something is missing, or NULL */
};

#define IMDS_ENDPOINT "AWS_EC2_METADATA_SERVICE_ENDPOINT"
#define IMDS_V4 "http://169.254.169.254"
#define IMDS_V6 "http://[fd00:ec2::254]"
/* Where the service is, by the settings; no slash at its end. Returns owned. */
char *imds_endpoint(const struct config *c);

/* Asks with the settings in c. Ends early, with what there is, when the service is stopped
 * meanwhile. */
void imds_ask(struct supervisor *s, const struct config *c, bool want_region,
              struct imds_answer *ret);
void imds_answer_clear(struct imds_answer *a);

/* One line of ecs-imds: "region R", "set NAME=VALUE", "user-data", "warning TEXT", "failed TEXT".
 * Anything else is ignored. */
void imds_take_line(struct imds_answer *a, const char *line);
bool region_is_valid(const char *text);
