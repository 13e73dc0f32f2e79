/* What a server answers to the upgrade: never more headers than came, always a sentence with a
 * refusal. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "acs_handshake.h"
#include "buf.h"
#include "cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        for (int at_end = 0; at_end <= 1; at_end++) {
                struct buf in = {0};
                size_t length = 0;
                cleanup_free char *refusal = NULL;
                buf_append(&in, data, size);
                enum acs_answer a =
                        acs_handshake_answer(&in, at_end == 1, "good", &length, &refusal);
                if (length > size || (a == ACS_ANSWER_REFUSED) != (refusal != NULL) ||
                    (at_end == 1 && a == ACS_ANSWER_PARTIAL))
                        abort();
                buf_clear(&in);
        }
        return 0;
}
