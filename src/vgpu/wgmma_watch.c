// wgmma_watch: see wgmma_watch.h. A register of a function is tracked when it is an accumulator or a register of A of some wgmma.mma_async, or gets a copy of
// one by mov. Per warp each tracked register is free, the destination (D) or a source (A) of a product in flight, or a copy of a destination.
//
//   reading D or a copy, other than by mov or as the accumulator of a further product     finding
//   writing D, other than by a mov of what is itself in flight                             finding
//   writing A                                                                              finding
//
// Compilers put mov between wgmma instructions, which machine code does not have: they hand the state on.
#include "vgpu/wgmma_watch.h"
#include "vgpu/run.h"
#include <string.h>

typedef enum role { USE_OTHER, USE_MOVE, USE_PRODUCT, USE_COMMIT, USE_WAIT } role;
struct vg_wgmma_use {
    role role;
    uint32_t n_tracked, n_read, n_written, wait;    // PRODUCT: read = registers of A, written = accumulators
    uint32_t *read, *written;                       // numbers among the tracked registers
    uint32_t *reg_of;                               // of the function: tracked number → register
};

typedef enum state { FREE, IS_D, IS_A, IS_COPY } state;
struct vg_wgmma_flight {
    const vg_frame *frame;
    uint32_t committed, n;
    struct { uint8_t state; uint32_t group; } reg[];
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

static bool is_move(const ptx_inst *in) {
    return in->op == PTX_OP_MOV && in->n_operands == 2 && in->operand[0].kind == PTX_O_REG && in->operand[1].kind == PTX_O_REG;
}

static void find_tracked(const ptx_func *f, table *t) {
    for (size_t i = 0; i < f->n_insts; i++)
        for (unsigned k = 0; k < 2 && is_product(&f->insts[i]); k++)   // d, a
            for (unsigned j = 0; f->insts[i].operand[k].kind == PTX_O_VEC && j < f->insts[i].operand[k].n_elems; j++)
                track(t, &f->insts[i].operand[k].elems[j]);
    for (bool more = t->n != 0; more;) {
        more = false;
        for (size_t i = 0; i < f->n_insts; i++)
            if (is_move(&f->insts[i]) && t->number[f->insts[i].operand[1].reg])
                more |= track(t, &f->insts[i].operand[0]);
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
    const bool group = in->op == PTX_OP_WGMMA && (in->sub == PTX_WGMMA_COMMIT_GROUP || in->sub == PTX_WGMMA_WAIT_GROUP);
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
    u->role = is_product(in) ? USE_PRODUCT : is_move(in) ? USE_MOVE : !group ? USE_OTHER : in->sub == PTX_WGMMA_COMMIT_GROUP ? USE_COMMIT : USE_WAIT;
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
    if (flight)
        flight->frame = NULL;
}

// The registers of the running frame; products in another frame than before start anew.
static struct vg_wgmma_flight *flight_of(vg_warp *w, const vg_wgmma_use *use) {
    vg_wx *x = vg_wx_of(w);
    const vg_frame *frame = x->split[x->cur].frame;
    struct vg_wgmma_flight *f = x->flight;
    if (f && f->frame == frame && f->n == use->n_tracked)
        return f;
    if (use->role != USE_PRODUCT)
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
    return f;
}

static void report(vg_warp *w, const vg_inst *in, uint32_t mask, const vg_wgmma_use *use, uint32_t k, const char *does, const char *what, bool write) {
    vg_report(w, in, (unsigned)__builtin_ctz(mask), "wgmma.unwaited", 0, 0, write, "%s register %s, %s of a wgmma.mma_async that no wgmma.wait_group has waited for",
              does, w->code->func->regs[use->reg_of[k]].name, what);
}

static void look_product(struct vg_wgmma_flight *f, vg_warp *w, const vg_inst *in, uint32_t mask, const vg_wgmma_use *use) {
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
    }
}

static void look_other(struct vg_wgmma_flight *f, vg_warp *w, const vg_inst *in, uint32_t mask, const vg_wgmma_use *use) {
    for (uint32_t i = 0; i < use->n_read; i++)
        if (f->reg[use->read[i]].state == IS_D || f->reg[use->read[i]].state == IS_COPY) {
            report(w, in, mask, use, use->read[i], "reads", "an accumulator", false);
            break;
        }
    for (uint32_t i = 0; i < use->n_written; i++) {
        const uint32_t k = use->written[i];
        if (f->reg[k].state == IS_A || f->reg[k].state == IS_D)
            report(w, in, mask, use, k, "writes", f->reg[k].state == IS_A ? "a factor" : "an accumulator", true);
        f->reg[k].state = FREE;
    }
}

void vg_wgmma_look(vg_warp *w, const vg_inst *in, uint32_t mask, const vg_wgmma_use *use) {
    struct vg_wgmma_flight *f = mask ? flight_of(w, use) : NULL;
    if (!f)
        return;
    switch (use->role) {
    case USE_PRODUCT: look_product(f, w, in, mask, use); break;
    case USE_MOVE: look_move(f, w, in, mask, use); break;
    case USE_COMMIT: f->committed++; break;
    case USE_WAIT:   // all but the last `wait` groups are complete; what is not committed is in no group
        for (uint32_t k = 0; k < f->n; k++)
            if (f->reg[k].group < f->committed && (uint64_t)f->reg[k].group + use->wait < f->committed)
                f->reg[k].state = FREE;
        break;
    default: look_other(f, w, in, mask, use); break;
    }
}
