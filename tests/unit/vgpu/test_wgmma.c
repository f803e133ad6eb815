// wgmma: every type, operands in registers and in shared memory in every layout, against sums of small whole numbers, which are exact.
#include "exec_fixture.h"
#include "small_float.h"

enum { A_BYTES = 16384, B_BYTES = 32768, K_BYTES = 32 };
typedef struct shape {
    const char *d, *a, *b;             // types
    unsigned n, bytes;                 // of an element of A and B
    unsigned swizzle;                  // bytes of the atom's row: 16 (none), 32, 64, 128
    bool registers, trans_a, trans_b, accumulate;
    int scale_a, scale_b;
} shape;

static unsigned k_of(const shape *s) { return K_BYTES / s->bytes; }
static bool whole(const shape *s) { return strcmp(s->d, "s32") == 0; }
static int a_of(const shape *s, unsigned i, unsigned k) {
    const int v = (int)((i * 4 + k * 5) % 9) - 4;
    return strcmp(s->a, "u8") == 0 ? v + 250 : v;
}
static int b_of(const shape *s, unsigned k, unsigned j) {
    const int v = (int)((k * 2 + j * 5) % 7) - 3;
    return strcmp(s->b, "u8") == 0 ? v + 3 : v;
}

// v as an element of that type; floats by their exponents, from an integer of at most 3 bits.
static uint32_t bits_of(const char *type, int v) {
    if (type[0] == 's' || type[0] == 'u')
        return (uint8_t)v;
    const float f = (float)v;
    uint32_t x;
    memcpy(&x, &f, 4);
    const uint32_t sign = x >> 31, e = x >> 23 & 255, m = x & 0x7fffff;
    if (strcmp(type, "tf32") == 0)
        return x | 0x1fff;             // the low bits are to be ignored
    if (strcmp(type, "bf16") == 0)
        return x >> 16;
    if (strcmp(type, "f16") == 0)
        return v ? sign << 15 | (e - 112) << 10 | m >> 13 : 0;
    return strcmp(type, "e4m3") == 0 ? (v ? sign << 7 | (e - 120) << 3 | m >> 20 : 0) : v ? sign << 7 | (e - 112) << 2 | m >> 21 : 0;
}

// PTX ISA, canonical layouts, in bytes: K-major rows of `swizzle` bytes, eight of them an atom, atoms `stride` apart; M- or N-major likewise with k as
// the row. Then the swizzle.
typedef struct layout { unsigned leading, stride; } layout;
static unsigned place(const shape *s, bool trans, layout l, unsigned mn, unsigned k) {
    const unsigned w = s->swizzle, along = (trans ? mn : k) * s->bytes, across = trans ? k : mn;
    unsigned at = across % 8 * w + along % w;
    if (w == 16)
        at += trans ? across / 8 * l.leading + along / 16 * l.stride : across / 8 * l.stride + along / 16 * l.leading;
    else
        at += across / 8 * l.stride + along / w * l.leading;
    return at ^ (at >> 7 & (w / 16 - 1)) << 4;
}
static layout layout_of(const shape *s, bool trans, unsigned mn) {
    const unsigned atom = 8 * s->swizzle;
    if (s->swizzle == 16)
        return trans ? (layout){.stride = atom, .leading = mn * s->bytes / 16 * atom} : (layout){.leading = mn / 8 * atom, .stride = atom};
    return trans ? (layout){.stride = atom, .leading = k_of(s) / 8 * atom} : (layout){.leading = 16, .stride = atom};
}
static uint64_t descriptor(const shape *s, layout l, unsigned at) {
    const uint64_t mode = s->swizzle == 128 ? 1 : s->swizzle == 64 ? 2 : s->swizzle == 32 ? 3 : 0;
    return (uint64_t)at >> 4 | (uint64_t)(l.leading >> 4) << 16 | (uint64_t)(l.stride >> 4) << 32 | mode << 62;
}

static void fill_images(const shape *s, uint8_t *image, layout la, layout lb) {
    for (unsigned k = 0; k < k_of(s); k++) {
        for (unsigned i = 0; i < 64; i++) {
            const uint32_t v = bits_of(s->a, a_of(s, i, k));
            memcpy(image + place(s, s->trans_a, la, i, k), &v, s->bytes);
        }
        for (unsigned j = 0; j < s->n; j++) {
            const uint32_t v = bits_of(s->b, b_of(s, k, j));
            memcpy(image + A_BYTES + place(s, s->trans_b, lb, j, k), &v, s->bytes);
        }
    }
}

// A's fragments: register r of lane 4g + t: row g + 8 (r odd), elements (r / 2 · 4 + t) · E …
static void fill_registers(const shape *s, uint32_t *regs) {
    const unsigned each = 4 / s->bytes;
    for (unsigned t = 0; t < 128; t++)
        for (unsigned r = 0; r < 4; r++)
            for (unsigned e = 0; e < each; e++) {
                const unsigned row = t / 32 * 16 + t % 32 / 4 + 8 * (r & 1), k = (r / 2 * 4 + t % 4) * each + e;
                regs[t * 4 + r] |= bits_of(s->a, a_of(s, row, k)) << (e * 8 * s->bytes % 32);
            }
}

static void write_kernel(const shape *s, char *text, size_t cap) {
    const bool f16 = strcmp(s->d, "f16") == 0, halves = s->bytes == 2;
    const unsigned regs = s->n / (f16 ? 4 : 2);
    size_t n = (size_t)snprintf(text, cap, ".version 8.4\n.target sm_90a\n.address_size 64\n"
        ".visible .entry k(.param .u64 p, .param .u64 q, .param .u64 o, .param .u32 a0, .param .u32 a1, .param .u32 b0, .param .u32 b1)\n{\n"
        ".reg .pred %%p, %%z; .reg .b32 %%r<20>; .reg .b32 %%c<%u>; .reg .b64 %%d<20>; .shared .align 1024 .b8 s[%d];\n"
        "ld.param.u64 %%d1, [p]; ld.param.u64 %%d2, [q]; ld.param.u64 %%d3, [o]; ld.param.v2.u32 {%%r10, %%r11}, [a0]; ld.param.v2.u32 {%%r12, %%r13}, [b0];\n"
        "mov.b64 %%d4, {%%r10, %%r11}; mov.b64 %%d5, {%%r12, %%r13}; mov.u32 %%r1, %%tid.x; mul.wide.u32 %%d6, %%r1, 4; add.s64 %%d7, %%d1, %%d6; shl.b32 %%r2, %%r1, 2;\n"
        "mov.u32 %%r3, s; add.u32 %%r3, %%r3, %%r2; mov.u32 %%r4, 0;\n"
        "L: ld.global.u32 %%r5, [%%d7]; st.shared.u32 [%%r3], %%r5; add.s64 %%d7, %%d7, 512; add.u32 %%r3, %%r3, 512; add.u32 %%r4, %%r4, 512;\n"
        "setp.lt.u32 %%p, %%r4, %d; @%%p bra L; fence.proxy.async.shared::cta; bar.sync 0;\n"
        "mul.wide.u32 %%d8, %%r1, 16; add.s64 %%d8, %%d2, %%d8; ld.global.v4.u32 {%%r6, %%r7, %%r8, %%r9}, [%%d8];\n", regs, A_BYTES + B_BYTES, A_BYTES + B_BYTES);
    const char *start = whole(s) ? "100" : f16 ? "0x4d004d00" : "0x41a00000";   // 100, or 20
    for (unsigned i = 0; i < regs; i++)
        n += (size_t)snprintf(text + n, cap - n, "mov.b32 %%c%u, %s;%s", i, start, i % 8 == 7 ? "\n" : " ");
    n += (size_t)snprintf(text + n, cap - n, "\nsetp.ne.u32 %%p, %u, 0; wgmma.fence.sync.aligned;\nwgmma.mma_async.sync.aligned.m64n%uk%u.%s.%s.%s {", s->accumulate, s->n, k_of(s),
                          s->d, s->a, s->b);
    for (unsigned i = 0; i < regs; i++)
        n += (size_t)snprintf(text + n, cap - n, "%s%%c%u", i ? ", " : "", i);
    n += (size_t)snprintf(text + n, cap - n, "}, %s, %%d5, %%p", s->registers ? "{%r6, %r7, %r8, %r9}" : "%d4");
    if (!whole(s))
        n += (size_t)snprintf(text + n, cap - n, ", %d, %d", s->scale_a, s->scale_b);
    if (halves && !s->registers)
        n += (size_t)snprintf(text + n, cap - n, ", %d", s->trans_a);
    if (halves)
        n += (size_t)snprintf(text + n, cap - n, ", %d", s->trans_b);
    n += (size_t)snprintf(text + n, cap - n, ";\nwgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;\nmul.wide.u32 %%d9, %%r1, %u; add.s64 %%d9, %%d3, %%d9;\n", regs * 4);
    for (unsigned i = 0; i < regs; i++)
        n += (size_t)snprintf(text + n, cap - n, "st.global.b32 [%%d9+%u], %%c%u;\n", 4 * i, i);
    snprintf(text + n, cap - n, "ret;\n}\n");
}

static int result_of(const shape *s, const uint32_t *out, unsigned i, unsigned j) {
    const bool f16 = strcmp(s->d, "f16") == 0;
    const unsigned regs = s->n / (f16 ? 4 : 2), thread = i / 16 * 32 + i % 8 * 4 + j % 8 / 2, element = j / 8 * 4 + i % 16 / 8 * 2 + j % 2;
    const uint32_t x = out[thread * regs + (f16 ? element / 2 : element)];
    float f;
    if (whole(s))
        return (int)x;
    if (f16)
        return (int)small_value(&SMALL_F16, x >> (element % 2 * 16) & 0xffff);
    memcpy(&f, &x, 4);
    return (int)f;
}

static void run(const shape *s) {
    static char text[65536];
    fixture f;
    honeVgpuFinding found[2];
    const layout la = layout_of(s, s->trans_a, 64), lb = layout_of(s, s->trans_b, s->n);
    const uint64_t a = descriptor(s, la, 0), b = descriptor(s, lb, A_BYTES);
    const uint32_t scalars[4] = {(uint32_t)a, (uint32_t)(a >> 32), (uint32_t)b, (uint32_t)(b >> 32)};
    write_kernel(s, text, sizeof text);
    fx_load(&f, text);
    fill_images(s, fx_buffer(&f, NULL, A_BYTES + B_BYTES), la, lb);
    fill_registers(s, fx_buffer(&f, NULL, 128 * 16));
    const uint32_t *out = fx_buffer(&f, NULL, 64 * 256 * 4);
    assert_int_equal(fx_launch(&f, 1, 128, NULL, 4, scalars), 0);
    if (fx_findings(&f, found, 2))
        fail_msg("%s: %s", found[0].kind, found[0].message);
    for (unsigned i = 0; i < 64; i++)
        for (unsigned j = 0; j < s->n; j++) {
            int want = s->accumulate ? (whole(s) ? 100 : 20) : 0, sign = whole(s) ? 1 : s->scale_a * s->scale_b;
            for (unsigned k = 0; k < k_of(s); k++)
                want += sign * a_of(s, i, k) * b_of(s, k, j);
            const int got = result_of(s, out, i, j);
            if (got != want)
                fail_msg("%s.%s.%s n %u swizzle %u%s%s%s, (%u,%u): %d, not %d", s->d, s->a, s->b, s->n, s->swizzle, s->registers ? " registers" : "",
                         s->trans_a ? " A transposed" : "", s->trans_b ? " B transposed" : "", i, j, got, want);
        }
    fx_free(&f);
}

static void layouts(void **state) {
    (void)state;
    for (unsigned swizzle = 16; swizzle <= 128; swizzle *= 2)
        for (unsigned t = 0; t < 4; t++)
            run(&(shape){"f32", "f16", "f16", .n = 64, .bytes = 2, .swizzle = swizzle, .trans_a = t & 1, .trans_b = t & 2, .accumulate = true, .scale_a = 1, .scale_b = 1});
}

static void types(void **state) {
    (void)state;
    static const struct { const char *d, *a, *b; unsigned bytes; } t[] = {
        {"f32", "bf16", "bf16", 2}, {"f16", "f16", "f16", 2}, {"f32", "tf32", "tf32", 4}, {"f32", "e4m3", "e4m3", 1}, {"f32", "e4m3", "e5m2", 1},
        {"f16", "e5m2", "e4m3", 1}, {"f32", "e5m2", "e5m2", 1}, {"s32", "s8", "s8", 1}, {"s32", "u8", "s8", 1}, {"s32", "s8", "u8", 1}, {"s32", "u8", "u8", 1},
    };
    for (size_t i = 0; i < HONE_COUNT(t); i++)
        for (unsigned registers = 0; registers < 2; registers++)
            run(&(shape){t[i].d, t[i].a, t[i].b, .n = 32, .bytes = t[i].bytes, .swizzle = 128, .registers = registers, .accumulate = i & 1, .scale_a = 1, .scale_b = 1});
}

static void sizes_and_scales(void **state) {
    (void)state;
    static const unsigned n[] = {8, 24, 128, 256};
    for (size_t i = 0; i < HONE_COUNT(n); i++)
        run(&(shape){"f32", "f16", "f16", .n = n[i], .bytes = 2, .swizzle = 128, .registers = i & 1, .scale_a = i & 1 ? 1 : -1, .scale_b = i & 2 ? 1 : -1});
}

// What does not exist is refused when the module is loaded, with its line.
static void refused(void **state) {
    (void)state;
    static const char *const t[] = {
        "wgmma.mma_async.sync.aligned.m64n8k8.f32.f16.f16 {%c0, %c1, %c2, %c3}, %d1, %d2, %p, 1, 1, 0, 0;",
        "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%c0, %c1, %c2}, %d1, %d2, %p, 1, 1, 0, 0;",
        "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%c0, %c1, %c2, %c3}, %d1, %d2, %p, 1, 2, 0, 0;",
        "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%c0, %c1, %c2, %c3}, %d1, %d2, %p, 1, 1;",
        "wgmma.mma_async.sync.aligned.m64n12k16.f32.f16.f16 {%c0, %c1, %c2, %c3}, %d1, %d2, %p, 1, 1, 0, 0;",
        "wgmma.mma_async.sync.aligned.m64n40k32.s32.s8.s8 {%c0, %c1, %c2, %c3, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0, %c0}, %d1, %d2, %p;",
    };
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        char text[1024];
        hone_err e = {0};
        ptx_module *m = NULL;
        vg_program *p = NULL;
        snprintf(text, sizeof text, ".version 8.4\n.target sm_90a\n.address_size 64\n.visible .entry k()\n{\n.reg .pred %%p; .reg .b32 %%c<4>; .reg .b64 %%d<4>;\n%s\nret;\n}\n", t[i]);
        const bool ok = ptx_parse(text, strlen(text), &m, &e) == HONE_OK && vg_program_build(m, NULL, NULL, &p, &e) == HONE_OK;
        if (ok || strncmp(e.msg, "ptx:7:", 6) != 0)
            fail_msg("case %zu: %s", i, e.msg);
        ptx_free(m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(layouts), cmocka_unit_test(types), cmocka_unit_test(sizes_and_scales), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
