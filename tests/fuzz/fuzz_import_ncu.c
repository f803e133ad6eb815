// Any bytes as a table of ncu: read or refused with a place, never a crash.
#include "import/ncu.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_ncu x;
    hone_err e = {0};
    hone_code c = hone_ncu_parse("fuzz.csv", (const char *)data, size, &x, &e);
    if (c == HONE_E_PARSE && strncmp(e.msg, "fuzz.csv:", 9))
        abort();
    if (c == HONE_OK && !x.n)
        abort();
    for (size_t i = 0; i < x.n; i++)
        for (int m = 0; m < HONE_NCU_COUNT; m++)
            if (x.kernels[i].n[m] > x.kernels[i].invocations)
                abort();
    hone_ncu_free(&x);
    return 0;
}
