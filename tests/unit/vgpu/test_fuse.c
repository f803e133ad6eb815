// Instructions put together (vgpu/fuse.h) change nothing that a kernel can see: random programs of float loads, arithmetic and stores, some of them
// to the memory that is loaded from, write the same bytes with and without. And findings name the load, not the arithmetic that it moved to.
#include "exec_fixture.h"
#include "base/rng.h"
#include "hone_vgpu.h"
#include "vgpu/decode.h"

enum { FLOATS = 6, THREADS = 80, CELLS = 168, BYTES = CELLS * 4, TEXT = 1 << 14 };
typedef struct text { char s[TEXT]; size_t n; hone_rng rng; bool stores; } text;

static void put(text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(text *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    t->n += (size_t)vsnprintf(t->s + t->n, TEXT - t->n, fmt, ap);
    va_end(ap);
    assert_true(t->n < TEXT);
}
static unsigned below(text *t, unsigned n) { return (unsigned)hone_rng_below(&t->rng, n); }

// Address registers of global memory g0 (a cell per lane), g1 (one for all), g2 (two cells apart), g3 (moves); of shared memory s0, s1 likewise.
static void address(text *t, bool shared) {
    put(t, "[%%%c%u+%u]", shared ? 's' : 'g', below(t, shared ? 2 : 4), 4 * below(t, 4));
}

static void arithmetic(text *t) {
    static const char *const ops[] = {"fma.rn.f32", "fma.rn.f32", "fma.rn.ftz.f32", "add.f32", "add.ftz.f32", "mul.f32", "mul.ftz.f32", "sub.f32", "fma.rz.f32"};
    const char *op = ops[below(t, HONE_COUNT(ops))];
    if (below(t, 8) == 0)
        put(t, "@%%p ");
    put(t, "%s %%f%u, %%f%u, %%f%u", op, below(t, FLOATS), below(t, FLOATS), below(t, FLOATS));
    if (op[0] == 'f')
        put(t, ", %%f%u", below(t, FLOATS));
    put(t, ";\n");
}

static void statement(text *t) {
    const bool shared = below(t, 3) == 0;
    const unsigned kind = below(t, 12);
    if (kind < 6) {
        if (below(t, 8) == 0)
            put(t, "@!%%p ");
        put(t, "ld.%s.f32 %%f%u, ", shared ? (below(t, 9) ? "shared" : "volatile.shared") : "global", below(t, FLOATS));
        address(t, shared);
        put(t, ";\n");
    } else if (kind == 6 && t->stores) {
        put(t, "st.%s.f32 ", shared ? "shared" : "global");
        put(t, shared ? "[%%s0+%u], %%f%u;\n" : "[%%g0+%u], %%f%u;\n", 4 * below(t, 2) * THREADS, below(t, FLOATS));
    } else if (kind == 7) {
        put(t, "add.s64 %%g3, %%g3, %d; and.b64 %%g3, %%g3, %%m;\n", (int)below(t, 3) * 4);
    } else {
        arithmetic(t);
    }
}

static void program(text *t, uint64_t seed, bool stores) {
    t->n = 0;
    t->stores = stores;
    hone_rng_init(&t->rng, seed, 11);
    put(t, PTX_HEAD ".visible .entry k(.param .u64 p0, .param .u64 p1, .param .u32 n)\n{\n.reg .pred %%p, %%q; .reg .b32 %%t, %%s<2>, %%i; .reg .b64 %%g<4>, %%d, %%m, %%o;\n"
        ".reg .f32 %%f<%u>; .shared .align 4 .b8 cells[%u];\n", FLOATS, BYTES + 16);
    put(t, "ld.param.u64 %%o, [p0]; ld.param.u64 %%g1, [p1]; mov.u32 %%t, %%tid.y; mov.u32 %%i, %%ntid.x; mov.u32 %%s0, %%tid.x; mad.lo.u32 %%t, %%t, %%i, %%s0; mul.wide.u32 %%d, %%t, 4; add.s64 %%g0, %%g1, %%d; mul.wide.u32 %%g2, %%s0, 4; add.s64 %%g2, %%g0, %%g2;\n"
        "mov.u64 %%g3, %%g1; mov.u64 %%m, -1; mov.u32 %%s1, cells; shl.b32 %%s0, %%t, 2; add.s32 %%s0, %%s0, %%s1; setp.lt.u32 %%p, %%t, %u;\n",
        below(t, 3) * 16 + 8);
    for (unsigned k = 0; k < FLOATS; k++)
        put(t, "ld.global.f32 %%f%u, [%%g0+%u]; st.shared.f32 [%%s0+%u], %%f%u;\n", k, 4 * k, 4 * (k % 2) * THREADS, k);
    put(t, "bar.sync 0;\nmov.u32 %%i, 0;\nLOOP:\nmov.u64 %%g3, %%g1;\n");
    for (unsigned k = 0; k < 40; k++)
        statement(t);
    put(t, "add.s32 %%i, %%i, 1; setp.lt.u32 %%q, %%i, %s; @%%q bra LOOP;\n", below(t, 2) ? "3" : "%t");
    put(t, "mad.wide.u32 %%g0, %%t, %u, %%o;\n", FLOATS * 4);
    for (unsigned k = 0; k < FLOATS; k++)
        put(t, "st.global.f32 [%%g0+%u], %%f%u;\n", 4 * k, k);
    put(t, "ret;\n}\n");
}

static unsigned run(const text *t, uint32_t threads, uint32_t width, bool on_values, uint8_t out[THREADS * FLOATS * 4 + BYTES]) {
    fixture f;
    hone_err e = {0};
    fx_load(&f, t->s);
    if (on_values) {
        vg_program_free(f.program);
        if (vg_program_build_on_values(f.ptx, NULL, NULL, &f.program, &e) != HONE_OK)
            fail_msg("%s", e.msg);
        f.code = vg_program_find(f.program, "k");
    }
    float in[CELLS];
    for (uint32_t i = 0; i < CELLS; i++)
        in[i] = (float)(int32_t)(i * i * 2654435761u) * 1e-9f;
    in[7] = 1e-40f;
    in[70] = __builtin_inff();
    memset(out, 0, THREADS * FLOATS * 4);
    const uint32_t n = 0;
    uint8_t *results = fx_buffer(&f, out, THREADS * FLOATS * 4), *cells = fx_buffer(&f, in, sizeof in);
    assert_int_equal(fx_launch(&f, 1, width, &(fx_options){.flags = HONE_VGPU_CHECK, .threads = 1, .block_y = threads / width}, 1, &n), 0);
    memcpy(out, results, THREADS * FLOATS * 4);
    memcpy(out + THREADS * FLOATS * 4, cells, BYTES);
    unsigned fused = 0;
    for (size_t i = 0; i < f.code->n_blocks; i++)
        fused += f.code->blocks[i].n_fused != 0;
    fx_free(&f);
    return fused;
}

static void random_programs_agree(void **state) {
    (void)state;
    static text t;
    static uint8_t fused[THREADS * FLOATS * 4 + BYTES], values[sizeof fused];
    unsigned n_fused = 0;
    const char *how_many = getenv("HONE_FUSE_PROGRAMS");
    for (uint64_t seed = 1; seed <= (how_many ? strtoull(how_many, NULL, 10) : 300); seed++) {
        const uint32_t threads = seed % 3 ? 32 : THREADS;   // one warp, whose stores nobody else sees; or three, the last of half a warp
        program(&t, seed, threads == 32);
        const uint32_t width = seed % 2 ? threads : 16;
        n_fused += run(&t, threads, width, false, fused);
        assert_int_equal(run(&t, threads, width, true, values), 0);
        if (memcmp(fused, values, sizeof fused))
            fail_msg("program %llu differs:\n%s", (unsigned long long)seed, t.s);
    }
    assert_true(n_fused > 100);   // the programs do exercise it
}

// The load of the second factor passes the end of the buffer; the arithmetic is three lines further down.
static void a_finding_names_the_load(void **state) {
    (void)state;
    fixture f;
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p0)\n{\n.reg .b64 %a, %d; .reg .b32 %t; .reg .f32 %x, %y, %z;\n"
        "ld.param.u64 %a, [p0]; mov.u32 %t, %tid.x; mul.wide.u32 %d, %t, 4; add.s64 %d, %d, %a; mov.f32 %z, 0f3f800000;\n"
        "ld.global.f32 %x, [%a];\n"
        "ld.global.f32 %y, [%d+4];\n"
        "mov.u32 %t, 5;\n\n"
        "fma.rn.f32 %z, %x, %y, %z;\nst.global.f32 [%a], %z;\nret;\n}\n");
    assert_true(f.code->blocks[0].n_fused && f.code->blocks[0].n_fused < f.code->blocks[0].n);
    float in[32] = {0};
    fx_buffer(&f, in, sizeof in);
    assert_int_equal(fx_launch(&f, 1, 32, NULL, 0, NULL), VG_CU_ILLEGAL_ADDRESS);
    honeVgpuFinding found[4];
    assert_int_equal(fx_findings(&f, found, 4), 1);
    assert_string_equal(found[0].kind, "memory.out-of-bounds");
    assert_int_equal(found[0].ptx_line, 9);
    assert_int_equal(found[0].thread[0], 31);
    fx_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_programs_agree), cmocka_unit_test(a_finding_names_the_load)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
