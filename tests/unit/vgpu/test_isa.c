// Instruction families beside plain arithmetic, each against a reference written here: video instructions, wide loads and stores, packed conversions,
// three-input minima, the device heap, indirect calls; and that a load names every instruction it does not know.
#include "alu_fixture.h"

// --- video ------------------------------------------------------------------------------------------------------------------------
static int64_t field(uint32_t x, int bits, int at, int is_signed) {
    int64_t v = (int64_t)(x >> (bits * at)) & ((1ll << bits) - 1);
    return is_signed && v >> (bits - 1) ? v - (1ll << bits) : v;
}
static int64_t limit(int64_t x, int is_signed, int bits) {
    const int64_t hi = is_signed ? (1ll << (bits - 1)) - 1 : (1ll << bits) - 1, lo = is_signed ? -(1ll << (bits - 1)) : 0;
    return x > hi ? hi : x < lo ? lo : x;
}
static int64_t apply(const char *op, int64_t a, int64_t b) {
    if (!strncmp(op, "add", 3)) return a + b;
    if (!strncmp(op, "sub", 3)) return a - b;
    if (!strncmp(op, "abs", 3)) return a < b ? b - a : a - b;
    if (!strncmp(op, "min", 3)) return a < b ? a : b;
    if (!strncmp(op, "max", 3)) return a < b ? b : a;
    return a + b >= 0 ? (a + b + 1) >> 1 : (a + b) >> 1;
}
static const struct { const char *name, *key; } video_ops[] = {{"vadd", "add"}, {"vsub", "sub"}, {"vabsdiff", "abs"}, {"vmin", "min"}, {"vmax", "max"}, {"vavrg", "avg"}};

static void video_packed(void **s) {
    (void)s;
    static alu t;
    static const uint64_t edges[] = {0, 0xffffffff, 0x80808080, 0x7f7f7f7f, 0x00ff8001, 0x80007fff};
    alu_fill(&t, edges, HONE_COUNT(edges), 9);
    t.n = 2048;
    for (size_t o = 0; o < HONE_COUNT(video_ops); o++)
        for (int parts = 2; parts <= 4; parts += 2)
            for (int sg = 0; sg < 2; sg++)
                for (int mode = 0; mode < 3; mode++) {   // plain, .sat, .add
                    char line[128];
                    const char *type = sg ? "s32" : "u32";
                    snprintf(line, sizeof line, "%s%d.%s.%s.%s%s %%d, %%a, %%b, %%c;", video_ops[o].name, parts, type, type, type, mode == 1 ? ".sat" : mode == 2 ? ".add" : "");
                    alu_run(&t, line, 'd');
                    for (unsigned i = 0; i < t.n; i++) {
                        const int bits = 32 / parts;
                        uint32_t want = mode == 2 ? (uint32_t)t.c[i] : 0;
                        for (int p = 0; p < parts; p++) {
                            int64_t r = apply(video_ops[o].key, field((uint32_t)t.a[i], bits, p, sg), field((uint32_t)t.b[i], bits, p, sg));
                            if (mode == 1)
                                r = limit(r, sg, bits);
                            want += mode == 2 ? (uint32_t)r : ((uint32_t)r & (uint32_t)((1ll << bits) - 1)) << (bits * p);
                        }
                        if (t.d[i] != want)
                            ALU_FAIL(&t, i, line, want);
                    }
                }
}
// One line per kind of selector and second operation.
static void video_scalar(void **s) {
    (void)s;
    static alu t;
    static const struct { const char *line; uint32_t a, b, c, want; } rows[] = {
        {"vadd.u32.u32.u32 %d, %a, %b;", 0xffffffff, 2, 0, 1}, {"vadd.u32.u32.u32.sat %d, %a, %b;", 0xffffffff, 2, 0, 0xffffffff},
        {"vadd.s32.s32.s32.sat %d, %a, %b;", 0x7fffffff, 1, 0, 0x7fffffff}, {"vadd.s32.s32.s32 %d, %a.b0, %b.b3;", 0x80, 0xff000000, 0, (uint32_t)-129},
        {"vadd.s32.s32.s32 %d.h1, %a.h0, %b.h1, %c;", 0x8000, 0x00010000, 0x11112222, 0x80012222},
        {"vadd.s32.s32.s32.sat %d.b2, %a.h0, %b.h1, %c;", 0x8000, 0x00010000, 0x11112222, 0x11802222},
        {"vsub.s32.u32.u32.add %d, %a, %b, %c;", 3, 5, 10, 8}, {"vsub.u32.u32.u32.sat %d, %a, %b;", 3, 5, 0, 0}, {"vabsdiff.u32.s32.s32.max %d, %a, %b, %c;", 0xffffffff, 1, 1, 2},
        {"vmin.s32.s32.u32 %d, %a, %b;", 0x80000000, 0x80000000, 0, 0x80000000}, {"vmax.u32.s32.u32 %d, %a, %b;", 0x80000000, 0x80000000, 0, 0x80000000},
        {"vshl.u32.u32.u32.clamp %d, %a, %b;", 0xf1, 33, 0, 0}, {"vshl.u32.u32.u32.wrap %d, %a, %b;", 0xf1, 33, 0, 0x1e2},
        {"vshl.u32.u32.u32.sat.clamp %d, %a, %b;", 0xf1000000, 4, 0, 0xffffffff}, {"vshl.s32.s32.u32.sat.clamp %d, %a, %b;", 0x80000001, 31, 0, 0x80000000},
        {"vshr.s32.s32.u32.clamp %d, %a, %b;", 0x80000000, 40, 0, 0xffffffff}, {"vshr.u32.u32.u32.wrap.add %d, %a, %b, %c;", 0x80, 35, 5, 0x15},
        {"vmad.s32.s32.s32 %d, %a.b1, %b, %c;", 0xfe00, 3, 10, 4}, {"vmad.u32.u32.u32.shr7 %d, %a, %b, %c;", 0xffffffff, 0xffffffff, 0xffffffff, 0xfe000000},
        {"vmad.u32.u32.u32.sat %d, %a, %b, %c;", 0x10000, 0x10000, 1, 0xffffffff}, {"vmad.s32.s32.s32.sat.shr15 %d, %a, %b, %c;", 0x80000000, 0x7fffffff, 0, 0x80000000},
        {"vset.s32.u32.lt %d, %a, %b;", 0xffffffff, 0, 0, 1}, {"vset.u32.u32.lt.add %d, %a.h1, %b.b0, %c;", 0x00010000, 2, 7, 8},
        {"vset4.u32.u32.ge %d, %a, %b, %c;", 0x01020304, 0x02020203, 0, 0x00010101}, {"vset2.s32.s32.eq.add %d, %a, %b, %c;", 0x00050006, 0x00050006, 40, 42},
        {"vadd4.u32.u32.u32 %d.b20, %a, %b, %c;", 0x01010101, 0x01020304, 0xaabbccdd, 0xaa03cc05}, {"vadd2.u32.u32.u32 %d, %a.h32, %b.h10, %c;", 0x00010002, 0x00100020, 0, 0x00110022},
        {"cvt.pack.sat.s8.s32.b32 %d, %a, %b, %c;", 300, (uint32_t)-300, 0x1234, 0x12347f80}, {"cvt.pack.sat.u16.s32 %d, %a, %b;", 70000, (uint32_t)-1, 0, 0xffff0000},
        {"cvt.pack.sat.u4.s32.b32 %d, %a, %b, %c;", 3, 99, 5, 0x53f}, {"cvt.pack.sat.s2.s32.b32 %d, %a, %b, %c;", 9, (uint32_t)-9, 1, 0x16},
        {"min.relu.s32 %d, %a, %b;", (uint32_t)-5, 3, 0, 0}, {"max.relu.s32 %d, %a, %b;", (uint32_t)-5, (uint32_t)-3, 0, 0}, {"max.relu.s32 %d, %a, %b;", 5, 3, 0, 5},
        {"min.relu.s16x2 %d, %a, %b;", 0x0005fff0, 0x00060001, 0, 0x00050000}, {"mad24.hi.sat.s32 %d, %a, %b, %c;", 0x7fffff, 0x7fffff, 0x7fffffff, 0x7fffffff},
        {"min.f32 %d, %a, %b, %c;", 0x40000000, 0x3f800000, 0x40400000, 0x3f800000}, {"max.NaN.f32 %d, %a, %b, %c;", 0x40000000, 0x7fc00000, 0x40400000, 0x7fffffff},
        {"max.abs.f32 %d, %a, %b, %c;", 0x40000000, 0x3f800000, 0xc0400000, 0x40400000}, {"min.f32 %d, %a, %b, %c;", 0x7fc00000, 0x7fc00000, 0x40400000, 0x40400000},
        {"redux.sync.max.abs.f32 %d, %a, 0xffffffff;", 0xc0400000, 0, 0, 0x40400000}, {"redux.sync.min.NaN.f32 %d, %a, 0xffffffff;", 0x7fc00001, 0, 0, 0x7fffffff},
    };
    t.n = 32;
    for (size_t r = 0; r < HONE_COUNT(rows); r++) {
        for (unsigned i = 0; i < 32; i++)
            t.a[i] = rows[r].a, t.b[i] = rows[r].b, t.c[i] = rows[r].c;
        alu_run(&t, rows[r].line, 'd');
        for (unsigned i = 0; i < 32; i++)
            if (t.d[i] != rows[r].want)
                ALU_FAIL(&t, i, rows[r].line, (uint64_t)rows[r].want);
    }
}

// --- memory -----------------------------------------------------------------------------------------------------------------------
static void wide_accesses(void **s) {
    (void)s;
    fixture f;
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 to, .param .u64 from)\n{\n.reg .b64 %l<20>; .reg .b32 %r<20>; .reg .b128 %q<3>; .shared .align 32 .b8 sv[64];\n"
                "mov.u32 %r9, %tid.x; mul.wide.u32 %l1, %r9, 96; ld.param.u64 %l2, [to]; add.s64 %l2, %l2, %l1; ld.param.u64 %l3, [from]; add.s64 %l3, %l3, %l1;\n"
                "ld.global.b128 %q1, [%l3]; st.global.b128 [%l2+16], %q1; ld.global.b128 %q2, [%l3+16]; st.global.b128 [%l2], %q2;\n"
                "ld.global.v8.b32 {%r1, %r2, %r3, %r4, %r5, %r6, %r7, %r8}, [%l3+32]; st.global.v8.b32 [%l2+32], {%r8, %r7, %r6, %r5, %r4, %r3, %r2, %r1};\n"
                "ld.global.v4.u64 {%l4, %l5, %l6, %l7}, [%l3+64]; st.global.v4.u64 [%l2+64], {%l7, %l6, %l5, %l4};\n"
                "mov.b128 {%l8, %l9}, %q1; mov.b128 %q1, {%l9, %l8}; ret;\n}\n");
    enum { LANES = 32, BYTES = 96 * LANES };
    uint32_t in[BYTES / 4];
    for (unsigned i = 0; i < BYTES / 4; i++)
        in[i] = i * 2654435761u;
    const uint32_t *out = fx_buffer(&f, NULL, BYTES);
    fx_buffer(&f, in, BYTES);
    assert_int_equal(fx_launch(&f, 1, LANES, NULL, 0, NULL), 0);
    for (unsigned l = 0; l < LANES; l++) {
        const uint32_t *a = in + 24 * l, *b = out + 24 * l;
        for (unsigned i = 0; i < 8; i++) {
            assert_int_equal(b[i], a[i ^ 4]);
            assert_int_equal(b[8 + i], a[8 + 7 - i]);
            assert_int_equal(b[16 + i], a[16 + (6 - (i & ~1u)) + (i & 1)]);
        }
    }
    fx_free(&f);
}

static const char heap_head[] = PTX_HEAD ".extern .func (.param .b64 r) malloc (.param .b64 p);\n.extern .func free (.param .b64 p);\n"
    ".visible .entry k(.param .u64 to)\n{\n.reg .b64 %l<20>; .reg .b32 %r<9>; .reg .pred %p<3>; mov.u32 %r1, %tid.x; mul.wide.u32 %l1, %r1, 8; ld.param.u64 %l2, [to];\n"
    "add.s64 %l2, %l2, %l1; mov.u64 %l3, 40;\n{ .param .b64 a; .param .b64 b; st.param.b64 [a], %l3; call.uni (b), malloc, (a); ld.param.b64 %l4, [b]; }\n";
#define FREE "{ .param .b64 a; st.param.b64 [a], %l4; call.uni free, (a); }\n"

static void run_heap(const char *body, size_t limit, uint64_t *out, uint32_t want, const char *finding) {
    char text[4096];
    snprintf(text, sizeof text, "%s%s ret;\n}\n", heap_head, body);
    fixture f;
    fx_load(&f, text);
    f.ctx->heap_bytes = limit;
    uint64_t *d = fx_buffer(&f, NULL, 256);
    assert_int_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), want);
    memcpy(out, d, 256);
    honeVgpuFinding found[4];
    const uint32_t n = fx_findings(&f, found, 4);
    assert_int_equal(n > 0, finding != NULL);
    if (finding)
        assert_string_equal(found[0].kind, finding);
    fx_free(&f);
}
static void heap(void **s) {
    (void)s;
    uint64_t out[32];
    const char *use = "st.u32 [%l4], %r1; st.u32 [%l4+36], %r1; ld.u32 %r2, [%l4+36]; cvt.u64.u32 %l5, %r2; st.global.u64 [%l2], %l5;\n";
    char body[1024];
    snprintf(body, sizeof body, "%s%s", use, FREE);
    run_heap(body, 1 << 20, out, 0, NULL);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(out[i], i);
    run_heap("st.global.u64 [%l2], %l4;\n", 400, out, 0, NULL);   // room for ten of them
    unsigned given = 0;
    for (unsigned i = 0; i < 32; i++) {
        given += out[i] != 0;
        assert_int_equal(out[i] % 16, 0);
    }
    assert_int_equal(given, 10);
    run_heap(FREE FREE, 1 << 20, out, 700, "memory.bad-free");
    run_heap("add.s64 %l4, %l4, 8;\n" FREE, 1 << 20, out, 700, "memory.bad-free");
    run_heap(FREE "ld.u32 %r2, [%l4];\n", 1 << 20, out, 700, "memory.use-after-free");
    run_heap("st.u32 [%l4+40], %r1;\n", 1 << 20, out, 700, "memory.out-of-bounds");
    run_heap("ld.u32 %r2, [%l4];\n", 1 << 20, out, 0, "memory.uninitialized");
}

// --- calls ------------------------------------------------------------------------------------------------------------------------
static void indirect_calls(void **s) {   // lanes of one warp call two functions through one register
    (void)s;
    fixture f;
    fx_load(&f, PTX_HEAD ".func (.param .b32 r) twice (.param .b32 x) { .reg .b32 %r<3>; ld.param.b32 %r1, [x]; shl.b32 %r2, %r1, 1; st.param.b32 [r], %r2; ret; }\n"
                ".func (.param .b32 r) square (.param .b32 x) { .reg .b32 %r<3>; ld.param.b32 %r1, [x]; mul.lo.s32 %r2, %r1, %r1; st.param.b32 [r], %r2; ret; }\n"
                ".visible .entry k(.param .u64 to)\n{\n.reg .b64 %l<9>; .reg .b32 %r<9>; .reg .pred %p<3>; mov.u32 %r1, %tid.x; mul.wide.u32 %l1, %r1, 4; ld.param.u64 %l2, [to];\n"
                "add.s64 %l2, %l2, %l1; mov.u64 %l3, twice; mov.u64 %l4, square; and.b32 %r2, %r1, 1; setp.eq.s32 %p1, %r2, 0; selp.b64 %l5, %l3, %l4, %p1;\n"
                "{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r1; proto: .callprototype (.param .b32 _) _ (.param .b32 _); call (b), %l5, (a), proto; ld.param.b32 %r3, [b]; }\n"
                "st.global.u32 [%l2], %r3; ret;\n}\n");
    const uint32_t *out = fx_buffer(&f, NULL, 128);
    assert_int_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), 0);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(out[i], i % 2 ? i * i : 2 * i);
    fx_free(&f);
}

// --- what is missing is told at once ------------------------------------------------------------------------------------------------
static void all_issues(void **s) {
    (void)s;
    static const char text[] = PTX_HEAD ".visible .entry k()\n{\n.reg .b32 %r<9>; .reg .b64 %l<9>;\nfrobnicate.b32 %r1, %r2;\nadd.u32 %r1, %r1, %r2;\nshfl.sync.up.b64 %l1, %l2, 1, 31, -1;\n"
                               "add.fuzzy.u32 %r1, %r2, %r3;\nmax.relu.u32 %r1, %r2, %r3;\nret;\n}\n";
    vg_device device;
    vg_context *ctx = NULL;
    vg_module *m = NULL;
    hone_err e = {0};
    assert_int_equal(vg_device_load("h200", &device, &e), HONE_OK);
    assert_int_equal(vg_context_new(&device, 1 << 20, &ctx, &e), HONE_OK);
    assert_int_equal(vg_module_load(ctx, text, sizeof text - 1, &m, &e), HONE_E_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "ptx:7:1: unknown opcode 'frobnicate'"));
    assert_non_null(strstr(e.msg, "ptx:9:"));
    assert_non_null(strstr(e.msg, "ptx:10:4: unknown modifier '.fuzzy'"));
    assert_non_null(strstr(e.msg, "ptx:11:1: opcode 'max.u32'"));
    assert_null(strstr(e.msg, "ptx:8:"));
    vg_context_free(ctx);
    vg_device_free(&device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(video_packed), cmocka_unit_test(video_scalar), cmocka_unit_test(wide_accesses), cmocka_unit_test(heap), cmocka_unit_test(indirect_calls),
        cmocka_unit_test(all_issues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
