// op_wgmma: warpgroup matrix instructions (PTX ISA 9.7.15). Each warp of the group computes its own 16 of the 64 rows when it issues mma_async: its
// share of A (registers or shared memory) times all of B (shared memory). That is legal because neither operands nor accumulators may be touched
// before wait_group; fence, commit_group and wait_group therefore do nothing, and an accumulator read too early is not noticed.
//
// Arithmetic: as mma.sync here (op_mma.c): exact products summed in binary64 in order of k, plus the accumulator, rounded once to its type. Tensor
// cores align and truncate products and keep fewer bits of the sum, so hardware differs in the last places. Integers wrap, or saturate with
// .satfinite; imm-scale -1 negates the operand.
#include "vgpu/access.h"
#include "vgpu/cvt_any.h"
#include "vgpu/mma_tile.h"

bool VG_NAME(vg_bind_wgmma)(vg_binder *b, const ptx_inst *in, vg_inst *out);

enum { WARP_ROWS = 16, MAX_N = 256, MAX_K = 32, CHUNK = 16, CHUNKS_OF_K = 2 /* k always spans 32 bytes */ };
typedef struct operand {
    ptx_type type;
    bool negate, transposed;                   // transposed: M or N runs along memory rather than K
    uint32_t row[4];                           // registers of A, or row[0]: descriptor
    bool in_registers;
    const double *bytes;                       // values of 8-bit types
} operand;
typedef struct wgmma {
    operand a, b;
    unsigned n, k, d_regs;
    ptx_type type;                             // of d
    uint32_t d[MAX_N / 2];
    uint32_t scale;                            // predicate: d is an input too
    bool scale_negated, satfinite;
} wgmma;

// ---- shared-memory operands: PTX ISA 9.7.15.5.1.2

typedef struct matrix { uint32_t start, leading, stride, base; unsigned swizzle; } matrix;   // swizzle: log2 of the atom's width in chunks

static matrix matrix_of(uint64_t descriptor) {
    static const uint8_t widths[] = {0, 3, 2, 1};   // none, 128 B, 64 B, 32 B
    return (matrix){.start = (uint32_t)(descriptor & 0x3fff) << 4, .leading = (uint32_t)(descriptor >> 16 & 0x3fff) << 4,
                    .stride = (uint32_t)(descriptor >> 32 & 0x3fff) << 4, .base = (uint32_t)(descriptor >> 49 & 7), .swizzle = widths[descriptor >> 62]};
}

// The 16-byte chunk (row, chunk) of a matrix whose rows run along memory: K-major: row is m or n, chunk along k; M- or N-major: row is k.
static uint32_t chunk_offset(const matrix *x, bool transposed, unsigned row, unsigned chunk) {
    const unsigned width = 1u << x->swizzle;       // chunks in a row of the atom
    uint32_t at = x->start + row % 8 * width * CHUNK;
    if (!transposed)
        at += row / 8 * x->stride + (x->swizzle ? chunk * CHUNK : chunk * x->leading);
    else if (x->swizzle)
        at += chunk % width * CHUNK + chunk / width * x->leading + row / 8 * x->stride;
    else
        at += chunk * x->stride + row / 8 * x->leading;
    return at ^ ((((at >> 7) - x->base) & (width - 1)) << 4);
}

static const uint8_t *chunk_at(vg_warp *w, const vg_inst *in, uint32_t at) {
    static const uint8_t zeros[CHUNK];
    const vg_block *b = w->block;
    if (at <= b->shared_open && CHUNK <= b->shared_open - at && (!b->shared_shadow || vg_bits_all(b->shared_shadow->bits, at, CHUNK)))
        return b->shared + at;
    const uint8_t *p = vg_lane_access(w, in, 0, VG_IN_SHARED, at, CHUNK, 'l');
    return p ? p : zeros;
}

// ---- values

static double value_of(uint32_t bits, const operand *o) {
    switch (o->type) {
    case PTX_F16: return (double)fp_f32_of_f16(bits);
    case PTX_BF16: return (double)fp_f32_of_bf16(bits);
    case PTX_TF32: return (double)vg_f32_of(bits & 0xffffe000u);   // the low bits are ignored
    default: return o->bytes[bits & 0xff];
    }
}

static unsigned chunk_elements(ptx_type t) { return t == PTX_TF32 ? 4 : t == PTX_F16 || t == PTX_BF16 ? 8 : 16; }

// The values of a chunk, `step` apart in out.
static void unpack(const operand *o, const uint8_t *chunk, double *out, size_t step) {
    uint32_t words[4];
    double wide[16];
    unsigned n = chunk_elements(o->type);
    memcpy(words, chunk, sizeof words);
    for (unsigned i = 0; i < n; i++)
        wide[i] = value_of(words[i * 4 / n] >> (i % (n / 4) * (128 / n)) & (n == 4 ? ~0u : (1u << (128 / n % 32)) - 1), o);
    for (unsigned i = 0; i < n; i++)
        out[i * step] = o->negate ? -wide[i] : wide[i];
}

// Rows first … first + rows of the operand (m or n) into out, element (row, k) at row * row_step + k * k_step.
static void load_shared(vg_warp *w, const vg_inst *in, const operand *o, unsigned first, unsigned rows, unsigned k, double *out, size_t row_step,
                        size_t k_step) {
    const matrix x = matrix_of(vg_u64(w, o->row[0])[0]);
    const unsigned each = chunk_elements(o->type);
    if (!o->transposed) {
        for (unsigned r = 0; r < rows; r++)
            for (unsigned c = 0; c < CHUNKS_OF_K; c++)
                unpack(o, chunk_at(w, in, chunk_offset(&x, false, first + r, c)), out + r * row_step + c * each * k_step, k_step);
        return;
    }
    for (unsigned p = 0; p < k; p++)
        for (unsigned c = 0; c < rows / each; c++)
            unpack(o, chunk_at(w, in, chunk_offset(&x, true, p, first / each + c)), out + c * each * row_step + p * k_step, row_step);
}

// The panels of B: columns 8j … 8j + 7 as (k,8). 16-bit types go through vector code: N-major chunks are rows of a panel; K-major ones are eight columns of
// words of two k, transposed.
static void load_panel(vg_warp *w, const vg_inst *in, const operand *o, unsigned j, unsigned k, double *out) {
    if (chunk_elements(o->type) != 8 || o->negate) {
        load_shared(w, in, o, 8 * j, 8, k, out, 1, 8);
        return;
    }
    const matrix x = matrix_of(vg_u64(w, o->row[0])[0]);
    const bool brain = o->type == PTX_BF16;
    _Alignas(64) uint32_t words[CHUNKS_OF_K][8 * 4], pairs[8 * 8];
    for (unsigned p = 0; o->transposed && p < k; p++) {
        memcpy(words, chunk_at(w, in, chunk_offset(&x, true, p, j)), CHUNK);
        tile_halves(out + 8 * p, words[0], 4, brain);
    }
    if (o->transposed)
        return;
    for (unsigned c = 0; c < CHUNKS_OF_K; c++) {
        for (unsigned r = 0; r < 8; r++)
            memcpy(words[c] + 4 * r, chunk_at(w, in, chunk_offset(&x, false, 8 * j + r, c)), CHUNK);
        for (unsigned r = 0; r < 8; r += 4)
            tile_transpose4(words[c] + 4 * r, pairs + c * 32 + r, 8);
    }
    tile_split(out, pairs, 64, brain);
}

// A in registers, as for mma.sync: register r of lane 4g + t holds row g (+ 8 when r is odd), elements t·E …, 4E further on from r = 2.
static void load_registers(vg_warp *w, const operand *o, unsigned k, double *out) {
    const unsigned elements = k / 8, bits = 32 / elements;
    for (unsigned r = 0; r < 4; r++)
        for (unsigned l = 0; l < VG_LANES; l++) {
            const uint32_t word = vg_u32(w, o->row[r])[l];
            double *to = out + (l / 4 + 8 * (r & 1)) * k + (r / 2 * 4 + l % 4) * elements;
            for (unsigned e = 0; e < elements; e++) {
                const double v = value_of(bits == 32 ? word : word >> (e * bits) & ((1u << (bits % 32)) - 1), o);
                to[e] = o->negate ? -v : v;
            }
        }
}

// ---- accumulators: element i of lane 4g + t is row g + 8·(i/2 mod 2), column 8·(i/4) + 2t + i mod 2 (figures 149, 151, 153); sums lie in panels (16,8)

enum { PANEL = WARP_ROWS * 8 };
static double element(const double *c, unsigned lane, unsigned i) {
    return c[i / 4 * PANEL + (lane / 4 + 8 * (i / 2 % 2)) * 8 + 2 * (lane % 4) + i % 2];
}

static float half_sum(double x) {   // one rounding: binary64 → odd binary32 → f16
    const float f = (float)x;
    return fp_odd32(f, fp_sign64(x - (double)f));
}

static uint32_t integer_sum(double x, bool saturate) {
    const int64_t v = (int64_t)x;   // |x| < 2^53
    if (saturate)
        return (uint32_t)(int32_t)(v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v);
    return (uint32_t)(uint64_t)v;
}

static void add_f16(vg_warp *w, const wgmma *o, const double *c, bool scale) {
    for (unsigned r = 0; r < o->d_regs; r++) {
        uint32_t *row = vg_u32(w, o->d[r]);
        for (unsigned l = 0; l < VG_LANES; l++) {
            const uint32_t old = row[l];
            uint32_t now = 0;
            for (unsigned e = 0; e < 2; e++) {
                const double before = scale ? (double)fp_f32_of_f16(old >> (16 * e) & 0xffff) : 0.0;
                now |= fp_f16_of_f32(half_sum(element(c, l, 2 * r + e) + before)) << (16 * e);
            }
            row[l] = now;
        }
    }
}

static void add_f32(vg_warp *w, const wgmma *o, const double *c, bool scale) {   // eight columns of a row at a time
    static const float zeros[4];
    for (unsigned r = 0; r < o->d_regs; r += 2) {
        float *even = vg_f32(w, o->d[r]), *odd = vg_f32(w, o->d[r + 1]);
        const double *sum = c + r / 4 * PANEL + r / 2 % 2 * 64;
        for (unsigned g = 0; g < 8; g++)
            tile_round(sum + g * 8, scale ? even + 4 * g : zeros, scale ? odd + 4 * g : zeros, even + 4 * g, odd + 4 * g);
    }
}

static void add_s32(vg_warp *w, const wgmma *o, const double *c, bool scale) {
    for (unsigned r = 0; r < o->d_regs; r++) {
        int32_t *row = vg_s32(w, o->d[r]);
        for (unsigned l = 0; l < VG_LANES; l++)
            row[l] = (int32_t)integer_sum(element(c, l, r) + (scale ? (double)row[l] : 0.0), o->satfinite);
    }
}

static void count_operand(vg_warp *w, const vg_inst *in, const operand *o, unsigned rows) {   // 128 bytes a cycle; B is read once for four warps
    if (!w->count || o->in_registers)
        return;
    vg_inst_count *c = &w->count->insts[in->index];
    c->requests++;
    c->shared_requests++;
    c->wavefronts += rows * 32 / 128;
    c->wavefronts_ideal += rows * 32 / 128;
}

VG_HANDLER(mma_async) {
    const wgmma *o = (const wgmma *)(uintptr_t)in->imm;
    _Alignas(64) double a[WARP_ROWS * MAX_K], b[MAX_K * 8], c[WARP_ROWS * MAX_N];
    if (mask != 0xffffffffu) {
        vg_report(w, in, (unsigned)__builtin_ctz(~mask), "warp.partial-matrix", 0, 0, false,
                  "a matrix instruction is executed by the lanes 0x%08x only; all 32 must take part", mask);
        return;
    }
    if (w->block->n_warps / 4 <= w->index / 4 && !vg_tolerant(w)) {
        vg_report(w, in, 0, "warp.partial-matrix", 0, 0, false, "wgmma is executed by a warp whose group of four warps is not complete");
        return;
    }
    if (o->a.in_registers)
        load_registers(w, &o->a, o->k, a);
    else
        load_shared(w, in, &o->a, w->index % 4 * WARP_ROWS, WARP_ROWS, o->k, a, o->k, 1);
    for (unsigned j = 0; j < o->n / 8; j++) {
        load_panel(w, in, &o->b, j, o->k, b);
        tile_multiply(WARP_ROWS, 8, o->k, a, o->k, b, 8, c + j * PANEL);
    }
    const bool scale = (w->pred[o->scale] & 1) != o->scale_negated;
    if (o->type == PTX_F32)
        add_f32(w, o, c, scale);
    else if (o->type == PTX_F16)
        add_f16(w, o, c, scale);
    else
        add_s32(w, o, c, scale);
    count_operand(w, in, &o->a, WARP_ROWS);
    count_operand(w, in, &o->b, o->n / 4);
}

VG_HANDLER(no_effect) { (void)w; (void)in; (void)mask; }

// ---- binding

typedef struct form { uint8_t d[2], a, b, k; } form;   // b: PTX_NOTYPE: as a
static const form forms[] = {
    {{PTX_F32, PTX_F16}, PTX_F16, PTX_F16, 16}, {{PTX_F32, 0}, PTX_BF16, PTX_BF16, 16}, {{PTX_F32, 0}, PTX_TF32, PTX_TF32, 8},
    {{PTX_F32, PTX_F16}, PTX_E4M3, PTX_E4M3, 32}, {{PTX_F32, PTX_F16}, PTX_E4M3, PTX_E5M2, 32}, {{PTX_F32, PTX_F16}, PTX_E5M2, PTX_E4M3, 32},
    {{PTX_F32, PTX_F16}, PTX_E5M2, PTX_E5M2, 32}, {{PTX_S32, 0}, PTX_S8, PTX_S8, 32}, {{PTX_S32, 0}, PTX_S8, PTX_U8, 32},
    {{PTX_S32, 0}, PTX_U8, PTX_S8, 32}, {{PTX_S32, 0}, PTX_U8, PTX_U8, 32},
};

static bool is_form(const ptx_inst *in) {
    for (size_t i = 0; i < HONE_COUNT(forms); i++)
        if (forms[i].a == in->type[1] && forms[i].b == in->type[2] && forms[i].k == in->vec && (forms[i].d[0] == in->type[0] || forms[i].d[1] == in->type[0]))
            return in->type[0] != PTX_S32 || (in->shape - PTX_M64 + 1) * 8 <= 32 || (in->shape - PTX_M64 + 1) % 2 == 0;   // integers: N = 8, 16, 24, 32, 48, 64 …
    return false;
}

// Values of the 256 bit patterns of an 8-bit type.
static bool bind_bytes(vg_binder *b, const ptx_inst *in, operand *o) {
    static const cvt_rules none = {0};
    if (o->type != PTX_S8 && o->type != PTX_U8 && o->type != PTX_E4M3 && o->type != PTX_E5M2)
        return true;
    double *v = hone_arena_alloc(vg_bind_module(b)->arena, 256 * sizeof *v);
    for (unsigned i = 0; v && i < 256; i++)
        v[i] = o->type == PTX_S8 ? (double)(int8_t)i : o->type == PTX_U8 ? (double)i : vg_f64_of(cvt_any(i, o->type, PTX_F64, &none));
    o->bytes = v;
    return v || vg_unsupported(b, in, "out of memory");
}

static bool bind_accumulators(vg_binder *b, const ptx_inst *in, wgmma *o) {
    const ptx_operand *d = &in->operand[0];
    o->d_regs = o->n / (o->type == PTX_F16 ? 4 : 2);
    if (d->kind != PTX_O_VEC || d->n_elems != o->d_regs)
        return vg_unsupported(b, in, "another number of accumulators");
    for (unsigned i = 0; i < o->d_regs; i++) {
        if (ptx_type_bytes(vg_bind_reg_type(b, &d->elems[i])) != 4)
            return vg_unsupported(b, in, "accumulators of another width");
        o->d[i] = vg_bind_row(b, &d->elems[i], PTX_B32);
    }
    return true;
}

static bool bind_a(vg_binder *b, const ptx_inst *in, operand *a) {
    const ptx_operand *o = &in->operand[1];
    a->in_registers = o->kind == PTX_O_VEC;
    if (!a->in_registers) {
        a->row[0] = vg_bind_row(b, o, PTX_B64);
        return true;
    }
    if (o->n_elems != 4)
        return vg_unsupported(b, in, "another number of registers of A");
    for (unsigned i = 0; i < 4; i++) {
        if (ptx_type_bytes(vg_bind_reg_type(b, &o->elems[i])) != 4)
            return vg_unsupported(b, in, "registers of A of another width");
        a->row[i] = vg_bind_row(b, &o->elems[i], PTX_B32);
    }
    return true;
}

// scale-d, then the immediates that the types have: scales for floats, transpositions for 16 bits (of A only when it is in shared memory).
static bool bind_scales(vg_binder *b, const ptx_inst *in, wgmma *o) {
    const bool floats = o->type != PTX_S32, halves = o->a.type == PTX_F16 || o->a.type == PTX_BF16, two = halves && !o->a.in_registers;
    const unsigned at = 3, n = 1u + (floats ? 2 : 0) + (halves ? 1 : 0) + (two ? 1 : 0);
    const ptx_operand *p = in->operand + at;
    if (in->n_operands != at + n)
        return vg_unsupported(b, in, "another number of immediates");
    o->scale = vg_bind_pred(b, p);
    o->scale_negated = p->negated;
    for (unsigned i = 1; i < n; i++)
        if (i <= 2 ? p[i].i != 1 && p[i].i != -1 : p[i].i != 0 && p[i].i != 1)
            return vg_unsupported(b, in, "its immediates");
    o->a.negate = floats && p[1].i == -1;
    o->b.negate = floats && p[2].i == -1;
    o->a.transposed = two && p[3].i;
    o->b.transposed = halves && p[two ? 4 : 3].i;
    return true;
}

bool VG_NAME(vg_bind_wgmma)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    out->full = out->masked = no_effect;
    if (!vg_bind_module(b)->arch_specific)
        return vg_unsupported(b, in, "it needs the target sm_90a");
    if (in->sub != PTX_WGMMA_MMA_ASYNC)
        return true;
    if (!is_form(in))
        return vg_unsupported(b, in, "this shape and these types");
    wgmma *o = hone_arena_alloc(vg_bind_module(b)->arena, sizeof *o);
    if (!o)
        return vg_unsupported(b, in, "out of memory");
    *o = (wgmma){.n = (in->shape - PTX_M64 + 1u) * 8, .k = in->vec, .type = (ptx_type)in->type[0], .satfinite = in->mods & PTX_M_SATFINITE,
                 .a = {.type = (ptx_type)in->type[1]}, .b = {.type = (ptx_type)in->type[2]}};
    out->imm = (int64_t)(uintptr_t)o;
    out->full = out->masked = mma_async;
    o->b.row[0] = vg_bind_row(b, &in->operand[2], PTX_B64);
    return bind_accumulators(b, in, o) && bind_a(b, in, &o->a) && bind_scales(b, in, o) && bind_bytes(b, in, &o->a) && bind_bytes(b, in, &o->b);
}
