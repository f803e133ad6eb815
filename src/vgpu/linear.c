// linear: which registers are tracked as base + lane * stride (linear.h), and what of an instruction's decoding depends on that. The choice is made
// before rows are assigned (flow.c), the wrapping after an instruction is bound (decode.c).
#include "vgpu/linear.h"
#include "vgpu/decode.h"
#include <string.h>

// ---- instructions whose handlers understand tags

static bool is_word(ptx_type t) {   // an integer register that a tag can describe
    return t == PTX_B32 || t == PTX_U32 || t == PTX_S32 || t == PTX_B64 || t == PTX_U64 || t == PTX_S64;
}

static bool is_kernel_parameter(const ptx_func *f, const ptx_inst *in) {
    const ptx_operand *o = &in->operand[1];
    if (!f->is_entry || in->space != PTX_PARAM || in->vec > 1 || o->has_base || !o->symbol)
        return false;
    for (size_t i = 0; i < f->n_params; i++)
        if (f->params[i] == o->var)
            return true;
    return false;
}

// Lane by lane and without side effects: equal sources give equal results.
static bool is_pure(const ptx_inst *in) {
    static const uint16_t pure[] = {PTX_OP_AND, PTX_OP_OR, PTX_OP_XOR, PTX_OP_NOT, PTX_OP_SHR, PTX_OP_MIN, PTX_OP_MAX, PTX_OP_DIV, PTX_OP_REM, PTX_OP_NEG,
                                    PTX_OP_ABS, PTX_OP_BFE, PTX_OP_BFI, PTX_OP_MUL, PTX_OP_MAD, PTX_OP_CVT, PTX_OP_SHF, PTX_OP_CLZ, PTX_OP_POPC};
    for (size_t i = 0; i < HONE_COUNT(pure); i++)
        if (pure[i] == in->op)
            return true;
    return in->op == PTX_OP_LOP3 && in->n_operands == 5;
}

// cvt and ld may have registers wider than their types.
static bool registers_fit(const ptx_func *f, const ptx_inst *in) {
    if (in->op != PTX_OP_CVT && in->op != PTX_OP_LD)
        return true;
    for (unsigned k = 0; k < in->n_types && k < in->n_operands; k++)
        if (in->operand[k].kind == PTX_O_REG && ptx_type_bytes(f->regs[in->operand[k].reg].type) != ptx_type_bytes((ptx_type)in->type[k]))
            return false;
    return true;
}

static bool has_form(const ptx_func *f, const ptx_inst *in) {
    if (in->n_operands < 2 || in->n_operands > 5 || in->operand[0].kind != PTX_O_REG || vg_ctl_of(in) != VG_CTL_NONE || in->mods & PTX_M_CC ||
        !registers_fit(f, in))
        return false;
    for (unsigned i = 0; i < in->n_types; i++)
        if (!is_word((ptx_type)in->type[i]))
            return false;
    for (unsigned k = 1; k < in->n_operands; k++)
        if (in->operand[k].kind == PTX_O_VEC || in->operand[k].part)
            return false;
    switch (in->op) {
    case PTX_OP_ADD: case PTX_OP_SUB: case PTX_OP_SHL: case PTX_OP_MOV: case PTX_OP_SELP: return !(in->mods & PTX_M_SAT);
    case PTX_OP_CVTA: return in->space != PTX_LOCAL && in->space != PTX_PARAM;
    case PTX_OP_LD: return is_kernel_parameter(f, in);
    default: return is_pure(in) && !(in->mods & PTX_M_SAT);
    }
}

// ---- which registers

typedef void (*reg_fn)(void *self, uint32_t reg);
static void each_read(const ptx_inst *in, bool addresses, reg_fn fn, void *self) {
    for (unsigned k = vg_op_defines(in) ? 1 : 0; k < in->n_operands; k++) {
        const ptx_operand *o = &in->operand[k];
        if (o->kind == PTX_O_REG || (o->kind == PTX_O_ADDR && o->has_base && addresses))
            fn(self, o->reg);
        for (unsigned j = 0; (o->kind == PTX_O_VEC || o->kind == PTX_O_ADDR) && j < o->n_elems; j++)
            if (o->elems[j].kind == PTX_O_REG)
                fn(self, o->elems[j].reg);
    }
}

static void each_written(const ptx_inst *in, reg_fn fn, void *self) {
    for (unsigned k = 0; k < in->n_operands; k++) {
        const ptx_operand *o = &in->operand[k];
        if (!(k == 0 && vg_op_defines(in)) && o->part != 1)
            continue;
        if (o->kind == PTX_O_REG)
            fn(self, o->reg);
        for (unsigned j = 0; o->kind == PTX_O_VEC && j < o->n_elems; j++)
            if (o->elems[j].kind == PTX_O_REG)
                fn(self, o->elems[j].reg);
    }
}

enum { BANNED = 1, WANTED = 2 };
static void ban(void *self, uint32_t reg) { ((uint8_t *)self)[reg] |= BANNED; }
static void want(void *self, uint32_t reg) { ((uint8_t *)self)[reg] |= WANTED; }

// Instructions that the executor itself looks into read values, and so do those that read and write an operand (wmma, mbarrier).
static void ban_registers(const ptx_func *f, uint8_t *state) {
    for (size_t r = 0; r < f->n_regs; r++)
        if (!is_word(f->regs[r].type))
            state[r] = BANNED;
    for (size_t i = 0; i < f->n_insts; i++) {
        const ptx_inst *in = &f->insts[i];
        const bool plain = vg_ctl_of(in) == VG_CTL_NONE;
        if (!plain || in->op == PTX_OP_MBARRIER)
            each_read(in, true, ban, state);
        if (!plain || !has_form(f, in))
            each_written(in, ban, state);
    }
}

static void want_roots(const ptx_func *f, uint8_t *state) {
    for (size_t i = 0; i < f->n_insts; i++) {
        const ptx_inst *in = &f->insts[i];
        for (unsigned k = 0; k < in->n_operands; k++)
            if (in->operand[k].kind == PTX_O_ADDR && in->operand[k].has_base)
                want(state, in->operand[k].reg);
        if (in->op == PTX_OP_SETP && is_word((ptx_type)in->type[0]))
            each_read(in, false, want, state);
    }
}

static void want_sources(const ptx_func *f, uint8_t *state) {
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = f->n_insts; i-- > 0;) {
            const ptx_inst *in = &f->insts[i];
            if (in->n_operands < 2 || in->operand[0].kind != PTX_O_REG || state[in->operand[0].reg] != WANTED || !has_form(f, in))
                continue;
            for (unsigned k = 1; k < in->n_operands; k++)
                if (in->operand[k].kind == PTX_O_REG && !(state[in->operand[k].reg] & WANTED))
                    changed = true, want(state, in->operand[k].reg);
        }
    }
}

bool vg_linear_select(vg_binder *b) {
    uint8_t *state = b->tracked;
    if (b->program->on_values)
        return memset(state, 0, b->func->n_regs), true;
    ban_registers(b->func, state);
    want_roots(b->func, state);
    want_sources(b->func, state);
    for (size_t r = 0; r < b->func->n_regs; r++)
        state[r] = state[r] == WANTED;
    return true;
}

bool vg_bind_tracked(const vg_binder *b, const ptx_operand *o) {
    return (o->kind == PTX_O_REG || (o->kind == PTX_O_ADDR && o->has_base)) && b->tracked[o->reg];
}

bool vg_bind_tagged(const vg_binder *b, const ptx_operand *o) {
    switch (o->kind) {
    case PTX_O_REG: return b->tracked[o->reg];
    case PTX_O_INT: case PTX_O_SREG: return true;
    case PTX_O_SYMBOL: return o->var && o->var->space != PTX_LOCAL;   // local addresses differ by call frame
    default: return false;
    }
}

// ---- after an instruction is bound

typedef struct rows { const vg_binder *b; uint32_t *v; unsigned n; } rows;
static uint32_t row_of(const vg_binder *b, uint32_t reg) { return b->slot[reg] | (ptx_type_bytes(b->func->regs[reg].type) == 8); }
static void add_row(void *self, uint32_t reg) {
    rows *r = self;
    if (!r->b->tracked[reg])
        return;
    for (unsigned i = 0; r->v && i < r->n; i++)
        if (r->v[i] == row_of(r->b, reg))
            return;
    if (r->v)
        r->v[r->n] = row_of(r->b, reg);
    r->n++;
}

static bool collect(vg_binder *b, const ptx_inst *in, bool addresses, vg_linear *x) {
    rows r = {.b = b};
    each_read(in, addresses, add_row, &r);
    if (r.n > UINT8_MAX)
        return vg_unsupported(b, in, "that many operands");
    if (r.n == 0)
        return true;
    uint32_t *v = hone_arena_array(b->program->arena, r.n, sizeof *v);
    if (!v)
        return vg_unsupported(b, in, "out of memory");
    r = (rows){.b = b, .v = v};
    each_read(in, addresses, add_row, &r);
    x->rows = v;
    x->n_rows = (uint8_t)r.n;
    return true;
}

// The last step of binding an instruction: its handlers on values are kept, handlers that know tags take their place.
bool vg_linear_apply(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    vg_linear x = {.full = out->full, .masked = out->masked};
    if (!out->full)                                    // done by the executor
        return true;
    if (!collect(b, in, !(out->flags & VG_TAGGED_ADDRESS), &x))
        return false;
    x.tracked = in->n_operands && vg_op_defines(in) && vg_bind_tracked(b, &in->operand[0]);
    x.wide = x.tracked && ptx_type_bytes(b->func->regs[in->operand[0].reg].type) == 8;
    if (!x.tracked && !x.n_rows)
        return true;
    vg_code *c = &b->out->code;
    if (!c->linear)
        c->linear = hone_arena_array(b->program->arena, b->func->n_insts, sizeof *c->linear);
    if (!c->linear)
        return vg_unsupported(b, in, "out of memory");
    c->linear[out->index] = x;
    return vg_families()[VG_FAM_LINEAR](b, in, out);
}

// ---- rows and tags

static void write_wide(uint64_t *v, unsigned n, uint64_t at, uint64_t step) {
    for (unsigned l = 0; l < n; l += 4) {              // four at a time: the sums do not wait for each other
        v[l] = at;
        v[l + 1] = at + step;
        v[l + 2] = at + 2 * step;
        v[l + 3] = at + 3 * step;
        at += 4 * step;
    }
}
static void write_narrow(uint32_t *v, unsigned n, uint32_t at, uint32_t step) {
    for (unsigned l = 0; l < n; l += 4) {
        v[l] = at;
        v[l + 1] = at + step;
        v[l + 2] = at + 2 * step;
        v[l + 3] = at + 3 * step;
        at += 4 * step;
    }
}

void vg_linear_spill(uint8_t *file, uint32_t row, bool wide) {
    vg_tag *t = vg_tag_at(file, row);
    if (!(t->flags & VG_STALE))
        return;
    t->flags &= ~(uint32_t)VG_STALE;
    const unsigned width = t->flags & VG_PLANE ? t->width : VG_LANES;
    uint64_t at = t->base;
    for (unsigned l = 0; l < VG_LANES; l += width, at += t->jump)
        if (wide)
            write_wide((uint64_t *)(void *)(file + row) + l, width, at, t->stride);
        else
            write_narrow((uint32_t *)(void *)(file + row) + l, width, (uint32_t)at, (uint32_t)t->stride);
}

// Does a tag with this width describe the values? width 32: a linear one.
static bool fits(const uint64_t v[VG_LANES], uint64_t keep, unsigned width, vg_tag *t) {
    *t = (vg_tag){.base = v[0], .stride = (v[1] - v[0]) & keep, .flags = width == VG_LANES ? VG_LINEAR : VG_PLANE, .width = width,
                  .jump = width == VG_LANES ? 0 : (v[width] - v[0]) & keep};
    bool fit = true;
    for (unsigned l = 0; l < VG_LANES; l++)
        fit &= v[l] == ((v[0] + l % width * t->stride + l / width * t->jump) & keep);
    return fit;
}

void vg_linear_detect(uint8_t *file, uint32_t row, bool wide) {
    static const uint8_t widths[] = {VG_LANES, 16, 8};
    const uint32_t *narrow = (const uint32_t *)(const void *)(file + row);
    uint64_t v[VG_LANES];
    if (wide)
        memcpy(v, file + row, sizeof v);
    for (unsigned l = 0; !wide && l < VG_LANES; l++)
        v[l] = narrow[l];
    vg_tag *t = vg_tag_at(file, row);
    for (size_t i = 0; i < HONE_COUNT(widths); i++)
        if (fits(v, wide ? ~0ull : UINT32_MAX, widths[i], t))
            return;
    t->flags = 0;
}
