/* Times as AWS and Docker write them: what is read must print and read back as the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "cleanup.h"
#include "clock.h"
#include "mem.h"

/* Of an offset or a leap second may come a year of other than four digits. */
#define YEAR_0     (-62167219200000)
#define YEAR_10000 253402300800000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_free char *text = mem_strndup((const char *)data, size);
        char printed[CLOCK_TEXT];
        int64_t ms, again;
        if (clock_parse(text, &ms) == 0 && ms >= YEAR_0 && ms < YEAR_10000 &&
            (clock_parse(clock_format_ms(ms, printed), &again) != 0 || again != ms))
                abort();
        return 0;
}
