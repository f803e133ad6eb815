// watch: see watch.h. Addresses are read from the rows as the memory families do (mem_row.h, op_atom.c, op_mem_copy.c). Registers: data flow (flow.c)
// says which may be read before they are written on some path; for those, and for what is computed from them, every frame carries one
// mask of lanes. Copies and arithmetic hand the doubt on; memory, comparisons and addresses are where it is reported.
#define VG_ISA baseline
#include "vgpu/watch.h"
#include "vgpu/linear.h"
#include "vgpu/mem_row.h"
#include "vgpu/race.h"
#include "vgpu/run.h"
#include "vgpu/wgmma_watch.h"
#include <pthread.h>

enum { W_GLOBAL = 1, W_LOCAL = 2, W_REGISTER = 4, W_PLAIN = 8 /* with GLOBAL: a load or store that is not strong */, W_WGMMA = 16 };

typedef struct vg_watched { vg_handler full, masked; const vg_wgmma_use *wgmma; uint8_t what, bytes; char kind; } vg_watched;   // bytes: of the whole access
// An array of them ends in one whose `wgmma` is the table of uses that the others point into.
static vg_wgmma_use **uses_of(const vg_code_full *full) { return (vg_wgmma_use **)(uintptr_t)full->watched[full->code.n_insts].wgmma; }

// ---- global memory

static uint32_t addresses(vg_warp *w, const vg_inst *in, uint32_t mask, uint64_t address[VG_LANES]) {
    const bool copies = in->src->op == PTX_OP_CP;
    const uint32_t row = copies ? in->b : in->a;
    const bool wide = copies || in->aux2 & A_WIDE;
    const uint64_t add = copies ? (uint64_t)(in->imm >> 32) : (uint64_t)in->imm;
    if (wide) {
        const uint64_t *r = (const uint64_t *)(const void *)(w->file + row);
        for (unsigned l = 0; l < VG_LANES; l++)
            address[l] = r[l] + add;
    } else {
        const uint32_t *r = vg_u32(w, row);
        for (unsigned l = 0; l < VG_LANES; l++)
            address[l] = r[l] + add;
    }
    if (in->src->space == PTX_GLOBAL || copies)
        return mask;
    uint32_t global = 0;
    for (uint32_t m = mask; m; m &= m - 1)
        global |= vg_in_windows(address[__builtin_ctz(m)]) ? 0 : m & -m;
    return global;
}

// Lanes of one store on one place must agree: afterwards memory holds the value of one of them.
static void agree(vg_warp *w, const vg_inst *in, const uint64_t address[VG_LANES], uint32_t mask, unsigned bytes) {
    const unsigned V = in->src->vec ? in->src->vec : 1, E = bytes / V;
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned l = (unsigned)__builtin_ctz(m);
        for (uint32_t n = m & (m - 1); n; n &= n - 1) {
            const unsigned k = (unsigned)__builtin_ctz(n);
            if (address[k] != address[l])
                continue;
            for (unsigned e = 0; e < V; e++) {
                const uint64_t keep = E == 8 ? ~0ull : (1ull << 8 * E) - 1;
                if ((get_lane(w, in, e, l, E) & keep) != (get_lane(w, in, e, k, E) & keep)) {
                    vg_race_disagree(w, in, k, l, address[l], bytes);
                    return;
                }
            }
        }
    }
}

static bool all_apart(const uint64_t address[VG_LANES], uint32_t mask) {
    const unsigned first = (unsigned)__builtin_ctz(mask);
    uint64_t before = address[first];
    for (uint32_t m = mask & (mask - 1); m; m &= m - 1) {   // ascending: no two are equal
        const uint64_t at = address[__builtin_ctz(m)];
        if (at <= before)
            return false;
        before = at;
    }
    return true;
}

static vg_linear_fn g_linear = vg_watch_linear_baseline;
static void choose_linear(void) {
    static const struct { const char *isa; vg_linear_fn linear; } builds[] = {
        {"baseline", vg_watch_linear_baseline},
#if defined(VG_WITH_AVX2)
        {"avx2", vg_watch_linear_avx2},
#endif
#if defined(VG_WITH_AVX512)
        {"avx512", vg_watch_linear_avx512},
#endif
    };
    for (size_t i = 0; i < HONE_COUNT(builds); i++)
        if (!strcmp(builds[i].isa, vg_isa_name()))
            g_linear = builds[i].linear;
}

// Rows that are kept as base and stride (linear.h): their values are wanted now.
static void spill_rows(vg_warp *w, const vg_inst *in) {
    if (!w->code->linear)
        return;
    const vg_linear *x = &w->code->linear[in->index];
    for (unsigned i = 0; i < x->n_rows; i++)
        vg_linear_spill(w->file, x->rows[i] & ~1u, x->rows[i] & 1);
    if (in->flags & VG_TAGGED_ADDRESS)
        vg_linear_spill(w->file, in->a, in->aux2 & A_WIDE);
}

// All lanes side by side or in one place, as most accesses are.
static inline bool look_linear(vg_warp *w, const vg_inst *in, const vg_watched *x) {
    if (!(x->what & W_PLAIN) || !(in->aux2 & A_WIDE))
        return false;
    uint64_t first, step;
    if (in->flags & VG_TAGGED_ADDRESS && vg_tag_of(w, in->a)->flags & VG_LINEAR) {
        first = vg_tag_of(w, in->a)->base;
        step = vg_tag_of(w, in->a)->stride;
    } else {
        spill_rows(w, in);
        const uint64_t *r = __builtin_assume_aligned(w->file + in->a, 64);
        first = r[0];
        if (!g_linear(r, &step))
            return false;
    }
    if (step && step != x->bytes)
        return false;
    const uint64_t address = first + (uint64_t)in->imm;
    return !vg_in_windows(address) && vg_race_run(w, in, address, step, x->bytes, x->kind);
}

static void look_global(vg_warp *w, const vg_inst *in, uint32_t mask, const vg_watched *x) {
    if (mask == FULL && look_linear(w, in, x))
        return;
    spill_rows(w, in);
    _Alignas(64) uint64_t address[VG_LANES];
    const uint32_t global = addresses(w, in, mask, address);
    if (!global)
        return;
    vg_race_row(w, in, address, global, x->bytes, x->kind);
    if (x->kind == 's' && in->src->op == PTX_OP_ST && in->src->sem < PTX_VOLATILE && !all_apart(address, global))
        agree(w, in, address, global, x->bytes);
}

// ---- local memory

static void look_local(vg_warp *w, const vg_inst *in, uint32_t mask, const vg_watched *x) {
    _Alignas(64) uint64_t tmp[VG_LANES];
    spill_rows(w, in);
    const uint64_t *r = wide_row(w, in, tmp);
    const uint64_t add = (uint64_t)in->imm + (in->aux2 & A_FRAME ? w->local_frame : 0);
    const unsigned V = in->src->vec ? in->src->vec : 1, E = x->bytes / V;
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        for (unsigned e = 0; e < V && r[lane] + add + x->bytes <= w->local_stride; e++)
            vg_local_touch(w, in, lane, r[lane] + add + e * E, E, x->kind);
    }
}

// ---- registers

typedef struct doubt { vg_warp *w; const vg_inst *in; const vg_code_full *full; uint32_t *defined, mask, undefined, reg; unsigned n, n_undefined; } doubt;

static int tracked(const vg_code_full *full, uint32_t reg) {
    for (unsigned i = 0; i < full->n_doubtful; i++)
        if (full->doubtful[i] == reg)
            return (int)i;
    return -1;
}

static void gather_reads(void *self, uint32_t reg, bool write) {
    doubt *d = self;
    const int k = write ? -1 : tracked(d->full, reg);
    d->n += !write;
    if (k < 0 || !(d->mask & ~d->defined[k]))
        return;
    d->undefined |= d->mask & ~d->defined[k];
    d->reg = reg;
    d->n_undefined++;
}

static void put_writes(void *self, uint32_t reg, bool write) {
    doubt *d = self;
    const int k = write ? tracked(d->full, reg) : -1;
    if (k >= 0)
        d->defined[k] = (d->defined[k] & ~d->mask) | (d->mask & ~d->undefined);
}

typedef struct all { uint32_t *defined; const vg_code_full *full; uint32_t mask; } all;
static void put_all(void *self, uint32_t reg, bool write) {
    (void)write;
    const all *a = self;
    const int k = tracked(a->full, reg);
    if (k >= 0)
        a->defined[k] |= a->mask;
}
static void write_all(uint32_t *defined, const vg_code_full *full, const ptx_inst *in, uint32_t mask) {
    vg_each_register(in, put_all, &(all){defined, full, mask});
}

static bool is_sink(const ptx_inst *in) {
    switch (in->op) {
    case PTX_OP_LD: case PTX_OP_ATOM: case PTX_OP_RED: case PTX_OP_SETP: case PTX_OP_CP: case PTX_OP_BAR: return true;
    case PTX_OP_ST: return in->space != PTX_LOCAL && in->space != PTX_PARAM;
    default: return false;
    }
}

static void look_registers(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_wx *x = vg_wx_of(w);
    uint32_t *defined = x->split[x->cur].frame->defined;
    if (!defined)
        return;
    if (in->src->op == PTX_OP_BAR || in->src->op == PTX_OP_BARRIER || in->src->op == PTX_OP_MBARRIER || in->src->op == PTX_OP_WMMA || in->src->op == PTX_OP_CALL) {
        write_all(defined, vg_full(w->code), in->src, mask);   // which operands they write is not in the tables
        return;
    }
    doubt d = {.w = w, .in = in, .full = vg_full(w->code), .defined = defined, .mask = mask};
    vg_each_register(in->src, gather_reads, &d);
    // a vector with some elements undefined may be padding: only all of them count
    const unsigned values = in->src->op == PTX_OP_ST && in->src->vec > 1 ? in->src->vec : 1;
    if (d.undefined && is_sink(in->src) && d.n_undefined >= values) {
        vg_report(w, in, (unsigned)__builtin_ctz(d.undefined), "register.uninitialized", 0, 0, false, "uses register %s, which nothing has written",
                  d.full->code.func->regs[d.reg].name);
        d.undefined = 0;   // once is enough
    }
    vg_each_register(in->src, put_writes, &d);
}

// ---- the exchange

static const vg_watched *watched_of(const vg_warp *w, const vg_inst *in) { return &vg_full(w->code)->watched[in->index]; }

static void watched(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_watched *x = watched_of(w, in);
    if (x->what & W_GLOBAL && w->block->race)
        look_global(w, in, mask, x);
    if (x->what & W_LOCAL && w->local_bits)
        look_local(w, in, mask, x);
    if (x->what & W_REGISTER)
        look_registers(w, in, mask);
    if (x->what & W_WGMMA)
        vg_wgmma_look(w, in, mask, x->wgmma);
    if (mask == FULL)
        x->full(w, in, mask);
    else
        x->masked(w, in, mask);
}

// Loads of which nothing but races on global memory is watched, through rows with tags.
static void watched_load(vg_warp *w, const vg_inst *in, uint32_t mask) {
    const vg_watched *x = watched_of(w, in);
    const vg_tag *t = vg_tag_of(w, in->a);
    if (mask == FULL && t->flags & VG_LINEAR && (!t->stride || t->stride == x->bytes) && w->block->race &&
        vg_race_adds_nothing(w, in, t->base + (uint64_t)in->imm, t->stride ? VG_LANES * x->bytes : x->bytes))
        x->full(w, in, mask);
    else
        watched(w, in, mask);
}

static bool is_doubtful(const vg_code_full *full, const ptx_inst *in);
typedef struct any { const vg_code_full *full; bool hit; } any;
static void touch_any(void *self, uint32_t reg, bool write) {
    (void)write;
    any *a = self;
    a->hit |= tracked(a->full, reg) >= 0;
}
static bool is_doubtful(const vg_code_full *full, const ptx_inst *in) {
    any a = {full, false};
    if (full->n_doubtful)
        vg_each_register(in, touch_any, &a);
    return a.hit;
}

// What a launch with these flags wants to see of an instruction.
static uint8_t wanted(const vg_code_full *full, const vg_inst *i, uint32_t flags, vg_watched *x) {
    const ptx_inst *in = i->src;
    uint8_t what = 0;
    if (!in || !i->full)
        return 0;
    const bool memory = in->op == PTX_OP_LD || in->op == PTX_OP_LDU || in->op == PTX_OP_ST || in->op == PTX_OP_ATOM || in->op == PTX_OP_RED;
    x->bytes = (uint8_t)(ptx_type_bytes((ptx_type)in->type[0]) * (in->vec ? in->vec : 1u));
    x->kind = in->op == PTX_OP_LD || in->op == PTX_OP_LDU ? 'l' : in->op == PTX_OP_ST ? 's' : in->atom == PTX_ATOM_EXCH ? 's' : 'a';
    if (in->op == PTX_OP_CP && in->sub == PTX_CP_ASYNC) {
        x->bytes = (uint8_t)i->aux;
        x->kind = 'l';
        what |= flags & HONE_VGPU_RACE_GLOBAL ? W_GLOBAL : 0;
    }
    const bool global = memory && (in->space == PTX_GLOBAL || in->space == PTX_GENERIC);
    const bool symbol = memory && in->space == PTX_GENERIC && in->operand[in->op == PTX_OP_LD || in->op == PTX_OP_ATOM ? 1 : 0].symbol;
    if (global && !symbol && flags & HONE_VGPU_RACE_GLOBAL && x->bytes)
        what |= W_GLOBAL | (in->sem < PTX_VOLATILE && in->op != PTX_OP_ATOM && in->op != PTX_OP_RED ? W_PLAIN : 0);
    if (memory && in->space == PTX_LOCAL && flags & HONE_VGPU_INIT && x->bytes)
        what |= W_LOCAL;
    if (flags & HONE_VGPU_INIT && is_doubtful(full, in))
        what |= W_REGISTER;
    if (flags & HONE_VGPU_RACE && x->wgmma)
        what |= W_WGMMA;
    return what;
}

static bool watch_code(vg_code_full *full, uint32_t flags) {
    vg_code *c = &full->code;
    if (!full->watched && !(full->watched = hone_calloc(c->n_insts + 1, sizeof *full->watched)))
        return false;
    if (flags & HONE_VGPU_RACE && !uses_of(full)) {
        vg_wgmma_use **uses;
        if (!vg_wgmma_uses(c, &uses))
            return false;
        full->watched[c->n_insts].wgmma = (const vg_wgmma_use *)(const void *)uses;
        for (size_t i = 0; uses && i < c->n_insts; i++)
            full->watched[i].wgmma = uses[i];
    }
    for (size_t i = 0; i < c->n_insts; i++) {
        vg_inst *in = &c->insts[i];
        vg_watched *x = &full->watched[i];
        if (x->what) {
            in->full = x->full;
            in->masked = x->masked;
        }
        x->what = wanted(full, in, flags, x);
        if (!x->what)
            continue;
        x->full = in->full;
        x->masked = in->masked;
        const bool lean = x->what == (W_GLOBAL | W_PLAIN) && x->kind == 'l' && in->src->op == PTX_OP_LD && in->flags & VG_TAGGED_ADDRESS && in->aux2 & A_WIDE;
        in->full = in->masked = lean ? watched_load : watched;
    }
    return true;
}

static pthread_once_t g_once = PTHREAD_ONCE_INIT;

bool vg_watch(vg_program *p, uint32_t flags) {
    flags &= HONE_VGPU_RACE_GLOBAL | HONE_VGPU_INIT | (flags & HONE_VGPU_RACE && vg_wgmma_used(p) ? HONE_VGPU_RACE : 0);
    if (p->watched_for == flags)
        return true;
    pthread_once(&g_once, choose_linear);
    for (size_t i = 0; i < p->module->n_funcs; i++)
        if (p->codes[i] && !watch_code(p->codes[i], flags))
            return false;
    p->watched_for = flags;
    return true;
}

void vg_watch_free(vg_program *p) {
    for (size_t i = 0; p->codes && i < p->module->n_funcs; i++)
        if (p->codes[i] && p->codes[i]->watched) {
            vg_wgmma_uses_free(&p->codes[i]->code, uses_of(p->codes[i]));
            hone_free(p->codes[i]->watched);
        }
}

unsigned vg_watch_registers(const vg_code *code) { return vg_full(code)->n_doubtful; }
