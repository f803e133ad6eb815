// libFuzzer target: any bytes, cut at each NUL into texts, link into one text or give an error; never a crash.
#include "base/mem.h"
#include "ptx/link.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { TEXTS = 4 };
    const char *texts[TEXTS];
    char *copy = hone_malloc(size + 1), *out;
    size_t n = 0, len;
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    copy[size] = '\0';
    for (size_t at = 0; at <= size && n < TEXTS; at += strlen(copy + at) + 1)
        texts[n++] = copy + at;
    if (ptx_link(texts, n, &out, &len, NULL) == HONE_OK)
        hone_free(out);
    hone_free(copy);
    return 0;
}
