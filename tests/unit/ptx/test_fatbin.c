// Fat binaries: the PTX of each packing as fatbinary 13.0 writes it, the choice among several, damaged containers, LZ4 blocks.
#include "base/base.h"
#include "ptx/fatbin.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

// Written by fatbinary 13.0 from one text as compute_90 and compute_80 with --compress-mode=none, speed (LZ4) and size (zstd).
static char *read_sample(const char *packing, size_t *bytes) {
    char path[512], *image;
    hone_err e = {0};
    snprintf(path, sizeof path, TESTS_DIR "/fuzz/corpus/fuzz_ptx_fatbin/mini_%s.fatbin", packing);
    if (hone_read_file(path, 1 << 20, &image, bytes, &e) != HONE_OK)
        fail_msg("%s", e.msg);
    return image;
}

static const char text_want[] = ".version 9.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 p) { .reg .b64 %rd<3>; ld.param.u64 %rd1, [p]; ret; }\n";

static void every_packing(void **s) {
    (void)s;
    static const char *const packings[] = {"none", "speed", "size"};
    for (size_t i = 0; i < HONE_COUNT(packings); i++) {
        size_t bytes, whole, len;
        char *image = read_sample(packings[i], &bytes), *text;
        hone_err e = {0};
        ptx_fat_entry x;
        assert_int_equal(ptx_fatbin_bytes(image, bytes, &whole, &e), HONE_OK);
        assert_int_equal(whole, bytes);
        assert_int_equal(ptx_fatbin_choose(image, bytes, 90, &x, &e), HONE_OK);
        assert_int_equal(x.packing, (ptx_fat_packing)i);
        if (ptx_fatbin_text(&x, &text, &len, &e) != HONE_OK)
            fail_msg("%s: %s", packings[i], e.msg);
        assert_string_equal(text, text_want);
        assert_int_equal(len, strlen(text_want));
        hone_free(text);
        hone_free(image);
    }
}

// ---- containers made here: a header and entries of 64 + 16 bytes

typedef struct made { uint8_t bytes[1024]; size_t n; } made;
static void begin(made *m) {
    static const uint8_t header[16] = {0x50, 0xed, 0x55, 0xba, 1, 0, 16};
    memset(m, 0, sizeof *m);
    memcpy(m->bytes, header, m->n = sizeof header);
}
static void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, sizeof v); }
static void add(made *m, unsigned kind, unsigned arch, uint32_t flags, const char *payload) {
    uint8_t *p = m->bytes + m->n;
    p[0] = (uint8_t)kind;
    put32(p + 4, 64);
    put32(p + 8, 16);
    put32(p + 28, arch);
    put32(p + 40, flags);
    memcpy(p + 64, payload, strlen(payload));
    m->n += 80;
    put32(m->bytes + 8, (uint32_t)(m->n - 16));
}

static void choice(void **s) {
    (void)s;
    made m;
    ptx_fat_entry x;
    hone_err e = {0};
    begin(&m);
    add(&m, PTX_FAT_ELF, 90, 0, "\177ELF");
    add(&m, PTX_FAT_PTX, 80, 0, "eighty");
    add(&m, PTX_FAT_PTX, 90, 0x100000, "ninety a");
    add(&m, PTX_FAT_PTX, 86, 0, "eighty-six");
    static const struct { unsigned cc; const char *want; } cases[] = {{80, "eighty"}, {86, "eighty-six"}, {89, "eighty-six"}, {90, "ninety a"}, {100, "eighty-six"}};
    for (size_t i = 0; i < HONE_COUNT(cases); i++) {
        assert_int_equal(ptx_fatbin_choose(m.bytes, m.n, cases[i].cc, &x, &e), HONE_OK);
        assert_string_equal((const char *)x.data, cases[i].want);
    }
    assert_int_equal(ptx_fatbin_choose(m.bytes, m.n, 75, &x, &e), HONE_E_UNSUPPORTED);
    assert_string_equal(e.msg, "no PTX for this device: the lowest is compute_80, the device is sm_75");
    begin(&m);
    add(&m, PTX_FAT_ELF, 90, 0, "\177ELF");
    hone_err_clear(&e);
    assert_int_equal(ptx_fatbin_choose(m.bytes, m.n, 90, &x, &e), HONE_E_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "SASS"));
    assert_string_equal(e.hint, "build with -gencode arch=compute_90,code=compute_90");
}

static void damaged(void **s) {
    (void)s;
    made m;
    size_t bytes, at = 0;
    ptx_fat_entry x;
    begin(&m);
    add(&m, PTX_FAT_PTX, 90, 0, "text");
    for (size_t cut = 0; cut < m.n; cut++)
        assert_int_equal(ptx_fatbin_bytes(m.bytes, cut, &bytes, NULL), HONE_E_PARSE);
    assert_int_equal(ptx_fatbin_bytes(m.bytes, m.n, &bytes, NULL), HONE_OK);
    put32(m.bytes + 16 + 8, 17);   // a payload longer than the container
    assert_int_equal(ptx_fatbin_next(m.bytes, m.n, &at, &x, NULL), HONE_E_PARSE);
    put32(m.bytes + 16 + 8, 16);
    put32(m.bytes + 16 + 4, 8);    // a header shorter than headers are
    assert_int_equal(ptx_fatbin_next(m.bytes, m.n, &at, &x, NULL), HONE_E_PARSE);
    begin(&m);
    add(&m, PTX_FAT_PTX, 90, 0x8000, "no zstd frame");
    put32(m.bytes + 16 + 56, 100);
    at = 0;
    char *text;
    assert_int_equal(ptx_fatbin_next(m.bytes, m.n, &at, &x, NULL), HONE_OK);
    assert_int_equal(ptx_fatbin_text(&x, &text, &bytes, NULL), HONE_E_CORRUPT);
    x.packing = PTX_FAT_LZ4;
    assert_int_equal(ptx_fatbin_text(&x, &text, &bytes, NULL), HONE_E_CORRUPT);
}

static void lz4(void **s) {
    (void)s;
    // "ab", 9 more from 2 back, "end"; then 20 literals and a match of 300 from 1 back
    static const uint8_t overlap[] = {0x25, 'a', 'b', 2, 0, 0x30, 'e', 'n', 'd'};
    static const uint8_t lengths[] = {0xff, 5, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 1, 0, 255, 26, 0x10, '!'};
    uint8_t out[400];
    assert_true(ptx_lz4_block(overlap, sizeof overlap, out, 14));
    assert_memory_equal(out, "abababababaend", 14);
    assert_true(ptx_lz4_block(lengths, sizeof lengths, out, 321));
    assert_memory_equal(out + 16, "qrsttttt", 8);
    assert_int_equal(out[319], 't');
    assert_int_equal(out[320], '!');
    assert_false(ptx_lz4_block(overlap, sizeof overlap, out, 13));            // too long
    assert_false(ptx_lz4_block(overlap, sizeof overlap, out, 15));            // too short
    for (size_t cut = 1; cut < sizeof lengths; cut++)
        assert_false(ptx_lz4_block(lengths, cut, out, 321));
    static const uint8_t before_start[] = {0x10, 'a', 2, 0, 0x00};
    assert_false(ptx_lz4_block(before_start, sizeof before_start, out, 5));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_packing), cmocka_unit_test(choice), cmocka_unit_test(damaged), cmocka_unit_test(lz4)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
