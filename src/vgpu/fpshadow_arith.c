// fpshadow_arith: arithmetic, conversions and functions of floats, in binary64 on the shadows. Each result is tested: where it is far from
// the value that the run computed, the same operation on the values themselves has to explain the value (up to its own rounding); if it
// does not, this file's idea of the operation is wrong there, the shadow is given up and counted as lost.
#include "vgpu/fpshadow.h"
#include "vgpu/fp.h"

#define EVAL(name, expr) static double name(double a, double b, double c) { (void)a; (void)b; (void)c; return expr; }
EVAL(add, a + b) EVAL(sub, a - b) EVAL(mul, a * b) EVAL(muladd, a * b + c) EVAL(negate, -a) EVAL(magnitude, fabs(a)) EVAL(quotient, a / b)
EVAL(reciprocal, 1 / a) EVAL(root, sqrt(a)) EVAL(inverse_root, 1 / sqrt(a)) EVAL(power, exp2(a)) EVAL(logarithm, log2(a)) EVAL(sine, sin(a))
EVAL(cosine, cos(a)) EVAL(tangent, tanh(a)) EVAL(sign_of, copysign(b, a)) EVAL(smaller, a < b ? a : b) EVAL(larger, a > b ? a : b)

static const struct { uint16_t op; vg_fs_eval f; double abs; } g_evals[] = {
    {PTX_OP_ADD, add, 0}, {PTX_OP_SUB, sub, 0}, {PTX_OP_MUL, mul, 0}, {PTX_OP_FMA, muladd, 0}, {PTX_OP_MAD, muladd, 0}, {PTX_OP_NEG, negate, 0},
    {PTX_OP_ABS, magnitude, 0}, {PTX_OP_DIV, quotient, 0}, {PTX_OP_RCP, reciprocal, 0}, {PTX_OP_SQRT, root, 0},
    {PTX_OP_RSQRT, inverse_root, 0}, {PTX_OP_EX2, power, 0}, {PTX_OP_LG2, logarithm, 0x1p-18}, {PTX_OP_SIN, sine, 0x1p-18},
    {PTX_OP_COS, cosine, 0x1p-18}, {PTX_OP_TANH, tangent, 0}, {PTX_OP_COPYSIGN, sign_of, 0}, {PTX_OP_MIN, smaller, 0}, {PTX_OP_MAX, larger, 0},
};
vg_fs_eval vg_fs_eval_of(unsigned op, double *abs_error) {
    for (size_t i = 0; i < HONE_COUNT(g_evals); i++)
        if (g_evals[i].op == op) {
            *abs_error = g_evals[i].abs;
            return g_evals[i].f;
        }
    return NULL;
}

typedef struct lanes { double v[VG_LANES]; } lanes;
typedef struct operands { lanes value[3], shadow[3]; } operands;   // of one half

static void read_half(vg_warp *w, uint32_t off, uint32_t kind, unsigned half, lanes *value, lanes *shadow) {
    const vg_fs_row *r = vg_fs_row_at(w, off);
    const uint32_t *bits = vg_u32(w, off);
    if (!r->any) {
        for (unsigned l = 0; l < VG_LANES; l++)
            value->v[l] = kind == VG_FS_F32 ? (double)vg_f32_of(bits[l]) : vg_fs_value(bits[l], kind, half);
        *shadow = *value;
        return;
    }
    if (kind == VG_FS_F32) {
        for (unsigned l = 0; l < VG_LANES; l++) {
            value->v[l] = (double)vg_f32_of(bits[l]);
            shadow->v[l] = r->kind[l] == VG_FS_F32 && r->bits[l] == bits[l] ? r->lo[l] : value->v[l];
        }
        for (unsigned l = 0; (r->any & VG_FS_BF16) == VG_FS_BF16 && l < VG_LANES; l++)
            if (r->kind[l] == VG_FS_BF16)
                shadow->v[l] = vg_fs_as(vg_fs_get(w, off, l), bits[l], VG_FS_F32, 0);
        return;
    }
    for (unsigned l = 0; l < VG_LANES; l++) {
        value->v[l] = vg_fs_value(bits[l], kind, half);
        shadow->v[l] = vg_fs_as(vg_fs_get(w, off, l), bits[l], kind, half);
    }
}

static double finish_one(const vg_fs_inst *s, double x) {
    x = s->clamp ? (x > 0 ? (x < 1 ? x : 1.0) : 0.0) : x;
    return s->relu && x < 0 ? 0.0 : x;
}

static void evaluate(const vg_fs_inst *s, const lanes *x, lanes *out) {
    const double *a = x[0].v, *b = x[1].v, *c = x[2].v;
    double *d = out->v;
    if (s->eval == muladd)
        for (unsigned l = 0; l < VG_LANES; l++)
            d[l] = a[l] * b[l] + c[l];
    else if (s->eval == mul)
        for (unsigned l = 0; l < VG_LANES; l++)
            d[l] = a[l] * b[l];
    else if (s->eval == add)
        for (unsigned l = 0; l < VG_LANES; l++)
            d[l] = a[l] + b[l];
    else if (s->eval)
        for (unsigned l = 0; l < VG_LANES; l++)
            d[l] = s->eval(a[l], b[l], c[l]);
    else
        for (unsigned l = 0; l < VG_LANES; l++)
            d[l] = a[l];
    for (unsigned l = 0; (s->clamp || s->relu) && l < VG_LANES; l++)
        d[l] = finish_one(s, d[l]);
}

// Does the operation, done in binary64 on the values, give the value that the run got? The bound is the operation's own rounding.
static bool explained(const vg_fs_inst *s, const operands *x, unsigned l, double got) {
    const double a = x->value[0].v[l], b = x->value[1].v[l], c = x->value[2].v[l];
    const double exact = finish_one(s, s->eval ? s->eval(a, b, c) : a);
    return fabs(exact - got) <= s->rel * fmax(fabs(exact), fabs(got)) + s->abs;
}

// The shadow of one result: `want` is the operation on the shadows, `got` the run's value. *lost counts what was given up.
static double settle(const vg_fs_inst *s, const operands *x, unsigned l, double want, double got, uint64_t *lost) {
    if (s->pick)       // min and max follow the run's own choice
        return got == x->value[0].v[l] ? x->shadow[0].v[l] : got == x->value[1].v[l] ? x->shadow[1].v[l] : got;
    if (fabs(want - got) <= 0x1p-12 * fabs(got))
        return want;
    if (isinf(got) && isfinite(want))      // the run overflowed, or divided by what rounding made zero
        return want;
    if (isnan(got) || (isinf(got) && isinf(want)))
        return got;
    if (isfinite(want) && explained(s, x, l, got))
        return want;
    ++*lost;
    return got;
}

// The usual case in one loop: 32 floats, none far from its value. False: lane by lane.
static bool settle_row(vg_fs_row *r, const uint32_t *bits, const lanes *want) {
    double far = 0;
    for (unsigned l = 0; l < VG_LANES; l++) {
        const double got = (double)vg_f32_of(bits[l]), d = fabs(want->v[l] - got), most = 0x1p-12 * fabs(got);
        far += d <= most ? 0.0 : 1.0;      // NaN is far
    }
    if (far > 0)
        return false;
    for (unsigned l = 0; l < VG_LANES; l++) {
        r->lo[l] = want->v[l];
        r->bits[l] = bits[l];
        r->kind[l] = VG_FS_F32;
    }
    return true;
}

static void settle_half(vg_warp *w, const vg_inst *in, const vg_fs_inst *s, uint32_t mask, const operands *x, unsigned half) {
    lanes want;
    vg_fs_row *r = vg_fs_row_at(w, in->d);
    const uint32_t *bits = vg_u32(w, in->d);
    uint64_t lost = 0;
    if (s->integral)
        want = (lanes){{0}};
    else
        evaluate(s, x->shadow, &want);
    r->any |= s->kind;
    w->block->launch->ctx->fs.results += (uint64_t)__builtin_popcount(mask);
    if (mask == 0xffffffffu && s->kind == VG_FS_F32 && !s->integral && !s->pick && settle_row(r, bits, &want))
        return;
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        const double got = vg_fs_value(bits[l], s->kind, half);
        const double t = s->integral ? got : settle(s, x, l, want.v[l], got, &lost);
        *(half ? &r->hi[l] : &r->lo[l]) = t;
        r->bits[l] = bits[l];
        r->kind[l] = s->kind;
        if (!half && !s->pair)
            r->hi[l] = 0;
    }
    vg_fs_lost(w, in, lost);
}

void vg_fs_arith(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_fs_inst *s = vg_fs_of(w, in);
    const uint32_t rows[3] = {in->a, in->b, in->c};
    operands x[2];
    for (unsigned h = 0; h < (s->pair ? 2u : 1u); h++)
        for (unsigned i = 0; i < s->sources; i++)
            read_half(w, rows[i], s->source_kind, h, &x[h].value[i], &x[h].shadow[i]);
    for (unsigned h = 0; h < (s->pair ? 2u : 1u); h++)
        for (unsigned i = s->sources; i < 3; i++)
            x[h].value[i] = x[h].shadow[i] = (lanes){{0}};
    vg_fs_run(w, in, s, mask);
    for (unsigned h = 0; h < (s->pair ? 2u : 1u); h++)
        settle_half(w, in, s, mask, &x[h], h);
}

// ---- binary64
static void read64(vg_warp *w, uint32_t off, lanes *value, lanes *shadow) {
    for (unsigned l = 0; l < VG_LANES; l++) {
        value->v[l] = vg_f64(w, off)[l];
        const vg_fs_word x = vg_fs_get64(w, off, l, 0);
        shadow->v[l] = x.kind == VG_FS_F64 ? x.lo : value->v[l];
    }
}
static void put64(vg_warp *w, uint32_t off, unsigned l, double x) {
    vg_fs_put64(w, off, l, 0, (vg_fs_word){x, 0, VG_FS_F64});
    vg_fs_put64(w, off, l, 1, (vg_fs_word){0, 0, VG_FS_NONE});
}

void vg_fs_arith64(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_fs_inst *s = vg_fs_of(w, in);
    const uint32_t rows[3] = {in->a, in->b, in->c};
    operands x = {0};
    lanes want;
    uint64_t lost = 0;
    for (unsigned i = 0; i < s->sources; i++)
        read64(w, rows[i], &x.value[i], &x.shadow[i]);
    vg_fs_run(w, in, s, mask);
    evaluate(s, x.shadow, &want);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        const double got = vg_f64(w, in->d)[l];
        put64(w, in->d, l, s->integral ? got : settle(s, &x, l, want.v[l], got, &lost));
    }
    vg_fs_lost(w, in, lost);
}

// ---- conversions between float types: the shadow stays, only its place changes. sources = 2: packed from two words, the first is upper.
static void read_any(vg_warp *w, uint32_t off, uint32_t kind, unsigned half, lanes *value, lanes *shadow) {
    if (kind == VG_FS_F64)
        read64(w, off, value, shadow);
    else
        read_half(w, off, kind, half, value, shadow);
}

void vg_fs_cvt(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_fs_inst *s = vg_fs_of(w, in);
    operands x[2] = {0};
    uint64_t lost = 0;
    if (s->sources == 2) {
        read_any(w, in->b, s->source_kind, 0, &x[0].value[0], &x[0].shadow[0]);
        read_any(w, in->a, s->source_kind, 0, &x[1].value[0], &x[1].shadow[0]);
    } else {
        read_any(w, in->a, s->source_kind, 0, &x[0].value[0], &x[0].shadow[0]);
    }
    vg_fs_run(w, in, s, mask);
    if (s->kind != VG_FS_F64) {
        settle_half(w, in, s, mask, &x[0], 0);
        if (s->pair)
            settle_half(w, in, s, mask, &x[1], 1);
        return;
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        put64(w, in->d, l, settle(s, &x[0], l, finish_one(s, x[0].shadow[0].v[l]), vg_f64(w, in->d)[l], &lost));
    }
    vg_fs_lost(w, in, lost);
}

// Shadows of 8-bit floats are not kept: what they would have shown is lost.
void vg_fs_cvt_narrow(vg_warp *w, const vg_inst *in, uint32_t mask) {
    vg_fs_run(w, in, vg_fs_of(w, in), mask);
    vg_fs_lost(w, in, (uint64_t)__builtin_popcount(mask));
}
void vg_fs_opaque(vg_warp *w, const vg_inst *in, uint32_t mask) {
    vg_fs_run(w, in, vg_fs_of(w, in), mask);
    vg_fs_lost(w, in, (uint64_t)__builtin_popcount(mask));
}
