// Bulk copies: plain ones in all directions, reductions, multicast; tensor maps with swizzles, out-of-bounds fill, strides; findings.
#include "exec_fixture.h"
#include "vgpu/tensormap.h"

static const fx_options g_checked = {.flags = HONE_VGPU_CHECK, .threads = 1};

static void no_findings(fixture *f) {
    honeVgpuFinding x[2];
    if (fx_findings(f, x, 2))
        fail_msg("%s: %s (ptx line %u)", x[0].kind, x[0].message, x[0].ptx_line);
}
static void the_finding(fixture *f, const char *kind) {
    honeVgpuFinding x[2] = {0};
    if (fx_findings(f, x, 2) != 1 || strcmp(x[0].kind, kind) != 0)
        fail_msg("not one %s but: %s: %s", kind, x[0].kind, x[0].message);
}

// 32 threads; %d1, %d2 the two buffers, %r1 thread, %r2 shared memory s (4 KiB), %r3 mbarrier, %q thread 0. The tensor map, if any, is behind them.
#define KERNEL(body) PTX_HEAD ".visible .entry k(.param .u64 p, .param .u64 q, .param .align 64 .b8 map[128])\n{\n" \
    ".reg .pred %q, %z; .reg .b16 %h<4>; .reg .b32 %r<30>; .reg .b64 %d<12>; .shared .align 1024 .b8 s[4096]; .shared .align 8 .b64 bar;\n" \
    "ld.param.u64 %d1, [p]; ld.param.u64 %d2, [q]; mov.u32 %r1, %tid.x; mov.u32 %r2, s; mov.u32 %r3, bar; setp.eq.u32 %q, %r1, 0; mov.b64 %d5, map;\n" \
    "cvta.param.u64 %d5, %d5; mov.u32 %r4, 1; @%q mbarrier.init.shared::cta.b64 [%r3], %r4; @%q fence.proxy.async.shared::cta; bar.sync 0;\n" \
    "mul.wide.u32 %d6, %r1, 4; add.s64 %d7, %d2, %d6; shl.b32 %r5, %r1, 2; add.u32 %r6, %r2, %r5;\n" body "\nret;\n}\n"
#define WAIT "W: mbarrier.try_wait.parity.shared::cta.b64 %z, [%r3], 0; @!%z bra W;\n"
#define EXPECT(n) "@%q mbarrier.arrive.expect_tx.shared::cta.b64 %d9, [%r3], " n ";\n"

static void run(fixture *f, const char *text, size_t bytes_in, size_t bytes_out, const vg_tensormap *map, uint32_t fault) {
    fx_load(f, text);
    uint32_t *in = fx_buffer(f, NULL, bytes_in);
    fx_buffer(f, NULL, bytes_out);
    for (uint32_t i = 0; i < bytes_in / 4; i++)
        in[i] = 1000 + i;
    vg_tensormap t = map ? *map : (vg_tensormap){0};
    if (map)
        t.address = f->buf[0]->base;
    fx_options o = g_checked;
    o.tail = &t;
    o.tail_bytes = sizeof t;
    const uint32_t got = fx_launch(f, 1, 32, &o, 0, NULL);
    if (got != fault)
        fail_msg("fault %u", got);
}
static const uint32_t *out_of(const fixture *f) { return (const uint32_t *)(const void *)f->buf[1]->host; }

// global → shared, changed by its threads, shared → global
static void there_and_back(void **s) {
    (void)s;
    fixture f;
    run(&f, KERNEL(EXPECT("128") "@%q cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d1], 128, [%r3];\n" WAIT
                   "ld.shared.u32 %r7, [%r6]; add.u32 %r7, %r7, 5; st.shared.u32 [%r6], %r7; fence.proxy.async.shared::cta; bar.sync 0;\n"
                   "@%q cp.async.bulk.global.shared::cta.bulk_group [%d2], [%r2], 128; @%q cp.async.bulk.commit_group; @%q cp.async.bulk.wait_group.read 0;"),
        128, 128, NULL, 0);
    no_findings(&f);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(out_of(&f)[i], 1005 + i);
    fx_free(&f);
}

static void reductions(void **s) {
    (void)s;
    static const struct { const char *op; uint32_t a, b, want; } t[] = {
        {"add.u32", 5, 7, 12}, {"max.s32", 0xfffffff0, 3, 3}, {"min.s32", 0xfffffff0, 3, 0xfffffff0}, {"and.b32", 12, 10, 8}, {"or.b32", 12, 10, 14},
        {"xor.b32", 12, 10, 6}, {"inc.u32", 4, 4, 0}, {"dec.u32", 0, 9, 9}, {"add.f32", 0x3f800000, 0x40000000, 0x40400000},
        {"add.noftz.f16", 0x3c004000, 0x40003c00, 0x42004200}, {"add.noftz.bf16", 0x3f804000, 0x40003f80, 0x40404040}, {"min.f16", 0x7fff4000, 0x3c003c00, 0x3c003c00},
    };
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        static const char plan[] = KERNEL("mov.u32 %r7, #; mov.u32 %r8, #; st.shared.u32 [%r6], %r7; st.global.u32 [%d7], %r8; bar.sync 0;\n"
                                          "@%q cp.reduce.async.bulk.global.shared::cta.bulk_group.# [%d2], [%r2], 128; @%q cp.async.bulk.commit_group;\n"
                                          "@%q cp.async.bulk.wait_group 0;");
        char text[4096];
        fixture f;
        size_t n = 0;
        unsigned place = 0;
        for (const char *p = plan; *p; p++)   // # is b, then a, then the operation
            if (*p != '#')
                text[n++] = *p;
            else if (place++ < 2)
                n += (size_t)snprintf(text + n, 32, "%u", place == 1 ? t[i].b : t[i].a);
            else
                n += (size_t)snprintf(text + n, 32, "%s", t[i].op);
        text[n] = '\0';
        run(&f, text, 128, 128, NULL, 0);
        no_findings(&f);
        if (out_of(&f)[31] != t[i].want)
            fail_msg("%s: 0x%x", t[i].op, out_of(&f)[31]);
        fx_free(&f);
    }
}

static void findings(void **s) {
    (void)s;
    static const struct { const char *text, *kind; uint32_t fault; } t[] = {
        {KERNEL(EXPECT("128") "@%q cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d1], 128, [%r3];\nld.shared.u32 %r7, [%r6];"),
         "async.read-before-wait", 0},
        {KERNEL("@%q cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2+8], [%d1], 128, [%r3];"), "memory.misaligned", 716},
        {KERNEL("@%q cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d1], 120, [%r3];"), "memory.misaligned", 716},
        {KERNEL("@%q cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d1], 256, [%r3];"), "memory.out-of-bounds", 700},
        {KERNEL("@%q cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2+4096], [%d1], 128, [%r3];"), "memory.out-of-bounds", 700},
        {KERNEL("@%q cp.async.bulk.global.shared::cta.bulk_group [%d2], [%r2], 128;"), "memory.uninitialized-shared", 0},
        {KERNEL("@%q cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d5, {%r1}], [%r3];"), "async.tensor-map", 715},
        {KERNEL("@%q mbarrier.arrive.shared::cta.b64 _, [%r3], 2;"), "barrier.mbarrier-count", 0},
        {KERNEL("@%q mbarrier.inval.shared::cta.b64 [%r3]; @%q mbarrier.arrive.shared::cta.b64 _, [%r3];"), "memory.uninitialized-shared", 0},
        {KERNEL("@%q mbarrier.arrive.noComplete.shared::cta.b64 %d9, [%r3], 1;"), "barrier.mbarrier-count", 0},
    };
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        fixture f;
        run(&f, t[i].text, 128, 128, NULL, t[i].fault);
        the_finding(&f, t[i].kind);
        fx_free(&f);
    }
}

static vg_tensormap map_of(unsigned type, unsigned rank, const uint64_t *dims, const uint64_t *strides, const uint32_t *box, const uint32_t *steps,
                           unsigned swizzle, unsigned fill) {
    vg_tensormap t;
    const char *wrong = vg_tensormap_encode(&t, type, rank, 256, dims, strides, box, steps, 0, swizzle, fill);
    if (wrong)
        fail_msg("%s", wrong);
    return t;
}

// A 2-d box of 32-bit words, partly outside, with each swizzle: 4 KiB of shared memory come back as they are.
static void tile_with_swizzles(void **s) {
    (void)s;
    for (unsigned swizzle = VG_SWIZZLE_NONE; swizzle <= VG_SWIZZLE_128B; swizzle++) {
        const uint32_t width = swizzle == VG_SWIZZLE_NONE ? 32 : 4u << swizzle, rows = 16, box[2] = {width, rows}, steps[2] = {1, 1};
        const uint64_t dims[2] = {40, 20}, strides[1] = {160};
        const vg_tensormap map = map_of(2, 2, dims, strides, box, steps, swizzle, 0);
        char text[4096];
        fixture f;
        // coordinates (12, -3): rows -3 … 12; columns 12 … 12 + width - 1, those from 40 on outside
        const char *body = KERNEL("mov.u32 %r20, 12; mov.u32 %r21, -3; mov.u32 %r22, #; @%q mbarrier.arrive.expect_tx.shared::cta.b64 %d9, [%r3], %r22;\n"
                                  "@%q cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%d5, {%r20, %r21}], [%r3];\n" WAIT
                                  "L: ld.shared.u32 %r7, [%r6]; st.global.u32 [%d7], %r7; add.u32 %r6, %r6, 128; add.s64 %d7, %d7, 128; add.u32 %r23, %r23, 128;\n"
                                  "setp.lt.u32 %z, %r23, %r22; @%z bra L;");
        const char *mark = strchr(body, '#');
        snprintf(text, sizeof text, "%.*s%u%s", (int)(mark - body), body, width * rows * 4, mark + 1);
        run(&f, text, 20 * 160, 4096, &map, 0);
        no_findings(&f);
        for (uint32_t r = 0; r < rows; r++)
            for (uint32_t c = 0; c < width; c++) {
                const uint32_t linear = r * width * 4 + c * 4, line = linear / 128, at = linear ^ (line % (1u << swizzle)) << 4;
                const int y = (int)r - 3, x = (int)c + 12;
                const uint32_t want = y < 0 || x >= 40 ? 0 : 1000 + (uint32_t)(y * 40 + x);
                if (out_of(&f)[at / 4] != want)
                    fail_msg("swizzle %u row %u column %u: %u, not %u", swizzle, r, c, out_of(&f)[at / 4], want);
            }
        fx_free(&f);
    }
}

// Five dimensions with element strides; f32 outside is the NaN that fma.oob knows, twice.
static void five_dimensions(void **s) {
    (void)s;
    const uint64_t dims[5] = {4, 3, 3, 2, 2}, strides[4] = {16, 48, 144, 288};
    const uint32_t box[5] = {4, 3, 2, 2, 2}, steps[5] = {1, 2, 1, 1, 1};   // rows 0 and 2 of dimension 1
    const vg_tensormap map = map_of(7, 5, dims, strides, box, steps, 0, 1);
    fixture f;
    run(&f, KERNEL("mov.u32 %r20, 0; mov.u32 %r21, 1; " EXPECT("256")
                   "@%q cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r2], [%d5, {%r20, %r21, %r20, %r20, %r20}], [%r3];\n" WAIT
                   "ld.shared.u32 %r7, [%r6]; st.global.u32 [%d7], %r7; ld.shared.u32 %r7, [%r6+128]; st.global.u32 [%d7+128], %r7;"), 576, 256, &map, 0);
    no_findings(&f);
    const uint32_t *out = out_of(&f);
    for (uint32_t i = 0; i < 64; i++) {
        const uint32_t x = i % 4, y = 1 + i / 4 % 2 * 2, z = i / 8 % 2, u = i / 16 % 2, v = i / 32;
        assert_int_equal(out[i], y < 3 ? 1000 + x + 4 * y + 12 * z + 36 * u + 72 * v : 0x7ff77ff7);
    }
    fx_free(&f);
}

// A swizzled tile stored and one added: what lies outside stays out.
static void tile_stores(void **s) {
    (void)s;
    const uint64_t dims[2] = {32, 4}, strides[1] = {128};
    const uint32_t box[2] = {32, 8}, steps[2] = {1, 1};
    const vg_tensormap map = map_of(2, 2, dims, strides, box, steps, VG_SWIZZLE_128B, 0);
    fixture f;
    run(&f, KERNEL("mov.u32 %r20, 8; mov.u32 %r21, 1; mov.u32 %r23, 0;\nL: mad.lo.u32 %r7, %r23, 32, %r1; st.shared.u32 [%r6], %r7; add.u32 %r6, %r6, 128;\n"
                   "add.u32 %r23, %r23, 1; setp.lt.u32 %z, %r23, 8; @%z bra L; bar.sync 0;\n"
                   "@%q cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.bulk_group [%d5, {%r20, %r21}], [%r2];\n"
                   "@%q cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%d5, {%r20, -2}], [%r2]; @%q cp.async.bulk.commit_group; @%q cp.async.bulk.wait_group 0;"),
        512, 128, &map, 0);
    no_findings(&f);
    const uint32_t *in = (const uint32_t *)(const void *)f.buf[0]->host;
    for (uint32_t y = 0; y < 4; y++)
        for (uint32_t x = 0; x < 32; x++) {
            uint32_t want = 1000 + y * 32 + x;
            if (x >= 8) {   // row r of the box lies at y = r - 2 for the store, which comes last
                const uint32_t r = y + 2, chunk = (x - 8) / 4, from = chunk ^ (r & 7);
                want = r * 32 + from * 4 + x % 4;
            }
            assert_int_equal(in[y * 32 + x], want);
        }
    fx_free(&f);
}

// Each of two blocks multicasts one half of the data to both.
static void multicast(void **s) {
    (void)s;
    fixture f;
    fx_load(&f, KERNEL(EXPECT("128") "barrier.cluster.arrive; barrier.cluster.wait; mov.u32 %r10, %cluster_ctarank; mov.u16 %h1, 3; mul.wide.u32 %d8, %r10, 64; add.s64 %d8, %d1, %d8;\n"
                       "shl.b32 %r11, %r10, 6; add.u32 %r11, %r11, %r2;\n"
                       "@%q cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r11], [%d8], 64, [%r3], %h1;\n" WAIT
                       "ld.shared.u32 %r7, [%r6]; mul.wide.u32 %d8, %r10, 128; add.s64 %d7, %d7, %d8; st.global.u32 [%d7], %r7; barrier.cluster.arrive; barrier.cluster.wait;"));
    uint32_t *in = fx_buffer(&f, NULL, 128);
    const uint32_t *out = fx_buffer(&f, NULL, 256);
    for (uint32_t i = 0; i < 32; i++)
        in[i] = 7 * i;
    fx_options o = g_checked;
    o.cluster = 2;
    assert_int_equal(fx_launch(&f, 2, 32, &o, 0, NULL), 0);
    no_findings(&f);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(out[i], 7 * (i % 32));
    fx_free(&f);
}

// st.async and red.async to the other block, which waits for their bytes.
static void async_stores(void **s) {
    (void)s;
    fixture f;
    fx_load(&f, KERNEL("mov.u32 %r10, %cluster_ctarank; xor.b32 %r11, %r10, 1; mapa.shared::cluster.u32 %r12, %r6, %r11; mapa.shared::cluster.u32 %r13, %r3, %r11;\n"
                       "st.shared.u32 [%r6+2048], %r1; bar.sync 0;" EXPECT("512") "barrier.cluster.arrive; barrier.cluster.wait; add.u32 %r14, %r1, 100; \n"
                       "mov.u32 %r16, 9; red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%r12+2048], %r14, [%r13];\n"
                       "mapa.shared::cluster.u32 %r15, %r2, %r11; shl.b32 %r17, %r1, 3; add.u32 %r17, %r17, %r15; st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.u32 [%r17], {%r14, %r16}, [%r13];\n"
                       "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r12+3072], %r10, [%r13];\n" WAIT
                       "ld.shared.u32 %r18, [%r6+2048]; ld.shared.u32 %r19, [%r6+3072]; mad.lo.u32 %r20, %r10, 32, %r1; mul.wide.u32 %d8, %r20, 8; add.s64 %d8, %d2, %d8;\n"
                       "st.global.v2.u32 [%d8], {%r18, %r19}; barrier.cluster.arrive; barrier.cluster.wait;"));
    fx_buffer(&f, NULL, 128);
    const uint32_t *out = fx_buffer(&f, NULL, 512);
    fx_options o = g_checked;
    o.cluster = 2;
    assert_int_equal(fx_launch(&f, 2, 32, &o, 0, NULL), 0);
    no_findings(&f);
    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(out[2 * i], i % 32 * 2 + 100);
        assert_int_equal(out[2 * i + 1], 1 - i / 32);
    }
    fx_free(&f);
}

static void maps_refused(void **s) {
    (void)s;
    vg_tensormap t;
    const uint64_t dims[2] = {64, 64}, strides[1] = {256}, odd[1] = {264};
    const uint32_t box[2] = {64, 8}, steps[2] = {1, 1}, tall[2] = {16, 257}, thin[2] = {2, 8};
    assert_null(vg_tensormap_encode(&t, 2, 2, 256, dims, strides, box, steps, 0, 0, 0));
    assert_non_null(vg_tensormap_encode(&t, 2, 2, 256, dims, odd, box, steps, 0, 0, 0));
    assert_non_null(vg_tensormap_encode(&t, 2, 2, 250, dims, strides, box, steps, 0, 0, 0));
    assert_non_null(vg_tensormap_encode(&t, 2, 2, 256, dims, strides, tall, steps, 0, 0, 0));
    assert_non_null(vg_tensormap_encode(&t, 2, 2, 256, dims, strides, thin, steps, 0, 0, 0));
    assert_non_null(vg_tensormap_encode(&t, 2, 2, 256, dims, strides, box, steps, 0, VG_SWIZZLE_128B, 0));   // 256 bytes a row
    assert_non_null(vg_tensormap_encode(&t, 2, 2, 256, dims, strides, box, steps, 0, 0, 1));                 // NaN of integers
    assert_non_null(vg_tensormap_encode(&t, 2, 6, 256, dims, strides, box, steps, 0, 0, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(reductions), cmocka_unit_test(findings), cmocka_unit_test(tile_with_swizzles),
        cmocka_unit_test(five_dimensions), cmocka_unit_test(tile_stores), cmocka_unit_test(multicast), cmocka_unit_test(async_stores), cmocka_unit_test(maps_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
