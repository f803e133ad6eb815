// fpshadow_bits: instructions that move floats as bits: mov, selp, prmt, shfl, packing, and integer and logic instructions on the bits of
// floats. What a bit operation did to a float is read off its result: the same bits (a selection), another sign or exponent (a sign
// flip, a scaling by a power of two), the upper half of the bits (bfloat16), nearly the same number (rounding by hand). Anything else starts
// again from the value and is counted as rederived.
#include "vgpu/fpshadow.h"
#include "vgpu/op.h"
#include <math.h>

static const vg_fs_word none = {0, 0, VG_FS_NONE};
typedef struct source { vg_fs_word x; uint32_t bits; } source;

static bool normal(uint32_t bits) { return (bits & 0x7f800000u) != 0 && (bits & 0x7f800000u) != 0x7f800000u; }

// The result of bits made from one float.
static bool from_float(const source *s, uint32_t bits, vg_fs_word *out) {
    const double was = vg_fs_value(s->bits, VG_FS_F32, 0), is = vg_fs_value(bits, VG_FS_F32, 0);
    if (bits == s->bits >> 16 && bits) {                       // the bfloat16 below it
        *out = (vg_fs_word){s->x.lo, 0, VG_FS_BF16};
        return true;
    }
    if (!normal(s->bits) || !normal(bits))
        return false;
    if (((bits ^ s->bits) & 0x7fffffu) == 0)                   // sign or exponent
        *out = (vg_fs_word){s->x.lo * (is / was), 0, VG_FS_F32};
    else if (fabs(is - was) < 0x1p-7 * fabs(was))             // rounded or truncated to fewer bits
        *out = (vg_fs_word){s->x.lo, 0, VG_FS_F32};
    else
        return false;
    return true;
}

// One half of a result among the halves of its sources: the same place first, then any; the sign may differ.
static bool find_half(const source *s, unsigned n, uint32_t kind, unsigned half, uint32_t bits, double *out) {
    for (unsigned turn = 0; turn < 2; turn++)
        for (unsigned i = 0; i < n; i++) {
            const unsigned h = turn ? !half : half;
            const uint32_t b = s[i].bits >> (16 * h) & 0xffffu;
            if (s[i].x.kind != kind || ((b ^ bits) & 0x7fffu))
                continue;
            const double x = h ? s[i].x.hi : s[i].x.lo;
            *out = (b ^ bits) & 0x8000u ? -x : x;
            return true;
        }
    *out = 0;
    return (bits & 0x7fffu) == 0;
}

static vg_fs_word derive(const source *s, unsigned n, uint32_t bits, uint64_t *rederived) {
    bool inexact = false;
    for (unsigned i = 0; i < n; i++)
        if (s[i].x.kind != VG_FS_NONE && s[i].bits == bits)
            return s[i].x;
    for (unsigned i = 0; i < n; i++) {
        vg_fs_word out;
        inexact |= vg_fs_inexact(s[i].x, s[i].bits);
        if (s[i].x.kind == VG_FS_F32 && from_float(&s[i], bits, &out))
            return out;
        if (s[i].x.kind != VG_FS_F16 && s[i].x.kind != VG_FS_BF16)
            continue;
        out.kind = s[i].x.kind;
        if (bits && find_half(s, n, out.kind, 0, bits & 0xffffu, &out.lo) && find_half(s, n, out.kind, 1, bits >> 16, &out.hi))
            return out;
    }
    *rederived += inexact && bits;
    return none;
}

static bool any_shadow(vg_warp *w, const vg_fs_inst *s, uint32_t mask) {
    for (unsigned i = 0; i < s->sources; i++) {
        const vg_fs_row *r = vg_fs_row_at(w, s->row[i]);
        if (!r->any)
            continue;
        const uint32_t *bits = vg_u32(w, s->row[i]);
        uint32_t hit = 0;
        for (unsigned l = 0; l < VG_LANES; l++)
            hit |= (uint32_t)(r->kind[l] != VG_FS_NONE && r->bits[l] == bits[l]) << l;
        if (hit & mask)
            return true;
    }
    return false;
}

void vg_fs_bits(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_fs_inst *s = vg_fs_of(w, in);
    source from[VG_LANES][5];
    uint64_t rederived = 0;
    if (!any_shadow(w, s, mask)) {
        vg_fs_run(w, in, s, mask);
        vg_fs_forget(w, in->d, mask);
        return;
    }
    for (unsigned l = 0; l < VG_LANES; l++)
        for (unsigned i = 0; i < s->sources; i++)
            from[l][i] = (source){vg_fs_get(w, s->row[i], l), vg_u32(w, s->row[i])[l]};
    vg_fs_run(w, in, s, mask);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        vg_fs_put(w, in->d, l, derive(from[l], s->sources, vg_u32(w, in->d)[l], &rederived));
    }
    vg_fs_rederived(w, rederived);
}

// mov and selp of 64-bit registers: word by word, from the source with the same bits
void vg_fs_move64(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_fs_inst *s = vg_fs_of(w, in);
    vg_fs_word x[2][VG_LANES][2];
    uint64_t bits[2][VG_LANES];
    bool any = false;
    for (unsigned i = 0; i < s->sources; i++)
        any |= (vg_fs_row_at(w, s->row[i])[0].any | vg_fs_row_at(w, s->row[i])[1].any) != 0;
    if (!any) {
        vg_fs_run(w, in, s, mask);
        vg_fs_forget(w, in->d, mask);
        vg_fs_forget(w, in->d + 128, mask);
        return;
    }
    for (unsigned i = 0; i < s->sources; i++)
        for (unsigned l = 0; l < VG_LANES; l++) {
            bits[i][l] = vg_u64(w, s->row[i])[l];
            x[i][l][0] = vg_fs_get64(w, s->row[i], l, 0);
            x[i][l][1] = vg_fs_get64(w, s->row[i], l, 1);
        }
    vg_fs_run(w, in, s, mask);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        unsigned i = 0;
        while (i < s->sources && bits[i][l] != vg_u64(w, in->d)[l])
            i++;
        vg_fs_put64(w, in->d, l, 0, i < s->sources ? x[i][l][0] : none);
        vg_fs_put64(w, in->d, l, 1, i < s->sources ? x[i][l][1] : none);
    }
}

// ---- mov with vectors (op_logic.c: n elements of `size` bytes in rows a, b, c, aux; the whole in d)
static vg_fs_word join(vg_fs_word lo, uint32_t lo_bits, vg_fs_word hi, uint32_t hi_bits) {
    const bool l = lo.kind == VG_FS_F16 || lo.kind == VG_FS_BF16, h = hi.kind == VG_FS_F16 || hi.kind == VG_FS_BF16;
    if (!l && !h)
        return none;
    const uint32_t kind = l ? lo.kind : hi.kind;
    return (vg_fs_word){vg_fs_as(lo, lo_bits, kind, 0), vg_fs_as(hi, hi_bits, kind, 0), kind};
}

void vg_fs_pack(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_fs_inst *s = vg_fs_of(w, in);
    const unsigned n = in->aux2 & 15, size = in->aux2 >> 4;
    const uint32_t rows[4] = {in->a, in->b, in->c, in->aux};
    vg_fs_word word[VG_LANES][2];
    for (unsigned l = 0; l < VG_LANES; l++) {
        word[l][0] = word[l][1] = none;
        for (unsigned i = 0; i < 2 && size == 4; i++)
            word[l][i] = vg_fs_get(w, rows[i], l);
        for (unsigned i = 0; i + 1 < n && size == 2; i += 2)
            word[l][i / 2] = join(vg_fs_get(w, rows[i], l), vg_u32(w, rows[i])[l], vg_fs_get(w, rows[i + 1], l), vg_u32(w, rows[i + 1])[l]);
    }
    vg_fs_run(w, in, s, mask);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        if (n * size == 4)
            vg_fs_put(w, in->d, l, word[l][0]);
        for (unsigned h = 0; h < 2 && n * size == 8; h++)
            vg_fs_put64(w, in->d, l, h, word[l][h]);
    }
}

// One half of a word as the word of a 16-bit register.
static vg_fs_word part(vg_fs_word x, unsigned half) {
    if (x.kind == VG_FS_F16 || x.kind == VG_FS_BF16)
        return (vg_fs_word){half ? x.hi : x.lo, 0, x.kind};
    return half && x.kind == VG_FS_F32 ? (vg_fs_word){x.lo, 0, VG_FS_BF16} : none;
}

void vg_fs_unpack(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_fs_inst *s = vg_fs_of(w, in);
    const unsigned n = in->aux2 & 15, size = in->aux2 >> 4;
    const uint32_t rows[4] = {in->a, in->b, in->c, in->aux};
    vg_fs_word word[VG_LANES][2];
    for (unsigned l = 0; l < VG_LANES; l++) {
        word[l][0] = n * size == 8 ? vg_fs_get64(w, in->d, l, 0) : vg_fs_get(w, in->d, l);
        word[l][1] = n * size == 8 ? vg_fs_get64(w, in->d, l, 1) : none;
    }
    vg_fs_run(w, in, s, mask);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        for (unsigned i = 0; i < n; i++)
            vg_fs_put(w, rows[i], l, size == 4 ? word[l][i] : part(word[l][i / 2], i % 2));
    }
}

// ---- shfl: the source lane as in op_warp.c
void vg_fs_shfl(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_fs_inst *s = vg_fs_of(w, in);
    vg_fs_word x[VG_LANES], to[VG_LANES];
    for (unsigned l = 0; l < VG_LANES; l++)
        x[l] = vg_fs_get(w, in->a, l);
    for (int l = 0; l < VG_LANES; l++) {
        const int b = (int)(vg_u32(w, in->b)[l] & 31u), clamp = (int)(vg_u32(w, in->c)[l] & 31u), segment = (int)(vg_u32(w, in->c)[l] >> 8 & 31u);
        const int first = l & segment, last = first | (clamp & ~segment);
        const int j = in->src->atom == PTX_SHFL_UP ? l - b : in->src->atom == PTX_SHFL_DOWN ? l + b
                      : in->src->atom == PTX_SHFL_BFLY ? l ^ b : (first | (b & ~segment));
        const bool valid = in->src->atom == PTX_SHFL_UP ? j >= last : j <= last;
        to[l] = x[(valid ? j : l) & 31];
    }
    vg_fs_run(w, in, s, mask);
    for (uint32_t m = mask; m; m &= m - 1)
        vg_fs_put(w, in->d, (unsigned)__builtin_ctz(m), to[__builtin_ctz(m)]);
}
