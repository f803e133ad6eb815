// Races on shared memory: kernels with one known mistake are caught with both accesses named; correct ones of every usual kind stay silent.
#include "exec_fixture.h"

// %t thread, %s the array, %a its own word, %v its value; 64 threads unless said otherwise. p0…p3: t < 32, t < 16, t == 0, t >= 32.
static const char g_head[] = PTX_HEAD
    ".visible .entry k(.param .u64 out)\n{\n.shared .align 16 .b8 s[8192];\n.reg .pred %p<8>;\n.reg .b16 %h<4>;\n"
    ".reg .b32 %t, %s, %a, %b, %c, %o, %v, %x, %y, %i, %w, %m;\n.reg .b64 %q<4>;\n"
    "mov.u32 %t, %tid.x;\nmov.u32 %s, s;\nshl.b32 %o, %t, 2;\nadd.u32 %a, %s, %o;\nadd.u32 %v, %t, 100;\nshr.u32 %w, %t, 5;\n"
    "setp.lt.u32 %p0, %t, 32;\nsetp.lt.u32 %p1, %t, 16;\nsetp.eq.u32 %p2, %t, 0;\nsetp.ge.u32 %p3, %t, 32;\n";
#define BAR "bar.sync 0;\n"
#define WARP "bar.warp.sync 0xffffffff;\n"
#define ST "st.shared.u32 [%a], %v;\n"
#define OTHER "xor.b32 %i, %o, 128;\nadd.u32 %b, %s, %i;\n"        /* %b: the word of the same lane of the other warp */
#define MATE "xor.b32 %i, %o, 4;\nadd.u32 %b, %s, %i;\n"           /* %b: the word of the lane beside, same warp */
#define GET "ld.shared.u32 %x, [%b];\n"
#define LOOP(body) "mov.u32 %c, 0;\nL:\n" body "add.u32 %c, %c, 1;\nsetp.lt.u32 %p6, %c, 4;\n@%p6 bra L;\n"

typedef struct kernel { const char *name, *body; unsigned threads; const char *verb; } kernel;   // verb: of the later access

static const kernel g_racy[] = {
    {"no barrier before the tile is read", ST OTHER GET, 64, "writes"},
    {"no barrier after the tile was read", LOOP(ST OTHER BAR GET "add.u32 %v, %v, %x;\n"), 64, "reads"},
    {"reduction without a barrier", ST BAR "@%p0 ld.shared.u32 %x, [%a+128];\n@%p0 add.u32 %v, %v, %x;\n@%p0 st.shared.u32 [%a], %v;\n"
     "@%p1 ld.shared.u32 %x, [%a+64];\n", 64, "reads"},
    {"write after read of a neighbour", ST BAR MATE GET "add.u32 %v, %v, %x;\n" ST, 64, "writes"},
    {"write after read across warps", ST BAR OTHER GET "add.u32 %v, %x, 1;\n" ST, 64, "reads"},
    {"no __syncwarp", ST MATE GET, 32, "reads"},
    {"volatile warp-synchronous code", "st.volatile.shared.u32 [%a], %v;\n" MATE "ld.volatile.shared.u32 %x, [%b];\n", 32, "reads"},
    {"one instruction writes one word with different values", "st.shared.u32 [%s], %v;\n", 32, "writes"},
    {"two warps write one word", "shr.u32 %v, %t, 5;\nst.shared.u32 [%s], %v;\n", 64, "writes"},
    {"plain read of an atomic counter", "@%p2 st.shared.u32 [%s], 0;\n" BAR "red.shared.add.u32 [%s], 1;\nld.shared.u32 %x, [%s];\n", 64, "reads"},
    {"counters cleared without a barrier", "@%p2 st.shared.u32 [%s], 0;\nred.shared.add.u32 [%s], 1;\n", 64, "updates"},
    {"half of the warp synchronises", ST "mov.u32 %m, 0xffff;\n@!%p1 mov.u32 %m, 0xffff0000;\n@%p1 bra A;\nbar.warp.sync 0xffff0000;\nbra B;\n"
     "A:\nbar.warp.sync 0xffff;\nB:\nxor.b32 %i, %o, 64;\nadd.u32 %b, %s, %i;\n" GET, 32, "reads"},
    {"a named barrier of each warp alone", ST "add.u32 %i, %w, 1;\nbar.sync %i, 32;\n" OTHER GET, 64, "writes"},
    {"16-bit neighbours", "cvt.u16.u32 %h0, %t;\nshl.b32 %i, %t, 1;\nadd.u32 %a, %s, %i;\nst.shared.u16 [%a], %h0;\nxor.b32 %i, %i, 2;\nadd.u32 %b, %s, %i;\n"
     "ld.shared.u16 %h1, [%b];\n", 32, "reads"},
    {"through generic addresses", "cvt.u64.u32 %q0, %a;\ncvta.shared.u64 %q0, %q0;\nst.u32 [%q0], %v;\n" OTHER "cvt.u64.u32 %q1, %b;\n"
     "cvta.shared.u64 %q1, %q1;\nld.u32 %x, [%q1];\n", 64, "writes"},
};

static const kernel g_clean[] = {
    {"tile loop", LOOP(ST OTHER BAR GET BAR "add.u32 %v, %v, %x;\n"), 64, NULL},
    {"double buffer", LOOP("and.b32 %i, %c, 1;\nshl.b32 %i, %i, 10;\nadd.u32 %y, %a, %i;\nst.shared.u32 [%y], %v;\n" BAR
     "xor.b32 %m, %o, 128;\nadd.u32 %m, %m, %s;\nadd.u32 %m, %m, %i;\nld.shared.u32 %x, [%m];\nadd.u32 %v, %v, %x;\n"), 64, NULL},
    {"reduction", ST BAR "@%p0 ld.shared.u32 %x, [%a+128];\n@%p0 add.u32 %v, %v, %x;\n@%p0 st.shared.u32 [%a], %v;\n" BAR
     "@%p1 ld.shared.u32 %x, [%a+64];\n@%p1 add.u32 %v, %v, %x;\n@%p1 st.shared.u32 [%a], %v;\n" BAR "ld.shared.u32 %x, [%s];\n", 64, NULL},
    {"shuffles and one word per warp", "shfl.sync.bfly.b32 %x, %v, 16, 31, -1;\nshl.b32 %i, %w, 2;\nadd.u32 %b, %s, %i;\nand.b32 %i, %t, 31;\n"
     "setp.eq.u32 %p4, %i, 0;\n@%p4 st.shared.u32 [%b], %x;\n" BAR "ld.shared.u32 %y, [%s];\nld.shared.u32 %y, [%s+4];\n", 64, NULL},
    {"histogram", "st.shared.u32 [%a], 0;\n" BAR "and.b32 %i, %t, 7;\nshl.b32 %i, %i, 2;\nadd.u32 %b, %s, %i;\nred.shared.add.u32 [%b], 1;\n"
     "atom.shared.add.u32 %x, [%b], 1;\n" BAR "ld.shared.u32 %x, [%a];\n", 64, NULL},
    {"transposed tile", ST BAR "and.b32 %i, %t, 7;\nshl.b32 %i, %i, 3;\nshr.u32 %b, %t, 3;\nadd.u32 %i, %i, %b;\nshl.b32 %i, %i, 2;\nadd.u32 %b, %s, %i;\n"
     GET BAR ST, 64, NULL},
    {"all write the same value", "st.shared.u32 [%s], 7;\n" BAR "ld.shared.u32 %x, [%s];\n", 64, NULL},
    {"__syncwarp on both sides", LOOP(ST WARP MATE GET WARP "add.u32 %v, %v, %x;\n"), 64, NULL},
    {"halves of a warp on their own", ST "@%p1 bra A;\nbar.warp.sync 0xffff0000;\nbra B;\nA:\nbar.warp.sync 0xffff;\nB:\n" MATE GET, 32, NULL},
    {"bytes of one word", "cvt.u16.u32 %h0, %t;\nadd.u32 %a, %s, %t;\nst.shared.u8 [%a], %h0;\nld.shared.u8 %h1, [%a];\n" BAR "ld.shared.u32 %x, [%s];\n", 64, NULL},
    {"producer and consumer", "@%p3 bra C;\n" ST "bar.arrive 1, 64;\nbra E;\nC:\nbar.sync 1, 64;\n" OTHER GET "E:\n", 64, NULL},
    {"flag behind fences", "st.shared.u32 [%s+1024], 0;\n" BAR "@%p3 bra C;\n" ST WARP "membar.cta;\n@%p2 atom.shared.exch.b32 %x, [%s+1024], 1;\nbra E;\nC:\n"
     "atom.shared.or.b32 %x, [%s+1024], 0;\nsetp.eq.u32 %p4, %x, 0;\n@%p4 bra C;\nmembar.cta;\n" OTHER GET "E:\n", 64, NULL},
    {"mbarrier", "@%p2 mbarrier.init.shared.b64 [%s+1024], 64;\n" BAR ST "mbarrier.arrive.shared.b64 %q0, [%s+1024];\nW:\n"
     "mbarrier.test_wait.shared.b64 %p4, [%s+1024], %q0;\n@!%p4 bra W;\n" OTHER GET, 64, NULL},
    {"cp.async", "ld.param.u64 %q0, [out];\ncvt.u64.u32 %q1, %o;\nadd.u64 %q0, %q0, %q1;\ncp.async.ca.shared.global [%a], [%q0], 4;\n"
     "cp.async.commit_group;\ncp.async.wait_group 0;\n" BAR OTHER GET, 64, NULL},
};

// Runs the kernel on 4 blocks; the first finding of a race, count 0 when there is none.
static honeVgpuFinding races_of(const kernel *k, uint32_t flags) {
    fixture f;
    char text[8192];
    honeVgpuFinding all[64], none = {.count = 0};
    snprintf(text, sizeof text, "%s%sret;\n}\n", g_head, k->body);
    fx_load(&f, text);
    fx_buffer(&f, NULL, 1024);
    fx_options o = {.flags = flags, .threads = 1, .budget = 1 << 20};
    assert_int_equal(fx_launch(&f, 4, k->threads, &o, 0, NULL), 0);
    uint32_t n = fx_findings(&f, all, 64);
    fx_free(&f);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(all[i].kind, "race.shared") == 0)
            return all[i];
        else
            assert_string_equal(all[i].kind, "memory.uninitialized-shared");   // racy kernels read words that are not there yet
    return none;
}

static void racy_kernels_are_caught(void **state) {
    (void)state;
    for (size_t i = 0; i < HONE_COUNT(g_racy); i++) {
        honeVgpuFinding r = races_of(&g_racy[i], HONE_VGPU_CHECK | HONE_VGPU_RACE);
        if (!r.count)
            fail_msg("%s: not caught", g_racy[i].name);
        if (g_racy[i].verb && strncmp(r.message, g_racy[i].verb, strlen(g_racy[i].verb)) != 0)
            fail_msg("%s: %s", g_racy[i].name, r.message);
    }
}

static void correct_kernels_stay_silent(void **state) {
    (void)state;
    for (size_t i = 0; i < HONE_COUNT(g_clean); i++) {
        honeVgpuFinding r = races_of(&g_clean[i], HONE_VGPU_CHECK | HONE_VGPU_RACE);
        if (r.count)
            fail_msg("%s: PTX line %u: %s", g_clean[i].name, r.ptx_line, r.message);
    }
}

static void both_accesses_are_named(void **state) {
    (void)state;
    honeVgpuFinding r = races_of(&g_racy[0], HONE_VGPU_RACE);   // also without the other checks
    assert_int_equal(r.count, 4 * 32);                          // the second warp's writes, in each block
    assert_int_equal(r.thread[0], 32);
    assert_int_equal(r.offset, 128);
    assert_int_equal(r.size, 4);
    assert_int_equal(r.is_write, 1);
    assert_string_equal(r.allocation, "shared memory");
    assert_non_null(strstr(r.message, "writes 4 bytes at offset 128 of shared memory that thread (0,0,0) reads in PTX line"));
}

static void nothing_is_reported_when_off(void **state) {
    (void)state;
    for (size_t i = 0; i < HONE_COUNT(g_racy); i++)
        assert_int_equal(races_of(&g_racy[i], HONE_VGPU_CHECK).count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(racy_kernels_are_caught), cmocka_unit_test(correct_kernels_stay_silent),
                                       cmocka_unit_test(both_accesses_are_named), cmocka_unit_test(nothing_is_reported_when_off)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
