// alloca, stacksave, stackrestore: memory per thread and call, apart from each other and aligned; overflow and wrong stack pointers are findings.
#include "exec_fixture.h"

static fixture f;
static uint32_t *out;
static uint32_t run(const char *text, uint32_t flags) {
    const fx_options o = {.flags = flags, .threads = 1};
    fx_load(&f, text);
    out = fx_buffer(&f, NULL, 64 * 16);
    return fx_launch(&f, 1, 64, &o, 0, NULL);
}
static void done(const char *kind) {
    honeVgpuFinding x[2] = {0};
    const uint32_t n = fx_findings(&f, x, 2);
    if (n != (kind != NULL) || (kind && strcmp(x[0].kind, kind)))
        fail_msg("%u findings, %s: %s", n, x[0].kind, x[0].message);
    fx_free(&f);
}
#define ENTRY ".visible .entry k(.param .u64 p)\n{\n.reg .pred %q; .reg .b32 %r<20>; .reg .b64 %d<20>;\n" \
    "ld.param.u64 %d1, [p]; mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 16; add.s64 %d1, %d1, %d2;\n"

// Blocks of a size that differs by thread, filled, read back; alignment; save and restore give the space back.
static void blocks_lie_apart(void **s) {
    (void)s;
    assert_int_equal(run(PTX_HEAD ENTRY
        ".local .align 4 .b8 own[8]; st.local.u32 [own], %r1; shl.b32 %r2, %r1, 2; add.u32 %r2, %r2, 4; cvt.u64.u32 %d3, %r2;\n"
        "stacksave.u64 %d4; alloca.u64 %d5, %d3, 16; alloca.u64 %d6, %d3, 256; alloca.u64 %d7, %d3;\n"
        "st.local.u32 [%d5], %r1; add.s64 %d8, %d5, %d3; st.local.u32 [%d8+-4], %r1; add.u32 %r3, %r1, 1000; st.local.u32 [%d6], %r3; cvta.local.u64 %d9, %d7;\n"
        "add.u32 %r4, %r1, 2000; st.u32 [%d9], %r4; ld.local.u32 %r5, [%d5]; ld.local.u32 %r6, [%d6]; ld.local.u32 %r7, [own]; ld.local.u32 %r8, [%d8+-4];\n"
        "and.b64 %d10, %d6, 255; cvt.u32.u64 %r9, %d10; add.u32 %r6, %r6, %r9; add.u32 %r5, %r5, %r8; add.u32 %r5, %r5, %r7;\n"
        "stackrestore.u64 %d4; stacksave.u64 %d11; sub.s64 %d12, %d11, %d4; cvt.u32.u64 %r10, %d12; ld.u32 %r11, [%d9];\n"
        "st.global.v4.u32 [%d1], {%r5, %r6, %r10, %r11}; ret;\n}\n", HONE_VGPU_CHECK | HONE_VGPU_INIT), 0);
    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(out[4 * i], 3 * i);          // also lane 0's: its block is one word
        assert_int_equal(out[4 * i + 1], 1000 + i);   // aligned to 256
        assert_int_equal(out[4 * i + 2], 0);
        assert_int_equal(out[4 * i + 3], 2000 + i);
    }
    done(NULL);
}

// A recursive function allocates in every call; each call starts with an empty stack again, and the caller's block is whole afterwards.
static void every_call_has_its_own(void **s) {
    (void)s;
    assert_int_equal(run(PTX_HEAD ".func (.param .b32 r) sum(.param .b32 n)\n{\n.reg .pred %q; .reg .b32 %r<9>; .reg .b64 %d<9>;\nld.param.u32 %r1, [n]; mov.u32 %r4, 0;\n"
        "mov.u64 %d1, 4096; alloca.u64 %d2, %d1, 8; st.local.u32 [%d2], %r1; setp.eq.u32 %q, %r1, 0; @%q bra D;\n"
        "{ .param .b32 a; .param .b32 b; sub.u32 %r2, %r1, 1; st.param.b32 [a], %r2; call (b), sum, (a); ld.param.b32 %r4, [b]; }\n"
        "D: ld.local.u32 %r3, [%d2]; add.u32 %r4, %r4, %r3; st.param.b32 [r], %r4; ret;\n}\n" ENTRY
        "mov.u32 %r7, 0; mov.u32 %r8, 0;\nL: { .param .b32 a; .param .b32 b; and.b32 %r2, %r1, 1; add.u32 %r2, %r2, 1; st.param.b32 [a], %r2; call (b), sum, (a);\n"
        "ld.param.b32 %r3, [b]; } add.u32 %r7, %r7, %r3; add.u32 %r8, %r8, 1; setp.lt.u32 %q, %r8, 10; @%q bra L;\nst.global.u32 [%d1], %r7; ret;\n}\n", HONE_VGPU_CHECK), 0);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(out[4 * i], i % 2 ? 30 : 10);   // ten calls of 4 KiB in a stack of 16: each gives its block back
    done(NULL);
}

static void mistakes_are_found(void **s) {
    (void)s;
    static const struct { const char *text, *kind; uint32_t fault; } t[] = {
        {PTX_HEAD ENTRY "L: mov.u64 %d3, 4096; alloca.u64 %d4, %d3, 8; bra L;\n}\n", "kernel.stack-overflow", 700},
        {PTX_HEAD ENTRY "mov.u64 %d3, -8; alloca.u64 %d4, %d3, 8; ret;\n}\n", "kernel.stack-overflow", 700},
        {PTX_HEAD ENTRY "stacksave.u64 %d3; add.s64 %d3, %d3, 64; stackrestore.u64 %d3; ret;\n}\n", "kernel.stack-overflow", 700},
        {PTX_HEAD ENTRY "mov.u64 %d3, 64; alloca.u64 %d4, %d3, 8; ld.local.u32 %r2, [%d4+8]; st.global.u32 [%d1], %r2; ret;\n}\n", "memory.uninitialized-local", 0}};
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        const uint32_t fault = run(t[i].text, HONE_VGPU_CHECK | HONE_VGPU_INIT);
        assert_int_equal(fault, t[i].fault);
        done(t[i].kind);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_lie_apart), cmocka_unit_test(every_call_has_its_own), cmocka_unit_test(mistakes_are_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
