// Atomics of every type on global and shared memory, stores to shared and local memory, cp.async and mbarrier, against values worked out
// by hand.
#include "exec_fixture.h"
#include "base/base.h"

typedef struct atomic { const char *op, *type; unsigned bytes; uint64_t before, b, c, after; } atomic;
#define F16_1 0x3c00u
#define F16_2 0x4000u
#define F16_3 0x4200u
static const atomic g_atomics[] = {
    {"add", "u32", 4, 0xffffffff, 2, 0, 1}, {"add", "s32", 4, 5, 0xfffffff9, 0, 0xfffffffe}, {"add", "u64", 8, 0xffffffff, 1, 0, 0x100000000},
    {"add", "f32", 4, 0x3f800000, 0x40000000, 0, 0x40400000}, {"add", "f64", 8, 0x3ff0000000000000, 0x4000000000000000, 0, 0x4008000000000000},
    {"add.noftz", "f16x2", 4, F16_1 << 16 | F16_2, F16_2 << 16 | F16_1, 0, F16_3 << 16 | F16_3},
    {"add.noftz", "bf16x2", 4, 0x3f804000, 0x40003f80, 0, 0x40404040}, {"add.noftz", "f16", 2, F16_1, F16_2, 0, F16_3},
    {"min", "u32", 4, 0xfffffff0, 3, 0, 3}, {"min", "s32", 4, 0xfffffff0, 3, 0, 0xfffffff0}, {"max", "u32", 4, 0xfffffff0, 3, 0, 0xfffffff0},
    {"max", "s32", 4, 0xfffffff0, 3, 0, 3}, {"min", "u64", 8, 1ull << 63, 7, 0, 7}, {"min", "s64", 8, 1ull << 63, 7, 0, 1ull << 63},
    {"max", "u64", 8, 1ull << 63, 7, 0, 1ull << 63}, {"max", "s64", 8, 1ull << 63, 7, 0, 7}, {"and", "b32", 4, 0xff00, 0x0ff0, 0, 0x0f00},
    {"or", "b32", 4, 0xff00, 0x0ff0, 0, 0xfff0}, {"xor", "b32", 4, 0xff00, 0x0ff0, 0, 0xf0f0}, {"and", "b64", 8, 0xff0000000000, 0x0ff000000000, 0, 0x0f0000000000},
    {"or", "b64", 8, 1ull << 60, 1, 0, (1ull << 60) + 1}, {"xor", "b64", 8, 3ull << 60, 1ull << 60, 0, 1ull << 61}, {"exch", "b32", 4, 1, 2, 0, 2},
    {"exch", "b64", 8, 1, 1ull << 40, 0, 1ull << 40}, {"cas", "b32", 4, 5, 5, 9, 9}, {"cas", "b32", 4, 5, 6, 9, 5}, {"cas", "b64", 8, 1ull << 40, 1ull << 40, 9, 9},
    {"cas", "b64", 8, 1ull << 40, 0, 9, 1ull << 40}, {"cas", "b16", 2, 5, 5, 0xffff, 0xffff}, {"inc", "u32", 4, 6, 7, 0, 7}, {"inc", "u32", 4, 7, 7, 0, 0},
    {"dec", "u32", 4, 7, 7, 0, 6}, {"dec", "u32", 4, 0, 7, 0, 7}, {"dec", "u32", 4, 9, 7, 0, 7},
};

// One thread: out = {memory before and after, value returned, b, c}.
static void atomic_once(const atomic *a, bool shared) {
    const unsigned bits = 8 * a->bytes;
    const bool is_cas = strcmp(a->op, "cas") == 0;
    char text[2048];
    snprintf(text, sizeof text, PTX_HEAD
             ".visible .entry k(.param .u64 out)\n{\n.shared .align 8 .b8 s[64];\n.reg .b%u %%x, %%b, %%c, %%d;\n.reg .b64 %%o, %%m;\n"
             "ld.param.u64 %%o, [out];\n%sld.global.b%u %%x, [%%o];\nst.%s.b%u [%%m+16], %%x;\nld.global.b%u %%b, [%%o+16];\nld.global.b%u %%c, [%%o+24];\n"
             "atom.%s.%s.%s %%d, [%%m+16], %%b%s;\nst.global.b%u [%%o+8], %%d;\nld.%s.b%u %%x, [%%m+16];\nst.global.b%u [%%o], %%x;\nret;\n}\n",
             bits, shared ? "mov.u64 %m, s;\n" : "add.u64 %m, %o, 32;\n", bits, shared ? "shared" : "global", bits, bits, bits, shared ? "shared" : "global", a->op,
             a->type, is_cas ? ", %c" : "", bits, shared ? "shared" : "global", bits, bits);
    fixture f;
    uint64_t out[8] = {a->before, 0, a->b, a->c}, *host;
    honeVgpuFinding finding;
    fx_load(&f, text);
    host = fx_buffer(&f, out, sizeof out);
    assert_int_equal(fx_launch(&f, 1, 1, NULL, 0, NULL), 0);
    assert_int_equal(fx_findings(&f, &finding, 1), 0);
    if (host[0] != a->after || host[1] != a->before)
        fail_msg("atom.%s.%s.%s: memory %llx, returned %llx", shared ? "shared" : "global", a->op, a->type, (unsigned long long)host[0], (unsigned long long)host[1]);
    fx_free(&f);
}

static void atomics_compute(void **state) {
    (void)state;
    for (size_t i = 0; i < HONE_COUNT(g_atomics); i++) {
        atomic_once(&g_atomics[i], false);
        atomic_once(&g_atomics[i], true);
    }
}

// Runs `body` on 64 threads; %t thread, %a shared address of its word, %o its word of the output; returns the 64 words it left.
static void run_body(const char *body, uint32_t out[64], const char *finding) {
    char text[4096];
    fixture f;
    honeVgpuFinding found[4];
    snprintf(text, sizeof text, PTX_HEAD
             ".visible .entry k(.param .u64 out)\n{\n.shared .align 16 .b8 s[4096];\n.local .align 16 .b8 z[64];\n.reg .pred %%p<4>;\n.reg .b16 %%h<4>;\n"
             ".reg .b32 %%t, %%s, %%a, %%b, %%x, %%y, %%i;\n.reg .b64 %%o, %%g, %%q, %%l;\n"
             "ld.param.u64 %%g, [out];\nmov.u32 %%t, %%tid.x;\nmov.u32 %%s, s;\nshl.b32 %%i, %%t, 2;\nadd.u32 %%a, %%s, %%i;\ncvt.u64.u32 %%o, %%i;\n"
             "add.u64 %%o, %%o, %%g;\nmov.u64 %%l, z;\nsetp.eq.u32 %%p0, %%t, 0;\n%sret;\n}\n", body);
    fx_load(&f, text);
    for (uint32_t i = 0; i < 64; i++)
        out[i] = 1000 + i;
    const void *host = fx_buffer(&f, out, 64 * 4);
    assert_int_equal(fx_launch(&f, 1, 64, NULL, 0, NULL), 0);
    const uint32_t n = fx_findings(&f, found, 4);
    if ((n != 0) != (finding != NULL) || (n && strcmp(found[0].kind, finding) != 0))
        fail_msg("%s", n ? found[0].message : "the finding is missing");
    memcpy(out, host, 64 * 4);
    fx_free(&f);
}
#define BAR "bar.sync 0;\n"

static void shared_stores_land(void **state) {
    (void)state;
    uint32_t out[64];
    run_body("xor.b32 %x, %t, 5;\nshl.b32 %x, %x, 2;\nadd.u32 %x, %x, %s;\nst.shared.u32 [%x], %t;\n" BAR "ld.shared.u32 %y, [%a];\nst.global.u32 [%o], %y;\n", out, NULL);
    for (uint32_t t = 0; t < 64; t++)
        assert_int_equal(out[t], t ^ 5);
    run_body("add.u32 %b, %s, %t;\ncvt.u16.u32 %h0, %t;\nst.shared.u8 [%b], %h0;\n" BAR "and.b32 %i, %i, 63;\nadd.u32 %b, %s, %i;\nld.shared.u32 %y, [%b];\n"
             "st.global.u32 [%o], %y;\n", out, NULL);
    for (uint32_t t = 0; t < 64; t++)
        assert_int_equal(out[t], 0x03020100u + 0x04040404u * (t % 16));
    run_body("setp.lt.u32 %p1, %t, 9;\n@%p1 st.shared.u32 [%a], %t;\n" BAR "ld.shared.u32 %y, [%a];\nst.global.u32 [%o], %y;\n", out, "memory.uninitialized-shared");
    for (uint32_t t = 0; t < 64; t++)
        assert_int_equal(out[t], t < 9 ? t : 0);
}

static void local_memory_belongs_to_a_thread(void **state) {
    (void)state;
    uint32_t out[64];
    run_body("and.b32 %i, %t, 7;\nmul.wide.u32 %q, %i, 4;\nadd.u64 %q, %q, %l;\nst.local.v4.u32 [%l], {%t, %t, %t, %t};\nst.local.v4.u32 [%l+16], {%t, %t, %t, %t};\n"
             "add.u32 %x, %t, 500;\nst.local.u32 [%q], %x;\nld.local.u32 %x, [%q];\nld.local.u32 %y, [%l+28];\nmad.lo.u32 %y, %y, 1000, %x;\nst.global.u32 [%o], %y;\n",
             out, NULL);
    for (uint32_t t = 0; t < 64; t++)
        assert_int_equal(out[t], (t % 8 == 7 ? t + 500 : t) * 1000 + t + 500);
}

static void async_copies_arrive(void **state) {
    (void)state;
    uint32_t out[64];
    run_body("cp.async.ca.shared.global [%a], [%o], 4;\ncp.async.commit_group;\ncp.async.wait_group 0;\n" BAR
             "xor.b32 %i, %i, 4;\nadd.u32 %b, %s, %i;\nld.shared.u32 %y, [%b];\n" BAR "st.global.u32 [%o], %y;\n", out, NULL);
    for (uint32_t t = 0; t < 64; t++)
        assert_int_equal(out[t], 1000 + (t ^ 1));
    // fewer source bytes than the copy has: the rest becomes zero
    run_body("and.b32 %i, %t, 15;\nshl.b32 %i, %i, 4;\nadd.u32 %b, %s, %i;\ncvt.u64.u32 %q, %i;\nadd.u64 %q, %q, %g;\nmov.u32 %x, 8;\n"
             "setp.lt.u32 %p1, %t, 16;\n@%p1 cp.async.cg.shared.global [%b], [%q], 16, %x;\ncp.async.wait_all;\n" BAR "ld.shared.u32 %y, [%a];\n"
             "st.global.u32 [%o], %y;\n", out, NULL);
    for (uint32_t t = 0; t < 64; t++)
        assert_int_equal(out[t], t % 4 < 2 ? 1000 + t : 0);
}

// A predicate that is true: nothing is read, zeros arrive. Lane 63 of the second would read outside.
static void async_copies_ignore_their_source(void **state) {
    (void)state;
    uint32_t out[64];
    run_body("and.b32 %x, %t, 3;\nsetp.eq.u32 %p1, %x, 2;\ncp.async.ca.shared.global [%a], [%o], 4, %p1;\ncp.async.wait_all;\n" BAR "ld.shared.u32 %y, [%a];\nst.global.u32 [%o], %y;\n",
             out, NULL);
    for (uint32_t t = 0; t < 64; t++)
        assert_int_equal(out[t], t % 4 == 2 ? 0 : 1000 + t);
    run_body("setp.lt.u32 %p1, %t, 63;\ncp.async.ca.shared.global [%a], [%o+4], 4, !%p1;\ncp.async.wait_all;\n" BAR "ld.shared.u32 %y, [%a];\nst.global.u32 [%o], %y;\n", out, NULL);
    for (uint32_t t = 0; t < 64; t++)
        assert_int_equal(out[t], t < 63 ? 1001 + t : 0);
}

static void atomics_take_a_policy(void **state) {
    (void)state;
    uint32_t out[64];
    run_body("createpolicy.fractional.L2::evict_last.b64 %q;\natom.global.add.L2::cache_hint.u32 %x, [%o], 5, %q;\natom.global.cas.L2::cache_hint.b32 %y, [%o], 1008, %t, %q;\n"
             "red.global.add.L2::cache_hint.u32 [%o], %x, %q;\n", out, NULL);
    for (uint32_t t = 0; t < 64; t++)
        assert_int_equal(out[t], (t == 3 ? 3 : 1005 + t) + 1000 + t);
}

// Of two arrivals one also expects 16 bytes and drops out: the first phase needs both and the bytes, the second one arrival.
static void mbarrier_drop_expects_bytes(void **state) {
    (void)state;
    uint32_t out[64];
    run_body("@!%p0 bra E;\nmbarrier.init.shared.b64 [%s], 2;\nmbarrier.arrive_drop.expect_tx.shared.b64 %q, [%s], 16;\nmbarrier.pending_count.b64 %x, %q;\n"
             "mbarrier.arrive.shared.b64 %l, [%s];\nmbarrier.pending_count.b64 %y, %l;\nmbarrier.test_wait.parity.shared.b64 %p1, [%s], 0;\n"
             "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%s], 16;\nmbarrier.test_wait.parity.shared.b64 %p2, [%s], 0;\nmbarrier.arrive.shared.b64 %l, [%s];\n"
             "mbarrier.test_wait.parity.shared.b64 %p3, [%s], 1;\nmad.lo.u32 %x, %x, 10, %y;\n@%p1 add.u32 %x, %x, 100;\n@%p2 add.u32 %x, %x, 1000;\n@%p3 add.u32 %x, %x, 10000;\n"
             "st.global.u32 [%o], %x;\nE:\n", out, NULL);
    assert_int_equal(out[0], 11021);
}

static void mbarrier_waits_for_all(void **state) {
    (void)state;
    uint32_t out[64];
    run_body("@%p0 mbarrier.init.shared.b64 [%s+2048], 64;\n" BAR "st.shared.u32 [%a], %t;\nmbarrier.arrive.shared.b64 %q, [%s+2048];\n"
             "W:\nmbarrier.test_wait.shared.b64 %p1, [%s+2048], %q;\n@!%p1 bra W;\nxor.b32 %i, %i, 128;\nadd.u32 %b, %s, %i;\nld.shared.u32 %y, [%b];\n"
             "mbarrier.pending_count.b64 %x, %q;\nsetp.ge.u32 %p2, %x, 1;\n@%p2 add.u32 %y, %y, 100;\nst.global.u32 [%o], %y;\n", out, NULL);
    for (uint32_t t = 0; t < 64; t++)
        assert_int_equal(out[t], (t ^ 32) + 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(atomics_compute), cmocka_unit_test(shared_stores_land), cmocka_unit_test(local_memory_belongs_to_a_thread),
                                       cmocka_unit_test(async_copies_arrive), cmocka_unit_test(async_copies_ignore_their_source), cmocka_unit_test(atomics_take_a_policy),
                                       cmocka_unit_test(mbarrier_drop_expects_bytes), cmocka_unit_test(mbarrier_waits_for_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
