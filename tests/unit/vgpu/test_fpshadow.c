// The binary64 shadow (HONE_VGPU_SHADOW): it is what exact arithmetic would have given, it never changes the run, and it never survives
// what it cannot follow.
#include "exec_fixture.h"
#include "vgpu/fpshadow.h"
#include <math.h>

static vg_program *normal_program;

// Loads k; fx_launch runs it with shadows until `use_normal`.
static void load(fixture *f, const char *ptx) {
    hone_err e = {0};
    fx_load(f, ptx);
    normal_program = f->program;
    assert_int_equal(vg_program_build_shadow(f->ptx, NULL, NULL, &f->program, &e), HONE_OK);
    f->code = vg_program_find(f->program, "k");
}
static void unload(fixture *f) {
    vg_program_free(normal_program);
    fx_free(f);
}
static void run(fixture *f, uint32_t grid, uint32_t block, unsigned n, const uint32_t *scalars) {
    const fx_options o = {.flags = HONE_VGPU_CHECK | HONE_VGPU_SHADOW, .threads = 1};
    assert_int_equal(fx_launch(f, grid, block, &o, n, scalars), 0);
    honeVgpuFinding found;
    if (fx_findings(f, &found, 1))
        fail_msg("%s", found.message);
}
static void run_normal(fixture *f, uint32_t grid, uint32_t block) {
    const vg_code *shadow = f->code;
    const fx_options o = {.flags = HONE_VGPU_CHECK, .threads = 1};
    f->code = vg_program_find(normal_program, "k");
    assert_int_equal(fx_launch(f, grid, block, &o, 0, NULL), 0);
    f->code = shadow;
}
static double shadow_at(const fixture *f, unsigned buffer, size_t i, int type, size_t size) {
    double x = 0;
    assert_true(vg_fs_read(f->buf[buffer], i * size, 1, type, &x));
    return x;
}
static double shadow_f32(const fixture *f, unsigned buffer, size_t i) { return shadow_at(f, buffer, i, HONE_VGPU_F32, 4); }
static float *random_floats(size_t n, uint64_t seed) {
    static float v[1 << 14];
    hone_rng r;
    hone_rng_init(&r, seed, 0);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)hone_rng_normal(&r);
    return v;
}
#define near(a, b, rel) do { const double a_ = (a), b_ = (b); if (!(fabs(a_ - b_) <= (rel) * fabs(b_))) fail_msg("%.17g is not %.17g", a_, b_); } while (0)

#define ENTRY PTX_HEAD ".visible .entry k(.param .u64 a, .param .u64 b) {\n" \
    ".reg .f32 %f<40>; .reg .b32 %r<40>; .reg .b64 %d<20>; .reg .pred %p<8>; .reg .b16 %h<16>;\n" \
    "ld.param.u64 %d1, [a]; ld.param.u64 %d2, [b]; mov.u32 %r1, %tid.x; mul.wide.u32 %d3, %r1, 4;\n" \
    "add.u64 %d4, %d1, %d3; add.u64 %d5, %d2, %d3;\n"

// ---- sums
static const char sum_ptx[] = ENTRY
    "mov.f32 %f1, 0f00000000; mov.u32 %r2, 0;\n"
    "L: ld.global.f32 %f2, [%d4]; add.f32 %f1, %f1, %f2; add.u64 %d4, %d4, 128; add.u32 %r2, %r2, 1; setp.lt.u32 %p1, %r2, 64; @%p1 bra L;\n"
    "st.global.f32 [%d5], %f1; ret; }";

static void sum_of_floats(void **state) {
    (void)state;
    fixture f;
    load(&f, sum_ptx);
    const float *in = fx_buffer(&f, random_floats(64 * 32, 1), 64 * 32 * 4);
    float *out = fx_buffer(&f, NULL, 32 * 4);
    run(&f, 1, 32, 0, NULL);
    unsigned inexact = 0;
    for (unsigned l = 0; l < 32; l++) {
        float s = 0;
        double d = 0;
        for (unsigned i = 0; i < 64; i++) {
            s += in[l + 32 * i];
            d += (double)in[l + 32 * i];
        }
        assert_memory_equal(&out[l], &s, 4);
        assert_true(shadow_f32(&f, 1, l) == d);
        inexact += d != (double)s;
    }
    assert_true(inexact > 24);
    assert_int_equal(f.ctx->fs.lost, 0);
    assert_int_equal(f.ctx->fs.rederived, 0);
    assert_int_equal(f.ctx->fs.results, 64 * 32);
    unload(&f);
}

static const char cancel_ptx[] = ENTRY
    "ld.global.f32 %f1, [%d4]; add.f32 %f2, %f1, 0f4B000000; sub.f32 %f3, %f2, %f1; sub.f32 %f3, %f3, 0f4AFFFFFE;\n"   // an honest large addend
    "add.f32 %f4, %f1, 0f3F800000; sub.f32 %f5, %f4, 0f3F800000;\n"
    "st.global.f32 [%d5], %f5; ret; }";

static void cancellation_shows(void **state) {
    (void)state;
    fixture f;
    float tiny[32];
    for (unsigned l = 0; l < 32; l++)
        tiny[l] = 1e-9f * (float)(l + 1);
    load(&f, cancel_ptx);
    fx_buffer(&f, tiny, sizeof tiny);
    const float *out = fx_buffer(&f, NULL, sizeof tiny);
    run(&f, 1, 32, 0, NULL);
    for (unsigned l = 0; l < 32; l++) {
        assert_true(out[l] == 0);
        assert_true(fabs(shadow_f32(&f, 1, l) - (double)tiny[l]) < 1e-15);
    }
    assert_int_equal(f.ctx->fs.lost, 0);
    unload(&f);
}

// ---- expf as nvcc expands it: a rounding constant, a shift of its bits into an exponent
static const char exp_ptx[] = ENTRY
    "ld.global.f32 %f1, [%d4];\n"
    "mov.f32 %f2, 0f3F000000; mov.f32 %f3, 0f3BBB989D; fma.rn.f32.sat %f4, %f1, %f3, %f2;\n"
    "mov.f32 %f5, 0f4B400001; mov.f32 %f6, 0f437C0000; fma.rm.f32 %f7, %f4, %f6, %f5;\n"
    "add.f32 %f8, %f7, 0fCB40007F; neg.f32 %f9, %f8;\n"
    "mov.f32 %f10, 0f3FB8AA3B; fma.rn.f32 %f11, %f1, %f10, %f9; mov.f32 %f12, 0f32A57060; fma.rn.f32 %f13, %f1, %f12, %f11;\n"
    "mov.b32 %r5, %f7; shl.b32 %r6, %r5, 23; mov.b32 %f14, %r6; ex2.approx.ftz.f32 %f15, %f13; mul.f32 %f16, %f15, %f14;\n"
    "st.global.f32 [%d5], %f16; ret; }";

static void exponential(void **state) {
    (void)state;
    fixture f;
    float x[32];
    for (unsigned l = 0; l < 32; l++)
        x[l] = -20.0f + 1.37f * (float)l;
    load(&f, exp_ptx);
    fx_buffer(&f, x, sizeof x);
    const float *out = fx_buffer(&f, NULL, sizeof x);
    run(&f, 1, 32, 0, NULL);
    for (unsigned l = 0; l < 32; l++) {
        near((double)out[l], exp((double)x[l]), 1e-6);
        near(shadow_f32(&f, 1, l), exp((double)x[l]), 1e-12);
    }
    assert_int_equal(f.ctx->fs.lost, 0);
    unload(&f);
}

// ---- bits
static const char bits_ptx[] = ENTRY
    "ld.global.f32 %f1, [%d4]; div.rn.f32 %f2, %f1, 0f40400000; mov.b32 %r2, %f2;\n"                  // x / 3
    "xor.b32 %r3, %r2, 0x80000000; st.global.b32 [%d5], %r3;\n"                                     // sign
    "add.s32 %r4, %r2, 0x00800000; st.global.b32 [%d5+128], %r4;\n"                                 // exponent
    "and.b32 %r5, %r2, 0xffff0000; st.global.b32 [%d5+256], %r5;\n"                                 // truncated: its rounding shows
    "xor.b32 %r6, %r2, 0x2aaaaaaa; st.global.b32 [%d5+384], %r6;\n"                                 // nothing known
    "setp.gt.f32 %p1, %f2, 0f00000000; selp.b32 %r7, %r2, %r3, %p1; st.global.b32 [%d5+512], %r7; ret; }";

static void bit_operations(void **state) {
    (void)state;
    fixture f;
    load(&f, bits_ptx);
    const float *in = fx_buffer(&f, random_floats(32, 2), 128);
    const float *out = fx_buffer(&f, NULL, 5 * 128);
    run(&f, 1, 32, 0, NULL);
    for (unsigned l = 0; l < 32; l++) {
        const double third = (double)in[l] / 3;
        assert_true(shadow_f32(&f, 1, l) == -third);
        assert_true(shadow_f32(&f, 1, 32 + l) == 2 * third);
        assert_true(shadow_f32(&f, 1, 64 + l) == third);
        assert_true(shadow_f32(&f, 1, 96 + l) == (double)out[96 + l]);
        assert_true(shadow_f32(&f, 1, 128 + l) == fabs(third));
    }
    assert_int_equal(f.ctx->fs.lost, 0);
    assert_in_range(f.ctx->fs.rederived, 16, 32);   // most thirds are no floats
    unload(&f);
}

// ---- everything that moves floats between threads: shared memory, shuffles, atomics, halves; bit-identical with and without
static const char mix_ptx[] = PTX_HEAD ".visible .entry k(.param .u64 a, .param .u64 b) {\n"
    ".reg .f32 %f<40>; .reg .b32 %r<40>; .reg .b64 %d<20>; .reg .pred %p<8>; .reg .b16 %h<16>; .shared .align 4 .b8 s[128];\n"
    "ld.param.u64 %d1, [a]; ld.param.u64 %d2, [b]; mov.u32 %r1, %tid.x; mul.wide.u32 %d3, %r1, 4;\n"
    "add.u64 %d4, %d1, %d3; add.u64 %d5, %d2, %d3; mov.u32 %r9, s; shl.b32 %r10, %r1, 2; add.u32 %r11, %r9, %r10; xor.b32 %r12, %r10, 124; add.u32 %r12, %r9, %r12;\n"
    "ld.global.f32 %f1, [%d4]; div.rn.f32 %f2, %f1, 0f40400000;\n"
    "st.shared.f32 [%r11], %f2; bar.sync 0; ld.shared.f32 %f3, [%r12]; st.global.f32 [%d5], %f3;\n"                 // 0: reversed thirds
    "mov.b32 %r2, %f2; shfl.sync.bfly.b32 %r3, %r2, 1, 31, -1; mov.b32 %f4, %r3; add.f32 %f5, %f2, %f4; st.global.f32 [%d5+128], %f5;\n"  // 1
    "red.global.add.f32 [%d2+256], %f2;\n"                                                                          // 2[0]: sum of thirds
    "cvt.rn.f16x2.f32 %r4, %f5, %f2; fma.rn.f16x2 %r5, %r4, %r4, %r4; st.global.b32 [%d5+384], %r5;\n"               // 3: {x+x², y+y²}
    "mov.b32 {%h1, %h2}, %r5; cvt.f32.f16 %f6, %h2; st.global.f32 [%d5+512], %f6;\n"                                // 4: the upper of them
    "cvt.rn.bf16.f32 %h3, %f2; mov.b16 %h4, 0; mov.b32 %r6, {%h4, %h3}; mov.b32 %f7, %r6; mul.f32 %f8, %f7, %f7; st.global.f32 [%d5+640], %f8;\n"   // 5
    "max.f32 %f9, %f2, %f4; st.global.f32 [%d5+768], %f9;\n"                                                         // 6
    "cvt.f64.f32 %d6, %f2; add.f64 %d7, %d6, %d6; cvt.rn.f32.f64 %f10, %d7; st.global.f32 [%d5+896], %f10;\n"        // 7
    "sqrt.rn.f32 %f11, %f9; rsqrt.approx.f32 %f12, %f3; sin.approx.f32 %f13, %f2; tanh.approx.f32 %f14, %f2; lg2.approx.f32 %f15, %f1;\n"
    "st.global.f32 [%d5+1024], %f13; st.global.f32 [%d5+1152], %f14; st.global.f32 [%d5+1280], %f15; ret; }";

static void exchange(void **state) {
    (void)state;
    fixture f;
    static float first[11 * 32];
    load(&f, mix_ptx);
    const float *in = fx_buffer(&f, random_floats(32, 3), 128);
    float *out = fx_buffer(&f, NULL, sizeof first);
    memset(out, 0, sizeof first);
    run_normal(&f, 1, 32);
    memcpy(first, out, sizeof first);
    memset(out, 0, sizeof first);
    run(&f, 1, 32, 0, NULL);
    assert_memory_equal(first, out, sizeof first);
    double sum = 0;
    for (unsigned l = 0; l < 32; l++) {
        const double t = (double)in[l] / 3, pair = t + (double)in[l ^ 1] / 3;
        sum += t;
        assert_true(shadow_f32(&f, 1, l) == (double)in[31 - l] / 3);
        assert_true(shadow_f32(&f, 1, 32 + l) == pair);
        near(shadow_at(&f, 1, 2 * (96 + l), HONE_VGPU_F16, 2), t * t + t, 1e-14);
        near(shadow_at(&f, 1, 2 * (96 + l) + 1, HONE_VGPU_F16, 2), pair * pair + pair, 1e-12);
        near(shadow_f32(&f, 1, 128 + l), pair * pair + pair, 1e-12);
        near(shadow_f32(&f, 1, 160 + l), t * t, 1e-14);
        assert_true(shadow_f32(&f, 1, 192 + l) == fmax(t, (double)in[l ^ 1] / 3));
        assert_true(shadow_f32(&f, 1, 224 + l) == 2 * t);
        near(shadow_f32(&f, 1, 256 + l), sin(t), 1e-14);
        near(shadow_f32(&f, 1, 288 + l), tanh(t), 1e-14);
        if (in[l] > 0)
            near(shadow_f32(&f, 1, 320 + l), log2((double)in[l]), 1e-14);
    }
    near(shadow_f32(&f, 1, 64), sum, 1e-13);
    assert_int_equal(f.ctx->fs.lost, 0);
    unload(&f);
}

// An odd number of halves: the last one, or the only one, has half a word.
static const char odd_ptx[] = PTX_HEAD ".visible .entry k(.param .u64 a, .param .u64 b) {\n"
    ".reg .f32 %f<8>; .reg .b16 %h<4>; .reg .b64 %d<8>; .reg .b32 %r<4>;\n"
    "ld.param.u64 %d1, [a]; ld.param.u64 %d2, [b]; mov.u32 %r1, %tid.x; mul.wide.u32 %d3, %r1, 4; mul.wide.u32 %d4, %r1, 2;\n"
    "add.u64 %d5, %d1, %d3; add.u64 %d6, %d2, %d4; ld.global.f32 %f1, [%d5]; div.rn.f32 %f2, %f1, 0f40400000;\n"
    "cvt.rn.bf16.f32 %h1, %f2; st.global.b16 [%d6], %h1; ret; }";

static void odd_halves(void **state) {
    (void)state;
    static const unsigned counts[] = {1, 3, 2};
    for (unsigned t = 0; t < 3; t++) {
        fixture f;
        load(&f, odd_ptx);
        const float *in = fx_buffer(&f, random_floats(4, 9), 16);
        fx_buffer(&f, NULL, 2 * counts[t]);
        run(&f, 1, counts[t], 0, NULL);
        for (unsigned i = 0; i < counts[t]; i++)
            assert_true(shadow_at(&f, 1, i, HONE_VGPU_BF16, 2) == (double)in[i] / 3);
        unload(&f);
    }
}

static const char mma_ptx[] = ENTRY
    "mul.wide.u32 %d6, %r1, 16; add.u64 %d6, %d2, %d6;\n"
    "ld.global.f32 %f1, [%d4]; div.rn.f32 %f1, %f1, 0f40400000; cvt.rn.f16x2.f32 %r2, %f1, %f1; mov.b32 %f2, 0f3F800000; cvt.rn.f16x2.f32 %r3, %f2, %f2;\n"
    "mov.f32 %f10, 0f00000000;\n"
    "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f20, %f21, %f22, %f23}, {%r2, %r2, %r2, %r2}, {%r3, %r3}, {%f10, %f10, %f10, %f10};\n"
    "st.global.v4.f32 [%d6], {%f20, %f21, %f22, %f23}; ret; }";

static void matrix_product(void **state) {
    (void)state;
    fixture f;
    static float first[128];
    load(&f, mma_ptx);
    const float *in = fx_buffer(&f, random_floats(32, 4), 128);
    float *out = fx_buffer(&f, NULL, sizeof first);
    run_normal(&f, 1, 32);
    memcpy(first, out, sizeof first);
    run(&f, 1, 32, 0, NULL);
    assert_memory_equal(first, out, sizeof first);
    for (unsigned l = 0; l < 32; l++) {   // row l/4 of A holds each of its four lanes' values four times
        double sum = 0;
        for (unsigned t = 0; t < 4; t++)
            sum += 4 * ((double)in[l / 4 * 4 + t] / 3);
        for (unsigned i = 0; i < 4; i++) {
            assert_true(fabs(shadow_f32(&f, 1, 4 * l + i) - sum) < 1e-14);
            assert_true(fabs((double)out[4 * l + i] - sum) < 1e-2 * 16);
        }
    }
    assert_int_equal(f.ctx->fs.lost, 0);
    unload(&f);
}

// ---- lanes that update one address with compare-and-swap: the old values' shadows come back with them
static const char cas_ptx[] = ENTRY
    "ld.global.f32 %f1, [%d4]; div.rn.f32 %f1, %f1, 0f40400000; ld.global.b32 %r2, [%d2];\n"
    "L: mov.b32 %f2, %r2; add.f32 %f3, %f2, %f1; mov.b32 %r3, %f3; mov.b32 %r4, %r2; atom.global.cas.b32 %r2, [%d2], %r4, %r3;\n"
    "setp.ne.u32 %p1, %r2, %r4; @%p1 bra L; ret; }";

static void compare_and_swap(void **state) {
    (void)state;
    fixture f;
    load(&f, cas_ptx);
    const float *in = fx_buffer(&f, random_floats(32, 5), 128);
    float *out = fx_buffer(&f, NULL, 4);
    *out = 0;
    run(&f, 1, 32, 0, NULL);
    double sum = 0;
    for (unsigned l = 0; l < 32; l++)
        sum += (double)in[l] / 3;
    assert_true((double)*out != sum);
    near(shadow_f32(&f, 1, 0), sum, 1e-12);
    unload(&f);
}

// ---- staleness and writing from outside
static const char third_ptx[] = ENTRY "ld.global.f32 %f1, [%d4]; div.rn.f32 %f2, %f1, 0f40400000; st.global.f32 [%d5], %f2; ret; }";

static void host_writes_make_stale(void **state) {
    (void)state;
    fixture f;
    load(&f, third_ptx);
    float *in = fx_buffer(&f, random_floats(32, 6), 128);
    float *out = fx_buffer(&f, NULL, 128);
    run(&f, 1, 32, 0, NULL);
    assert_true(shadow_f32(&f, 1, 3) == (double)in[3] / 3);
    out[3] = 7.25f;
    memset(out + 4, 0, 8);
    assert_true(shadow_f32(&f, 1, 3) == 7.25);
    assert_true(shadow_f32(&f, 1, 4) == 0);
    assert_true(shadow_f32(&f, 1, 6) == (double)in[6] / 3);
    const double exact = (double)in[0] * (1 + 0x1p-30);
    assert_true(vg_fs_write(f.buf[0], 0, 1, HONE_VGPU_F32, &exact));
    run(&f, 1, 32, 0, NULL);
    near(shadow_f32(&f, 1, 0), exact / 3, 1e-15);
    in[0] = 3.0f;                          // the written shadow goes with the value it was for
    run(&f, 1, 32, 0, NULL);
    assert_true(shadow_f32(&f, 1, 0) == 1);
    double none;
    assert_false(vg_fs_read(f.buf[1], 120, 3, HONE_VGPU_F32, &none));
    assert_false(vg_fs_read(f.buf[1], 2, 1, HONE_VGPU_F32, &none));
    assert_false(vg_fs_read(f.buf[1], 0, 1, 17, &none));
    unload(&f);
}

// ---- what is not followed is said
static const char narrow_ptx[] = ENTRY
    "ld.global.f32 %f1, [%d4]; div.rn.f32 %f2, %f1, 0f40400000; cvt.rn.satfinite.e4m3x2.f32 %h1, %f2, %f2; cvt.rn.f16x2.e4m3x2 %r2, %h1;\n"
    "st.global.b32 [%d5], %r2; ret; }";

static void narrow_floats_are_lost(void **state) {
    (void)state;
    fixture f;
    load(&f, narrow_ptx);
    fx_buffer(&f, random_floats(32, 7), 128);
    fx_buffer(&f, NULL, 128);
    run(&f, 1, 32, 0, NULL);
    assert_int_equal(f.ctx->fs.lost, 32);
    assert_string_equal(f.ctx->fs.kernel, "k");
    assert_true(f.ctx->fs.ptx_line > 0);
    unload(&f);
}

// ---- calls: parameters and results carry shadows
static const char call_ptx[] = PTX_HEAD
    ".func (.param .f32 r) twice(.param .f32 x) { .reg .f32 %f<4>; ld.param.f32 %f1, [x]; add.f32 %f2, %f1, %f1; st.param.f32 [r], %f2; ret; }\n"
    ".visible .entry k(.param .u64 a, .param .u64 b) {\n"
    ".reg .f32 %f<8>; .reg .b32 %r<8>; .reg .b64 %d<8>;\n"
    "ld.param.u64 %d1, [a]; ld.param.u64 %d2, [b]; mov.u32 %r1, %tid.x; mul.wide.u32 %d3, %r1, 4; add.u64 %d4, %d1, %d3; add.u64 %d5, %d2, %d3;\n"
    "ld.global.f32 %f1, [%d4]; div.rn.f32 %f2, %f1, 0f40400000;\n"
    "{ .param .f32 p; .param .f32 q; st.param.f32 [p], %f2; call (q), twice, (p); ld.param.f32 %f3, [q]; }\n"
    "st.global.f32 [%d5], %f3; ret; }";

static void calls(void **state) {
    (void)state;
    fixture f;
    load(&f, call_ptx);
    const float *in = fx_buffer(&f, random_floats(32, 8), 128);
    fx_buffer(&f, NULL, 128);
    run(&f, 1, 32, 0, NULL);
    for (unsigned l = 0; l < 32; l++)
        assert_true(shadow_f32(&f, 1, l) == 2 * ((double)in[l] / 3));
    unload(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sum_of_floats), cmocka_unit_test(cancellation_shows), cmocka_unit_test(exponential), cmocka_unit_test(bit_operations),
        cmocka_unit_test(exchange), cmocka_unit_test(odd_halves), cmocka_unit_test(matrix_product), cmocka_unit_test(compare_and_swap),
        cmocka_unit_test(host_writes_make_stale), cmocka_unit_test(narrow_floats_are_lost), cmocka_unit_test(calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
