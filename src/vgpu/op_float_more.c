// op_float_more: the f32 arithmetic that sm_100 added: packed pairs (f32x2), mixed precision (f32 with f16 or bf16 sources), and min and max of
// three. The same rounding rules as op_float.c, one lane at a time.
#include "vgpu/fp.h"
#include <fenv.h>

bool VG_NAME(vg_bind_float_more)(vg_binder *b, const ptx_inst *in, vg_inst *out);

enum { M_FTZ = 1, M_SAT = 2, M_BF16 = 4, M_NAN = 8, M_ABS = 16, M_MAX = 32 };   // aux; aux2: the host's rounding mode

// noinline and volatile: the arithmetic must stay between the two changes of the rounding mode
static __attribute__((noinline)) float one(unsigned op, float a, float b, float c, uint32_t how) {
    const bool ftz = how & M_FTZ;
    const volatile float x = ftz ? vg_ftz(a) : a, y = ftz ? vg_ftz(b) : b, z = ftz ? vg_ftz(c) : c;
    volatile float r;
    switch (op) {
    case PTX_OP_ADD: r = x + y; break;
    case PTX_OP_SUB: r = x - y; break;
    case PTX_OP_MUL: r = x * y; break;
    default: r = __builtin_fmaf(x, y, z); break;
    }
    const float t = ftz ? vg_ftz(r) : r;
    return how & M_SAT ? vg_sat32(t) : vg_nan32(t);
}

VG_HANDLER(packed_pair) {
    const uint64_t *a = vg_u64(w, in->a), *b = vg_u64(w, in->b), *c = in->src->op == PTX_OP_FMA ? vg_u64(w, in->c) : b;
    uint64_t *d = vg_u64(w, in->d);
    const int before = fegetround();
    fesetround(in->aux2);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        uint64_t r = 0;
        for (unsigned k = 0; k < 64; k += 32)
            r |= (uint64_t)vg_bits_f32(one(in->src->op, vg_f32_of((uint32_t)(a[l] >> k)), vg_f32_of((uint32_t)(b[l] >> k)),
                                           vg_f32_of((uint32_t)(c[l] >> k)), in->aux)) << k;
        d[l] = r;
    }
    fesetround(before);
}

static float widen(uint32_t h, uint32_t how) { return how & M_BF16 ? fp_f32_of_bf16(h & 0xffffu) : fp_f32_of_f16(h & 0xffffu); }

VG_HANDLER(mixed) {   // add, sub: a is narrow, b is f32; fma: a and b are narrow, c is f32
    const bool fma = in->src->op == PTX_OP_FMA;
    const uint32_t *a = vg_u32(w, in->a), *b = vg_u32(w, in->b), *c = fma ? vg_u32(w, in->c) : b;
    uint32_t *d = vg_u32(w, in->d);
    const int before = fegetround();
    fesetround(in->aux2);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        d[l] = vg_bits_f32(one(in->src->op, widen(a[l], in->aux), fma ? widen(b[l], in->aux) : vg_f32_of(b[l]), vg_f32_of(c[l]), in->aux));
    }
    fesetround(before);
}

static float pick(float a, float b, uint32_t how) {
    if (a != a || b != b)
        return (how & M_NAN) || (a != a && b != b) ? vg_f32_of(0x7fffffffu) : a != a ? b : a;
    if (a == b)                                        // the same bits, or two zeros: -0 < +0
        return vg_f32_of(how & M_MAX ? vg_bits_f32(a) & vg_bits_f32(b) : vg_bits_f32(a) | vg_bits_f32(b));
    return (a < b) == !(how & M_MAX) ? a : b;
}
static float ready(float x, uint32_t how) {
    const float f = how & M_FTZ ? vg_ftz(x) : x;
    return how & M_ABS ? vg_f32_of(vg_bits_f32(f) & 0x7fffffffu) : f;
}
VG_HANDLER(three) {
    const float *a = vg_f32(w, in->a), *b = vg_f32(w, in->b), *c = vg_f32(w, in->c);
    float *d = vg_f32(w, in->d);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        d[l] = vg_nan32(pick(pick(ready(a[l], in->aux), ready(b[l], in->aux), in->aux), ready(c[l], in->aux), in->aux));
    }
}

static int host_mode(uint8_t rnd) {
    return rnd == PTX_RZ ? FE_TOWARDZERO : rnd == PTX_RM ? FE_DOWNWARD : rnd == PTX_RP ? FE_UPWARD : FE_TONEAREST;
}

bool VG_NAME(vg_bind_float_more)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const bool fma = in->op == PTX_OP_FMA, minmax = in->op == PTX_OP_MIN || in->op == PTX_OP_MAX, pair = in->type[0] == PTX_F32X2;
    const ptx_type d = pair ? PTX_F32X2 : PTX_F32, s = in->n_types > 1 ? (ptx_type)in->type[1] : d;
    const uint32_t allowed = minmax ? PTX_M_FTZ | PTX_M_NAN | PTX_M_ABS : pair ? PTX_M_FTZ : PTX_M_SAT;
    if (in->mods & ~allowed || in->mods2 || in->n_operands != (fma || minmax ? 4 : 3) || in->type[0] != (pair ? PTX_F32X2 : PTX_F32))
        return vg_unsupported(b, in, "this combination of type and modifiers");
    if (in->n_types > 1 && (pair || minmax || (s != PTX_F16 && s != PTX_BF16)))
        return vg_unsupported(b, in, "these types");
    if (pair && !fma && in->op != PTX_OP_ADD && in->op != PTX_OP_SUB && in->op != PTX_OP_MUL)
        return vg_unsupported(b, in, "this operation on pairs");
    out->full = out->masked = minmax ? three : pair ? packed_pair : mixed;
    out->aux = (in->mods & PTX_M_FTZ ? M_FTZ : 0u) | (in->mods & PTX_M_SAT ? M_SAT : 0u) | (s == PTX_BF16 ? M_BF16 : 0u) |
               (in->mods & PTX_M_NAN ? M_NAN : 0u) | (in->mods & PTX_M_ABS ? M_ABS : 0u) | (in->op == PTX_OP_MAX ? M_MAX : 0u);
    out->aux2 = (uint16_t)host_mode(in->rnd);
    out->d = vg_bind_row(b, &in->operand[0], d);
    out->a = vg_bind_row(b, &in->operand[1], s);
    out->b = vg_bind_row(b, &in->operand[2], fma ? s : d);
    if (fma || minmax)
        out->c = vg_bind_row(b, &in->operand[3], d);
    return true;
}
