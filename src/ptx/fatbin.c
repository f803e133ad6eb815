// The fat binary container: a 16-byte header, then entries, each a header and its payload. The layout is nowhere documented; the facts below were
// read off the output of fatbinary 12.9 and 13.0 for known inputs (one option changed at a time). All numbers little-endian.
//
//   container  u32 magic 0xba55ed50 | u16 version 1 | u16 header bytes | u64 bytes of all entries
//   entry      +0 u16 kind | u16 version | +4 u32 header bytes | +8 u64 payload bytes, padded | +16 u32 packed bytes, 0 when not packed
//              +24 u16 minor, u16 major of the PTX version | +28 u32 architecture | +40 u64 flags | +56 u64 unpacked bytes
#include "ptx/fatbin.h"
#include "base/mem.h"
#include <string.h>
#include <zstd.h>

enum { CONTAINER_HEADER = 16, ENTRY_HEADER = 64, FLAG_LZ4 = 0x2000, FLAG_ZSTD = 0x8000, FLAG_ARCH_SPECIFIC = 0x100000 };
#define TEXT_MAX ((size_t)256 << 20)

static uint64_t read_u64(const uint8_t *p) { uint64_t v; memcpy(&v, p, sizeof v); return v; }
static uint32_t read_u32(const uint8_t *p) { uint32_t v; memcpy(&v, p, sizeof v); return v; }
static uint16_t read_u16(const uint8_t *p) { uint16_t v; memcpy(&v, p, sizeof v); return v; }

hone_code ptx_fatbin_bytes(const void *image, size_t cap, size_t *bytes, hone_err *e) {
    const uint8_t *p = image;
    if (cap < CONTAINER_HEADER || read_u32(p) != PTX_FATBIN_MAGIC)
        return hone_fail(e, HONE_E_PARSE, 0, "not a fat binary: it does not begin with 0x%08x", (unsigned)PTX_FATBIN_MAGIC);
    const unsigned version = read_u16(p + 4), header = read_u16(p + 6);
    const uint64_t entries = read_u64(p + 8);
    if (version != 1 || header < CONTAINER_HEADER)
        return hone_fail(e, HONE_E_PARSE, 0, "fat binary of unknown version %u (header of %u bytes)", version, header);
    if (header > cap || entries > cap - header)
        return hone_fail(e, HONE_E_PARSE, 0, "fat binary cut short: %zu bytes are there, its header says %llu", cap, (unsigned long long)entries + header);
    *bytes = header + (size_t)entries;
    return HONE_OK;
}

static hone_code read_entry(const uint8_t *p, size_t left, ptx_fat_entry *out, size_t *whole, hone_err *e) {
    if (left < ENTRY_HEADER)
        return hone_fail(e, HONE_E_PARSE, 0, "fat binary: entry cut short, %zu bytes are left", left);
    const size_t header = read_u32(p + 4);
    const uint64_t payload = read_u64(p + 8), flags = read_u64(p + 40), unpacked = read_u64(p + 56);
    const size_t packed = read_u32(p + 16);
    if (header < ENTRY_HEADER || header > left || payload > left - header || packed > payload)
        return hone_fail(e, HONE_E_PARSE, 0, "fat binary: an entry of %zu + %llu bytes in %zu", header, (unsigned long long)payload, left);
    *out = (ptx_fat_entry){.kind = read_u16(p), .arch = read_u32(p + 28), .arch_specific = (flags & FLAG_ARCH_SPECIFIC) != 0, .data = p + header};
    out->packing = flags & FLAG_ZSTD ? PTX_FAT_ZSTD : flags & FLAG_LZ4 ? PTX_FAT_LZ4 : packed && unpacked ? PTX_FAT_UNKNOWN : PTX_FAT_PLAIN;
    out->stored_bytes = out->packing != PTX_FAT_PLAIN && packed ? packed : (size_t)payload;
    out->text_bytes = out->packing != PTX_FAT_PLAIN ? (size_t)unpacked : (size_t)payload;
    if (!out->kind)
        return hone_fail(e, HONE_E_PARSE, 0, "fat binary: an entry of kind 0");
    *whole = header + (size_t)payload;
    return HONE_OK;
}

hone_code ptx_fatbin_next(const void *image, size_t bytes, size_t *at, ptx_fat_entry *out, hone_err *e) {
    const uint8_t *p = image;
    size_t whole = 0, all;
    HONE_TRY(ptx_fatbin_bytes(image, bytes, &all, e));
    if (!*at)
        *at = read_u16(p + 6);
    *out = (ptx_fat_entry){0};
    if (*at >= all)
        return HONE_OK;
    HONE_TRY(read_entry(p + *at, all - *at, out, &whole, e));
    *at += whole;
    return HONE_OK;
}

static bool runs_on(const ptx_fat_entry *x, unsigned cc) { return x->arch_specific ? x->arch == cc : x->arch <= cc; }

hone_code ptx_fatbin_choose(const void *image, size_t bytes, unsigned cc, ptx_fat_entry *out, hone_err *e) {
    size_t at = 0, n_ptx = 0, n_elf = 0;
    unsigned lowest = 0;
    *out = (ptx_fat_entry){0};
    for (;;) {
        ptx_fat_entry x;
        HONE_TRY(ptx_fatbin_next(image, bytes, &at, &x, e));
        if (!x.kind)
            break;
        n_elf += x.kind == PTX_FAT_ELF;
        if (x.kind != PTX_FAT_PTX)
            continue;
        lowest = !n_ptx++ || x.arch < lowest ? x.arch : lowest;
        if (runs_on(&x, cc) && (!out->kind || x.arch > out->arch || (x.arch == out->arch && x.arch_specific)))
            *out = x;
    }
    if (out->kind)
        return HONE_OK;
    if (n_ptx)
        hone_fail(e, HONE_E_UNSUPPORTED, 0, "no PTX for this device: the lowest is compute_%u, the device is sm_%u", lowest, cc);
    else
        hone_fail(e, HONE_E_UNSUPPORTED, 0, n_elf ? "the fat binary holds machine code (SASS) only, no PTX" : "the fat binary is empty");
    return hone_hint(e, "build with -gencode arch=compute_%u,code=compute_%u", cc, cc);
}

static hone_code unpack(const ptx_fat_entry *x, uint8_t *to, hone_err *e) {
    if (x->packing == PTX_FAT_LZ4 && !ptx_lz4_block(x->data, x->stored_bytes, to, x->text_bytes))
        return hone_fail(e, HONE_E_CORRUPT, 0, "fat binary: the LZ4 data of an entry is damaged");
    if (x->packing == PTX_FAT_PLAIN)
        memcpy(to, x->data, x->text_bytes);
    if (x->packing != PTX_FAT_ZSTD)
        return HONE_OK;
    const size_t n = ZSTD_decompress(to, x->text_bytes, x->data, x->stored_bytes);
    if (ZSTD_isError(n))
        return hone_fail(e, HONE_E_CORRUPT, 0, "fat binary: %s", ZSTD_getErrorName(n));
    return n == x->text_bytes ? HONE_OK : hone_fail(e, HONE_E_CORRUPT, 0, "fat binary: %zu bytes unpacked, %zu announced", n, x->text_bytes);
}

hone_code ptx_fatbin_text(const ptx_fat_entry *x, char **text, size_t *len, hone_err *e) {
    if (x->packing == PTX_FAT_UNKNOWN)
        return hone_fail(e, HONE_E_UNSUPPORTED, 0, "fat binary: an entry is compressed in an unknown way");
    if (x->text_bytes > TEXT_MAX)
        return hone_fail(e, HONE_E_LIMIT, 0, "fat binary: an entry of %zu bytes", x->text_bytes);
    char *to = hone_malloc(x->text_bytes + 1);
    if (!to)
        return hone_fail(e, HONE_E_NOMEM, 0, "no memory for %zu bytes of PTX", x->text_bytes);
    const hone_code r = unpack(x, (uint8_t *)to, e);
    if (r != HONE_OK) {
        hone_free(to);
        return r;
    }
    to[x->text_bytes] = '\0';
    *text = to;
    *len = strlen(to);   // payloads are padded with NULs
    return HONE_OK;
}
