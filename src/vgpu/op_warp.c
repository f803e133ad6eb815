// op_warp: instructions across the lanes of a warp: shfl, vote, match, redux, activemask, elect. The executor calls them when every live
// lane of the member mask has arrived; lanes with different member masks at the same instruction are different groups. Each handler
// copies its sources first, because the destination row may be a source row.
#include "vgpu/op.h"

enum { NEGATED = 1 };   // inst->imm of vote: the predicate is !p

// The next group among the lanes `left`: those whose member mask is that of the lowest lane, and in it.
static uint32_t group_of(const uint32_t *member, uint32_t left) {
    const unsigned first = (unsigned)__builtin_ctz(left);
    uint32_t g = 0, differ = 0;
    for (unsigned l = 0; l < VG_LANES; l++)
        differ |= (member[l] ^ member[first]) & (0u - (left >> l & 1u));
    if (!differ)
        return (left & member[first]) | 1u << first;
    for (uint32_t m = left; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        g |= (uint32_t)(member[l] == member[first]) << l;
    }
    return (g & member[first]) | 1u << first;
}

// PTX ISA 9.7.8: a lane that executes a .sync instruction must be in its own member mask.
static void check_members(vg_warp *w, const vg_inst *in, const uint32_t *member, uint32_t mask) {
    uint32_t absent = 0;
    for (unsigned l = 0; l < VG_LANES; l++)
        absent |= ~(member[l] >> l) & mask >> l & 1u;
    if (!absent)
        return;
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        if (!(member[l] >> l & 1)) {
            vg_report(w, in, l, "warp.not-in-mask", 0, 0, false,
                "lane %u executes a warp-synchronous instruction with member mask 0x%08x, which does not name it",
                      l, member[l]);
            return;
        }
    }
}

static void copy_row(uint32_t to[32], const uint32_t *from) { memcpy(to, from, 32 * sizeof *to); }

// --- shfl: d|p, a, b (lane or delta), c (clamp and segment mask), member mask ----------------------------------------------------
typedef struct shuffle { uint32_t value[32], b[32], c[32]; } shuffle;

static void shuffle_load(vg_warp *w, const vg_inst *in, uint32_t mask, shuffle *s) {
    copy_row(s->value, VG_ROW(U32, in->a));
    copy_row(s->b, VG_ROW(U32, in->b));
    copy_row(s->c, VG_ROW(U32, in->c));
    check_members(w, in, VG_ROW(U32, (uint32_t)in->imm), mask);
}

static bool all_are(const uint32_t *row, uint32_t value) {
    uint32_t differ = 0;
    for (unsigned l = 0; l < VG_LANES; l++)
        differ |= row[l] ^ value;
    return !differ;
}

// As reductions and broadcasts have it: all lanes run and are named, in one segment of 32, at the same distance. The compiler keeps these numbers in registers, so they are looked at in every run.
// Rows then move as blocks. v is a copy of the source; lanes without a source lane keep their own value.
static bool is_plain(const vg_warp *w, const vg_inst *in, uint32_t mask, uint32_t clamp) {
    const uint32_t *b = VG_ROW(U32, in->b);
    return mask == ~0u && all_are(VG_ROW(U32, in->c), clamp) && all_are(VG_ROW(U32, (uint32_t)in->imm), ~0u) && all_are(b, b[0]);
}

typedef uint32_t eight __attribute__((vector_size(32), aligned(4), may_alias));

VG_HANDLER(plain_bfly) {
    const uint32_t *v = VG_ROW(U32, in->a), b = VG_ROW(U32, in->b)[0] & 31u;
    uint32_t *rd = VG_ROW(U32, in->d);
    eight x[VG_LANES / 8];
    for (unsigned k = 0; k < VG_LANES / 8; k++)
        x[k] = *(const eight *)(v + 8 * (k ^ b / 8));
    for (unsigned k = 0; k < VG_LANES / 8; k++) {
        if (b & 1)
            x[k] = __builtin_shufflevector(x[k], x[k], 1, 0, 3, 2, 5, 4, 7, 6);
        if (b & 2)
            x[k] = __builtin_shufflevector(x[k], x[k], 2, 3, 0, 1, 6, 7, 4, 5);
        if (b & 4)
            x[k] = __builtin_shufflevector(x[k], x[k], 4, 5, 6, 7, 0, 1, 2, 3);
        *(eight *)(rd + 8 * k) = x[k];
    }
    vg_pred_write(w, in->aux, ~0u, mask);
}

VG_HANDLER(plain_down) {
    const uint32_t b = VG_ROW(U32, in->b)[0] & 31u;
    uint32_t v[VG_LANES], *rd = VG_ROW(U32, in->d);
    copy_row(v, VG_ROW(U32, in->a));
    memcpy(rd, v, VG_LANES * sizeof *rd);
    memcpy(rd, v + b, (VG_LANES - b) * sizeof *rd);
    vg_pred_write(w, in->aux, ~0u >> b, mask);
}

VG_HANDLER(plain_up) {
    const uint32_t b = VG_ROW(U32, in->b)[0] & 31u;
    uint32_t v[VG_LANES], *rd = VG_ROW(U32, in->d);
    copy_row(v, VG_ROW(U32, in->a));
    memcpy(rd, v, VG_LANES * sizeof *rd);
    memcpy(rd + b, v, (VG_LANES - b) * sizeof *rd);
    vg_pred_write(w, in->aux, ~0u << b, mask);
}

VG_HANDLER(plain_idx) {
    const uint32_t x = VG_ROW(U32, in->a)[VG_ROW(U32, in->b)[0] & 31u];
    uint32_t *rd = VG_ROW(U32, in->d);
    for (unsigned l = 0; l < VG_LANES; l++)
        rd[l] = x;
    vg_pred_write(w, in->aux, ~0u, mask);
}

// Source lane j and validity per PTX ISA 9.7.9.6; an invalid source is the lane itself.
#define SHUFFLE(name, plain, plain_clamp, compute_j, is_valid)                                                  \
    VG_HANDLER(name) {                                                                                          \
        shuffle s;                                                                                              \
        int32_t valid[32];                                                                                      \
        if (is_plain(w, in, mask, plain_clamp)) {                                                               \
            plain(w, in, mask);                                                                                 \
            return;                                                                                             \
        }                                                                                                       \
        shuffle_load(w, in, mask, &s);                                                                          \
        uint32_t *rd = VG_ROW(U32, in->d);                                                                      \
        for (unsigned l = 0; l < VG_LANES; l++) {                                                               \
            const int32_t lane = (int32_t)l, b = (int32_t)(s.b[l] & 31u);                                       \
            const int32_t clamp = (int32_t)(s.c[l] & 31u), segment = (int32_t)(s.c[l] >> 8 & 31u);              \
            const int32_t first = lane & segment, last = first | (clamp & ~segment);                            \
            const int32_t j = compute_j;                                                                        \
            (void)b;                                                                                            \
            valid[l] = -(int32_t)(is_valid);                                                                    \
            const uint32_t x = s.value[(valid[l] ? j : lane) & 31];                                             \
            rd[l] = VG_ON(l) ? x : rd[l];                                                                       \
        }                                                                                                       \
        vg_pred_write(w, in->aux, vg_mask_of(valid), mask);                                                     \
    }
SHUFFLE(shfl_up, plain_up, 0, lane - b, j >= last)
SHUFFLE(shfl_down, plain_down, 31, lane + b, j <= last)
SHUFFLE(shfl_bfly, plain_bfly, 31, lane ^ b, j <= last)
SHUFFLE(shfl_idx, plain_idx, 31, first | (b & ~segment), j <= last)

static bool bind_shfl(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    static const vg_handler by_mode[] = {[PTX_SHFL_UP] = shfl_up, [PTX_SHFL_DOWN] = shfl_down, [PTX_SHFL_BFLY] = shfl_bfly,
        [PTX_SHFL_IDX] = shfl_idx};
    const unsigned pair = in->n_operands > 1 && in->operand[1].part ? 1 : 0;
    if (!(in->mods & PTX_M_SYNC) || in->n_operands != 5 + pair || in->type[0] != PTX_B32)
        return vg_unsupported(b, in, "only shfl.sync exists on this architecture");
    out->full = out->masked = by_mode[in->atom];
    out->d = vg_bind_row(b, &in->operand[0], PTX_B32);
    out->aux = pair ? vg_bind_pred(b, &in->operand[1]) : VG_NO_PRED;
    out->a = vg_bind_row(b, &in->operand[1 + pair], PTX_B32);
    out->b = vg_bind_row(b, &in->operand[2 + pair], PTX_B32);
    out->c = vg_bind_row(b, &in->operand[3 + pair], PTX_B32);
    out->imm = vg_bind_row(b, &in->operand[4 + pair], PTX_B32);
    return true;
}

// --- vote: a = predicate, c = member mask row; d = predicate or row --------------------------------------------------------------
static uint32_t vote_input(const vg_warp *w, const vg_inst *in) { return in->imm & NEGATED ? ~w->pred[in->a] : w->pred[in->a]; }

#define VOTE(name, wins)                                                                                        \
    VG_HANDLER(name) {                                                                                          \
        const uint32_t p = vote_input(w, in), *member = VG_ROW(U32, in->c);                                     \
        uint32_t result = 0;                                                                                    \
        check_members(w, in, member, mask);                                                                     \
        for (uint32_t left = mask, g; left; left &= ~g) {                                                       \
            g = group_of(member, left);                                                                         \
            result |= (wins) ? g : 0;                                                                           \
        }                                                                                                       \
        vg_pred_write(w, in->d, result, mask);                                                                  \
    }
VOTE(vote_all, (p & g) == g)
VOTE(vote_any, (p & g) != 0)
VOTE(vote_uni, (p & g) == g || (p & g) == 0)

static void write_group(uint32_t *rd, uint32_t group, uint32_t value) {
    for (uint32_t m = group; m; m &= m - 1)
        rd[__builtin_ctz(m)] = value;
}

VG_HANDLER(vote_ballot) {
    uint32_t member[32];
    const uint32_t p = vote_input(w, in);
    copy_row(member, VG_ROW(U32, in->c));
    check_members(w, in, member, mask);
    for (uint32_t left = mask, g; left; left &= ~g) {
        g = group_of(member, left);
        write_group(VG_ROW(U32, in->d), g, p & g);
    }
}

static bool bind_vote(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    static const vg_handler by_mode[] = {[PTX_VOTE_ALL] = vote_all, [PTX_VOTE_ANY] = vote_any, [PTX_VOTE_UNI] = vote_uni,
        [PTX_VOTE_BALLOT] = vote_ballot};
    const bool ballot = in->atom == PTX_VOTE_BALLOT;
    if (!(in->mods & PTX_M_SYNC) || in->n_operands != 3)
        return vg_unsupported(b, in, "only vote.sync exists on this architecture");
    if (in->type[0] != (ballot ? PTX_B32 : PTX_PRED))
        return vg_unsupported(b, in, "its type and mode do not fit");
    out->full = out->masked = by_mode[in->atom];
    out->d = ballot ? vg_bind_row(b, &in->operand[0], PTX_B32) : vg_bind_pred(b, &in->operand[0]);
    out->a = vg_bind_pred(b, &in->operand[1]);
    out->imm = in->operand[1].negated ? NEGATED : 0;
    out->c = vg_bind_row(b, &in->operand[2], PTX_B32);
    return true;
}

// --- match: a = value row (32 or 64 bits), c = member mask ------------------------------------------------------------------------
static void load_values(vg_warp *w, const vg_inst *in, bool wide, uint64_t v[32]) {
    for (unsigned l = 0; l < VG_LANES; l++)
        v[l] = wide ? vg_u64(w, in->a)[l] : vg_u32(w, in->a)[l];
}

static uint32_t lanes_equal(const uint64_t v[32], uint32_t group, unsigned lane) {
    uint32_t same = 0;
    for (uint32_t m = group; m; m &= m - 1)
        same |= (uint32_t)(v[__builtin_ctz(m)] == v[lane]) << __builtin_ctz(m);
    return same;
}

static void match(vg_warp *w, const vg_inst *in, uint32_t mask, bool wide, bool all) {
    uint64_t v[32];
    uint32_t member[32], *rd = VG_ROW(U32, in->d), agreed = 0;
    load_values(w, in, wide, v);
    copy_row(member, VG_ROW(U32, in->c));
    check_members(w, in, member, mask);
    for (uint32_t left = mask, g; left; left &= ~g) {
        g = group_of(member, left);
        const uint32_t same = lanes_equal(v, g, (unsigned)__builtin_ctz(g));
        agreed |= same == g ? g : 0;
        for (uint32_t m = g; m; m &= m - 1) {
            const unsigned l = (unsigned)__builtin_ctz(m);
            rd[l] = all ? (same == g ? g : 0) : lanes_equal(v, g, l);
        }
    }
    vg_pred_write(w, in->aux, agreed, mask);
}
VG_HANDLER(match_any_32) { match(w, in, mask, false, false); }
VG_HANDLER(match_any_64) { match(w, in, mask, true, false); }
VG_HANDLER(match_all_32) { match(w, in, mask, false, true); }
VG_HANDLER(match_all_64) { match(w, in, mask, true, true); }

static bool bind_match(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const unsigned pair = in->n_operands > 1 && in->operand[1].part ? 1 : 0;
    const bool wide = in->type[0] == PTX_B64, all = in->atom == PTX_MATCH_ALL;
    if ((in->type[0] != PTX_B32 && !wide) || in->n_operands != 3 + pair || (pair && !all))
        return vg_unsupported(b, in, "its operands");
    out->full = out->masked = all ? (wide ? match_all_64 : match_all_32) : (wide ? match_any_64 : match_any_32);
    out->d = vg_bind_row(b, &in->operand[0], PTX_B32);
    out->aux = pair ? vg_bind_pred(b, &in->operand[1]) : VG_NO_PRED;
    out->a = vg_bind_row(b, &in->operand[1 + pair], (ptx_type)in->type[0]);
    out->c = vg_bind_row(b, &in->operand[2 + pair], PTX_B32);
    return true;
}

// --- redux: a = value row, c = member mask ----------------------------------------------------------------------------------------
static int32_t s32(uint32_t x) { return (int32_t)x; }

// min and max of f32 on sm_100: .NaN lets a NaN win, otherwise numbers do
static uint32_t float_pick(uint32_t x, uint32_t y, bool less) {
    const float a = vg_f32_of(x), b = vg_f32_of(y);
    if (a != a || b != b)
        return a != a && b != b ? 0x7fffffffu : a != a ? y : x;
    if (a == b)
        return less ? x | y : x & y;   // -0 < +0
    return (a < b) == less ? x : y;
}

#define REDUX(name, combine)                                                                                    \
    VG_HANDLER(name) {                                                                                          \
        uint32_t v[32], member[32];                                                                             \
        copy_row(v, VG_ROW(U32, in->a));                                                                        \
        copy_row(member, VG_ROW(U32, in->c));                                                                   \
        check_members(w, in, member, mask);                                                                     \
        for (uint32_t left = mask, g; left; left &= ~g) {                                                       \
            g = group_of(member, left);                                                                         \
            uint32_t x = v[__builtin_ctz(g)];                                                                   \
            for (uint32_t m = g & (g - 1); m; m &= m - 1) {                                                     \
                const uint32_t y = v[__builtin_ctz(m)];                                                         \
                x = combine;                                                                                    \
            }                                                                                                   \
            write_group(VG_ROW(U32, in->d), g, in->aux & PTX_M_ABS ? x & 0x7fffffffu : x);                      \
        }                                                                                                       \
    }
REDUX(redux_add, x + y)
REDUX(redux_and, x & y)
REDUX(redux_or, x | y)
REDUX(redux_xor, x ^ y)
REDUX(redux_min_u, x < y ? x : y)
REDUX(redux_max_u, x > y ? x : y)
REDUX(redux_min_s, s32(x) < s32(y) ? x : y)
REDUX(redux_max_s, s32(x) > s32(y) ? x : y)
// .abs: of the magnitudes; .NaN: any NaN wins
static uint32_t float_pick_as(const vg_inst *in, uint32_t x, uint32_t y, bool less) {
    const uint32_t cut = in->aux & PTX_M_ABS ? 0x7fffffffu : 0xffffffffu;
    const float a = vg_f32_of(x), b = vg_f32_of(y);
    if (in->aux & PTX_M_NAN && (a != a || b != b))
        return 0x7fffffffu;
    return float_pick(x & cut, y & cut, less);
}
REDUX(redux_min_f, float_pick_as(in, x, y, true))
REDUX(redux_max_f, float_pick_as(in, x, y, false))

static const struct { uint8_t atom, type; vg_handler handler; } g_redux[] = {
    {PTX_ATOM_ADD, PTX_U32, redux_add}, {PTX_ATOM_ADD, PTX_S32, redux_add}, {PTX_ATOM_AND, PTX_B32, redux_and},
    {PTX_ATOM_OR, PTX_B32, redux_or},
    {PTX_ATOM_XOR, PTX_B32, redux_xor}, {PTX_ATOM_MIN, PTX_U32, redux_min_u}, {PTX_ATOM_MAX, PTX_U32, redux_max_u},
    {PTX_ATOM_MIN, PTX_S32, redux_min_s}, {PTX_ATOM_MAX, PTX_S32, redux_max_s}, {PTX_ATOM_MIN, PTX_F32, redux_min_f},
    {PTX_ATOM_MAX, PTX_F32, redux_max_f},
};

static bool bind_redux(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    for (size_t i = 0; i < HONE_COUNT(g_redux); i++)
        if (g_redux[i].atom == in->atom && g_redux[i].type == in->type[0] && in->n_operands == 3 && in->mods & PTX_M_SYNC &&
            !(in->mods & ~(uint32_t)(PTX_M_SYNC | (in->type[0] == PTX_F32 ? PTX_M_ABS | PTX_M_NAN : 0)))) {
            out->aux = in->mods;
            out->full = out->masked = g_redux[i].handler;
            out->d = vg_bind_row(b, &in->operand[0], PTX_B32);
            out->a = vg_bind_row(b, &in->operand[1], PTX_B32);
            out->c = vg_bind_row(b, &in->operand[2], PTX_B32);
            return true;
        }
    return vg_unsupported(b, in, "this operation and type");
}

// --- activemask and elect ---------------------------------------------------------------------------------------------------------
VG_HANDLER(activemask) { write_group(VG_ROW(U32, in->d), mask, mask); }

VG_HANDLER(elect) {
    uint32_t member[32], leaders = 0;
    copy_row(member, VG_ROW(U32, in->c));
    check_members(w, in, member, mask);
    for (uint32_t left = mask, g; left; left &= ~g) {
        g = group_of(member, left);
        leaders |= g & (0u - g);
        write_group(VG_ROW(U32, in->d), g, (uint32_t)__builtin_ctz(g));
    }
    vg_pred_write(w, in->aux, leaders, mask);
}

static bool bind_simple(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const bool is_elect = in->op == PTX_OP_ELECT;
    const unsigned pair = in->n_operands > 1 && in->operand[1].part ? 1 : 0;
    out->full = out->masked = is_elect ? elect : activemask;
    out->d = vg_bind_row(b, &in->operand[0], PTX_B32);
    out->aux = pair ? vg_bind_pred(b, &in->operand[1]) : VG_NO_PRED;
    if (is_elect)
        out->c = vg_bind_row(b, &in->operand[1 + pair], PTX_B32);
    return true;
}

bool VG_NAME(vg_bind_warp)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    switch (in->op) {
    case PTX_OP_SHFL: return bind_shfl(b, in, out);
    case PTX_OP_VOTE: return bind_vote(b, in, out);
    case PTX_OP_MATCH: return bind_match(b, in, out);
    case PTX_OP_REDUX: return bind_redux(b, in, out);
    case PTX_OP_ACTIVEMASK: case PTX_OP_ELECT: return bind_simple(b, in, out);
    default: return vg_unsupported(b, in, "not a warp instruction");
    }
}
