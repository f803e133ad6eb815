// The sanitizer beyond shared memory, in PTX: races between blocks, what orders them, local memory, registers; and barriers that an arrival or
// an exit completes. The labelled kernels of tests/sanitizer are the longer test; these need no compiler.
#include "exec_fixture.h"

// %q0: the buffer, %t: thread, %c: block, %o: thread * 4, %p0: thread 0, %p1: thread >= 32
static const char g_head[] = PTX_HEAD
    ".visible .entry k(.param .u64 out)\n{\n.local .align 4 .b8 mine[64];\n.reg .pred %p<8>;\n.reg .b32 %t, %c, %n, %o, %v, %x, %y, %u;\n.reg .b64 %q<6>;\n"
    "ld.param.u64 %q0, [out];\nmov.u32 %t, %tid.x;\nmov.u32 %c, %ctaid.x;\nmov.u32 %n, %nctaid.x;\nshl.b32 %o, %t, 2;\ncvt.u64.u32 %q1, %o;\nadd.u64 %q1, %q0, %q1;\n"
    "mul.wide.u32 %q2, %c, 4;\nadd.u64 %q2, %q0, %q2;\nsetp.eq.u32 %p0, %t, 0;\nsetp.ge.u32 %p1, %t, 32;\n";
#define LAST_BLOCK(fence) "st.global.u32 [%q2], %c;\n" fence "atom.global.add.u32 %x, [%q0+256], 1;\nadd.u32 %x, %x, 1;\nsetp.ne.u32 %p2, %x, %n;\n@%p2 ret;\n" \
    fence "ld.global.u32 %x, [%q0];\nld.global.u32 %y, [%q0+4];\nst.global.u32 [%q0+512], %y;\n"

static const struct { const char *name, *body, *kind; unsigned blocks, threads; } g_cases[] = {
    {"blocks write one word", "@%p0 st.global.u32 [%q0], %c;\n", "race.global", 4, 32},
    {"blocks write one value", "mov.u32 %v, 7;\n@%p0 st.global.u32 [%q0], %v;\n", NULL, 4, 32},
    {"lanes write one word", "st.global.u32 [%q0], %t;\n", "race.global", 1, 32},
    {"warps write one word", "shr.u32 %v, %t, 5;\nst.global.u32 [%q0], %v;\n", "race.global", 1, 64},
    {"every thread its own", "st.global.u32 [%q1], %t;\nld.global.u32 %x, [%q1];\n", NULL, 1, 64},
    {"neighbour after a barrier", "st.global.u32 [%q1], %t;\nbar.sync 0;\nld.global.u32 %x, [%q0+132];\n", NULL, 1, 64},
    {"neighbour without a barrier", "st.global.u32 [%q1], %t;\nld.global.u32 %x, [%q0+132];\nst.global.u32 [%q1+512], %x;\n", "race.global", 1, 64},
    {"last block", LAST_BLOCK("membar.gl;\n"), NULL, 4, 1},
    {"last block without fences", LAST_BLOCK(""), "race.global", 4, 1},
    {"last block with fences of the block", LAST_BLOCK("membar.cta;\n"), "race.global", 4, 1},
    {"atomics of scope block", "atom.relaxed.cta.global.add.u32 %x, [%q0], 1;\n", "race.scope", 2, 1},
    {"local written first", "st.local.u32 [mine+4], %t;\nld.local.u32 %x, [mine+4];\n", NULL, 1, 32},
    {"local never written", "st.local.u32 [mine+4], %t;\nld.local.u32 %x, [mine+8];\n", "memory.uninitialized-local", 1, 32},
    {"register never written is stored", "st.global.u32 [%q1], %u;\n", "register.uninitialized", 1, 32},
    {"register written on one path", "@%p0 mov.u32 %u, 3;\nadd.u32 %x, %u, 1;\nst.global.u32 [%q1], %x;\n", "register.uninitialized", 1, 32},
    {"register written on both paths", "@%p0 mov.u32 %u, 3;\n@!%p0 mov.u32 %u, 4;\nadd.u32 %x, %u, 1;\nst.global.u32 [%q1], %x;\n", NULL, 1, 32},
    {"register copied and dropped", "mov.u32 %x, %u;\nadd.u32 %x, %x, 1;\nst.global.u32 [%q1], %t;\n", NULL, 1, 32},
};
enum { ALL = HONE_VGPU_CHECK | HONE_VGPU_RACE | HONE_VGPU_RACE_GLOBAL | HONE_VGPU_INIT, WORDS = 1024 };

static uint32_t findings_of(unsigned i, uint32_t flags, uint64_t seed, honeVgpuFinding *f) {
    fixture x;
    char text[8192];
    static const uint32_t zeros[WORDS];
    snprintf(text, sizeof text, "%s%sret;\n}\n", g_head, g_cases[i].body);
    fx_load(&x, text);
    fx_buffer(&x, zeros, sizeof zeros);
    fx_options o = {.flags = flags, .threads = 1, .budget = 1 << 20, .seed = seed};
    assert_int_equal(fx_launch(&x, g_cases[i].blocks, g_cases[i].threads, &o, 0, NULL), 0);
    uint32_t n = fx_findings(&x, f, 16);
    fx_free(&x);
    return n;
}

// ld.param takes an address of the parameters' own space; a generic one reads something else on hardware.
static void generic_addresses_are_no_parameters(void **state) {
    (void)state;
    static const struct { const char *body; uint32_t fault; } t[] = {
        {"mov.b64 %q3, out; ld.param.u64 %q4, [%q3]; cvta.param.u64 %q3, %q3; ld.u64 %q5, [%q3]; sub.u64 %q4, %q4, %q5; st.global.u64 [%q0], %q4;\n", 0},
        {"mov.b64 %q3, out; cvta.param.u64 %q3, %q3; ld.param.u64 %q4, [%q3]; st.global.u64 [%q0], %q4;\n", 700}};
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        fixture x;
        char text[4096];
        honeVgpuFinding f[4];
        const uint32_t ones[4] = {1, 1, 1, 1};
        snprintf(text, sizeof text, "%s%sret;\n}\n", g_head, t[i].body);
        fx_load(&x, text);
        const uint32_t *out = fx_buffer(&x, ones, sizeof ones);
        assert_int_equal(fx_launch(&x, 1, 1, &(fx_options){.flags = HONE_VGPU_CHECK, .threads = 1}, 0, NULL), t[i].fault);
        assert_int_equal(fx_findings(&x, f, 4), t[i].fault ? 1 : 0);
        if (t[i].fault)
            assert_string_equal(f[0].kind, "memory.out-of-bounds");
        else
            assert_int_equal(out[0] | out[1], 0);   // both loads give the same
        fx_free(&x);
    }
}

static void each_mistake_is_found_and_nothing_else(void **state) {
    (void)state;
    honeVgpuFinding f[16];
    for (unsigned i = 0; i < HONE_COUNT(g_cases); i++)
        for (uint64_t seed = 0; seed < 4; seed++) {
            const uint32_t n = findings_of(i, ALL, seed, f);
            if ((n != 0) != (g_cases[i].kind != NULL))
                fail_msg("%s, seed %u: %u findings, first %s", g_cases[i].name, (unsigned)seed, n, n ? f[0].message : "none");
            if (n)
                assert_string_equal(f[0].kind, g_cases[i].kind);
        }
}

static void nothing_is_watched_when_off(void **state) {
    (void)state;
    honeVgpuFinding f[16];
    for (unsigned i = 0; i < HONE_COUNT(g_cases); i++)
        assert_int_equal(findings_of(i, HONE_VGPU_CHECK, 0, f), 0);
}

static void both_blocks_are_named(void **state) {
    (void)state;
    honeVgpuFinding f[16];
    assert_true(findings_of(0, ALL, 0, f) == 1);
    assert_int_equal(f[0].block[0], 1);
    assert_int_equal(f[0].other_block[0], 0);
    assert_int_equal(f[0].other_ptx_line, f[0].ptx_line);
    assert_string_equal(f[0].other_access, "writes");
    assert_int_equal(f[0].count, 3);
    assert_non_null(strstr(f[0].message, "thread (0,0,0) of block (0,0,0) writes in PTX line"));
}

static uint32_t first_word(const char *body, unsigned threads) {
    fixture x;
    char text[8192];
    static const uint32_t zeros[WORDS];
    snprintf(text, sizeof text, "%s%sret;\n}\n", g_head, body);
    fx_load(&x, text);
    const uint32_t *out = fx_buffer(&x, zeros, sizeof zeros);
    fx_options o = {.flags = 0, .threads = 1, .budget = 1 << 20};
    assert_int_equal(fx_launch(&x, 1, threads, &o, 0, NULL), 0);
    const uint32_t v = *out;
    fx_free(&x);
    return v;
}

// What completes a barrier ran once, not again when the warp goes on.
static void completing_a_barrier_repeats_nothing(void **state) {
    (void)state;
    assert_int_equal(first_word("@%p1 bra B;\nbar.sync 1, 64;\nbra E;\nB:\nred.global.add.u32 [%q0], 1;\nbar.arrive 1, 64;\nE:\n", 64), 32);
    assert_int_equal(first_word("@!%p1 bra W;\nsetp.lt.u32 %p2, %t, 48;\n@%p2 bra W;\nred.global.add.u32 [%q0], 1;\nret;\nW:\nbar.sync 0;\n", 64), 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_mistake_is_found_and_nothing_else), cmocka_unit_test(generic_addresses_are_no_parameters), cmocka_unit_test(nothing_is_watched_when_off),
                                       cmocka_unit_test(both_blocks_are_named), cmocka_unit_test(completing_a_barrier_repeats_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
