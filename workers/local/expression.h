/* expression: ECS's cluster query language, as placement constraints and the filter of
 * ListContainerInstances have it: subject operator [argument], and, or, not, parentheses.
 *   attribute:ecs.instance-type in [t2.small, t2.medium] and not(task:group == service:web) */
#pragma once

#include <jansson.h>

/* All values of a subject ("attribute:stack", "task:group") as an owned array of strings; empty or
 * NULL when it has none. */
typedef json_t *(*expression_values_fn)(void *arg, const char *subject);

/* 1 it holds, 0 it does not, -EINVAL the text is no expression: *ret_error (owned) says why.
 * Evaluated while it is read; with a NULL values nothing has a value, which serves to check. */
int expression_evaluate(const char *text, expression_values_fn values, void *arg, char **ret_error);
