// wgmma_watch: see wgmma_watch.h. A register of a function is tracked when it is an accumulator or a register of A of some wgmma.mma_async, or when mov takes its value
// to one or from one. Per warp each tracked register is free, the destination (D) or a source (A) of a product in flight, or a copy of a destination.
//
//   reading D or a copy, other than by mov or as the accumulator of a further product     finding
//   writing D, other than by a mov of what is itself in flight                             finding
//   writing A                                                                              finding
//
// And each is touched or not: read or written by another instruction since the last wgmma.fence. A product that uses a touched one, an accumulator of a product of
// another shape with no fence since, or no fence at all before the first product, is the other finding.
//
// Compilers put mov between wgmma instructions, which machine code does not have: they hand the state on. A constant moved into an accumulator is no touch for the same
// reason: where the source sets it before the fence, the compiler writes it wherever it likes.
#include "vgpu/wgmma_watch.h"
#include "vgpu/run.h"
#include <string.h>

typedef enum role { USE_OTHER, USE_MOVE, USE_PRODUCT, USE_COMMIT, USE_WAIT, USE_FENCE } role;
struct vg_wgmma_use {
    role role;
    uint32_t n_tracked, n_read, n_written, wait;    // PRODUCT: read = registers of A, written = accumulators
    uint32_t shape;                                 // of a PRODUCT; never 0
    uint32_t *read, *written;                       // numbers among the tracked registers
    uint32_t *reg_of;                               // of the function: tracked number → register
};

typedef enum state { FREE, IS_D, IS_A, IS_COPY } state;
struct vg_wgmma_flight {
    const vg_frame *frame;
    uint32_t committed, n;
    bool fenced;                                    // this warp has executed wgmma.fence
    struct { uint8_t state; bool touched; uint32_t group, shape; } reg[];   // shape: of the product that it was an accumulator of since the last fence; 0: none
};

// ---- which instructions matter

static bool is_product(const ptx_inst *in) { return in->op == PTX_OP_WGMMA && in->sub == PTX_WGMMA_MMA_ASYNC; }

bool vg_wgmma_used(const vg_program *p) {
    for (size_t i = 0; p->module->arch_specific && i < p->module->n_funcs; i++)
        for (size_t k = 0; p->codes[i] && k < p->module->funcs[i]->n_insts; k++)
            if (is_product(&p->module->funcs[i]->insts[k]))
                return true;
    return false;
}

typedef struct table { uint32_t *number, *reg_of, n; } table;   // number[register]: + 1, 0 when not tracked

static bool track(table *t, const ptx_operand *o) {
    if (o->kind != PTX_O_REG || t->number[o->reg])
        return false;
    t->reg_of[t->n++] = o->reg;
    t->number[o->reg] = t->n;
    return true;
}

static bool is_move(const ptx_inst *in) {   // of a register or of something that no instruction computes
    return in->op == PTX_OP_MOV && in->n_operands == 2 && in->operand[0].kind == PTX_O_REG && in->operand[1].kind != PTX_O_VEC;
}
static bool is_copy(const ptx_inst *in) { return is_move(in) && in->operand[1].kind == PTX_O_REG; }

static void find_tracked(const ptx_func *f, table *t) {
    for (size_t i = 0; i < f->n_insts; i++)
        for (unsigned k = 0; k < 2 && is_product(&f->insts[i]); k++)   // d, a
            for (unsigned j = 0; f->insts[i].operand[k].kind == PTX_O_VEC && j < f->insts[i].operand[k].n_elems; j++)
                track(t, &f->insts[i].operand[k].elems[j]);
    for (bool more = t->n != 0; more;) {
        more = false;
        for (size_t i = 0; i < f->n_insts; i++)
            for (unsigned k = 0; k < 2 && is_copy(&f->insts[i]); k++)   // either way
                if (t->number[f->insts[i].operand[k].reg])
                    more |= track(t, &f->insts[i].operand[1 - k]);
    }
}

typedef struct filler { const table *t; vg_wgmma_use *u; } filler;
static void count_one(void *self, uint32_t reg, bool write) {
    filler *f = self;
    if (f->t->number[reg])
        ++*(write ? &f->u->n_written : &f->u->n_read);
}
static void add_one(void *self, uint32_t reg, bool write) {
    filler *f = self;
    if (!f->t->number[reg])
        return;
    if (write)
        f->u->written[f->u->n_written++] = f->t->number[reg] - 1;
    else
        f->u->read[f->u->n_read++] = f->t->number[reg] - 1;
}

// Of a product: A, or nothing when it is in shared memory; then the accumulators.
static void each_of_product(const ptx_inst *in, vg_touch_fn touch, void *self) {
    for (unsigned k = 0; k < 2; k++) {
        const ptx_operand *o = &in->operand[1 - k];
        for (unsigned j = 0; o->kind == PTX_O_VEC && j < o->n_elems; j++)
            if (o->elems[j].kind == PTX_O_REG)
                touch(self, o->elems[j].reg, k == 1);
    }
}

static vg_wgmma_use *use_of(const ptx_inst *in, const table *t) {
    void (*const each)(const ptx_inst *, vg_touch_fn, void *) = is_product(in) ? each_of_product : vg_each_register;
    const bool group = in->op == PTX_OP_WGMMA && in->sub != PTX_WGMMA_MMA_ASYNC;
    vg_wgmma_use count = {0};
    filler f = {t, &count};
    if (!group && in->op != PTX_OP_CALL)
        each(in, count_one, &f);
    if (!group && !count.n_read && !count.n_written)
        return NULL;
    const size_t words = count.n_read + count.n_written;
    vg_wgmma_use *u = hone_calloc(1, sizeof *u + words * sizeof(uint32_t));
    if (!u)
        return NULL;
    u->n_tracked = t->n;
    u->reg_of = t->reg_of;
    u->read = (uint32_t *)(void *)(u + 1);
    u->written = u->read + count.n_read;
    u->role = is_product(in) ? USE_PRODUCT : is_move(in) ? USE_MOVE : !group ? USE_OTHER : in->sub == PTX_WGMMA_FENCE ? USE_FENCE : in->sub == PTX_WGMMA_COMMIT_GROUP ? USE_COMMIT : USE_WAIT;
    u->shape = 1 + ((uint32_t)in->shape << 8 | in->vec);
    u->wait = u->role == USE_WAIT ? (uint32_t)in->operand[0].i : 0;
    f.u = u;
    if (!group)
        each(in, add_one, &f);
    return u;
}

bool vg_wgmma_uses(const vg_code *code, vg_wgmma_use ***out) {
    const ptx_func *f = code->func;
    table t = {hone_calloc(f->n_regs + 1, sizeof(uint32_t)), hone_calloc(f->n_regs + 1, sizeof(uint32_t)), 0};
    vg_wgmma_use **uses = hone_calloc(f->n_insts + 1, sizeof *uses);
    bool ok = t.number && t.reg_of && uses;
    *out = NULL;
    if (ok)
        find_tracked(f, &t);
    for (size_t i = 0; ok && t.n && i < f->n_insts; i++)
        uses[i] = use_of(&f->insts[i], &t);
    hone_free(t.number);
    if (!ok || !t.n) {
        hone_free(t.reg_of);
        hone_free(uses);
        return ok;
    }
    uses[f->n_insts] = (vg_wgmma_use *)(void *)t.reg_of;   // what all of them share goes with them
    *out = uses;
    return true;
}

void vg_wgmma_uses_free(const vg_code *code, vg_wgmma_use **uses) {
    for (size_t i = 0; uses && i <= code->func->n_insts; i++)
        hone_free(uses[i]);
    hone_free(uses);
}

// ---- while it runs

void vg_wgmma_forget(struct vg_wgmma_flight *flight) {
    if (flight) {
        flight->frame = NULL;
        flight->fenced = false;
    }
}

// The registers of the running frame; products and fences in another frame than before start anew, and know of their registers nothing from before.
static struct vg_wgmma_flight *flight_of(vg_warp *w, const vg_wgmma_use *use) {
    vg_wx *x = vg_wx_of(w);
    const vg_frame *frame = x->split[x->cur].frame;
    struct vg_wgmma_flight *f = x->flight;
    const bool fenced = f && f->fenced;
    if (f && f->frame == frame && f->n == use->n_tracked)
        return f;
    if (use->role != USE_PRODUCT && use->role != USE_FENCE)
        return NULL;
    if (!f || f->n != use->n_tracked) {
        hone_free(f);
        x->flight = f = hone_calloc(1, sizeof *f + use->n_tracked * sizeof f->reg[0]);
        if (!f)
            return NULL;
    }
    memset(f, 0, sizeof *f + use->n_tracked * sizeof f->reg[0]);
    f->frame = frame;
    f->n = use->n_tracked;
    f->fenced = fenced;
    return f;
}

static void report(vg_warp *w, const vg_inst *in, uint32_t mask, const vg_wgmma_use *use, uint32_t k, const char *does, const char *what, bool write) {
    vg_report(w, in, (unsigned)__builtin_ctz(mask), "wgmma.unwaited", 0, 0, write, "%s register %s, %s of a wgmma.mma_async that no wgmma.wait_group has waited for",
              does, w->code->func->regs[use->reg_of[k]].name, what);
}

// PTX ISA, wgmma.fence: needed before the first wgmma.mma_async, and between an access to a register and a product with it; products of the same shape are in order
// among themselves.
static void look_fenced(struct vg_wgmma_flight *f, vg_warp *w, const vg_inst *in, uint32_t mask, const vg_wgmma_use *use) {
    const char *why = f->fenced ? NULL : "no wgmma.fence comes before the first wgmma.mma_async";
    uint32_t k = 0;
    for (uint32_t i = 0; !why && i < use->n_read + use->n_written; i++) {
        k = i < use->n_read ? use->read[i] : use->written[i - use->n_read];
        why = f->reg[k].touched ? "has been read or written since the last wgmma.fence"
              : i >= use->n_read && f->reg[k].shape && f->reg[k].shape != use->shape ? "is an accumulator of another shape's wgmma.mma_async since the last wgmma.fence"
                                                                                     : NULL;
    }
    if (!why)
        return;
    const unsigned lane = (unsigned)__builtin_ctz(mask);
    if (f->fenced)
        vg_report(w, in, lane, "wgmma.unfenced", 0, 0, true, "register %s %s", w->code->func->regs[use->reg_of[k]].name, why);
    else
        vg_report(w, in, lane, "wgmma.unfenced", 0, 0, true, "%s", why);
}

static void look_product(struct vg_wgmma_flight *f, vg_warp *w, const vg_inst *in, uint32_t mask, const vg_wgmma_use *use) {
    look_fenced(f, w, in, mask, use);
    f->fenced = true;   // said once
    for (uint32_t i = 0; i < use->n_read; i++) {
        const uint32_t k = use->read[i];
        if (f->reg[k].state == IS_D || f->reg[k].state == IS_COPY)
            report(w, in, mask, use, k, "multiplies", "an accumulator", false);
        f->reg[k].state = IS_A;
        f->reg[k].group = f->committed;
    }
    for (uint32_t i = 0; i < use->n_written; i++) {
        const uint32_t k = use->written[i];
        if (f->reg[k].state == IS_A && f->reg[k].group <= f->committed)
            report(w, in, mask, use, k, "accumulates into", "a factor", true);
        f->reg[k].state = IS_D;
        f->reg[k].group = f->committed;
        f->reg[k].touched = false;
        f->reg[k].shape = use->shape;
    }
}

static void look_move(struct vg_wgmma_flight *f, vg_warp *w, const vg_inst *in, uint32_t mask, const vg_wgmma_use *use) {
    const bool copies = use->n_read && (f->reg[use->read[0]].state == IS_D || f->reg[use->read[0]].state == IS_COPY);
    for (uint32_t i = 0; i < use->n_written; i++) {
        const uint32_t k = use->written[i];
        if (f->reg[k].state == IS_A || (f->reg[k].state == IS_D && !copies))
            report(w, in, mask, use, k, "writes", f->reg[k].state == IS_A ? "a factor" : "an accumulator", true);
        f->reg[k].state = copies ? IS_COPY : FREE;
        f->reg[k].group = copies ? f->reg[use->read[0]].group : 0;
        f->reg[k].touched = use->n_read && f->reg[use->read[0]].touched;
        f->reg[k].shape = use->n_read ? f->reg[use->read[0]].shape : 0;
    }
}

static void look_other(struct vg_wgmma_flight *f, vg_warp *w, const vg_inst *in, uint32_t mask, const vg_wgmma_use *use) {
    bool told = false;
    for (uint32_t i = 0; i < use->n_read; i++) {
        const uint32_t k = use->read[i];
        f->reg[k].touched = true;
        if (!told && (f->reg[k].state == IS_D || f->reg[k].state == IS_COPY)) {
            report(w, in, mask, use, k, "reads", "an accumulator", false);
            told = true;
        }
    }
    for (uint32_t i = 0; i < use->n_written; i++) {
        const uint32_t k = use->written[i];
        if (f->reg[k].state == IS_A || f->reg[k].state == IS_D)
            report(w, in, mask, use, k, "writes", f->reg[k].state == IS_A ? "a factor" : "an accumulator", true);
        f->reg[k].state = FREE;
        f->reg[k].touched = true;
    }
}

static void look_fence(struct vg_wgmma_flight *f) {
    f->fenced = true;
    for (uint32_t k = 0; k < f->n; k++) {
        f->reg[k].touched = false;
        f->reg[k].shape = 0;
    }
}

void vg_wgmma_look(vg_warp *w, const vg_inst *in, uint32_t mask, const vg_wgmma_use *use) {
    struct vg_wgmma_flight *f = mask ? flight_of(w, use) : NULL;
    if (!f)
        return;
    switch (use->role) {
    case USE_PRODUCT: look_product(f, w, in, mask, use); break;
    case USE_MOVE: look_move(f, w, in, mask, use); break;
    case USE_FENCE: look_fence(f); break;
    case USE_COMMIT: f->committed++; break;
    case USE_WAIT:   // all but the last `wait` groups are complete; what is not committed is in no group
        for (uint32_t k = 0; k < f->n; k++)
            if (f->reg[k].group < f->committed && (uint64_t)f->reg[k].group + use->wait < f->committed)
                f->reg[k].state = FREE;
        break;
    default: look_other(f, w, in, mask, use); break;
    }
}
