// Matrix instructions on elements of less than a byte: wmma of s4, u4 and b1 from memory to memory, mma.sync of b1 with fragments laid out by the tables
// of PTX ISA 9.7.14.5; each against sums made here, bit by bit.
#include "exec_fixture.h"

static uint64_t g_seed;
static uint32_t random32(void) {
    g_seed = g_seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(g_seed >> 32);
}
static int element(const uint32_t *m, unsigned at, const char *type) {   // of a packed array
    if (!strcmp(type, "b1"))
        return (int)(m[at / 32] >> at % 32 & 1);
    const int v = (int)(m[at / 8] >> at % 8 * 4 & 15);
    return type[0] == 's' && v > 7 ? v - 16 : v;
}

static const char g_wmma[] = PTX_HEAD ".visible .entry k(.param .u64 p0, .param .u64 p1, .param .u64 p2, .param .u32 stride)\n{\n.reg .b32 %%r<12>; .reg .b64 %%d<5>;\n"
    "ld.param.u64 %%d1, [p0]; ld.param.u64 %%d2, [p1]; ld.param.u64 %%d3, [p2]; ld.param.u32 %%r1, [stride]; mov.u32 %%r2, 8;\n"
    "wmma.load.a.sync.aligned.row.%s.global.%s {%%r3}, [%%d1], %%r1; wmma.load.b.sync.aligned.col.%s.global.%s {%%r4}, [%%d2], %%r1;\n"
    "wmma.load.c.sync.aligned.row.%s.global.s32 {%%r5, %%r6}, [%%d3], %%r2;\n"
    "wmma.mma%s.sync.aligned.row.col.%s.s32.%s.%s.s32%s {%%r7, %%r8}, {%%r3}, {%%r4}, {%%r5, %%r6}; wmma.store.d.sync.aligned.row.%s.global.s32 [%%d3], {%%r7, %%r8}, %%r2; ret;\n}\n";

static void wmma_from_memory(void **s) {
    (void)s;
    static const struct { const char *shape, *type, *op, *saturate; unsigned k, bits; } t[] = {
        {"m8n8k32", "s4", "", "", 32, 4}, {"m8n8k32", "u4", "", "", 32, 4}, {"m8n8k32", "s4", "", ".satfinite", 32, 4},
        {"m8n8k128", "b1", ".xor.popc", "", 128, 1}, {"m8n8k128", "b1", ".and.popc", "", 128, 1}};
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        char text[2048];
        fixture f;
        snprintf(text, sizeof text, g_wmma, t[i].shape, t[i].type, t[i].shape, t[i].type, t[i].shape, t[i].op, t[i].shape, t[i].type, t[i].type, t[i].saturate, t[i].shape);
        fx_load(&f, text);
        const uint32_t stride = 2 * t[i].k;   // elements; half of each line is left out
        uint32_t *a = fx_buffer(&f, NULL, 8 * stride * t[i].bits / 8), *b = fx_buffer(&f, NULL, 8 * stride * t[i].bits / 8);
        int32_t *d = fx_buffer(&f, NULL, 256), want[64];
        for (unsigned k = 0; k < 8 * stride * t[i].bits / 32; k++) {
            a[k] = random32();
            b[k] = random32();
        }
        for (unsigned r = 0; r < 64; r++) {
            d[r] = *t[i].saturate ? (r % 2 ? INT32_MAX - 3 : INT32_MIN + 3) : (int32_t)random32() / 4;
            int64_t sum = d[r];
            for (unsigned k = 0; k < t[i].k; k++) {
                const int x = element(a, r / 8 * stride + k, t[i].type), y = element(b, r % 8 * stride + k, t[i].type);
                sum += t[i].bits == 4 ? x * y : t[i].op[1] == 'x' ? x != y : x && y;
            }
            want[r] = (int32_t)(sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum);
        }
        assert_int_equal(fx_launch(&f, 1, 32, NULL, 1, &stride), 0);
        for (unsigned r = 0; r < 64; r++)
            if (d[r] != want[r])
                fail_msg("%s.%s%s: element %u is %d, expected %d", t[i].shape, t[i].type, t[i].op, r, d[r], want[r]);
        fx_free(&f);
    }
}

// Registers %r10 … of a lane come from p0 (a then b, 6 words a lane), d goes to p1.
static void mma_of_bits(void **s) {
    (void)s;
    static const struct { const char *shape, *op, *d, *a, *b, *c; unsigned m, k, na, nb, nd; } t[] = {
        {"m8n8k128", "xor", "{%r2,%r3}", "{%r10}", "{%r14}", "{%r8,%r8}", 8, 128, 1, 1, 2},
        {"m16n8k128", "xor", "{%r2,%r3,%r4,%r5}", "{%r10,%r11}", "{%r14}", "{%r8,%r8,%r8,%r8}", 16, 128, 2, 1, 4},
        {"m16n8k256", "xor", "{%r2,%r3,%r4,%r5}", "{%r10,%r11,%r12,%r13}", "{%r14,%r15}", "{%r8,%r8,%r8,%r8}", 16, 256, 4, 2, 4},
        {"m16n8k256", "and", "{%r2,%r3,%r4,%r5}", "{%r10,%r11,%r12,%r13}", "{%r14,%r15}", "{%r8,%r8,%r8,%r8}", 16, 256, 4, 2, 4}};
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        char text[2048];
        fixture f;
        snprintf(text, sizeof text, PTX_HEAD ".visible .entry k(.param .u64 p0, .param .u64 p1)\n{\n.reg .b32 %%r<20>; .reg .b64 %%d<6>;\n"
                 "mov.u32 %%r1, %%tid.x; ld.param.u64 %%d1, [p0]; ld.param.u64 %%d2, [p1]; mul.wide.u32 %%d3, %%r1, 32; add.s64 %%d1, %%d1, %%d3; mul.wide.u32 %%d3, %%r1, 16;\n"
                 "add.s64 %%d2, %%d2, %%d3; ld.global.v4.u32 {%%r10,%%r11,%%r12,%%r13}, [%%d1]; ld.global.v2.u32 {%%r14,%%r15}, [%%d1+16]; mov.u32 %%r8, 1000; mov.u32 %%r4, 0; mov.u32 %%r5, 0;\n"
                 "mma.sync.aligned.%s.row.col.s32.b1.b1.s32.%s.popc %s, %s, %s, %s;\nst.global.v4.u32 [%%d2], {%%r2,%%r3,%%r4,%%r5}; ret;\n}\n",
                 t[i].shape, t[i].op, t[i].d, t[i].a, t[i].b, t[i].c);
        fx_load(&f, text);
        uint32_t *in = fx_buffer(&f, NULL, 32 * 32);
        int32_t *d = fx_buffer(&f, NULL, 32 * 16);
        uint8_t a[16][256], b[256][8];
        for (int k = 0; k < 16 * 256; k++)
            a[k / 256][k % 256] = random32() & 1;
        for (int k = 0; k < 256 * 8; k++)
            b[k / 8][k % 8] = random32() & 1;
        for (unsigned l = 0; l < 32; l++) {
            for (unsigned e = 0; e < 32 * t[i].na; e++) {   // a_e: row group, + 8 in odd registers; column 32 t + e % 32, + 128 from the third register on
                const unsigned row = l / 4 + (t[i].m == 16 && e / 32 % 2 ? 8 : 0), col = l % 4 * 32 + e % 32 + (e >= 64 ? 128 : 0);
                in[8 * l + e / 32] |= (uint32_t)a[row][col] << e % 32;
            }
            for (unsigned e = 0; e < 32 * t[i].nb; e++)
                in[8 * l + 4 + e / 32] |= (uint32_t)b[l % 4 * 32 + e % 32 + (e >= 32 ? 128 : 0)][l / 4] << e % 32;
        }
        assert_int_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), 0);
        for (unsigned l = 0; l < 32; l++)
            for (unsigned e = 0; e < t[i].nd; e++) {
                const unsigned row = l / 4 + (e >= 2 ? 8 : 0), col = l % 4 * 2 + e % 2;
                int want = 1000;
                for (unsigned k = 0; k < t[i].k; k++)
                    want += t[i].op[0] == 'x' ? a[row][k] != b[k][col] : a[row][k] && b[k][col];
                if (d[4 * l + e] != want)
                    fail_msg("%s %s: lane %u value %u is %d, expected %d", t[i].shape, t[i].op, l, e, d[4 * l + e], want);
            }
        fx_free(&f);
    }
}

static void bad_forms_fail_at_load(void **s) {
    (void)s;
    static const char *const t[] = {
        "wmma.load.a.sync.aligned.col.m8n8k32.global.s4 {%r1}, [%d1];", "wmma.load.b.sync.aligned.row.m8n8k128.global.b1 {%r1}, [%d1];",
        "wmma.load.a.sync.aligned.row.m16n16k16.global.s4 {%r1}, [%d1];", "wmma.load.a.sync.aligned.row.m8n8k128.global.u4 {%r1}, [%d1];",
        "wmma.mma.sync.aligned.row.col.m8n8k128.s32.b1.b1.s32 {%r1,%r2}, {%r3}, {%r4}, {%r1,%r2};",
        "wmma.mma.xor.popc.sync.aligned.row.col.m8n8k32.s32.s4.s4.s32 {%r1,%r2}, {%r3}, {%r4}, {%r1,%r2};",
        "wmma.mma.sync.aligned.row.row.m8n8k32.s32.s4.s4.s32 {%r1,%r2}, {%r3}, {%r4}, {%r1,%r2};",
        "mma.sync.aligned.m16n8k256.row.col.s32.u4.u4.s32 {%r1,%r2,%r3,%r4}, {%r1,%r2,%r3,%r4}, {%r1,%r2}, {%r1,%r2,%r3,%r4};",
        "mma.sync.aligned.m16n8k128.row.col.s32.b1.b1.s32 {%r1,%r2,%r3,%r4}, {%r1,%r2}, {%r1}, {%r1,%r2,%r3,%r4};",
        "mma.sync.aligned.m16n8k128.row.col.f32.b1.b1.f32.xor.popc {%r1,%r2,%r3,%r4}, {%r1,%r2}, {%r1}, {%r1,%r2,%r3,%r4};"};
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        char text[1024];
        hone_err e = {0};
        ptx_module *m = NULL;
        vg_program *p = NULL;
        snprintf(text, sizeof text, PTX_HEAD ".visible .entry k()\n{\n.reg .b32 %%r<9>; .reg .b64 %%d<3>;\n%s\nret;\n}\n", t[i]);
        hone_code c = ptx_parse(text, strlen(text), &m, &e);
        if (c == HONE_OK)
            c = vg_program_build(m, NULL, NULL, &p, &e);
        if (c == HONE_OK || !strstr(e.msg, "ptx:7:"))
            fail_msg("%s: %s", t[i], c == HONE_OK ? "loaded" : e.msg);
        vg_program_free(p);
        ptx_free(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(wmma_from_memory), cmocka_unit_test(mma_of_bits), cmocka_unit_test(bad_forms_fail_at_load)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
