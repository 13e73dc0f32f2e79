/* registry_auth: what registries are shown, from ECS_ENGINE_AUTH_TYPE and _DATA. Nothing of it is
 * kept: a header is made for each call and wiped after it. Source: engine.md 5.3. */
#pragma once

/* The value of X-Registry-Auth for an image; "e30=", an empty object, when there are no credentials
 * for its registry. type and data may be NULL. Returns owned: registry_auth_free. */
char *registry_auth_header(const char *type, const char *data, const char *image);
/* Wipes and frees. */
void registry_auth_free(char *header);
/* Why type and data hold no credentials, in words for the log; NULL when they do or both are unset.
 * Static text: never any of the data. */
const char *registry_auth_problem(const char *type, const char *data);
