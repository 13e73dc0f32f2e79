/* role_credentials: Code must say Success, and both halves of the key be there. */
#include "role_credentials.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "clock.h"
#include "mem.h"

int role_credentials_parse(const char *text, size_t length, struct role_credentials *ret)
{
        cleanup_json json_t *j = json_loadb(text, length, 0, NULL);
        const char *code = json_string_value(json_object_get(j, "Code"));
        const char *id = json_string_value(json_object_get(j, "AccessKeyId"));
        const char *secret = json_string_value(json_object_get(j, "SecretAccessKey"));
        const char *token = json_string_value(json_object_get(j, "Token"));
        const char *expiration = json_string_value(json_object_get(j, "Expiration"));
        int64_t until = 0;
        if (code == NULL || strcasecmp(code, "Success") != 0 || id == NULL || *id == '\0' ||
            secret == NULL || *secret == '\0' ||
            (expiration != NULL && clock_parse(expiration, &until) != 0))
                return -EBADMSG;
        *ret = (struct role_credentials){.access_key_id = mem_strdup(id),
                                         .secret_access_key = mem_strdup(secret),
                                         .session_token = mem_strdup(token != NULL ? token : ""),
                                         .until_ms = until};
        return 0;
}

void role_credentials_clear(struct role_credentials *c)
{
        char **const fields[] = {&c->access_key_id, &c->secret_access_key, &c->session_token};
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
                if (*fields[i] != NULL)
                        explicit_bzero(*fields[i], strlen(*fields[i]));
                free(*fields[i]);
                *fields[i] = NULL;
        }
}
