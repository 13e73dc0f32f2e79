/* redact: takes secrets out of texts. What is known to be secret (the local key pairs, secret
 * variables of this environment) is replaced wherever it stands; what looks like an AWS secret or a
 * password in a URL is as well. */
#pragma once

#include <jansson.h>

struct redact;

/* pairs: path of a credentials file in AWS's form, whose secrets are learned; need not exist. */
struct redact *redact_new(const char *pairs);
void redact_free(struct redact *r);
/* Returns owned. */
char *redact_text(const struct redact *r, const char *text);
/* Docker's description of a container: values of environment variables and tokens of log drivers
 * go. Changed in place. */
void redact_inspect(json_t *container);
