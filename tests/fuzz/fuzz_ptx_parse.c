// libFuzzer target: any bytes as PTX text give a module or an error, never a crash. Build with clang -fsanitize=fuzzer,address,undefined.
#include "ptx/ptx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ptx_module *m = NULL;
    hone_err e = {0};
    if (ptx_parse((const char *)data, size, &m, &e) == HONE_OK)
        ptx_free(m);
    return 0;
}
