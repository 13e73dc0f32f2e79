/* error: why something failed, in words for an operator or for ECS. Filled where the failure is
 * known, given context on the way up, shown once. */
#pragma once

struct error {
        int code;         /* negative errno */
        char name[48];    /* ECS reason class such as CannotPullContainerError, or "" */
        char text[1536];  /* the sentence */
};

/* Replaces what is there. err may be NULL. Returns code, for `return error_set(...)`. */
int error_set(struct error *err, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* As error_set, with a reason class. */
int error_set_name(struct error *err, int code, const char *name, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
/* Puts "<context>: " in front. Returns err->code. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
