// Fat binaries: the container into which nvcc packs the PTX texts and machine code of one translation unit. Borrowed bytes in, entries out.
#ifndef HONE_PTX_FATBIN_H
#define HONE_PTX_FATBIN_H
#include "base/err.h"

enum { PTX_FATBIN_MAGIC = 0xba55ed50u };
enum { PTX_FAT_PTX = 1, PTX_FAT_ELF = 2 };                          // kind
typedef enum ptx_fat_packing { PTX_FAT_PLAIN, PTX_FAT_LZ4, PTX_FAT_ZSTD, PTX_FAT_UNKNOWN /* compressed in another way */ } ptx_fat_packing;

typedef struct ptx_fat_entry {
    unsigned kind;              // PTX_FAT_PTX, PTX_FAT_ELF or something else; 0 behind the last entry
    unsigned arch;              // 90 for compute_90 and sm_90
    bool arch_specific;         // compute_90a: runs on that architecture alone
    ptx_fat_packing packing;
    const uint8_t *data;        // inside the image
    size_t stored_bytes, text_bytes;
} ptx_fat_entry;

// The bytes of the container at `image`, of which at most `cap` are readable. errors: HONE_E_PARSE when it is none.
hone_code ptx_fatbin_bytes(const void *image, size_t cap, size_t *bytes, hone_err *e);
// The entry at *at (0 to begin); moves *at on. errors: HONE_E_PARSE for a damaged container.
hone_code ptx_fatbin_next(const void *image, size_t bytes, size_t *at, ptx_fat_entry *out, hone_err *e);
// The PTX entry for a device of compute capability cc (90 for 9.0): the newest that it can run.
// errors: HONE_E_UNSUPPORTED, with a hint that names the nvcc option, when there is no such PTX.
hone_code ptx_fatbin_choose(const void *image, size_t bytes, unsigned cc, ptx_fat_entry *out, hone_err *e);
// The entry's text, unpacked and NUL-terminated. owns: the caller (hone_free). errors: HONE_E_CORRUPT, HONE_E_NOMEM, HONE_E_LIMIT, HONE_E_UNSUPPORTED.
hone_code ptx_fatbin_text(const ptx_fat_entry *entry, char **text, size_t *len, hone_err *e);

// One LZ4 block (source: the LZ4 block format description): exactly n_out bytes, or false.
bool ptx_lz4_block(const uint8_t *in, size_t n_in, uint8_t *out, size_t n_out);
#endif
