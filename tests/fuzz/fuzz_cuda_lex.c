// Fuzz target: any bytes through the CUDA lexer, the kernel finder and the normal form. Nothing may crash, and brackets must pair up.
#include "cuda/lex.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_arena *a = hone_arena_new(256u << 20);
    hone_tokens t;
    hone_kernel *k;
    size_t n;
    char *out = NULL;
    hone_err e = {0};
    if (a && hone_lex(a, (const char *)data, size, &t, &e) == HONE_OK) {
        for (size_t i = 0; i < t.n; i++)
            if (t.v[i].at + t.v[i].len > size || (t.v[i].match > i && t.v[i].match >= t.n))
                abort();
        hone_find_kernels(a, &t, &k, &n, NULL);
        if (hone_normalise((const char *)data, size, &out, &n, NULL) == HONE_OK)
            hone_free(out);
    }
    hone_arena_free(a);
    return 0;
}
