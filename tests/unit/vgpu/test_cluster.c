// Clusters: who is in which, the cluster barrier, distributed shared memory through shared::cluster and generic addresses, what is wrong with it;
// cooperative launches and blocks that wait for each other.
#include "exec_fixture.h"

static const fx_options g_clusters[] = {   // of 4 blocks: one host thread, two, another order, counted
    {.flags = HONE_VGPU_CHECK, .threads = 1, .cluster = 4}, {.flags = HONE_VGPU_CHECK, .threads = 2, .cluster = 4},
    {.flags = HONE_VGPU_CHECK, .threads = 1, .cluster = 4, .seed = 7}, {.flags = HONE_VGPU_CHECK | HONE_VGPU_COUNT, .threads = 1, .cluster = 4},
    {.flags = HONE_VGPU_CHECK | HONE_VGPU_RACE, .threads = 1, .cluster = 4},
};

static void no_findings(fixture *f) {
    honeVgpuFinding x[2];
    if (fx_findings(f, x, 2))
        fail_msg("%s: %s (ptx line %u)", x[0].kind, x[0].message, x[0].ptx_line);
}
static void the_finding(fixture *f, const char *kind) {
    honeVgpuFinding x[2] = {0};
    if (fx_findings(f, x, 2) != 1)
        fail_msg("%s, %s: %s", x[0].kind, x[1].kind, x[1].message);
    assert_string_equal(x[0].kind, kind);
}

// Every block writes its special registers.
static void special_registers(void **s) {
    (void)s;
    fixture f;
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p)\n{\n.reg .b32 %r<12>; .reg .b64 %d<4>;\n"
                "ld.param.u64 %d1, [p]; mov.u32 %r1, %ctaid.x; mul.wide.u32 %d2, %r1, 24; add.s64 %d1, %d1, %d2;\n"
                "mov.u32 %r2, %clusterid.x; mov.u32 %r3, %nclusterid.x; mov.u32 %r4, %cluster_ctaid.x; mov.u32 %r5, %cluster_nctaid.x;\n"
                "mov.u32 %r6, %cluster_ctarank; mov.u32 %r7, %cluster_nctarank;\n"
                "st.global.u32 [%d1], %r2; st.global.u32 [%d1+4], %r3; st.global.u32 [%d1+8], %r4; st.global.u32 [%d1+12], %r5;\n"
                "st.global.u32 [%d1+16], %r6; st.global.u32 [%d1+20], %r7; ret;\n}\n");
    const uint32_t *out = fx_buffer(&f, NULL, 8 * 24);
    assert_int_equal(fx_launch(&f, 8, 1, &g_clusters[0], 0, NULL), 0);
    for (uint32_t b = 0; b < 8; b++) {
        const uint32_t want[6] = {b / 4, 2, b % 4, 4, b % 4, 4};
        assert_memory_equal(out + 6 * b, want, sizeof want);
    }
    fx_free(&f);
}

// Blocks pass their numbers round the ring: shared::cluster stores, a barrier, generic loads of the left neighbour, and all add to rank 0's counter.
static const char g_ring[] = PTX_HEAD
    ".visible .entry k(.param .u64 p)\n{\n.reg .pred %q; .reg .b32 %r<20>; .reg .b64 %d<8>; .shared .align 8 .b8 a[256]; .shared .b32 c;\n"
    "ld.param.u64 %d1, [p]; mov.u32 %r1, %cluster_ctarank; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %tid.x;\n"
    "mov.u32 %r4, a; shl.b32 %r5, %r3, 2; add.u32 %r4, %r4, %r5; setp.eq.u32 %q, %r3, 0; mov.u32 %r6, 0; @%q st.shared.u32 [c], %r6;\n"
    "barrier.cluster.arrive.release; barrier.cluster.wait.acquire;\n"
    "add.u32 %r7, %r1, 1; and.b32 %r7, %r7, 3; mapa.shared::cluster.u32 %r8, %r4, %r7; mad.lo.u32 %r9, %r2, 100, %r3; st.shared::cluster.u32 [%r8], %r9;\n"
    "mov.u32 %r10, c; mapa.shared::cluster.u32 %r10, %r10, 0; red.shared::cluster.add.u32 [%r10], 1;\n"
    "getctarank.shared::cluster.u32 %r11, %r8;\n"
    "barrier.cluster.arrive; barrier.cluster.wait;\n"
    "cvt.u64.u32 %d2, %r4; cvta.shared.u64 %d2, %d2; add.u32 %r12, %r1, 2; and.b32 %r12, %r12, 3; mapa.u64 %d3, %d2, %r12; ld.u32 %r13, [%d3];\n"
    "mov.u32 %r14, c; mapa.shared::cluster.u32 %r14, %r14, 0; ld.shared::cluster.u32 %r15, [%r14]; ld.shared.u32 %r16, [%r4];\n"
    "mad.lo.u32 %r17, %r2, 64, %r3; mul.wide.u32 %d4, %r17, 16; add.s64 %d4, %d1, %d4; st.global.v4.u32 [%d4], {%r11, %r13, %r15, %r16};\n"
    "barrier.cluster.arrive; barrier.cluster.wait; ret;\n}\n";

static void ring_of_blocks(void **s) {
    (void)s;
    for (size_t i = 0; i < HONE_COUNT(g_clusters); i++) {
        fixture f;
        fx_load(&f, g_ring);
        const uint32_t *out = fx_buffer(&f, NULL, 8 * 64 * 16);
        assert_int_equal(fx_launch(&f, 8, 64, &g_clusters[i], 0, NULL), 0);
        no_findings(&f);
        for (uint32_t b = 0; b < 8; b++)
            for (uint32_t t = 0; t < 64; t++) {
                const uint32_t base = b / 4 * 4, r = b % 4, *x = out + (b * 64 + t) * 4;
                assert_int_equal(x[0], (r + 1) % 4);
                assert_int_equal(x[1], (base + (r + 1) % 4) * 100 + t);   // what the block two to the right got from its left
                assert_int_equal(x[2], 256);
                assert_int_equal(x[3], (base + (r + 3) % 4) * 100 + t);
            }
        fx_free(&f);
    }
}

// One thread a block; `body` may use %r1 rank, %r2 own address of the word `a`, %q rank 0. Clusters of 2.
static uint32_t run_pair(fixture *f, const char *body) {
    char text[4096];
    snprintf(text, sizeof text, PTX_HEAD ".visible .entry k(.param .u64 p)\n{\n.reg .pred %%q, %%z; .reg .b32 %%r<20>; .reg .b64 %%d<8>; .shared .align 8 .b8 a[64];\n"
             "ld.param.u64 %%d1, [p]; mov.u32 %%r1, %%cluster_ctarank; mov.u32 %%r2, a; setp.eq.u32 %%q, %%r1, 0; mov.u32 %%r3, 7; xor.b32 %%r9, %%r1, 1;\n"
             "%s\nret;\n}\n", body);
    fx_load(f, text);
    fx_buffer(f, NULL, 64);
    return fx_launch(f, 2, 1, &(fx_options){.flags = HONE_VGPU_CHECK, .threads = 1, .cluster = 2}, 0, NULL);
}
#define SYNC "barrier.cluster.arrive; barrier.cluster.wait;\n"
#define REMOTE "mapa.shared::cluster.u32 %r4, %r2, %r9;\n"

static void findings_of_remote_memory(void **s) {
    (void)s;
    static const struct { const char *body, *kind; uint32_t fault; } t[] = {
        {"st.shared.u32 [a], %r3;\n" SYNC REMOTE "ld.shared::cluster.u32 %r5, [%r4];\n" SYNC, NULL, 0},
        {SYNC REMOTE "@%q ld.shared::cluster.u32 %r5, [%r4];\n" SYNC, "memory.uninitialized-shared", 0},
        {REMOTE "@%q st.shared::cluster.u32 [%r4], %r3;\n" SYNC, "memory.unstarted-block", 0},
        {"st.shared.u32 [a], %r3;\n" SYNC REMOTE "@!%q ret;\nmov.u32 %r6, 0;\nL: add.u32 %r6, %r6, 1; nanosleep.u32 100; setp.lt.u32 %z, %r6, 50; @%z bra L;\n"
         "ld.shared::cluster.u32 %r5, [%r4];", "memory.exited-block", 700},
        {SYNC REMOTE "@%q st.shared::cluster.u32 [%r4+64], %r3;\n" SYNC, "memory.out-of-bounds", 700},
        {SYNC REMOTE "@%q st.shared.u32 [%r4], %r3;\n" SYNC, "memory.out-of-bounds", 700},   // a shared::cta store through another block's address
        {SYNC "@%q mapa.shared::cluster.u32 %r4, %r2, 2;\n" SYNC, "memory.cluster-rank", 715},
        {"@%q barrier.cluster.arrive;\n" "barrier.cluster.arrive;\n" "barrier.cluster.wait;\n", "barrier.cluster-order", 715},
        {"barrier.cluster.wait;\n", "barrier.cluster-order", 715},
        {"@%q bra X;\nbar.sync 1, 64;\nX:" SYNC, "barrier.deadlock", 702},
        {"@%q bra X;\n" SYNC "X:\n", NULL, 0},   // the exit of the other block completes the barrier
    };
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        fixture f;
        const uint32_t fault = run_pair(&f, t[i].body);
        if (fault != t[i].fault)
            fail_msg("case %zu: fault %u", i, fault);
        if (t[i].kind)
            the_finding(&f, t[i].kind);
        else
            no_findings(&f);
        fx_free(&f);
    }
}

// Threads that arrive, work, and wait later; a split within the warp.
static void arrive_and_wait_apart(void **s) {
    (void)s;
    fixture f;
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p)\n{\n.reg .pred %q, %o; .reg .b32 %r<20>; .reg .b64 %d<8>; .shared .b32 a[32];\n"
                "ld.param.u64 %d1, [p]; mov.u32 %r1, %cluster_ctarank; mov.u32 %r3, %tid.x; mov.u32 %r2, a; shl.b32 %r4, %r3, 2; add.u32 %r2, %r2, %r4;\n"
                "mov.u32 %r10, 0; mov.u32 %r11, 0;\n"
                "L: add.u32 %r5, %r10, %r3; st.shared.u32 [%r2], %r5; and.b32 %r6, %r3, 1; setp.eq.u32 %o, %r6, 0;\n"
                "@%o bra E;\nbarrier.cluster.arrive.release;\nadd.u32 %r11, %r11, 1;\nbarrier.cluster.wait.acquire;\nbra J;\n"
                "E: barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;\nJ:\n"
                "xor.b32 %r7, %r1, 1; mapa.shared::cluster.u32 %r8, %r2, %r7; ld.shared::cluster.u32 %r9, [%r8]; add.u32 %r11, %r11, %r9;\n"
                "barrier.cluster.arrive; barrier.cluster.wait; add.u32 %r10, %r10, 1; setp.lt.u32 %q, %r10, 5; @%q bra L;\n"
                "mov.u32 %r12, %ctaid.x; mad.lo.u32 %r12, %r12, 32, %r3; mul.wide.u32 %d2, %r12, 4; add.s64 %d2, %d1, %d2; st.global.u32 [%d2], %r11; ret;\n}\n");
    const uint32_t *out = fx_buffer(&f, NULL, 256);
    assert_int_equal(fx_launch(&f, 2, 32, &(fx_options){.flags = HONE_VGPU_CHECK, .threads = 1, .cluster = 2}, 0, NULL), 0);
    no_findings(&f);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(out[i], 10 + 5 * (i % 32) + (i & 1 ? 5 : 0));
    fx_free(&f);
}

// Arrivals at the mbarrier of another block; the waiting block sees all of them.
static void remote_mbarrier(void **s) {
    (void)s;
    fixture f;
    fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p)\n{\n.reg .pred %q, %z; .reg .b32 %r<20>; .reg .b64 %d<8>; .shared .align 8 .b64 m; .shared .b32 a;\n"
                "ld.param.u64 %d1, [p]; mov.u32 %r1, %cluster_ctarank; setp.eq.u32 %q, %r1, 0; mov.u32 %r2, m; mov.u32 %r6, 0; mov.u32 %r7, a;\n"
                "@%q mbarrier.init.shared.b64 [%r2], 3; @%q st.shared.u32 [a], %r6; @%q fence.mbarrier_init.release.cluster;\n"
                "barrier.cluster.arrive; barrier.cluster.wait;\n"
                "@%q bra W;\nmapa.shared::cluster.u32 %r8, %r7, 0; red.shared::cluster.add.u32 [%r8], %r1;\n"
                "mapa.shared::cluster.u32 %r3, %r2, 0; mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r3]; bra X;\n"
                "W: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %z, [%r2], 0; @!%z bra W;\nld.shared.u32 %r4, [a]; st.global.u32 [%d1], %r4;\n"
                "X: barrier.cluster.arrive; barrier.cluster.wait; ret;\n}\n");
    const uint32_t *out = fx_buffer(&f, NULL, 64);
    assert_int_equal(fx_launch(&f, 4, 1, &g_clusters[0], 0, NULL), 0);
    no_findings(&f);
    assert_int_equal(out[0], 6);
    fx_free(&f);
}

// grid.sync() as cooperative groups compile it: a counter behind the workspace pointer in %envreg1 and 2 changes sign when the last block came.
static const char g_grid_sync[] = PTX_HEAD
    ".visible .entry k(.param .u64 p)\n{\n.reg .pred %q, %z; .reg .b32 %r<20>; .reg .b64 %d<8>;\n"
    "ld.param.u64 %d1, [p]; mov.u32 %r1, %envreg1; mov.u32 %r2, %envreg2; cvt.u64.u32 %d2, %r2; cvt.u64.u32 %d3, %r1; bfi.b64 %d2, %d3, %d2, 32, 32;\n"
    "mov.u32 %r3, %ctaid.x; mov.u32 %r4, %nctaid.x; mul.wide.u32 %d4, %r3, 4; add.s64 %d4, %d1, %d4; mov.u32 %r10, 0;\n"
    "L: add.u32 %r5, %r3, %r10; st.global.u32 [%d4], %r5; setp.eq.u32 %q, %r3, 0; sub.u32 %r6, -2147483647, %r4; selp.b32 %r6, %r6, 1, %q;\n"
    "atom.add.release.gpu.u32 %r7, [%d2+4], %r6;\nS: ld.acquire.gpu.u32 %r8, [%d2+4]; xor.b32 %r9, %r8, %r7; setp.gt.s32 %z, %r9, -1; @%z bra S;\n"
    "add.u32 %r10, %r10, 1; setp.lt.u32 %z, %r10, 3; @%z bra L;\n"
    "add.u32 %r11, %r3, 1; rem.u32 %r11, %r11, %r4; mul.wide.u32 %d5, %r11, 4; add.s64 %d5, %d1, %d5; ld.global.u32 %r12, [%d5];\n"
    "mul.wide.u32 %d6, %r4, 4; add.s64 %d6, %d4, %d6; st.global.u32 [%d6], %r12; ret;\n}\n";

static void grid_barrier(void **s) {
    (void)s;
    static const uint32_t flags[] = {HONE_VGPU_CHECK, HONE_VGPU_CHECK | HONE_VGPU_COUNT, HONE_VGPU_COUNT | HONE_VGPU_SAMPLE};
    for (size_t i = 0; i < HONE_COUNT(flags); i++)
        for (uint32_t threads = 1; threads <= 2; threads++) {
            fixture f;
            fx_load(&f, g_grid_sync);
            const uint32_t *out = fx_buffer(&f, NULL, 200 * 8);
            assert_int_equal(fx_launch(&f, 200, 1, &(fx_options){.flags = flags[i], .threads = threads, .cooperative = true}, 0, NULL), 0);
            no_findings(&f);
            for (uint32_t b = 0; b < 200; b++)
                assert_int_equal(out[200 + b], (b + 1) % 200 + 2);
            fx_free(&f);
        }
}

// Decoupled look-back: each block waits for the sum of the one before it.
static void look_back(void **s) {
    (void)s;
    for (uint64_t seed = 0; seed < 3; seed++) {
        fixture f;
        fx_load(&f, PTX_HEAD ".visible .entry k(.param .u64 p)\n{\n.reg .pred %q; .reg .b32 %r<20>; .reg .b64 %d<8>;\n"
                    "ld.param.u64 %d1, [p]; mov.u32 %r1, %ctaid.x; mul.wide.u32 %d2, %r1, 8; add.s64 %d2, %d1, %d2; mov.u32 %r2, 0; mov.u32 %r5, 1;\n"
                    "setp.eq.u32 %q, %r1, 0; @%q bra D;\nL: ld.acquire.gpu.u32 %r3, [%d2+-8]; setp.eq.u32 %q, %r3, 0; @%q bra L; ld.global.u32 %r2, [%d2+-4];\n"
                    "D: add.u32 %r4, %r2, %r1; st.global.u32 [%d2+4], %r4; st.release.gpu.u32 [%d2], %r5; ret;\n}\n");
        const uint32_t *out = fx_buffer(&f, NULL, 300 * 8);
        assert_int_equal(fx_launch(&f, 300, 1, &(fx_options){.flags = HONE_VGPU_CHECK, .threads = 2, .seed = seed}, 0, NULL), 0);
        no_findings(&f);
        assert_int_equal(out[2 * 299 + 1], 299 * 300 / 2);
        fx_free(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_registers), cmocka_unit_test(ring_of_blocks), cmocka_unit_test(findings_of_remote_memory),
        cmocka_unit_test(arrive_and_wait_apart), cmocka_unit_test(remote_mbarrier), cmocka_unit_test(grid_barrier), cmocka_unit_test(look_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
