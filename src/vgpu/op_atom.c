// Atomics, fences. Lanes run in order, so lanes on one address are serialised from 0 to 31. Global memory is updated with the host's own atomic
// instructions, because blocks run on several host threads; shared memory belongs to one thread at a time and is updated plainly.
// An operation is a function from the old value and the operands to the new value; tables say which exist.
#include "vgpu/access.h"
#include "vgpu/address_row.h"
#include "vgpu/bulk.h"
#include "vgpu/fp.h"
#include "vgpu/op.h"
#include "vgpu/race.h"

bool VG_NAME(vg_bind_atom)(vg_binder *b, const ptx_inst *in, vg_inst *out);

// vg_inst use: d = destination row, a = address row, b = operand row, c = second operand row (cas), aux = operation, aux2 = flags,
// imm = address offset.
enum { A_WIDE = 1, A_WHERE_SHIFT = 1 /* 3 bits */, A_WHERE = 7, A_RETURNS = 16 };

typedef uint64_t (*update)(uint64_t old, uint64_t b, uint64_t c);
#define UPDATE(name, expr) static uint64_t name(uint64_t old, uint64_t b, uint64_t c) { (void)old; (void)b; (void)c; return (uint64_t)(expr); }
static inline uint64_t bits32(float f) { return vg_bits_f32(f); }
static inline float f32(uint64_t x) { return vg_f32_of((uint32_t)x); }
static inline double f64(uint64_t x) { return vg_f64_of(x); }

UPDATE(add32, (uint32_t)(old + b)) UPDATE(add64, old + b)
UPDATE(and64, old & b) UPDATE(or64, old | b) UPDATE(xor64, old ^ b) UPDATE(exch, b) UPDATE(cas, old == b ? c : old)
UPDATE(inc32, (uint32_t)old >= (uint32_t)b ? 0 : (uint32_t)old + 1) UPDATE(dec32, (uint32_t)old == 0 || (uint32_t)old > (uint32_t)b ? (uint32_t)b : (uint32_t)old - 1)
UPDATE(min_u32, (uint32_t)old < (uint32_t)b ? old : b) UPDATE(max_u32, (uint32_t)old > (uint32_t)b ? old : b)
UPDATE(min_s32, (int32_t)(uint32_t)old < (int32_t)(uint32_t)b ? old : b) UPDATE(max_s32, (int32_t)(uint32_t)old > (int32_t)(uint32_t)b ? old : b)
UPDATE(min_u64, old < b ? old : b) UPDATE(max_u64, old > b ? old : b)
UPDATE(min_s64, (int64_t)old < (int64_t)b ? old : b) UPDATE(max_s64, (int64_t)old > (int64_t)b ? old : b)
UPDATE(add_f32, bits32(vg_nan32(f32(old) + f32(b))))
/* PTX ISA 9.7.13.4: on global memory atom.add.f32 flushes subnormal inputs and results, on shared memory it does not */
UPDATE(add_f32_ftz, bits32(vg_nan32(vg_ftz(vg_ftz(f32(old)) + vg_ftz(f32(b))))))
UPDATE(add_f64, vg_bits_f64(f64(old) + f64(b)))

// 16-bit floats: a binary32 sum of two of them rounds to 16 bits as the exact sum would (24 ≥ 2·11 + 2 bits).
static uint32_t add_half(uint32_t a, uint32_t b) { return fp_f16_of_f32(fp_f32_of_f16(a & 0xffff) + fp_f32_of_f16(b & 0xffff)); }
static uint32_t add_bhalf(uint32_t a, uint32_t b) { return fp_bf16_of_f32(fp_f32_of_bf16(a & 0xffff) + fp_f32_of_bf16(b & 0xffff)); }
static uint32_t pick_half(uint32_t a, uint32_t b, bool less, bool brain) {   // min and max: a NaN operand loses, -0 is less than +0 (as seen on an H100)
    float x = brain ? fp_f32_of_bf16(a & 0xffff) : fp_f32_of_f16(a & 0xffff), y = brain ? fp_f32_of_bf16(b & 0xffff) : fp_f32_of_f16(b & 0xffff);
    if (x != x && y != y)
        return 0x7fff;
    if (x == 0 && y == 0)
        return (less ? a | b : a & b) & 0xffff;
    return (x != x || (less ? y < x : y > x) ? b : a) & 0xffff;
}
#define EACH_HALF(name, f) UPDATE(name, f((uint32_t)old, (uint32_t)b) | (uint64_t)f((uint32_t)old >> 16, (uint32_t)b >> 16) << 16)
static uint32_t min_half(uint32_t a, uint32_t b) { return pick_half(a, b, true, false); }
static uint32_t max_half(uint32_t a, uint32_t b) { return pick_half(a, b, false, false); }
static uint32_t min_bhalf(uint32_t a, uint32_t b) { return pick_half(a, b, true, true); }
static uint32_t max_bhalf(uint32_t a, uint32_t b) { return pick_half(a, b, false, true); }
EACH_HALF(add_f16x2, add_half) EACH_HALF(add_bf16x2, add_bhalf) EACH_HALF(min_f16x2, min_half) EACH_HALF(max_f16x2, max_half)
EACH_HALF(min_bf16x2, min_bhalf) EACH_HALF(max_bf16x2, max_bhalf)
UPDATE(add_f16, add_half((uint32_t)old, (uint32_t)b)) UPDATE(add_bf16, add_bhalf((uint32_t)old, (uint32_t)b))
UPDATE(min_f16, min_half((uint32_t)old, (uint32_t)b)) UPDATE(max_f16, max_half((uint32_t)old, (uint32_t)b))
UPDATE(min_bf16, min_bhalf((uint32_t)old, (uint32_t)b)) UPDATE(max_bf16, max_bhalf((uint32_t)old, (uint32_t)b))

typedef struct operation { uint8_t atom, type, bytes; update f; } operation;
static const operation operations[] = {
    {PTX_ATOM_ADD, PTX_U32, 4, add32}, {PTX_ATOM_ADD, PTX_S32, 4, add32}, {PTX_ATOM_ADD, PTX_U64, 8, add64}, {PTX_ATOM_ADD, PTX_S64, 8, add64},
    {PTX_ATOM_ADD, PTX_B32, 4, add32}, {PTX_ATOM_ADD, PTX_F32, 4, add_f32}, {PTX_ATOM_ADD, PTX_F64, 8, add_f64},
    {PTX_ATOM_ADD, PTX_F16, 2, add_f16}, {PTX_ATOM_ADD, PTX_BF16, 2, add_bf16}, {PTX_ATOM_ADD, PTX_F16X2, 4, add_f16x2},
    {PTX_ATOM_ADD, PTX_BF16X2, 4, add_bf16x2}, {PTX_ATOM_MIN, PTX_F16X2, 4, min_f16x2}, {PTX_ATOM_MAX, PTX_F16X2, 4, max_f16x2},
    {PTX_ATOM_MIN, PTX_BF16X2, 4, min_bf16x2}, {PTX_ATOM_MAX, PTX_BF16X2, 4, max_bf16x2}, {PTX_ATOM_MIN, PTX_F16, 2, min_f16},
    {PTX_ATOM_MAX, PTX_F16, 2, max_f16}, {PTX_ATOM_MIN, PTX_BF16, 2, min_bf16}, {PTX_ATOM_MAX, PTX_BF16, 2, max_bf16},
    {PTX_ATOM_AND, PTX_B32, 4, and64}, {PTX_ATOM_AND, PTX_B64, 8, and64}, {PTX_ATOM_OR, PTX_B32, 4, or64}, {PTX_ATOM_OR, PTX_B64, 8, or64},
    {PTX_ATOM_XOR, PTX_B32, 4, xor64}, {PTX_ATOM_XOR, PTX_B64, 8, xor64}, {PTX_ATOM_EXCH, PTX_B32, 4, exch}, {PTX_ATOM_EXCH, PTX_B64, 8, exch},
    {PTX_ATOM_CAS, PTX_B16, 2, cas}, {PTX_ATOM_CAS, PTX_B32, 4, cas}, {PTX_ATOM_CAS, PTX_B64, 8, cas},
    {PTX_ATOM_INC, PTX_U32, 4, inc32}, {PTX_ATOM_DEC, PTX_U32, 4, dec32},
    {PTX_ATOM_MIN, PTX_U32, 4, min_u32}, {PTX_ATOM_MAX, PTX_U32, 4, max_u32}, {PTX_ATOM_MIN, PTX_S32, 4, min_s32}, {PTX_ATOM_MAX, PTX_S32, 4, max_s32},
    {PTX_ATOM_MIN, PTX_U64, 8, min_u64}, {PTX_ATOM_MAX, PTX_U64, 8, max_u64}, {PTX_ATOM_MIN, PTX_S64, 8, min_s64}, {PTX_ATOM_MAX, PTX_S64, 8, max_s64}};

// ---- one update

static inline uint64_t read_plain(const uint8_t *p, unsigned bytes) {
    uint64_t v = 0;
    memcpy(&v, p, bytes);
    return v;
}

#define ATOMIC_LOOP(T)                                                                                   \
    {                                                                                                    \
        T *at = (T *)(void *)p, old = __atomic_load_n(at, __ATOMIC_RELAXED), new;                        \
        do                                                                                               \
            new = (T)f(old, b, c);                                                                       \
        while (!__atomic_compare_exchange_n(at, &old, new, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));   \
        return old;                                                                                      \
    }
static uint64_t update_atomic(uint8_t *p, unsigned bytes, update f, uint64_t b, uint64_t c) {
    if (bytes == 4)
        ATOMIC_LOOP(uint32_t)
    if (bytes == 8)
        ATOMIC_LOOP(uint64_t)
    ATOMIC_LOOP(uint16_t)
}

static uint64_t update_plain(uint8_t *p, unsigned bytes, update f, uint64_t b, uint64_t c) {
    uint64_t old = read_plain(p, bytes), new = f(old, b, c);
    memcpy(p, &new, bytes);
    return old;
}

// ---- where: a lane's memory, quickly when nothing is wrong

typedef struct cursor { vg_alloc *a; } cursor;   // the allocation of the lane before

static inline uint8_t *find_global(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t address, unsigned bytes, char kind, cursor *k) {
    vg_alloc *a = k->a;
    if (!a || address - a->base >= a->bytes)
        a = vg_page_alloc(w->block->launch->ctx->memory, address);
    size_t at = a ? address - a->base : 0;
    if (!a || (address & (bytes - 1)) || at > a->bytes || bytes > a->bytes - at || a->read_only || !vg_alloc_written(a, at, bytes))
        return vg_lane_access(w, in, lane, VG_IN_GLOBAL, address, bytes, kind);
    k->a = a;
    return a->host + at;
}

static inline uint8_t *find_shared(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t offset, unsigned bytes, char kind) {
    const vg_block *b = w->block;
    if ((offset & (bytes - 1)) || offset > b->shared_open || bytes > b->shared_open - offset ||
        (b->shared_shadow && !vg_bits_all(b->shared_shadow->bits, offset, bytes)))
        return vg_lane_access(w, in, lane, VG_IN_SHARED, offset, bytes, kind);
    return b->shared + offset;
}

static void count_atomic(vg_warp *w, const vg_inst *in, const uint64_t address[VG_LANES], uint32_t mask, unsigned bytes, uint32_t shared) {
    uint32_t offset[VG_LANES];
    for (uint32_t m = shared; m; m &= m - 1)
        offset[__builtin_ctz(m)] = (uint32_t)address[__builtin_ctz(m)] & (uint32_t)(VG_WINDOW_BYTES - 1);
    if (shared)
        vg_count_shared(w->count, in->index, offset, bytes, shared, 'a');
    if (mask & ~shared)
        vg_count_global(w->count, in->index, address, bytes, mask & ~shared, 'a');
}

static inline uint64_t operand(vg_warp *w, uint32_t row, unsigned lane, unsigned bytes) {
    return bytes == 8 ? vg_u64(w, row)[lane] : bytes == 4 ? vg_u32(w, row)[lane] : (vg_u32(w, row)[lane] & 0xffff);
}

static void put(vg_warp *w, uint32_t row, unsigned lane, unsigned bytes, uint64_t v) {
    if (bytes == 8)
        vg_u64(w, row)[lane] = v;
    else
        vg_u32(w, row)[lane] = (uint32_t)v;
}

// One lane's update of one element; *failed: a cas that found another value.
static uint64_t one(vg_warp *w, const vg_inst *in, unsigned lane, vg_where where, uint64_t address, unsigned bytes, uint64_t b, uint64_t c,
                    cursor *k, bool *failed) {
    const operation *op = &operations[in->aux];
    if (where == VG_IN_GENERIC) {
        where = vg_where_of(address);
        if (where == VG_IN_SHARED)
            address -= VG_SHARED_WINDOW;
        else if (where != VG_IN_GLOBAL)
            address &= VG_WINDOW_BYTES - 1;
    }
    char kind = op->f == exch ? 's' : 'a';
    uint8_t *p = where == VG_IN_SHARED   ? find_shared(w, in, lane, address, bytes, kind)
                 : where == VG_IN_GLOBAL ? find_global(w, in, lane, address, bytes, kind, k)
                                         : vg_lane_access(w, in, lane, where, address, bytes, kind);
    if (!p)
        return 0;
    update f = op->f == add_f32 && where == VG_IN_GLOBAL ? add_f32_ftz : op->f;
    uint64_t old = where == VG_IN_GLOBAL ? update_atomic(p, bytes, f, b, c) : update_plain(p, bytes, f, b, c);
    *failed |= op->f == cas && old != b;
    return old;
}

// 32-bit sums in shared memory by whole warps with 64-bit addresses, one bounds test for all; false: below.
static bool add_shared(vg_warp *w, const vg_inst *in) {
    const vg_block *b = w->block;
    vg_tag t;
    bounds_of(w->file + in->a, &t.low, &t.high, &t.bits);
    if (!extent_fits(&t, (uint64_t)in->imm, b->shared_open, 4, in->imm) ||
        (b->shared_shadow && !vg_bits_all_near(b->shared_shadow->bits, t.low + (uint64_t)in->imm, t.high + (uint64_t)in->imm + 4)))
        return false;
    const uint64_t *at = VG_ROW(U64, in->a);
    const uint32_t *from = VG_ROW(U32, in->b);
    uint32_t *to = in->aux2 & A_RETURNS ? VG_ROW(U32, in->d) : NULL;
    uint8_t *memory = b->shared + in->imm;
    for (unsigned l = 0; l < VG_LANES; l++) {
        u32a *p = (u32a *)(void *)(memory + at[l]), old = *p;
        *p = old + from[l];
        if (to)
            to[l] = old;
    }
    return true;
}

// 32-bit updates of shared memory whose lanes are all in order; false: lane by lane, below.
static bool update_shared(vg_warp *w, const vg_inst *in, uint32_t mask, update f) {
    const vg_block *b = w->block;
    if (f == add32 && mask == 0xffffffffu && in->aux2 & A_WIDE && add_shared(w, in))
        return true;
    uint32_t off[VG_LANES], lo = ~0u, hi = 0, low_bits = 0;
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        const uint64_t at = (in->aux2 & A_WIDE ? vg_u64(w, in->a)[lane] : vg_u32(w, in->a)[lane]) + (uint64_t)in->imm;
        off[lane] = (uint32_t)at;
        hi = at >> 32 ? ~0u : off[lane] > hi ? off[lane] : hi;   // past the end: refused below
        lo = off[lane] < lo ? off[lane] : lo;
        low_bits |= off[lane];
    }
    if ((low_bits & 3) || hi > b->shared_open || 4 > b->shared_open - hi || (b->shared_shadow && !vg_bits_all_near(b->shared_shadow->bits, lo, hi + 4)))
        return false;
    uint32_t *to = in->aux2 & A_RETURNS ? vg_u32(w, in->d) : NULL;
    const uint32_t *from = vg_u32(w, in->b);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        uint32_t *p = (uint32_t *)(void *)(b->shared + off[lane]), old = *p;
        *p = f == add32 ? old + from[lane] : (uint32_t)f(old, from[lane], 0);
        if (to)
            to[lane] = old;
    }
    return true;
}

VG_HANDLER(atom) {
    const operation *op = &operations[in->aux];
    if (((in->aux2 >> A_WHERE_SHIFT) & A_WHERE) == VG_IN_SHARED && op->bytes == 4 && op->f != cas && op->f != exch && !w->count && update_shared(w, in, mask, op->f))
        return;
    const bool wide = in->aux2 & A_WIDE, returns = in->aux2 & A_RETURNS;
    const vg_where where = (vg_where)((in->aux2 >> A_WHERE_SHIFT) & A_WHERE);
    uint64_t address[VG_LANES];
    uint32_t shared = 0;
    cursor k = {0};
    bool failed = false;
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        address[lane] = (wide ? vg_u64(w, in->a)[lane] : vg_u32(w, in->a)[lane]) + (uint64_t)in->imm;
        bool in_shared = where == VG_IN_SHARED || (where == VG_IN_GENERIC && vg_where_of(address[lane]) == VG_IN_SHARED);
        shared |= (uint32_t)in_shared << lane;
    }
    if (w->count)
        count_atomic(w, in, address, mask, op->bytes, shared);
    for (uint32_t m = mask; m; m &= m - 1) {
        unsigned lane = (unsigned)__builtin_ctz(m);
        uint64_t b = operand(w, in->b, lane, op->bytes), c = op->f == cas ? operand(w, in->c, lane, op->bytes) : 0;
        uint64_t old = one(w, in, lane, where, address[lane], op->bytes, b, c, &k, &failed);
        if (returns)
            put(w, in->d, lane, op->bytes, old);
    }
    w->spins += failed || op->f == exch;
}

// ---- several elements, and 16 bytes at once

// PTX ISA 9.7.13.4: the elements of a vector are updated one by one, each atomically; the address is aligned to the whole of them.
enum { MAX_ELEMENTS = 8 };
typedef struct wide_atom {               // vg_inst.imm points to it; the address row is vg_inst.a
    uint32_t d[MAX_ELEMENTS], b[MAX_ELEMENTS], c;
    int64_t offset;
    uint8_t n, bytes;                    // bytes: of an element
    bool returns, cas;
} wide_atom;

static uint8_t *find_wide(vg_warp *w, const vg_inst *in, unsigned lane, vg_where *where, uint64_t address, unsigned bytes, char kind) {
    cursor k = {0};
    if (*where == VG_IN_GENERIC) {
        *where = vg_where_of(address);
        address = *where == VG_IN_SHARED ? address - VG_SHARED_WINDOW : *where == VG_IN_GLOBAL ? address : address & (VG_WINDOW_BYTES - 1);
    }
    return *where == VG_IN_SHARED   ? find_shared(w, in, lane, address, bytes, kind)
           : *where == VG_IN_GLOBAL ? find_global(w, in, lane, address, bytes, kind, &k)
                                    : vg_lane_access(w, in, lane, *where, address, bytes, kind);
}

static uint32_t wide_addresses(vg_warp *w, const vg_inst *in, uint32_t mask, const wide_atom *o, uint64_t address[VG_LANES]) {
    const vg_where where = (vg_where)((in->aux2 >> A_WHERE_SHIFT) & A_WHERE);
    uint32_t shared = 0;
    for (uint32_t m = mask; m; m &= m - 1) {   // all of them first: a destination may be the address row
        const unsigned lane = (unsigned)__builtin_ctz(m);
        address[lane] = (in->aux2 & A_WIDE ? vg_u64(w, in->a)[lane] : vg_u32(w, in->a)[lane]) + (uint64_t)o->offset;
        shared |= (uint32_t)(where == VG_IN_SHARED || (where == VG_IN_GENERIC && vg_where_of(address[lane]) == VG_IN_SHARED)) << lane;
    }
    if (w->count)
        count_atomic(w, in, address, mask, (unsigned)o->n * o->bytes, shared);
    return shared;
}

VG_HANDLER(atom_vector) {
    const wide_atom *o = (const wide_atom *)(uintptr_t)in->imm;
    const operation *op = &operations[in->aux];
    uint64_t address[VG_LANES];
    wide_addresses(w, in, mask, o, address);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        vg_where where = (vg_where)((in->aux2 >> A_WHERE_SHIFT) & A_WHERE);
        uint64_t v[MAX_ELEMENTS];
        uint8_t *p = find_wide(w, in, lane, &where, address[lane], (unsigned)o->n * o->bytes, 'a');
        for (unsigned i = 0; i < o->n; i++)   // before a destination is written, which may be one of them
            v[i] = operand(w, o->b[i], lane, o->bytes);
        update f = op->f == add_f32 && where == VG_IN_GLOBAL ? add_f32_ftz : op->f;
        for (unsigned i = 0; p && i < o->n; i++) {
            uint8_t *at = p + i * o->bytes;
            uint64_t old = where == VG_IN_GLOBAL ? update_atomic(at, o->bytes, f, v[i], 0) : update_plain(at, o->bytes, f, v[i], 0);
            if (o->returns)
                put(w, o->d[i], lane, o->bytes, old);
        }
    }
}

typedef unsigned __int128 u128;

// The value before; a new one is stored when that was `want`.
static u128 swap16(uint8_t *p, u128 want, u128 new) {
#ifdef __x86_64__
    uint64_t lo = (uint64_t)want, hi = (uint64_t)(want >> 64);
    __asm__ volatile("lock cmpxchg16b %0" : "+m"(*(u128 *)(void *)p), "+a"(lo), "+d"(hi) : "b"((uint64_t)new), "c"((uint64_t)(new >> 64)) : "cc");
    return (u128)hi << 64 | lo;
#else
    __atomic_compare_exchange_n((u128 *)(void *)p, &want, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return want;
#endif
}

static u128 update16(uint8_t *p, bool cas, u128 b, u128 c) {
    if (cas)
        return swap16(p, b, c);
    u128 seen = 0, old;
    while ((old = swap16(p, seen, b)) != seen)
        seen = old;
    return old;
}

VG_HANDLER(atom_b128) {
    const wide_atom *o = (const wide_atom *)(uintptr_t)in->imm;
    uint64_t address[VG_LANES];
    bool waits = !o->cas;
    wide_addresses(w, in, mask, o, address);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        vg_where where = (vg_where)((in->aux2 >> A_WHERE_SHIFT) & A_WHERE);
        u128 b, c = 0, old;
        uint8_t *p = find_wide(w, in, lane, &where, address[lane], 16, o->cas ? 'a' : 's');
        if (!p)
            continue;
        memcpy(&b, w->file + o->b[0] + 16 * lane, 16);
        if (o->cas)
            memcpy(&c, w->file + o->c + 16 * lane, 16);
        if (where == VG_IN_GLOBAL) {
            old = update16(p, o->cas, b, c);
        } else {
            memcpy(&old, p, 16);
            memcpy(p, !o->cas ? &b : old == b ? &c : &old, 16);
        }
        waits |= o->cas && old != b;
        if (o->returns)
            memcpy(w->file + o->d[0] + 16 * lane, &old, 16);
    }
    w->spins += waits;
}

VG_HANDLER(fence) {
    if (w->block->race)
        vg_race_fence(w, mask, in->src && in->src->scope == PTX_CTA);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// ---- binding

static bool bind_where(vg_binder *b, const ptx_inst *in, vg_inst *out, const ptx_operand *o) {
    bool wide = true, frame;
    ptx_space symbol;
    int64_t offset;
    uint32_t row;
    if (!vg_bind_addr(b, in, o, &row, &wide, &offset, &symbol, &frame))
        return false;
    if (row == VG_NO_ROW) {
        row = vg_bind_row(b, &(ptx_operand){.kind = PTX_O_INT, .i = 0}, PTX_U64);
        wide = true;
    }
    ptx_space space = in->space == PTX_GENERIC && symbol != PTX_GENERIC ? symbol : (ptx_space)in->space;
    vg_where where = space == PTX_GLOBAL ? VG_IN_GLOBAL : space == PTX_SHARED || space == PTX_SHARED_CLUSTER ? VG_IN_SHARED : VG_IN_GENERIC;
    if (space != PTX_GLOBAL && space != PTX_SHARED && space != PTX_SHARED_CLUSTER && space != PTX_GENERIC)
        return vg_unsupported(b, in, "state space");
    out->a = row;
    out->imm = offset;
    out->aux2 = (uint16_t)(out->aux2 | (wide ? A_WIDE : 0) | (unsigned)where << A_WHERE_SHIFT);
    return true;
}

static bool bind_operation(const ptx_inst *in, vg_inst *out) {
    for (uint32_t i = 0; i < HONE_COUNT(operations); i++)
        if (operations[i].atom == in->atom && operations[i].type == in->type[0]) {
            out->aux = i;
            return true;
        }
    return false;
}

static bool is_b128(const ptx_inst *in) { return in->type[0] == PTX_B128 && (in->atom == PTX_ATOM_CAS || in->atom == PTX_ATOM_EXCH); }

// d NULL: red.
static bool bind_wide(vg_binder *b, const ptx_inst *in, vg_inst *out, const ptx_operand *d, const ptx_operand *address, const ptx_operand *value) {
    const ptx_type t = (ptx_type)in->type[0];
    const unsigned n = in->vec > 1 ? in->vec : 1, bytes = ptx_type_bytes(t);
    wide_atom *o = hone_arena_alloc(vg_bind_module(b)->arena, sizeof *o);
    if (!o)
        return vg_unsupported(b, in, "out of memory");
    if (n > MAX_ELEMENTS || n * bytes > 16 || (value->kind == PTX_O_VEC ? value->n_elems : 1u) != n || (d && d->kind == PTX_O_VEC && d->n_elems != n))
        return vg_unsupported(b, in, "atomics of this width");
    if (!bind_where(b, in, out, address))
        return false;
    if (n > 1 && ((out->aux2 >> A_WHERE_SHIFT) & A_WHERE) != VG_IN_GLOBAL)
        return vg_unsupported(b, in, "vector atomics outside global memory");
    *o = (wide_atom){.offset = out->imm, .n = (uint8_t)n, .bytes = (uint8_t)bytes, .returns = d && d->kind != PTX_O_SINK, .cas = in->atom == PTX_ATOM_CAS};
    for (unsigned i = 0; i < n; i++) {
        const ptx_operand *to = d && d->kind == PTX_O_VEC ? &d->elems[i] : d;
        o->b[i] = vg_bind_row(b, value->kind == PTX_O_VEC ? &value->elems[i] : value, t);
        if (o->returns)
            o->d[i] = to->kind == PTX_O_SINK ? vg_bind_scratch(b, 2) : vg_bind_row(b, to, t);
    }
    if (o->cas)
        o->c = vg_bind_row(b, value + 1, t);
    out->imm = (int64_t)(uintptr_t)o;
    out->full = out->masked = bytes == 16 ? atom_b128 : atom_vector;
    return true;
}

static bool bind_atom(vg_binder *b, const ptx_inst *in, vg_inst *out, bool returns) {
    const ptx_operand *o = in->operand;
    ptx_type type = (ptx_type)in->type[0];
    const ptx_operand *d = returns ? o++ : NULL, *address = o++, *value = o++;
    if (is_b128(in))
        return bind_wide(b, in, out, d, address, value);
    if (in->mods & (PTX_M_ABS | PTX_M_NAN) || !bind_operation(in, out))
        return vg_unsupported(b, in, "operation and type");
    if (in->vec > 1 || value->kind == PTX_O_VEC)
        return bind_wide(b, in, out, d, address, value);
    if (d && d->kind != PTX_O_SINK) {
        out->aux2 |= A_RETURNS;
        out->d = vg_bind_row(b, d, type);
    }
    out->b = vg_bind_row(b, value, type);
    if (in->atom == PTX_ATOM_CAS)
        out->c = vg_bind_row(b, o, type);
    out->full = out->masked = atom;
    return bind_where(b, in, out, address);
}

bool VG_NAME(vg_bind_atom)(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    out->aux2 = 0;
    switch (in->op) {
    case PTX_OP_ATOM: return bind_atom(b, in, out, true);
    case PTX_OP_RED: return in->sub == PTX_CP_ASYNC ? vg_bind_async_store(b, in, out) : bind_atom(b, in, out, false);
    case PTX_OP_MBARRIER: return vg_bind_mbarrier(b, in, out);
    case PTX_OP_MEMBAR: case PTX_OP_FENCE:
        out->full = out->masked = fence;
        return true;
    default: return vg_unsupported(b, in, "atomic instruction");
    }
}
