// op_video: the video instructions of PTX ISA 9.7.16 and 9.7.17: scalar ones (vadd vsub vabsdiff vmin vmax vshl vshr vmad vset) work on a byte, a
// halfword or all of each operand and merge, accumulate or compare the result; packed ones (…2, …4) work on halfwords or bytes picked from both
// sources. One lane at a time: no program is fast because of them.
#include "vgpu/op.h"

bool VG_NAME(vg_bind_video)(vg_binder *b, const ptx_inst *in, vg_inst *out);

enum { WHOLE = 0, FULL_MASK = 15 };
typedef struct video {
    uint8_t sel[3];          // scalar: of d, a, b: WHOLE, 'b' | digit or 'h' | digit (part_of)
    uint8_t pick[2][4];      // packed: which part of {b, a} each part of a and b is
    uint8_t parts, mask;     // packed: 2 or 4; the parts of d that are written
    bool has_c;
    int32_t signs[3];        // -1 when the type of d, a, b is signed
} video;

static int64_t clamp(int64_t x, int64_t lo, int64_t hi) { return x < lo ? lo : x > hi ? hi : x; }
static int64_t saturate(int64_t x, bool is_signed, unsigned bits) {
    return is_signed ? clamp(x, -(1ll << (bits - 1)), (1ll << (bits - 1)) - 1) : clamp(x, 0, (1ll << bits) - 1);
}
static unsigned sel_bits(uint8_t sel) { return sel == WHOLE ? 32 : sel >= 'h' ? 16 : 8; }
static unsigned sel_shift(uint8_t sel) { return sel == WHOLE ? 0 : sel >= 'h' ? 16u * (unsigned)(sel - 'h') : 8u * (unsigned)(sel - 'b'); }
static int64_t extend(uint32_t x, unsigned bits, bool is_signed) {
    const uint32_t v = bits == 32 ? x : x & ((1u << bits) - 1);
    return is_signed ? (int64_t)(int32_t)(v << (32 - bits)) >> (32 - bits) : (int64_t)v;
}
static int64_t part_of(uint32_t x, uint8_t sel, bool is_signed) { return extend(x >> sel_shift(sel), sel_bits(sel), is_signed); }

static bool compares(int64_t a, int64_t b, unsigned cmp) {
    switch (cmp) {
    case PTX_EQ: return a == b;
    case PTX_NE: return a != b;
    case PTX_LT: return a < b;
    case PTX_LE: return a <= b;
    case PTX_GT: return a > b;
    default: return a >= b;
    }
}

// The shift amount of vshl and vshr: modulo 32, or at most 32.
static unsigned amount(const ptx_inst *p, int64_t b) { return p->mods & PTX_M_WRAP ? (unsigned)b & 31 : (uint64_t)b > 32 ? 32 : (unsigned)b; }

static int64_t primary(const ptx_inst *p, int64_t a, int64_t b) {
    switch (p->op) {
    case PTX_OP_VADD: case PTX_OP_VADD2: case PTX_OP_VADD4: return a + b;
    case PTX_OP_VSUB: case PTX_OP_VSUB2: case PTX_OP_VSUB4: return a - b;
    case PTX_OP_VABSDIFF: case PTX_OP_VABSDIFF2: case PTX_OP_VABSDIFF4: return a > b ? a - b : b - a;
    case PTX_OP_VMIN: case PTX_OP_VMIN2: case PTX_OP_VMIN4: return a < b ? a : b;
    case PTX_OP_VMAX: case PTX_OP_VMAX2: case PTX_OP_VMAX4: return a > b ? a : b;
    case PTX_OP_VAVRG2: case PTX_OP_VAVRG4: return (a + b + (a + b >= 0)) >> 1;
    case PTX_OP_VSHR: return a >> amount(p, b);
    case PTX_OP_VSHL: return (int64_t)clamp(a, -(1ll << 31), (1ll << 32) - 1) * (1ll << (amount(p, b) > 30 ? 30 : amount(p, b)));
    default: return compares(a, b, p->cmp);
    }
}

// vshl by 31 or 32 does not fit 64 bits together with a 33-bit value: the bits shifted out matter only for saturation.
static int64_t shift_left(const ptx_inst *p, int64_t a, int64_t b) {
    const __int128 x = (__int128)a * ((__int128)1 << amount(p, b));
    const __int128 hi = (__int128)1 << 62;
    return p->mods & PTX_M_SAT ? (int64_t)(x > hi ? hi : x < -hi ? -hi : x) : (int64_t)(uint64_t)(unsigned __int128)x;
}

static int64_t secondary(const ptx_inst *p, int64_t x, int64_t c) {
    switch (p->atom) {
    case PTX_ATOM_ADD: return (int64_t)((uint64_t)x + (uint64_t)c);
    case PTX_ATOM_MIN: return x < c ? x : c;
    case PTX_ATOM_MAX: return x > c ? x : c;
    default: return x;
    }
}

static uint32_t scalar(const ptx_inst *p, const video *v, uint32_t a, uint32_t b, uint32_t c) {
    const int64_t x = part_of(a, v->sel[1], v->signs[1]), y = part_of(b, v->sel[2], v->signs[2]);
    int64_t r = p->op == PTX_OP_VSHL ? shift_left(p, x, y) : primary(p, x, y);
    const unsigned bits = sel_bits(v->sel[0]), shift = sel_shift(v->sel[0]);
    if (p->mods & PTX_M_SAT)
        r = saturate(r, v->signs[0], bits);
    if (v->sel[0] == WHOLE)
        return (uint32_t)secondary(p, r, v->signs[0] ? (int64_t)(int32_t)c : (int64_t)c);
    const uint32_t field = (bits == 8 ? 0xffu : 0xffffu) << shift;
    return (c & ~field) | ((uint32_t)r << shift & field);
}

// vmad: the sum has more than 64 bits only in its sign.
static uint32_t multiply_add(const ptx_inst *p, const video *v, uint32_t a, uint32_t b, uint32_t c) {
    const bool is_signed = v->signs[1] || v->signs[2];
    __int128 r = (__int128)part_of(a, v->sel[1], v->signs[1]) * part_of(b, v->sel[2], v->signs[2]);
    r += is_signed ? (__int128)(int32_t)c : (__int128)c;
    r >>= p->sub == PTX_VIDEO_SHR7 ? 7 : p->sub == PTX_VIDEO_SHR15 ? 15 : 0;
    if (p->mods & PTX_M_SAT) {
        const __int128 lo = is_signed ? INT32_MIN : 0, hi = is_signed ? INT32_MAX : (__int128)UINT32_MAX;
        r = r < lo ? lo : r > hi ? hi : r;
    }
    return (uint32_t)(uint64_t)(unsigned __int128)r;
}

static uint32_t packed(const ptx_inst *p, const video *v, uint32_t a, uint32_t b, uint32_t c) {
    const unsigned bits = 32u / v->parts;
    const uint64_t both = (uint64_t)b << 32 | a;
    uint32_t d = c;
    for (unsigned i = 0; i < v->parts; i++) {
        if (!(v->mask >> i & 1))
            continue;
        const int64_t x = extend((uint32_t)(both >> (bits * v->pick[0][i])), bits, v->signs[1]);
        const int64_t y = extend((uint32_t)(both >> (bits * v->pick[1][i])), bits, v->signs[2]);
        int64_t r = primary(p, x, y);
        if (p->mods & PTX_M_SAT)
            r = saturate(r, v->signs[0], bits);
        const uint32_t field = ((1u << bits) - 1) << (bits * i);
        d = p->atom == PTX_ATOM_ADD ? d + (uint32_t)r : (d & ~field) | ((uint32_t)r << (bits * i) & field);
    }
    return d;
}

#define VIDEO(name, compute)                                                                                                         \
    VG_HANDLER(name) {                                                                                                               \
        const video *v = (const video *)(uintptr_t)in->imm;                                                                          \
        const uint32_t *a = vg_u32(w, in->a), *b = vg_u32(w, in->b), *c = v->has_c ? vg_u32(w, in->c) : NULL;                        \
        uint32_t *d = vg_u32(w, in->d);                                                                                              \
        for (uint32_t m = mask; m; m &= m - 1) {                                                                                     \
            const unsigned l = (unsigned)__builtin_ctz(m);                                                                           \
            d[l] = compute(in->src, v, a[l], b[l], c ? c[l] : 0);                                                                    \
        }                                                                                                                            \
    }
VIDEO(video_scalar, scalar)
VIDEO(video_multiply_add, multiply_add)
VIDEO(video_packed, packed)

// --- binding ----------------------------------------------------------------------------------------------------------------------
static unsigned parts_of(uint16_t op) {
    switch (op) {
    case PTX_OP_VADD2: case PTX_OP_VSUB2: case PTX_OP_VAVRG2: case PTX_OP_VABSDIFF2: case PTX_OP_VMIN2: case PTX_OP_VMAX2: case PTX_OP_VSET2: return 2;
    case PTX_OP_VADD4: case PTX_OP_VSUB4: case PTX_OP_VAVRG4: case PTX_OP_VABSDIFF4: case PTX_OP_VMIN4: case PTX_OP_VMAX4: case PTX_OP_VSET4: return 4;
    default: return 1;
    }
}

// ".b2" or ".h1" of a scalar operand
static bool scalar_selector(const char *s, uint8_t *out) {
    *out = WHOLE;
    if (!*s)
        return true;
    *out = (uint8_t)(s[0] + (s[1] - '0'));
    return s[1] && !s[2] && s[1] >= '0' && s[1] <= (s[0] == 'b' ? '3' : '1');
}
// ".h32", ".b7654": one digit per part, highest first
static bool packed_selector(const char *s, unsigned parts, const char *initial, uint8_t out[4]) {
    const char *digits = *s ? s + 1 : initial;
    if (strlen(digits) != parts || (*s && s[0] != (parts == 2 ? 'h' : 'b')))
        return false;
    for (unsigned i = 0; i < parts; i++) {
        out[i] = (uint8_t)(digits[parts - 1 - i] - '0');
        if (out[i] >= 2 * parts)
            return false;
    }
    return true;
}
// ".h1", ".b20": the parts that are written
static bool mask_selector(const char *s, unsigned parts, uint8_t *out) {
    *out = *s ? 0 : FULL_MASK;
    for (const char *c = *s ? s + 1 : s; *c; c++) {
        if (*c < '0' || *c >= '0' + (int)parts)
            return false;
        *out |= (uint8_t)(1u << (*c - '0'));
    }
    return !*s || (s[0] == (parts == 2 ? 'h' : 'b') && *out);
}

static bool read_selectors(const ptx_inst *in, video *v) {
    const ptx_operand *o = in->operand;
    if (v->parts == 1)
        return scalar_selector(o[0].select, &v->sel[0]) && scalar_selector(o[1].select, &v->sel[1]) && scalar_selector(o[2].select, &v->sel[2]) &&
               (v->sel[0] == WHOLE || (v->has_c && in->atom == PTX_ATOM_NONE && in->op != PTX_OP_VMAD));
    return mask_selector(o[0].select, v->parts, &v->mask) && packed_selector(o[1].select, v->parts, v->parts == 2 ? "10" : "3210", v->pick[0]) &&
           packed_selector(o[2].select, v->parts, v->parts == 2 ? "32" : "7654", v->pick[1]);
}

bool VG_NAME(vg_bind_video)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    video *v = hone_arena_alloc(vg_bind_module(b)->arena, sizeof *v);
    const bool set = in->op == PTX_OP_VSET || in->op == PTX_OP_VSET2 || in->op == PTX_OP_VSET4;
    const unsigned shift = set ? 1 : 0;                 // vset has no type of d: it is unsigned
    if (!v)
        return vg_unsupported(b, in, "out of memory");
    *v = (video){.parts = (uint8_t)parts_of(in->op), .has_c = in->n_operands > 3};
    for (unsigned i = shift; i < 3; i++) {
        const uint8_t t = in->type[i - shift];
        if (t != PTX_U32 && t != PTX_S32)
            return vg_unsupported(b, in, "this type");
        v->signs[i] = t == PTX_S32;
    }
    if (in->n_types != 3 - shift || set != (in->cmp != PTX_CMP_NONE) || in->cmp > PTX_GE)
        return vg_unsupported(b, in, "this combination of types and comparison");
    if (!read_selectors(in, v) || (in->atom != PTX_ATOM_NONE && !v->has_c) || (in->operand[3].select[0] && v->has_c))
        return vg_unsupported(b, in, "its operand selectors");
    if (v->parts > 1 && in->atom != PTX_ATOM_NONE && in->atom != PTX_ATOM_ADD)
        return vg_unsupported(b, in, "this second operation");
    out->full = out->masked = v->parts > 1 ? video_packed : in->op == PTX_OP_VMAD ? video_multiply_add : video_scalar;
    out->imm = (int64_t)(uintptr_t)v;
    out->d = vg_bind_row(b, &in->operand[0], PTX_U32);
    out->a = vg_bind_row(b, &in->operand[1], PTX_U32);
    out->b = vg_bind_row(b, &in->operand[2], PTX_U32);
    if (v->has_c)
        out->c = vg_bind_row(b, &in->operand[3], PTX_U32);
    return true;
}
