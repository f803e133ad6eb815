// Matrix instructions: mma.sync fragments as the PTX ISA lays them out, ldmatrix/stmatrix/movmatrix, wmma round trips.
#include "exec_fixture.h"
#include "small_float.h"

static uint32_t half_bits(int v) {   // small integers as f16
    static const uint16_t table[] = {0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700, 0x4800};
    return (uint32_t)table[v < 0 ? -v : v] | (v < 0 ? 0x8000u : 0);
}
static int a_of(int r, int c) { return (r * 4 + c * 5) % 9 - 4; }
static int b_of(int r, int c) { return (r * 2 + c * 5) % 7 - 3; }

// m16n8k16 with registers filled here by the tables of PTX ISA 9.7.14.5.8, one lane at a time
static void mma_f16(void **s) {
    (void)s;
    fixture f;
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p0, .param .u64 p1, .param .u64 p2)\n{\n.reg .b32 %r<20>; .reg .f32 %f<9>; .reg .b64 %d<12>;\n"
                "mov.u32 %r1, %tid.x; ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; ld.param.u64 %d3, [p2]; mul.wide.u32 %d4, %r1, 16; mul.wide.u32 %d5, %r1, 8;\n"
                "add.s64 %d6, %d1, %d4; add.s64 %d7, %d2, %d5; add.s64 %d8, %d3, %d4;\n"
                "ld.global.v4.u32 {%r2,%r3,%r4,%r5}, [%d6]; ld.global.v2.u32 {%r6,%r7}, [%d7]; mov.f32 %f1, 0f41200000;\n"
                "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f2,%f3,%f4,%f5}, {%r2,%r3,%r4,%r5}, {%r6,%r7}, {%f1,%f1,%f1,%f1};\n"
                "st.global.v4.f32 [%d8], {%f2,%f3,%f4,%f5}; ret;\n}\n");
    uint32_t *a = fx_buffer(&f, NULL, 32 * 16), *b = fx_buffer(&f, NULL, 32 * 8);
    float *d = fx_buffer(&f, NULL, 32 * 16);
    for (int l = 0; l < 32; l++) {
        const int g = l / 4, t = l % 4;
        for (int i = 0; i < 8; i++) {
            const int row = (i < 2 || (i >= 4 && i < 6)) ? g : g + 8, col = t * 2 + (i & 1) + (i >= 4 ? 8 : 0);
            a[l * 4 + i / 2] |= half_bits(a_of(row, col)) << (16 * (i & 1));
        }
        for (int i = 0; i < 4; i++)
            b[l * 2 + i / 2] |= half_bits(b_of(t * 2 + (i & 1) + (i >= 2 ? 8 : 0), g)) << (16 * (i & 1));
    }
    assert_int_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), 0);
    for (int l = 0; l < 32; l++)
        for (int i = 0; i < 4; i++) {
            const int row = l / 4 + (i < 2 ? 0 : 8), col = l % 4 * 2 + (i & 1);
            int want = 10;
            for (int k = 0; k < 16; k++)
                want += a_of(row, k) * b_of(k, col);
            assert_int_equal((int)d[l * 4 + i], want);
        }
    fx_free(&f);
}

// mma.m8n8k4 of f16: four products, the q-th by lanes 4q … 4q+3 and 16 further on. Fragments by the tables of PTX ISA 9.7.14.5.1, for every element of every matrix:
// which lane holds it and where. In: 2 words of a, 2 of b; out 8 words.
static unsigned quad_lane(unsigned q, bool high, unsigned t) { return 4 * q + 16 * high + t; }
static void quads(const char *layouts, bool wide_d, bool wide_c, bool col_a, bool col_b) {
    char text[2048];
    fixture f;
    snprintf(text, sizeof text, PTX_HEAD ".visible .entry k(.param .u64 p, .param .u64 q, .param .u64 o)\n{\n.reg .b32 %%r<40>; .reg .b64 %%d<9>;\n"
             "mov.u32 %%r1, %%tid.x; ld.param.u64 %%d1, [p]; ld.param.u64 %%d2, [q]; ld.param.u64 %%d3, [o]; mul.wide.u32 %%d4, %%r1, 16; mul.wide.u32 %%d5, %%r1, 32;\n"
             "add.s64 %%d1, %%d1, %%d4; add.s64 %%d2, %%d2, %%d5; add.s64 %%d3, %%d3, %%d5; ld.global.v4.u32 {%%r2,%%r3,%%r4,%%r5}, [%%d1];\n"
             "ld.global.v4.u32 {%%r10,%%r11,%%r12,%%r13}, [%%d2]; ld.global.v4.u32 {%%r14,%%r15,%%r16,%%r17}, [%%d2+16];\n"
             "mov.u32 %%r24, 0; mov.u32 %%r25, 0; mov.u32 %%r26, 0; mov.u32 %%r27, 0;\n"
             "mma.sync.aligned.m8n8k4.%s.%s.f16.f16.%s {%%r20,%%r21,%%r22,%%r23%s}, {%%r2,%%r3}, {%%r4,%%r5}, {%%r10,%%r11,%%r12,%%r13%s};\n"
             "st.global.v4.u32 [%%d3], {%%r20,%%r21,%%r22,%%r23}; st.global.v4.u32 [%%d3+16], {%%r24,%%r25,%%r26,%%r27}; ret;\n}\n", layouts, wide_d ? "f32" : "f16",
             wide_c ? "f32" : "f16", wide_d ? ",%r24,%r25,%r26,%r27" : "", wide_c ? ",%r14,%r15,%r16,%r17" : "");
    fx_load(&f, text);
    uint32_t *in = fx_buffer(&f, NULL, 32 * 16), *c = fx_buffer(&f, NULL, 32 * 32), *d = fx_buffer(&f, NULL, 32 * 32);
    for (unsigned q = 0; q < 4; q++)
        for (unsigned r = 0; r < 8; r++)
            for (unsigned k = 0; k < 4; k++) {   // a (8,4) and b (4,8): r is a's row, b's column
                const unsigned la = quad_lane(q, r >= 4, col_a ? k : r % 4), ia = col_a ? r % 4 : k, lb = quad_lane(q, r >= 4, col_b ? r % 4 : k), ib = col_b ? k : r % 4;
                in[4 * la + ia / 2] |= half_bits(a_of((int)(r + 8 * q), (int)k)) << 16 * (ia % 2);
                in[4 * lb + 2 + ib / 2] |= half_bits(b_of((int)k, (int)(r + 3 * q))) << 16 * (ib % 2);
            }
    for (unsigned pass = 0; pass < 2; pass++) {   // fills c, then looks at d
        if (pass)
            assert_int_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), 0);
        for (unsigned q = 0; q < 4; q++)
            for (unsigned r = 0; r < 8; r++)
                for (unsigned j = 0; j < 8; j++) {
                    const int c0 = (int)(r * 2 + j + q) % 9 - 4;
                    const bool wide = pass ? wide_d : wide_c;
                    // f32: rows 0, 1 alternate with the lane's lowest bit, columns 0, 2 with the next
                    const unsigned lane = quad_lane(q, r >= 4, wide ? r % 2 + j % 4 / 2 * 2 : r % 4), i = wide ? r % 4 / 2 * 2 + j / 4 * 4 + j % 2 : j;
                    int want = c0;
                    for (unsigned k = 0; k < 4; k++)
                        want += a_of((int)(r + 8 * q), (int)k) * b_of((int)k, (int)(j + 3 * q));
                    const float first = (float)c0;
                    uint32_t x = 0;
                    memcpy(&x, &first, 4);
                    if (!pass)
                        c[8 * lane + (wide ? i : i / 2)] |= wide ? x : half_bits(c0) << 16 * (i % 2);
                    else if (wide) {
                        float got;
                        memcpy(&got, &d[8 * lane + i], 4);
                        assert_int_equal((int)got, want);
                    } else
                        assert_int_equal((int)small_value(&SMALL_F16, d[8 * lane + i / 2] >> 16 * (i % 2) & 0xffff), want);
                }
    }
    fx_free(&f);
}
static void mma_quads(void **s) {
    (void)s;
    static const char *const layouts[] = {"row.row", "row.col", "col.row", "col.col"};
    for (unsigned l = 0; l < 4; l++) {
        quads(layouts[l], false, false, l / 2, l % 2);
        quads(layouts[l], true, true, l / 2, l % 2);
        quads(layouts[l], true, false, l / 2, l % 2);
    }
}

// ldmatrix.x2.trans of two 8×8 matrices, and stmatrix of what movmatrix makes of the first
static void matrix_loads(void **s) {
    (void)s;
    fixture f;
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p0, .param .u64 p1)\n{\n.reg .b32 %r<20>; .reg .b64 %d<12>; .reg .pred %p<2>; .shared .align 16 .b8 sm[256]; .shared .align 16 .b8 out[128];\n"
                "mov.u32 %r1, %tid.x; ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; mul.wide.u32 %d3, %r1, 8; add.s64 %d4, %d1, %d3; ld.global.v2.u32 {%r2,%r3}, [%d4];\n"
                "mov.u32 %r4, sm; shl.b32 %r5, %r1, 3; add.s32 %r5, %r4, %r5; st.shared.v2.u32 [%r5], {%r2,%r3}; bar.sync 0;\n"
                "and.b32 %r6, %r1, 15; shl.b32 %r6, %r6, 4; add.s32 %r6, %r4, %r6; ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r7,%r8}, [%r6];\n"
                "movmatrix.sync.aligned.m8n8.trans.b16 %r9, %r7;\nmov.u32 %r10, out; and.b32 %r11, %r1, 7; shl.b32 %r11, %r11, 4; add.s32 %r11, %r10, %r11;\n"
                "stmatrix.sync.aligned.m8n8.x1.shared.b16 [%r11], {%r9}; bar.sync 0; shl.b32 %r12, %r1, 2; add.s32 %r12, %r12, %r10; ld.shared.u32 %r13, [%r12];\n"
                "mul.wide.u32 %d5, %r1, 12; add.s64 %d6, %d2, %d5; st.global.u32 [%d6], %r7; st.global.u32 [%d6+4], %r8; st.global.u32 [%d6+8], %r13; ret;\n}\n");
    uint16_t *in = fx_buffer(&f, NULL, 256);
    uint32_t *out = fx_buffer(&f, NULL, 32 * 12);
    for (int i = 0; i < 128; i++)
        in[i] = (uint16_t)(i * 3 + 1);
    assert_int_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), 0);
    for (int l = 0; l < 32; l++) {
        const int r = l / 4, c = l % 4 * 2;
        for (int m = 0; m < 2; m++)
            assert_int_equal(out[l * 3 + m], (uint32_t)in[m * 64 + c * 8 + r] | (uint32_t)in[m * 64 + (c + 1) * 8 + r] << 16);
        assert_int_equal(out[l * 3 + 2], (uint32_t)in[2 * l] | (uint32_t)in[2 * l + 1] << 16);   // transposed twice: as it was
    }
    fx_free(&f);
}

// One wmma 16×16×16: a row-major, b column-major with a stride, f32 accumulators stored column-major.
static void wmma_f16(void **s) {
    (void)s;
    fixture f;
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p0, .param .u64 p1, .param .u64 p2)\n{\n.reg .b32 %r<40>; .reg .f32 %f<20>; .reg .b64 %d<12>;\n"
                "ld.param.u64 %d1, [p0]; ld.param.u64 %d2, [p1]; ld.param.u64 %d3, [p2]; mov.u32 %r33, 16; mov.u32 %r34, 24; mov.f32 %f1, 0f00000000;\n"
                "wmma.load.a.sync.aligned.row.m16n16k16.global.f16 {%r1,%r2,%r3,%r4,%r5,%r6,%r7,%r8}, [%d1], %r33;\n"
                "wmma.load.b.sync.aligned.col.m16n16k16.global.f16 {%r9,%r10,%r11,%r12,%r13,%r14,%r15,%r16}, [%d2], %r34;\n"
                "wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 {%f2,%f3,%f4,%f5,%f6,%f7,%f8,%f9}, {%r1,%r2,%r3,%r4,%r5,%r6,%r7,%r8}, {%r9,%r10,%r11,%r12,%r13,%r14,%r15,%r16}, {%f1,%f1,%f1,%f1,%f1,%f1,%f1,%f1};\n"
                "wmma.store.d.sync.aligned.col.m16n16k16.global.f32 [%d3], {%f2,%f3,%f4,%f5,%f6,%f7,%f8,%f9}, %r33; ret;\n}\n");
    uint16_t *a = fx_buffer(&f, NULL, 512), *b = fx_buffer(&f, NULL, 16 * 24 * 2);
    float *d = fx_buffer(&f, NULL, 1024);
    for (int r = 0; r < 16; r++)
        for (int c = 0; c < 16; c++) {
            a[r * 16 + c] = (uint16_t)half_bits(a_of(r, c));
            b[c * 24 + r] = (uint16_t)half_bits(b_of(r, c));
        }
    assert_int_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), 0);
    for (int r = 0; r < 16; r++)
        for (int c = 0; c < 16; c++) {
            int want = 0;
            for (int k = 0; k < 16; k++)
                want += a_of(r, k) * b_of(k, c);
            assert_int_equal((int)d[c * 16 + r], want);
        }
    fx_free(&f);
}

// Where an H100 has the elements of a fragment: of a 32-bit register the first element's row and column; registers from `share` on repeat. The matrix counts its elements.
typedef struct layout { const char *what, *shape, *type; unsigned regs, share, bits, cols; uint8_t row[8], col[8]; bool down; } layout;   // down: a register's next element is below
static const layout g_layouts[] = {   // of lane 4g + t: + g rows and + (elements of a register) t columns; down: the other way round
    {"load.a.sync.aligned.row", "m16n16k16", "f16", 8, 4, 16, 16, {0, 8, 0, 8}, {0, 0, 8, 8}, false},
    {"load.b.sync.aligned.row", "m16n16k16", "f16", 8, 4, 16, 16, {0, 8, 0, 8}, {0, 0, 8, 8}, true},
    {"load.a.sync.aligned.row", "m32n8k16", "bf16", 8, 8, 16, 16, {0, 8, 0, 8, 16, 24, 16, 24}, {0, 0, 8, 8, 0, 0, 8, 8}, false},
    {"load.b.sync.aligned.row", "m32n8k16", "f16", 8, 2, 16, 8, {0, 8}, {0, 0}, true},
    {"load.a.sync.aligned.row", "m8n32k16", "f16", 8, 2, 16, 16, {0, 0}, {0, 8}, false},
    {"load.b.sync.aligned.row", "m8n32k16", "bf16", 8, 8, 16, 32, {0, 0, 8, 8, 0, 0, 8, 8}, {0, 8, 0, 8, 16, 24, 16, 24}, true},
    {"load.a.sync.aligned.row", "m16n16k8", "tf32", 4, 4, 32, 8, {0, 8, 0, 8}, {0, 0, 4, 4}, false},
    {"load.b.sync.aligned.row", "m16n16k8", "tf32", 4, 4, 32, 16, {0, 4, 0, 4}, {0, 0, 8, 8}, true},
    {"load.b.sync.aligned.row", "m16n16k16", "s8", 2, 2, 8, 16, {0, 0}, {0, 8}, true},
    {"load.c.sync.aligned.row", "m16n16k16", "f16", 4, 4, 16, 16, {0, 8, 0, 8}, {0, 0, 8, 8}, false},
    {"load.c.sync.aligned.row", "m8n32k16", "f16", 4, 4, 16, 32, {0, 0, 0, 0}, {0, 8, 16, 24}, true}};
static void wmma_layouts(void **state) {
    (void)state;
    for (size_t i = 0; i < HONE_COUNT(g_layouts); i++) {
        const layout *y = &g_layouts[i];
        static const char *const lists[] = {[2] = "{%r1,%r2}", [4] = "{%r1,%r2,%r3,%r4}", [8] = "{%r1,%r2,%r3,%r4,%r5,%r6,%r7,%r8}"};
        const unsigned elems = 32 / y->bits, bytes = y->bits / 8;
        char text[1200];
        uint8_t from[512 * 4] = {0};
        fixture f;
        snprintf(text, sizeof text, PTX_HEAD ".visible .entry k(.param .u64 p0, .param .u64 p1)\n{\n.reg .b32 %%r<10>; .reg .b64 %%d<4>;\nld.param.u64 %%d1, [p0]; ld.param.u64 %%d2, [p1];\n"
                 "wmma.%s.%s.global.%s %s, [%%d1], %u;\nmov.u32 %%r9, %%tid.x; mul.wide.u32 %%d3, %%r9, 32; add.s64 %%d2, %%d2, %%d3; st.global.v2.u32 [%%d2], {%%r1, %%r2};\n"
                 "%s st.global.v4.u32 [%%d2+16], {%%r5, %%r6, %%r7, %%r8}; ret;\n}\n", y->what, y->shape, y->type, lists[y->regs], y->cols,
                 y->regs > 2 ? "st.global.v2.u32 [%d2+8], {%r3, %r4};" : "");
        for (unsigned k = 0; k < 512; k++)
            memcpy(from + k * bytes, &(uint32_t){k}, bytes);
        fx_load(&f, text);
        fx_buffer(&f, from, sizeof from);
        const uint32_t *got = fx_buffer(&f, NULL, 32 * 32);
        assert_int_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), 0);
        for (unsigned l = 0; l < 32; l++)
            for (unsigned k = 0; k < y->regs * elems; k++) {
                const unsigned reg = k / elems, r = reg % y->share, e = k % elems, along = l % 4 * elems + e, across = l / 4;
                const unsigned row = y->row[r] + (y->down ? along : across), col = y->col[r] + (y->down ? across : along);
                const uint32_t want = (row * y->cols + col) & (uint32_t)((1ull << y->bits) - 1), is = got[8 * l + reg] >> e * y->bits & (uint32_t)((1ull << y->bits) - 1);
                if (is != want)
                    fail_msg("%s.%s.%s lane %u register %u element %u: %u, expected %u", y->what, y->shape, y->type, l, reg, e, is, want);
            }
        fx_free(&f);
    }
}

// Accumulators of 32 bits, two neighbours of a row a time, m8n32 of a column.
static void wmma_accumulators(void **state) {
    (void)state;
    static const struct { const char *shape; unsigned cols; uint8_t row[4], col[4]; bool down; } t[] = {
        {"m16n16k16", 16, {0, 8, 0, 8}, {0, 0, 8, 8}, false}, {"m32n8k16", 8, {0, 8, 16, 24}, {0, 0, 0, 0}, false}, {"m8n32k16", 32, {0, 0, 0, 0}, {0, 8, 16, 24}, true}};
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        char text[1500];
        fixture f;
        snprintf(text, sizeof text, PTX_HEAD ".visible .entry k(.param .u64 p0)\n{\n.reg .b32 %%r<10>; .reg .b64 %%d<4>;\nld.param.u64 %%d1, [p0]; mov.u32 %%r9, %%tid.x; shl.b32 %%r1, %%r9, 3;\n"
                 "add.u32 %%r2, %%r1, 1; add.u32 %%r3, %%r1, 2; add.u32 %%r4, %%r1, 3; add.u32 %%r5, %%r1, 4; add.u32 %%r6, %%r1, 5; add.u32 %%r7, %%r1, 6; add.u32 %%r8, %%r1, 7;\n"
                 "wmma.store.d.sync.aligned.row.%s.global.s32 [%%d1], {%%r1,%%r2,%%r3,%%r4,%%r5,%%r6,%%r7,%%r8}, %u; ret;\n}\n", t[i].shape, t[i].cols);
        fx_load(&f, text);
        const uint32_t *got = fx_buffer(&f, NULL, 1024);
        assert_int_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), 0);
        for (unsigned k = 0; k < 256; k++) {
            const unsigned l = k / 8, r = k % 8 / 2, along = l % 4 * 2 + k % 2, across = l / 4;
            const unsigned row = t[i].row[r] + (t[i].down ? along : across), col = t[i].col[r] + (t[i].down ? across : along);
            assert_int_equal(got[row * t[i].cols + col], k);
        }
        fx_free(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(mma_f16), cmocka_unit_test(mma_quads), cmocka_unit_test(matrix_loads), cmocka_unit_test(wmma_f16), cmocka_unit_test(wmma_layouts),
        cmocka_unit_test(wmma_accumulators)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
