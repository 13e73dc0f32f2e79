/* Role credentials as IMDS gives them: whole, or refused and nothing kept. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "role_credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct role_credentials c = {0};
        int r = role_credentials_parse((const char *)data, size, &c);
        if ((r == 0) != (c.access_key_id != NULL && c.secret_access_key != NULL))
                abort();
        role_credentials_clear(&c);
        return 0;
}
