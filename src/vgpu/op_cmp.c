// op_cmp: comparisons and selections: setp, set, selp, slct. A comparison of 32 lanes becomes a lane mask; setp writes it into predicates,
// combined with a third predicate when asked. PTX ISA 9.7.6. Half-precision comparisons are in op_half.c.
#include "vgpu/op.h"

enum { WITH_FTZ = 1 };
enum { SRC_NEG = 1u << 16 };   // aux: source predicate, negated

typedef uint32_t (*compare_fn)(const vg_warp *w, const vg_inst *in);

// name: what compares; K: kind of the sources. Defines cmp_name (lane mask), setp_name (plain) and setpc_name (with q, boolop, source predicate).
static inline uint32_t combine(const vg_warp *w, const vg_inst *in, uint32_t r) {
    const uint32_t s = w->pred[in->aux & 0xffff] ^ (in->aux & SRC_NEG ? ~0u : 0u);
    return in->aux2 == PTX_BOOL_AND ? r & s : in->aux2 == PTX_BOOL_OR ? r | s : in->aux2 == PTX_BOOL_XOR ? r ^ s : r;
}
#define COMPARE(name, K, expr)                                                                                                      \
    static inline uint32_t cmp_##name(const vg_warp *w, const vg_inst *in) {                                                        \
        const VG_S_##K *ra = VG_ROW(K, in->a), *rb = VG_ROW(K, in->b);                                                              \
        int32_t t[VG_LANES];                                                                                                        \
        VG_EACH {                                                                                                                   \
            const VG_T_##K a = (VG_T_##K)ra[l], b = (VG_T_##K)rb[l];                                                                \
            t[l] = (expr) ? -1 : 0;                                                                                                 \
        }                                                                                                                           \
        return vg_mask_of(t);                                                                                                       \
    }                                                                                                                               \
    VG_HANDLER(setp_##name) { vg_pred_write(w, in->d, cmp_##name(w, in), mask); }                                                   \
    VG_HANDLER(setpc_##name) {                                                                                                      \
        const uint32_t r = cmp_##name(w, in), p = combine(w, in, r), q = combine(w, in, ~r);                                        \
        vg_pred_write(w, in->d, p, mask);                                                                                           \
        vg_pred_write(w, in->c, q, mask);                                                                                           \
    }                                                                                                                               \
    static uint32_t call_##name(const vg_warp *w, const vg_inst *in) { return cmp_##name(w, in); }

#define INT6(s, K) COMPARE(eq_##s, K, a == b) COMPARE(ne_##s, K, a != b) COMPARE(lt_##s, K, a < b) COMPARE(le_##s, K, a <= b) \
    COMPARE(gt_##s, K, a > b) COMPARE(ge_##s, K, a >= b)
INT6(u16, U16) INT6(s16, S16) INT6(u32, U32) INT6(s32, S32) INT6(u64, U64) INT6(s64, S64)
// Ordered comparisons are false with a NaN (also ne), unordered ones (…u) true.
#define FLOAT14(s, K, x, y)                                                                                                     \
    COMPARE(eq_##s, K, x == y) COMPARE(ne_##s, K, x < y || x > y) COMPARE(lt_##s, K, x < y) COMPARE(le_##s, K, x <= y)          \
    COMPARE(gt_##s, K, x > y) COMPARE(ge_##s, K, x >= y) COMPARE(equ_##s, K, !(x < y || x > y)) COMPARE(neu_##s, K, !(x == y))  \
    COMPARE(ltu_##s, K, !(x >= y)) COMPARE(leu_##s, K, !(x > y)) COMPARE(gtu_##s, K, !(x <= y)) COMPARE(geu_##s, K, !(x < y))   \
    COMPARE(num_##s, K, a == a && b == b) COMPARE(nan_##s, K, a != a || b != b)
FLOAT14(f32, F32, a, b)
FLOAT14(ftz, F32, vg_ftz(a), vg_ftz(b))
FLOAT14(f64, F64, a, b)

typedef struct compare_form { uint8_t cmp, type, ftz; vg_handler setp, setpc; compare_fn call; } compare_form;
#define C(cmp, type, ftz, name) { PTX_##cmp, PTX_##type, ftz, setp_##name, setpc_##name, call_##name }
#define CU(type, s) C(EQ, type, 0, eq_##s), C(NE, type, 0, ne_##s), C(LT, type, 0, lt_##s), C(LE, type, 0, le_##s), C(GT, type, 0, gt_##s), \
    C(GE, type, 0, ge_##s), C(LO, type, 0, lt_##s), C(LS, type, 0, le_##s), C(HI_, type, 0, gt_##s), C(HS, type, 0, ge_##s)
#define CS(type, s) C(EQ, type, 0, eq_##s), C(NE, type, 0, ne_##s), C(LT, type, 0, lt_##s), C(LE, type, 0, le_##s), C(GT, type, 0, gt_##s), \
    C(GE, type, 0, ge_##s)
#define CB(type, s) C(EQ, type, 0, eq_##s), C(NE, type, 0, ne_##s)
#define CF(type, z, s) C(EQ, type, z, eq_##s), C(NE, type, z, ne_##s), C(LT, type, z, lt_##s), C(LE, type, z, le_##s), C(GT, type, z, gt_##s), \
    C(GE, type, z, ge_##s), C(EQU, type, z, equ_##s), C(NEU, type, z, neu_##s), C(LTU, type, z, ltu_##s), C(LEU, type, z, leu_##s),            \
    C(GTU, type, z, gtu_##s), C(GEU, type, z, geu_##s), C(NUM, type, z, num_##s), C(NAN, type, z, nan_##s)
static const compare_form g_compares[] = {
    CU(U16, u16), CS(S16, s16), CB(B16, u16), CU(U32, u32), CS(S32, s32), CB(B32, u32), CU(U64, u64), CS(S64, s64), CB(B64, u64),
    CF(F32, 0, f32), CF(F32, WITH_FTZ, ftz), CF(F64, 0, f64),
};

static const compare_form *find_compare(uint8_t cmp, uint8_t type, bool ftz) {
    for (size_t i = 0; i < HONE_COUNT(g_compares); i++)
        if (g_compares[i].cmp == cmp && g_compares[i].type == type && g_compares[i].ftz == (ftz ? WITH_FTZ : 0))
            return &g_compares[i];
    return NULL;
}

// setp p{|q}, a, b{, {!}c}
static bool bind_setp(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const unsigned second = in->operand[1].part == 1 ? 1 : 0;
    const bool third = in->boolop != PTX_BOOL_NONE;
    const ptx_type t = (ptx_type)in->type[0];
    const compare_form *f = find_compare(in->cmp, in->type[0], in->mods & PTX_M_FTZ);
    if (!f || in->n_operands != 3 + second + third)
        return vg_unsupported(b, in, "this comparison");
    out->d = vg_bind_pred(b, &in->operand[0]);
    out->c = second ? vg_bind_pred(b, &in->operand[1]) : VG_NO_PRED;
    out->a = vg_bind_row(b, &in->operand[1 + second], t);
    out->b = vg_bind_row(b, &in->operand[2 + second], t);
    out->full = out->masked = second || third ? f->setpc : f->setp;
    out->aux2 = in->boolop;
    if (third)
        out->aux = vg_bind_pred(b, &in->operand[3 + second]) | (in->operand[3 + second].negated ? SRC_NEG : 0u);
    return true;
}

// set.cmp{.boolop}.dtype.stype d, a, b{, c}: all ones or 1.0 where true
VG_HANDLER(set_any) {
    compare_fn f = NULL;
    memcpy(&f, &in->imm, sizeof f);
    const uint32_t r = combine(w, in, f(w, in));
    const uint32_t yes = in->c;
    uint32_t *d = VG_ROW(U32, in->d);
    VG_EACH {
        const uint32_t v = r >> l & 1 ? yes : 0, old = d[l];
        d[l] = VG_ON(l) ? v : old;
    }
}
static bool bind_set(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const compare_form *f = find_compare(in->cmp, in->type[1], in->mods & PTX_M_FTZ);
    const ptx_type d = (ptx_type)in->type[0], t = (ptx_type)in->type[1];
    const bool third = in->boolop != PTX_BOOL_NONE;
    if (!f || (d != PTX_U32 && d != PTX_S32 && d != PTX_F32) || in->n_operands != 3 + third)
        return vg_unsupported(b, in, "this comparison");
    out->full = out->masked = set_any;
    memcpy(&out->imm, &f->call, sizeof f->call);
    out->d = vg_bind_row(b, &in->operand[0], d);
    out->a = vg_bind_row(b, &in->operand[1], t);
    out->b = vg_bind_row(b, &in->operand[2], t);
    out->c = d == PTX_F32 ? 0x3f800000u : 0xffffffffu;
    out->aux2 = in->boolop;
    if (third)
        out->aux = vg_bind_pred(b, &in->operand[3]) | (in->operand[3].negated ? SRC_NEG : 0u);
    return true;
}

// ---- selp slct
#define SELECT(name, K)                                                                                                  \
    VG_HANDLER(name) {                                                                                                   \
        const uint32_t p = w->pred[in->c & 0xffff] ^ (in->c & SRC_NEG ? ~0u : 0u);                                       \
        VG_S_##K *d = VG_ROW(K, in->d);                                                                                  \
        const VG_S_##K *ra = VG_ROW(K, in->a), *rb = VG_ROW(K, in->b);                                                   \
        VG_EACH {                                                                                                        \
            const VG_S_##K v = p >> l & 1 ? ra[l] : rb[l], old = d[l];                                                   \
            d[l] = VG_ON(l) ? v : old;                                                                                   \
        }                                                                                                                \
    }
SELECT(selp_32, U32)
SELECT(selp_64, U64)
VG_OP3(slct32_s32, U32, U32, U32, S32, c >= 0 ? a : b)
VG_OP3(slct64_s32, U64, U64, U64, S32, c >= 0 ? a : b)
VG_OP3(slct32_f32, U32, U32, U32, F32, c >= 0 ? a : b)
VG_OP3(slct64_f32, U64, U64, U64, F32, c >= 0 ? a : b)
VG_OP3(slct32_ftz, U32, U32, U32, F32, vg_ftz(c) >= 0 ? a : b)
VG_OP3(slct64_ftz, U64, U64, U64, F32, vg_ftz(c) >= 0 ? a : b)

static bool bind_selp(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const ptx_type t = (ptx_type)in->type[0];
    const unsigned bytes = ptx_type_bytes(t);
    if (bytes > 8 || in->n_operands != 4)
        return vg_unsupported(b, in, "this type");
    out->full = out->masked = bytes == 8 ? selp_64 : selp_32;
    out->d = vg_bind_row(b, &in->operand[0], t);
    out->a = vg_bind_row(b, &in->operand[1], t);
    out->b = vg_bind_row(b, &in->operand[2], t);
    out->c = vg_bind_pred(b, &in->operand[3]) | (in->operand[3].negated ? SRC_NEG : 0u);
    return true;
}
static bool bind_slct(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    static const struct { vg_handler full, masked; } h[2][3] = {
        {{VG_H(slct32_s32)}, {VG_H(slct32_f32)}, {VG_H(slct32_ftz)}},
        {{VG_H(slct64_s32)}, {VG_H(slct64_f32)}, {VG_H(slct64_ftz)}},
    };
    const ptx_type t = (ptx_type)in->type[0], ct = (ptx_type)in->type[1];
    const unsigned wide = ptx_type_bytes(t) == 8, key = ct == PTX_S32 ? 0 : in->mods & PTX_M_FTZ ? 2 : 1;
    if (in->n_operands != 4 || (ct != PTX_S32 && ct != PTX_F32) || ptx_type_bytes(t) > 8)
        return vg_unsupported(b, in, "this type");
    out->full = h[wide][key].full;
    out->masked = h[wide][key].masked;
    out->d = vg_bind_row(b, &in->operand[0], t);
    out->a = vg_bind_row(b, &in->operand[1], t);
    out->b = vg_bind_row(b, &in->operand[2], t);
    out->c = vg_bind_row(b, &in->operand[3], ct);
    return true;
}

bool VG_NAME(vg_bind_cmp)(vg_binder *b, const ptx_inst *in, vg_inst *out);
bool VG_NAME(vg_bind_cmp)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    switch (in->op) {
    case PTX_OP_SETP: return bind_setp(b, in, out);
    case PTX_OP_SET: return bind_set(b, in, out);
    case PTX_OP_SELP: return bind_selp(b, in, out);
    case PTX_OP_SLCT: return bind_slct(b, in, out);
    default: return vg_unsupported(b, in, "this opcode");
    }
}
