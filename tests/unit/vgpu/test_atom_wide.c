// Atomics on vectors and on 16 bytes: every form against a reference of its own (small_float.h for halves), misaligned ones refused, and both under contention of
// blocks on several host threads.
#include "exec_fixture.h"
#include "small_float.h"
#include "base/base.h"

#define HEAD ".version 8.5\n.target sm_90\n.address_size 64\n"
typedef struct form { const char *type; unsigned bytes, halves; bool brain, is_f32; } form;   // halves: of an element
static const form g_forms[] = {{"f32", 4, 0, false, true}, {"f16", 2, 1, false, false}, {"bf16", 2, 1, true, false}, {"f16x2", 4, 2, false, false}, {"bf16x2", 4, 2, true, false}};
static const char *const g_ops[] = {"add", "min", "max"};

static uint32_t half(const small_format *k, unsigned op, uint32_t a, uint32_t b) {
    __float128 x = small_value(k, a), y = small_value(k, b);
    return op == 0 ? small_nearest(k, x + y, 0, false) : (op == 1 ? y < x : y > x) ? b : a;
}

static uint32_t expected(const form *f, unsigned op, uint32_t a, uint32_t b) {
    float x, y;
    uint32_t sum;
    if (f->is_f32) {
        memcpy(&x, &a, 4);
        memcpy(&y, &b, 4);
        x += y;
        memcpy(&sum, &x, 4);
        return sum;
    }
    const small_format *k = f->brain ? &SMALL_BF16 : &SMALL_F16;
    return half(k, op, a & 0xffff, b & 0xffff) | (f->halves == 2 ? half(k, op, a >> 16, b >> 16) << 16 : 0);
}

// Patterns of finite, normal values around one.
static uint32_t pattern(const form *f, uint32_t i) {
    uint32_t r = (i + 1) * 2654435761u, sign = r & 0x80008000u;
    if (f->is_f32)
        return (sign & 0x80000000u) | (0x3f000000u + (r >> 7 & 0x00ffffffu));
    uint32_t one = f->brain ? 0x3f00 + (r >> 8 & 0xff) : 0x3800 + (r >> 8 & 0x7ff), two = f->brain ? 0x3f00 + (r >> 17 & 0xff) : 0x3800 + (r >> 17 & 0x7ff);
    return f->halves == 2 ? sign | one | two << 16 : (sign & 0x8000) | one;
}

static void list(hone_str *s, const char *reg, unsigned n) {
    hone_str_addc(s, '{');
    for (unsigned i = 0; i < n; i++)
        hone_str_addf(s, "%s%%%s%u", i ? "," : "", reg, i);
    hone_str_addc(s, '}');
}

// One thread: the vector at +0, the operand at +16, what came back at +32.
static void vector_once(const form *f, unsigned op, unsigned n, bool returns) {
    hone_str s;
    uint8_t data[48] = {0};
    fixture x;
    honeVgpuFinding finding;
    hone_str_init(&s, 8192);
    hone_str_addf(&s, HEAD ".visible .entry k(.param .u64 out)\n{\n.reg .b%u %%b<8>, %%d<8>;\n.reg .b64 %%o;\nld.param.u64 %%o, [out];\n", 8 * f->bytes);
    for (unsigned i = 0; i < n; i++)
        hone_str_addf(&s, "ld.global.b%u %%b%u, [%%o+%u];\n", 8 * f->bytes, i, 16 + i * f->bytes);
    hone_str_addf(&s, "%s.global.%s%s.v%u.%s ", returns ? "atom" : "red", g_ops[op], f->is_f32 ? "" : ".noftz", n, f->type);
    if (returns) {
        list(&s, "d", n);
        hone_str_add(&s, ", ");
    }
    hone_str_add(&s, "[%o], ");
    list(&s, "b", n);
    hone_str_add(&s, ";\n");
    for (unsigned i = 0; returns && i < n; i++)
        hone_str_addf(&s, "st.global.b%u [%%o+%u], %%d%u;\n", 8 * f->bytes, 32 + i * f->bytes, i);
    hone_str_add(&s, "ret;\n}\n");
    uint32_t a[8], b[8];
    for (unsigned i = 0; i < n; i++) {
        a[i] = pattern(f, i * 7 + op);
        b[i] = pattern(f, i * 13 + 5 + n);
        memcpy(data + i * f->bytes, &a[i], f->bytes);
        memcpy(data + 16 + i * f->bytes, &b[i], f->bytes);
    }
    fx_load(&x, s.s);
    const uint8_t *host = fx_buffer(&x, data, sizeof data);
    assert_int_equal(fx_launch(&x, 1, 1, NULL, 0, NULL), 0);
    assert_int_equal(fx_findings(&x, &finding, 1), 0);
    for (unsigned i = 0; i < n; i++) {
        uint32_t got = 0, old = 0, want = expected(f, op, a[i], b[i]);
        memcpy(&got, host + i * f->bytes, f->bytes);
        memcpy(&old, host + 32 + i * f->bytes, f->bytes);
        if (got != want || (returns && old != a[i]))
            fail_msg("%s.v%u.%s element %u: %x, want %x; returned %x of %x", g_ops[op], n, f->type, i, got, want, old, a[i]);
    }
    fx_free(&x);
    hone_str_free(&s);
}

static void vectors_compute(void **state) {
    (void)state;
    unsigned done = 0;
    for (size_t k = 0; k < HONE_COUNT(g_forms); k++)
        for (unsigned op = 0; op < (g_forms[k].is_f32 ? 1u : 3u); op++)
            for (unsigned n = 2; n * g_forms[k].bytes <= 16; n *= 2)
                for (int returns = 0; returns < 2; returns++, done++)
                    vector_once(&g_forms[k], op, n, returns);
    assert_int_equal(done, 64);   // the forms of PTX 8.1
}

// -0 is less than +0, whichever of them lies in memory.
static void zeros_have_an_order(void **state) {
    (void)state;
    for (unsigned k = 3; k < HONE_COUNT(g_forms); k++)
        for (unsigned op = 1; op < 3; op++) {
            char text[600];
            const uint32_t data[4] = {0x80000000, 0x00008000, 0x00008000, 0x80000000};   // memory, then the operand
            fixture f;
            snprintf(text, sizeof text, HEAD ".visible .entry k(.param .u64 out)\n{\n.reg .b32 %%b<4>;\n.reg .b64 %%o;\nld.param.u64 %%o, [out];\nld.global.v2.b32 {%%b0, %%b1}, [%%o+8];\n"
                                          "red.global.%s.noftz.v2.%s [%%o], {%%b0, %%b1};\nret;\n}\n", g_ops[op], g_forms[k].type);
            fx_load(&f, text);
            const uint32_t *host = fx_buffer(&f, data, sizeof data);
            assert_int_equal(fx_launch(&f, 1, 1, NULL, 0, NULL), 0);
            assert_int_equal(host[0], op == 1 ? 0x80008000 : 0);
            assert_int_equal(host[1], op == 1 ? 0x80008000 : 0);
            fx_free(&f);
        }
}

static void a_misaligned_vector_is_found(void **state) {
    (void)state;
    static const char text[] = HEAD ".visible .entry k(.param .u64 out)\n{\n.reg .f32 %f;\n.reg .b64 %o;\nld.param.u64 %o, [out];\nmov.f32 %f, 0f3F800000;\n"
                                    "red.global.add.v4.f32 [%o+8], {%f,%f,%f,%f};\nret;\n}\n";
    fixture f;
    float data[8] = {0};
    honeVgpuFinding found;
    fx_load(&f, text);
    fx_buffer(&f, data, sizeof data);
    fx_launch(&f, 1, 1, NULL, 0, NULL);
    assert_int_equal(fx_findings(&f, &found, 1), 1);
    assert_string_equal(found.kind, "memory.misaligned");
    fx_free(&f);
}

// Every thread adds (1, 2, 3, 4): no update is lost, in any element.
static void vectors_of_many_blocks(void **state) {
    (void)state;
    static const char text[] = HEAD ".visible .entry k(.param .u64 out)\n{\n.reg .f32 %f<4>;\n.reg .b64 %o;\nld.param.u64 %o, [out];\nmov.f32 %f0, 0f3F800000;\n"
                                    "mov.f32 %f1, 0f40000000;\nmov.f32 %f2, 0f40400000;\nmov.f32 %f3, 0f40800000;\nred.global.add.v4.f32 [%o], {%f0,%f1,%f2,%f3};\nret;\n}\n";
    fixture f;
    float data[4] = {0};
    fx_load(&f, text);
    const float *host = fx_buffer(&f, data, sizeof data);
    const fx_options o = {.threads = 4, .flags = HONE_VGPU_CHECK};
    assert_int_equal(fx_launch(&f, 64, 96, &o, 0, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_true(host[i] == 64 * 96 * (float)(i + 1));
    fx_free(&f);
}

static void sixteen_bytes_once(bool shared, bool cas, bool hits) {
    char text[2048];
    const uint64_t before[2] = {0x1111222233334444, 0x5555666677778888}, put[2] = {0x0123456789abcdef, 0xfedcba9876543210};
    snprintf(text, sizeof text, HEAD
             ".visible .entry k(.param .u64 out)\n{\n.shared .align 16 .b8 s[32];\n.reg .b128 %%q<4>;\n.reg .b64 %%o, %%m, %%l, %%h;\nld.param.u64 %%o, [out];\n%s"
             "ld.global.b128 %%q0, [%%o];\nld.global.b128 %%q1, [%%o+16];\nld.global.b128 %%q2, [%%o+32];\nst.%s.b128 [%%m], %%q0;\natom.%s.b128.%s %%q3, [%%m], %s;\n"
             "st.global.b128 [%%o+16], %%q3;\nld.%s.b128 %%q0, [%%m];\nst.global.b128 [%%o], %%q0;\nret;\n}\n",
             shared ? "mov.u64 %m, s;\n" : "add.u64 %m, %o, 48;\n", shared ? "shared" : "global", shared ? "shared" : "global", cas ? "cas" : "exch",
             cas ? "%q1, %q2" : "%q2", shared ? "shared" : "global");
    fixture f;
    honeVgpuFinding finding;
    uint64_t data[8] = {before[0], before[1], hits ? before[0] : before[0], hits ? before[1] : before[1] ^ 1, put[0], put[1], 0, 0};
    fx_load(&f, text);
    const uint64_t *host = fx_buffer(&f, data, sizeof data);
    assert_int_equal(fx_launch(&f, 1, 1, NULL, 0, NULL), 0);
    assert_int_equal(fx_findings(&f, &finding, 1), 0);
    const uint64_t *want = !cas || hits ? put : before;
    assert_true(host[0] == want[0] && host[1] == want[1]);
    assert_true(host[2] == before[0] && host[3] == before[1]);
    fx_free(&f);
}

static void sixteen_bytes(void **state) {
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        sixteen_bytes_once(shared, false, false);
        sixteen_bytes_once(shared, true, true);
        sixteen_bytes_once(shared, true, false);   // the halves differ in one bit: both count
    }
}

// A counter in both halves, by compare and swap: they never part, and every thread counts once.
static void sixteen_bytes_of_many_blocks(void **state) {
    (void)state;
    static const char text[] = HEAD
        ".visible .entry k(.param .u64 out)\n{\n.reg .pred %p<2>;\n.reg .b128 %e, %n, %w;\n.reg .b64 %o, %l, %h, %a, %b;\nld.param.u64 %o, [out];\nmov.u64 %l, 0;\nmov.u64 %h, 0;\n"
        "L:\nmov.b128 %e, {%l, %h};\nadd.u64 %a, %l, 1;\nadd.u64 %b, %h, 3;\nmov.b128 %n, {%a, %b};\natom.global.b128.cas %w, [%o], %e, %n;\nmov.b128 {%a, %b}, %w;\n"
        "setp.ne.u64 %p0, %a, %l;\nsetp.ne.u64 %p1, %b, %h;\nor.pred %p0, %p0, %p1;\nmov.u64 %l, %a;\nmov.u64 %h, %b;\n@%p0 bra L;\nret;\n}\n";
    fixture f;
    uint64_t data[2] = {0};
    fx_load(&f, text);
    const uint64_t *host = fx_buffer(&f, data, sizeof data);
    const fx_options o = {.threads = 4, .flags = HONE_VGPU_CHECK};
    assert_int_equal(fx_launch(&f, 16, 32, &o, 0, NULL), 0);
    assert_int_equal(host[0], 16 * 32);
    assert_int_equal(host[1], 3 * 16 * 32);
    fx_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors_compute), cmocka_unit_test(zeros_have_an_order),
        cmocka_unit_test(a_misaligned_vector_is_found), cmocka_unit_test(vectors_of_many_blocks),
                                       cmocka_unit_test(sixteen_bytes), cmocka_unit_test(sixteen_bytes_of_many_blocks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
