// Linear rows (vgpu/linear.h) change nothing that a kernel can see: random integer programs, with and without them, write the same memory. The
// programs mix every instruction that has a form on tags with ones that have none, constants at the edges of wrapping, guards, loops that lanes
// leave at different times, and partial warps.
#include "exec_fixture.h"
#include "base/rng.h"
#include "vgpu/decode.h"
#include "vgpu/linear.h"

enum { REGS = 8, PREDS = 4, THREADS = 80, OUT_BYTES = THREADS * REGS * 12, TEXT = 1 << 14 };
typedef struct text { char s[TEXT]; size_t n; hone_rng rng; } text;

static void put(text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(text *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    t->n += (size_t)vsnprintf(t->s + t->n, TEXT - t->n, fmt, ap);
    va_end(ap);
    assert_true(t->n < TEXT);
}
static unsigned below(text *t, unsigned n) { return (unsigned)hone_rng_below(&t->rng, n); }

static const int64_t g_edges[] = {0, 1, -1, 3, 4, 31, 32, 63, 127, 4096, 65535, 65537, 0x7fffffff, -0x7fffffffll - 1, 0x7ffffff0, 0xfffffff0};
static void operand(text *t, char kind) {   // 'r' 32-bit, 'd' 64-bit: a register, or now and then a constant
    if (below(t, 4) == 0)
        put(t, "%lld", (long long)(kind == 'r' ? (int64_t)(int32_t)g_edges[below(t, HONE_COUNT(g_edges))] : g_edges[below(t, HONE_COUNT(g_edges))]));
    else
        put(t, "%%%c%u", kind, below(t, REGS));
}

// d destination, then sources: r, d as above, s a shift amount, p a predicate
static const struct { const char *op, *d, *sources; } g_ops[] = {
    {"add.s32", "r", "rr"}, {"add.s64", "d", "dd"}, {"sub.s32", "r", "rr"}, {"sub.u64", "d", "dd"}, {"mul.lo.s32", "r", "rr"}, {"mul.lo.s64", "d", "dd"},
    {"mul.wide.s32", "d", "rr"}, {"mul.wide.u32", "d", "rr"}, {"mul.hi.s32", "r", "rr"}, {"mad.lo.s32", "r", "rrr"}, {"mad.lo.u64", "d", "ddd"},
    {"mad.wide.s32", "d", "rrd"}, {"mad.wide.u32", "d", "rrd"}, {"shl.b32", "r", "rs"}, {"shl.b64", "d", "ds"}, {"shr.s32", "r", "rs"}, {"shr.u64", "d", "ds"},
    {"mov.b32", "r", "r"}, {"mov.u64", "d", "d"}, {"cvt.s64.s32", "d", "r"}, {"cvt.u64.u32", "d", "r"}, {"cvt.u32.u64", "r", "d"}, {"and.b32", "r", "rr"},
    {"or.b64", "d", "dd"}, {"xor.b32", "r", "rr"}, {"min.s32", "r", "rr"}, {"max.u64", "d", "dd"}, {"div.s32", "r", "rr"}, {"rem.u32", "r", "rr"},
    {"neg.s32", "r", "r"}, {"selp.b32", "r", "rrp"}, {"selp.b64", "d", "ddp"}, {"popc.b32", "r", "r"}, {"bfe.u32", "r", "rss"}, {"abs.s32", "r", "r"},
    {"not.b64", "d", "d"}, {"cvta.to.global.u64", "d", "D"}, {"add.s32", "r", "rr"}, {"add.s64", "d", "dd"}, {"mul.wide.s32", "d", "rr"},
};
static const char *const g_compares[] = {"eq.s32", "ne.u32", "lt.s32", "ge.u32", "gt.s32", "le.s64", "lo.u64", "ne.s64"};

static void statement(text *t) {
    if (below(t, 4) == 0)
        put(t, "@%s%%p%u ", below(t, 2) ? "!" : "", below(t, PREDS));
    if (below(t, 6) == 0) {
        const char *c = g_compares[below(t, HONE_COUNT(g_compares))];
        const char kind = strstr(c, "64") ? 'd' : 'r';
        put(t, "setp.%s %%p%u, %%%c%u, ", c, below(t, PREDS), kind, below(t, REGS));
        operand(t, kind);
        put(t, ";\n");
        return;
    }
    const unsigned k = below(t, HONE_COUNT(g_ops));
    put(t, "%s %%%s%u", g_ops[k].op, g_ops[k].d, below(t, REGS));
    for (const char *s = g_ops[k].sources; *s; s++) {
        put(t, ", ");
        if (*s == 'p')
            put(t, "%%p%u", below(t, PREDS));
        else if (*s == 'D')
            put(t, "%%d%u", below(t, REGS));
        else if (*s == 's' && below(t, 2))
            put(t, "%u", below(t, 70));
        else
            operand(t, *s == 's' ? 'r' : *s);
    }
    put(t, ";\n");
}

// Statements, some of them behind a forward branch; now and then lanes leave the kernel.
static void statements(text *t, unsigned n) {
    for (unsigned k = 0; k < n; k++) {
        const unsigned how = below(t, 12), p = below(t, PREDS), label = (unsigned)t->n;
        if (how == 0)
            put(t, "@%%p%u bra DONE;\n", p);
        if (how == 1 || how == 2)
            put(t, "@%s%%p%u bra L%u;\n", how == 1 ? "!" : "", p, label);
        statement(t);
        if (how == 1 || how == 2) {
            statement(t);
            put(t, "L%u:\n", label);
        }
    }
}

static void program(text *t, uint64_t seed) {
    t->n = 0;
    hone_rng_init(&t->rng, seed, 7);
    put(t, PTX_HEAD ".visible .entry k(.param .u64 p0, .param .u64 p1, .param .u32 n)\n{\n.reg .pred %%p<%u>; .reg .b32 %%r<%u>; .reg .b64 %%d<%u>;\n"
        ".reg .pred %%q; .reg .b32 %%i, %%t, %%b; .reg .b64 %%o, %%in, %%a, %%c;\n", PREDS, REGS, REGS);
    put(t, "ld.param.u64 %%o, [p0]; ld.param.u64 %%in, [p1]; mov.u32 %%r0, %%tid.x; mov.u32 %%r1, %%tid.y; mov.u32 %%r7, %%ntid.x; mad.lo.u32 %%t, %%r1, %%r7, %%r0;\n"
        "mov.u32 %%r2, %%laneid;\n"
        "ld.param.u32 %%r3, [n]; mul.wide.u32 %%d0, %%t, 4; add.s64 %%a, %%in, %%d0; ld.global.u32 %%r4, [%%a]; ld.global.u32 %%r5, [%%in+8];\n"
        "mov.u64 %%d1, %%in; shl.b32 %%r6, %%t, 3; ld.global.u64 %%d2, [%%in+16]; mov.u64 %%d3, 5; cvt.u64.u32 %%d4, %%t;\n"
        "mov.u64 %%d5, -1; mov.u64 %%d6, 0; mov.u64 %%d7, %%o; mov.u32 %%i, 0;\n");
    for (unsigned k = 0; k < PREDS; k++)
        put(t, "setp.lt.u32 %%p%u, %%t, %u;\n", k, below(t, 70));
    statements(t, 14);
    put(t, "LOOP:\n");
    statements(t, 16);
    put(t, "rem.u32 %%b, %s, 6; add.s32 %%i, %%i, 1; setp.lt.u32 %%q, %%i, %%b; @%%q bra LOOP;\n", below(t, 2) ? "5" : "%r2");
    statements(t, 6);
    put(t, "mad.wide.u32 %%c, %%t, %u, %%o;\n", REGS * 12);
    for (unsigned k = 0; k < REGS; k++)   // comparing makes a register worth tracking
        put(t, "setp.eq.s32 %%q, %%r%u, 0; setp.eq.s64 %%q, %%d%u, 0; st.global.u64 [%%c+%u], %%d%u; st.global.u32 [%%c+%u], %%r%u;\n", k, k, k * 8, k,
            REGS * 8 + k * 4, k);
    put(t, "DONE:\nret;\n}\n");
}

// schedule: 0 or a seed; with one, diverged lanes run in any order.
static size_t run(const text *t, uint32_t width, bool on_values, uint64_t schedule, uint8_t out[OUT_BYTES]) {
    fixture f;
    hone_err e = {0};
    fx_load(&f, t->s);
    if (on_values) {
        vg_program_free(f.program);
        if (vg_program_build_on_values(f.ptx, NULL, NULL, &f.program, &e) != HONE_OK)
            fail_msg("%s", e.msg);
        f.code = vg_program_find(f.program, "k");
    }
    uint32_t in[THREADS], n = 3;
    for (uint32_t i = 0; i < THREADS; i++)
        in[i] = i * i * 2654435761u;
    memset(out, 0, OUT_BYTES);
    uint8_t *memory = fx_buffer(&f, out, OUT_BYTES);
    fx_buffer(&f, in, sizeof in);
    assert_int_equal(fx_launch(&f, 2, width, &(fx_options){.flags = HONE_VGPU_CHECK, .threads = 1, .block_y = THREADS / width, .seed = schedule}, 1, &n), 0);
    memcpy(out, memory, OUT_BYTES);
    size_t tracked = 0;
    for (size_t i = 0; f.code->linear && i < f.code->n_insts; i++)
        tracked += f.code->linear[i].tracked;
    fx_free(&f);
    return tracked;
}

static void random_programs_agree(void **state) {
    (void)state;
    static text t;
    static uint8_t tracked[OUT_BYTES], values[OUT_BYTES];
    size_t n_tracked = 0;
    const char *how_many = getenv("HONE_LINEAR_PROGRAMS");
    for (uint64_t seed = 1; seed <= (how_many ? strtoull(how_many, NULL, 10) : 300); seed++) {
        static const uint32_t widths[] = {THREADS, 16, 8};   // of the block, whose last warp is not whole
        const uint32_t width = widths[seed % HONE_COUNT(widths)];
        program(&t, seed);
        n_tracked += run(&t, width, false, 0, tracked);
        for (uint64_t schedule = 0; schedule < 2; schedule++) {
            assert_int_equal(run(&t, width, true, schedule * seed, values), 0);
            if (memcmp(tracked, values, OUT_BYTES))
                fail_msg("program %llu differs (schedule %llu):\n%s", (unsigned long long)seed, (unsigned long long)(schedule * seed), t.s);
        }
    }
    assert_true(n_tracked > 3000);   // the programs do exercise them
}

static void spill_and_detect(void **state) {
    (void)state;
    _Alignas(64) uint8_t file[64 + 256 + 64 + 128] = {0};
    const uint32_t wide = 64, narrow = 64 + 256 + 64;
    *vg_tag_at(file, wide) = (vg_tag){.base = 100, .stride = (uint64_t)-3, .flags = VG_LINEAR | VG_STALE};
    vg_linear_spill(file, wide, true);
    for (unsigned l = 0; l < VG_LANES; l++)
        assert_int_equal(((uint64_t *)(void *)(file + wide))[l], 100 - 3 * (uint64_t)l);
    assert_int_equal(vg_tag_at(file, wide)->flags, VG_LINEAR);
    *vg_tag_at(file, narrow) = (vg_tag){.base = 0xfffffff0u, .stride = 4, .flags = VG_LINEAR | VG_STALE};
    vg_linear_spill(file, narrow, false);
    uint32_t *row = (uint32_t *)(void *)(file + narrow);
    for (unsigned l = 0; l < VG_LANES; l++)
        assert_int_equal(row[l], 0xfffffff0u + 4 * l);   // wraps
    vg_linear_detect(file, narrow, false);
    assert_int_equal(vg_tag_at(file, narrow)->flags, VG_LINEAR);
    row[17]++;
    vg_linear_detect(file, narrow, false);
    assert_int_equal(vg_tag_at(file, narrow)->flags, 0);
    for (unsigned width = 8; width < VG_LANES; width *= 2) {
        *vg_tag_at(file, narrow) = (vg_tag){.base = 7, .stride = 4, .flags = VG_PLANE | VG_STALE, .width = width, .jump = 0xffffff00u};
        vg_linear_spill(file, narrow, false);
        for (unsigned l = 0; l < VG_LANES; l++)
            assert_int_equal(row[l], 7 + 4 * (l % width) - 256 * (l / width));
        vg_linear_detect(file, narrow, false);
        assert_int_equal(vg_tag_at(file, narrow)->flags, VG_PLANE);
        assert_int_equal(vg_tag_at(file, narrow)->width, width);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_programs_agree), cmocka_unit_test(spill_and_detect)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
