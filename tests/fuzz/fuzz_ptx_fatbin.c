// libFuzzer target: any bytes as a fat binary give its entries, unpacked, or an error; never a crash. The bytes are also read as one LZ4 block.
#include "base/mem.h"
#include "ptx/fatbin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t block[4096];
    ptx_fat_entry x;
    size_t bytes, len;
    char *text;
    (void)ptx_lz4_block(data, size, block, size % sizeof block);
    if (ptx_fatbin_bytes(data, size, &bytes, NULL) != HONE_OK)
        return 0;
    for (size_t at = 0; ptx_fatbin_next(data, bytes, &at, &x, NULL) == HONE_OK && x.kind;)
        if (x.text_bytes < (size_t)1 << 20 && ptx_fatbin_text(&x, &text, &len, NULL) == HONE_OK)
            hone_free(text);
    if (ptx_fatbin_choose(data, bytes, 90, &x, NULL) == HONE_OK && x.text_bytes < (size_t)1 << 20 && ptx_fatbin_text(&x, &text, &len, NULL) == HONE_OK)
        hone_free(text);
    return 0;
}
