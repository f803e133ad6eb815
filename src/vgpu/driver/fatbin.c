// Reads fat binaries. The layout is not documented by the vendor; these facts were read off files that nvcc 13.0 writes with each
// --compress-mode, and agree with what public tools (ZLUDA, cuobjdump dumps) describe:
//
//   wrapper  u32 magic 0x466243b1, u32 version, pointer to the fat binary, pointer
//   header   u32 magic 0xba55ed50, u16 version, u16 header bytes, u64 bytes of all entries
//   entry    u16 kind (1 PTX, 2 ELF) @0, u32 header bytes @4, u64 payload bytes with padding @8, u32 compressed bytes @16,
//            u32 target (90 for sm_90) @28, u64 flags @40 (0x2000 LZ4 block, 0x8000 Zstandard), u64 uncompressed bytes @56
#include "vgpu/driver/fatbin.h"
#include <string.h>
#include <zstd.h>

#define WRAPPER_MAGIC 0x466243b1u
#define FATBIN_MAGIC 0xba55ed50u
#define TEXT_MAX ((uint64_t)256 << 20)
enum { KIND_PTX = 1, HEADER_BYTES = 16, ENTRY_BYTES = 64, FLAG_LZ4 = 0x2000, FLAG_ZSTD = 0x8000 };

static uint16_t u16_at(const uint8_t *p) { uint16_t v; memcpy(&v, p, sizeof v); return v; }
static uint32_t u32_at(const uint8_t *p) { uint32_t v; memcpy(&v, p, sizeof v); return v; }
static uint64_t u64_at(const uint8_t *p) { uint64_t v; memcpy(&v, p, sizeof v); return v; }

vg_image_kind vg_image_kind_of(const void *image) {
    const uint8_t *p = image;
    static const uint8_t elf[4] = {0x7f, 'E', 'L', 'F'}, fatbin[4] = {0x50, 0xed, 0x55, 0xba}, wrapper[4] = {0xb1, 0x43, 0x62, 0x46};
    static const struct { const uint8_t *magic; vg_image_kind kind; } kinds[] = {{elf, VG_IMAGE_ELF}, {fatbin, VG_IMAGE_FATBIN}, {wrapper, VG_IMAGE_WRAPPER}};
    for (size_t k = 0; k < HONE_COUNT(kinds); k++) {
        size_t i = 0;
        while (i < 4 && p[i] == kinds[k].magic[i])   // a text may end before its fourth byte
            i++;
        if (i == 4)
            return kinds[k].kind;
    }
    return VG_IMAGE_TEXT;
}

// A length above 14 goes on in bytes of 255. False at the end of the data.
static bool long_length(const uint8_t **p, const uint8_t *end, size_t *n) {
    if (*n != 15)
        return true;
    for (uint8_t b = 255; b == 255;) {
        if (*p == end)
            return false;
        b = *(*p)++;
        *n += b;
    }
    return true;
}

bool vg_lz4_block(const uint8_t *p, size_t n, uint8_t *to, size_t bytes) {
    const uint8_t *end = p + n;
    size_t at = 0;
    while (p < end) {
        uint8_t token = *p++;
        size_t literals = token >> 4, match = token & 15;
        if (!long_length(&p, end, &literals) || literals > (size_t)(end - p) || literals > bytes - at)
            return false;
        memcpy(to + at, p, literals);
        p += literals;
        at += literals;
        if (p == end)
            break;   // the last sequence has no match
        if (end - p < 2)
            return false;
        size_t back = u16_at(p);
        p += 2;
        if (!long_length(&p, end, &match) || !back || back > at || match + 4 > bytes - at)
            return false;
        for (match += 4; match; match--, at++)   // may overlap itself
            to[at] = to[at - back];
    }
    return at == bytes;
}

typedef struct entry { const uint8_t *payload; uint64_t padded, compressed, plain; uint32_t target; uint64_t flags; } entry;

// The entry at `p`, `left` bytes before the end of the container; *size: of the entry as a whole. False when it is damaged.
static bool read_entry(const uint8_t *p, uint64_t left, entry *out, uint64_t *size) {
    if (left < ENTRY_BYTES)
        return false;
    uint64_t header = u32_at(p + 4);
    *out = (entry){p + header, u64_at(p + 8), u32_at(p + 16), u64_at(p + 56), u32_at(p + 28), u64_at(p + 40)};
    if (header < ENTRY_BYTES || header > left || out->padded > left - header)
        return false;
    *size = header + out->padded;
    return true;
}

static hone_code find_ptx(const uint8_t *image, unsigned cc, entry *best, hone_err *e) {
    uint64_t header = u16_at(image + 6), left = u64_at(image + 8), size;
    const uint8_t *p = image + header;
    bool found = false, newer = false;
    if (header < HEADER_BYTES || left > TEXT_MAX * 16)
        return hone_fail(e, HONE_E_PARSE, 0, "damaged fat binary: its header says %llu B of entries", (unsigned long long)left);
    for (entry n; left; p += size, left -= size) {
        if (!read_entry(p, left, &n, &size))
            return hone_fail(e, HONE_E_PARSE, 0, "damaged fat binary: an entry leaves the container");
        if (u16_at(p) != KIND_PTX)
            continue;
        newer = newer || n.target > cc;
        if (n.target <= cc && (!found || n.target > best->target)) {
            *best = n;
            found = true;
        }
    }
    if (found)
        return HONE_OK;
    hone_fail(e, HONE_E_UNSUPPORTED, 0, newer ? "the fat binary's PTX is for newer devices than sm_%u" : "the fat binary has no PTX, only machine code (sm_%u)", cc);
    return hone_hint(e, "build with PTX: nvcc -gencode arch=compute_%u,code=compute_%u", cc, cc);
}

static hone_code unpack(const entry *n, char *to, size_t bytes, hone_err *e) {
    bool fine;
    uint64_t packed = n->compressed < n->padded ? n->compressed : n->padded;
    if (n->flags & FLAG_ZSTD)
        fine = ZSTD_decompress(to, bytes, n->payload, packed) == bytes;
    else if (n->flags & FLAG_LZ4)
        fine = vg_lz4_block(n->payload, packed, (uint8_t *)to, bytes);
    else
        return hone_fail(e, HONE_E_UNSUPPORTED, 0, "the fat binary's PTX is compressed in an unknown way (flags 0x%llx)", (unsigned long long)n->flags);
    return fine ? HONE_OK : hone_fail(e, HONE_E_PARSE, 0, "damaged fat binary: its PTX does not decompress");
}

hone_code vg_fatbin_ptx(const void *image, unsigned cc, char **text, size_t *len, hone_err *e) {
    const uint8_t *p = image;
    if (vg_image_kind_of(p) == VG_IMAGE_WRAPPER)
        p = (const uint8_t *)(uintptr_t)u64_at(p + 8);
    if (!p || vg_image_kind_of(p) != VG_IMAGE_FATBIN)
        return hone_fail(e, HONE_E_PARSE, 0, "not a fat binary");
    entry n = {0};
    HONE_TRY(find_ptx(p, cc, &n, e));
    bool packed = n.compressed && n.plain;
    uint64_t bytes = packed ? n.plain : n.padded;
    if (bytes > TEXT_MAX)
        return hone_fail(e, HONE_E_LIMIT, 0, "the fat binary's PTX has %llu B, more than can be loaded", (unsigned long long)bytes);
    char *out = hone_malloc((size_t)bytes + 1);
    if (!out)
        return hone_fail(e, HONE_E_NOMEM, 0, "cannot load a fat binary: out of memory");
    hone_code code = HONE_OK;
    if (packed)
        code = unpack(&n, out, (size_t)bytes, e);
    else
        memcpy(out, n.payload, (size_t)bytes);
    if (code != HONE_OK) {
        hone_free(out);
        return code;
    }
    out[bytes] = 0;
    *len = strlen(out);   // padding is zeros
    *text = out;
    return HONE_OK;
}
