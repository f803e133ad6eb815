// decode: one PTX function → vg_code. It resolves operands to rows of the warp's file (registers, constants, special registers, symbol
// addresses), asks the instruction's family for handlers, and writes the image of constant rows. Control flow is flow.c and control.c;
// what an instruction computes is the families' business (op_*.c).
#include "vgpu/decode.h"
#include "vgpu/fpshadow.h"
#include "vgpu/fuse.h"
#include "vgpu/linear.h"
#include <string.h>

static const struct { const char *name; uint8_t family, pipe; } g_ops[PTX_OP_COUNT] = {
#define OP(name, text, family, pipe) { text, VG_FAM_##family, VG_PIPE_##pipe },
#include "ptx/ops.def"
#undef OP
};

static bool is_half(uint8_t t) { return t == PTX_F16 || t == PTX_F16X2 || t == PTX_BF16 || t == PTX_BF16X2; }

// The family of the table, refined by type: add.f32 is FLOAT, add.f16 is HALF, div.f32 and transcendental ones are SPECIAL.
unsigned vg_family_of(const ptx_inst *in) {
    const unsigned f = g_ops[in->op].family;
    const uint8_t t = in->n_types ? in->type[0] : PTX_NOTYPE;
    const bool fp = t == PTX_F32 || t == PTX_F64 || t == PTX_F32X2;
    switch (in->op) {
    case PTX_OP_ADD: case PTX_OP_SUB: case PTX_OP_MUL: case PTX_OP_MAD: case PTX_OP_FMA: case PTX_OP_MIN: case PTX_OP_MAX: case PTX_OP_ABS:
    case PTX_OP_NEG:
        return is_half(t) ? VG_FAM_HALF : fp ? VG_FAM_FLOAT : VG_FAM_INT;
    case PTX_OP_DIV:
        return fp ? VG_FAM_SPECIAL : VG_FAM_INT;
    case PTX_OP_RCP: case PTX_OP_SQRT: case PTX_OP_RSQRT: case PTX_OP_SIN: case PTX_OP_COS: case PTX_OP_LG2: case PTX_OP_EX2: case PTX_OP_TANH:
    case PTX_OP_COPYSIGN: case PTX_OP_TESTP:
        return is_half(t) ? VG_FAM_HALF : VG_FAM_SPECIAL;
    case PTX_OP_SETP:
        return is_half(t) ? VG_FAM_HALF : VG_FAM_CMP;
    case PTX_OP_SET:
        return is_half(t) || (in->n_types > 1 && is_half(in->type[1])) ? VG_FAM_HALF : VG_FAM_CMP;
    default:
        return f;
    }
}

static uint8_t pipe_of(const ptx_inst *in) {
    const uint8_t t = in->n_types ? in->type[0] : PTX_NOTYPE;
    const unsigned f = vg_family_of(in);
    const uint8_t base = g_ops[in->op].pipe;
    if (f == VG_FAM_HALF)
        return base == VG_PIPE_SFU ? VG_PIPE_SFU : VG_PIPE_FP16;
    if (f == VG_FAM_FLOAT || in->op == PTX_OP_SETP || in->op == PTX_OP_SET)
        return t == PTX_F64 ? VG_PIPE_FP64 : t == PTX_F32 && f == VG_FAM_FLOAT ? VG_PIPE_FP32 : VG_PIPE_INT;
    if (in->op == PTX_OP_DIV && t == PTX_F64)
        return VG_PIPE_FP64;
    if (in->op == PTX_OP_DIV && t == PTX_F32)
        return VG_PIPE_SFU;
    return base == VG_PIPE_SFU && t == PTX_F64 ? VG_PIPE_FP64 : base;
}

bool vg_unsupported(vg_binder *b, const ptx_inst *in, const char *why) {
    if (!b->failed) {
        const char *t = in->n_types ? ptx_type_name((ptx_type)in->type[0]) : "";
        hone_err issue = {0};
        hone_fail(&issue, HONE_E_UNSUPPORTED, 0, "ptx:%u:1: opcode '%s%s%s' in '%s' is not supported: %s", in->line, g_ops[in->op].name,
                  *t ? "." : "", t, b->func->name, why);
        ptx_issue_add(b->program->issues, &issue);
    }
    b->failed = b->unsupported = true;
    return false;
}

// ---- rows
static uint32_t grow(vg_binder *b, unsigned bytes) {
    const uint32_t at = b->file_end;
    if (b->tail.n + bytes > b->tail.cap && !hone_vec_grow((void **)&b->tail.v, &b->tail.cap, b->tail.n + bytes, 1)) {
        hone_fail(b->e, HONE_E_NOMEM, 0, "out of memory decoding '%s'", b->func->name);
        b->failed = true;
        return 0;
    }
    if (bytes)
        memset(b->tail.v + b->tail.n, 0, bytes);
    b->tail.n += bytes;
    b->file_end += bytes;
    return at;
}
static uint8_t *image(vg_binder *b, uint32_t row) { return b->tail.v + (row - b->out->code.template_at); }

// A row with a tag in front (linear.h).
static uint32_t grow_tagged(vg_binder *b, unsigned bytes) { return grow(b, VG_TAG_BYTES + bytes) + VG_TAG_BYTES; }

static uint32_t new_const(vg_binder *b, uint64_t bits, unsigned bytes) {
    const uint32_t row = grow_tagged(b, bytes * VG_LANES);
    const vg_tag tag = {.base = bytes == 8 ? bits : (uint32_t)bits, .flags = VG_LINEAR};
    if (!b->failed)
        memcpy(image(b, row) - VG_TAG_BYTES, &tag, sizeof tag);
    for (unsigned l = 0; l < VG_LANES && !b->failed; l++)
        memcpy(image(b, row) + l * bytes, &bits, bytes);   // little-endian host, as PTX
    return row;
}

uint32_t vg_bind_const(vg_binder *b, uint64_t bits, unsigned bytes) {
    for (size_t i = 0; i < b->n_consts; i++)
        if (b->consts[i].bits == bits && b->consts[i].bytes == bytes)
            return b->consts[i].row;
    const struct vg_const c = {bits, new_const(b, bits, bytes), bytes};
    if (b->n_consts == b->cap_consts && !hone_vec_grow((void **)&b->consts, &b->cap_consts, b->n_consts + 1, sizeof c))
        return c.row;                                  // only the sharing is lost
    b->consts[b->n_consts++] = c;
    return c.row;
}

static uint64_t const_bits(const ptx_operand *o, ptx_type as) {
    if (o->kind == PTX_O_FLOAT) {
        if (as == PTX_F64 || (!o->is_f32 && ptx_type_bytes(as) == 8)) {
            double d;
            float f;
            const uint32_t lo = (uint32_t)o->bits;
            memcpy(&f, &lo, 4);
            if (!o->is_f32)
                return o->bits;
            d = (double)f;
            uint64_t bits;
            memcpy(&bits, &d, 8);
            return bits;
        }
        if (o->is_f32)
            return o->bits & 0xffffffffu;
        double d;
        memcpy(&d, &o->bits, 8);
        const float f = (float)d;
        uint32_t bits;
        memcpy(&bits, &f, 4);
        return bits;
    }
    const unsigned bytes = ptx_type_bytes(as);
    const uint64_t v = (uint64_t)o->i;
    return bytes >= 8 || bytes == 0 ? v : v & ((1ull << (8 * bytes)) - 1);
}

static uint32_t bind_sreg(vg_binder *b, unsigned s, ptx_type as) {
    const bool wide = ptx_type_bytes(as) == 8;
    if (s == PTX_SREG_WARPSZ)
        return vg_bind_const(b, VG_LANES, wide ? 8 : 4);
    uint32_t *row = wide ? &b->out->sreg_wide_row[s] : &b->out->code.sreg_row[s];
    if (!*row)
        *row = grow_tagged(b, (wide ? 8 : 4) * VG_LANES);
    return *row;
}

// Address of a symbol in its own space. *local: an offset in the frame's local memory.
static bool symbol_address(vg_binder *b, const ptx_operand *o, uint64_t *address, ptx_space *space) {
    vg_program *p = b->program;
    if (!o->var) {
        for (size_t i = 0; i < p->module->n_funcs; i++)
            if (o->symbol && strcmp(p->module->funcs[i]->name, o->symbol) == 0 && p->codes[i]) {
                *address = VG_FUNC_BASE + 16 * i;
                *space = PTX_GENERIC;
                return true;
            }
        return vg_unsupported(b, b->inst, "its symbol is not defined in this module");
    }
    const ptx_var *v = o->var;
    *space = v->space;
    const vg_place *at = vg_place_find(b->out->places, b->out->n_places, v);
    if (!at)
        at = vg_place_find(p->common, p->n_common, v);
    if (v->space == PTX_SHARED && v->bytes == 0) {
        *address = b->out->code.shared_bytes;
    } else if (at) {
        *address = at->at;
    } else if (v->space == PTX_PARAM) {
        for (size_t i = 0; i < b->func->n_params; i++)
            if (b->func->params[i] == v)
                *address = b->func->param_offsets[i];
    } else {
        *address = p->resolve ? p->resolve(p->resolve_user, v) : 0;
        if (*address == 0)
            return vg_unsupported(b, b->inst, "its variable is extern and defined nowhere");
    }
    *address += (uint64_t)o->i;
    return true;
}

static uint32_t bind_symbol(vg_binder *b, const ptx_operand *o, ptx_type as) {
    uint64_t address = 0;
    ptx_space space = PTX_GENERIC;
    if (!symbol_address(b, o, &address, &space))
        return 0;
    const unsigned bytes = ptx_type_bytes(as) == 8 ? 8 : 4;
    if (space != PTX_LOCAL)
        return vg_bind_const(b, address, bytes);
    const uint32_t row = new_const(b, address, bytes);
    const uint8_t wide = bytes == 8;
    if (!hone_vec_push(&b->local_fix, row) || !hone_vec_push(&b->local_fix_wide, wide))
        b->failed = true;
    return row;
}

uint32_t vg_bind_row(vg_binder *b, const ptx_operand *o, ptx_type as) {
    switch (o->kind) {
    case PTX_O_REG:
        if (b->slot[o->reg] == VG_NO_ROW)
            vg_unsupported(b, b->inst, "a predicate where a register is expected");
        return b->slot[o->reg] == VG_NO_ROW ? 0 : b->slot[o->reg];
    case PTX_O_INT:
        if (as == PTX_F32 || as == PTX_F64) {
            const ptx_operand f = {.kind = PTX_O_FLOAT, .bits = 0};
            double d = (double)o->i;
            ptx_operand g = f;
            memcpy(&g.bits, &d, 8);
            return vg_bind_const(b, const_bits(&g, as), ptx_type_bytes(as));
        }
        return vg_bind_const(b, const_bits(o, as), ptx_type_bytes(as) == 8 ? 8 : 4);
    case PTX_O_FLOAT:
        return vg_bind_const(b, const_bits(o, as), ptx_type_bytes(as) == 8 ? 8 : 4);
    case PTX_O_SREG:
        return bind_sreg(b, o->sreg, as);
    case PTX_O_SYMBOL:
        return bind_symbol(b, o, as);
    case PTX_O_SINK:
        return vg_bind_scratch(b, ptx_type_bytes(as) == 8 ? 2 : ptx_type_bytes(as) == 16 ? 4 : 1);
    default:
        vg_unsupported(b, b->inst, "an operand of this kind");
        return 0;
    }
}

unsigned vg_bind_const_pred(vg_binder *b, bool value) {
    if (b->const_pred[value] < 0)
        b->const_pred[value] = (int8_t)(b->const_pred[!value] < 0 ? 0 : 1);
    return b->n_preds + (unsigned)b->const_pred[value];
}

uint32_t vg_bind_pred(vg_binder *b, const ptx_operand *o) {
    if (o->kind == PTX_O_SINK)
        return VG_NO_PRED;
    if (o->kind == PTX_O_INT)
        return vg_bind_const_pred(b, o->i != 0);
    if (o->kind == PTX_O_REG && b->func->regs[o->reg].type == PTX_PRED)
        return b->pred[o->reg];
    vg_unsupported(b, b->inst, "a register where a predicate is expected");
    return 0;
}

uint32_t vg_bind_cc(vg_binder *b) { return b->cc; }
uint32_t vg_bind_scratch(vg_binder *b, unsigned rows32) { return grow(b, rows32 * 4 * VG_LANES); }
uint8_t vg_bind_near(vg_binder *b) {
    const unsigned places = HONE_COUNT(((vg_warp *)0)->near), n = b->near++ % places;
    if (b->out->code.n_near <= n)
        b->out->code.n_near = n + 1;
    return (uint8_t)n;
}
const vg_code *vg_bind_code(const vg_binder *b) { return &b->out->code; }
const ptx_module *vg_bind_module(const vg_binder *b) { return b->program->module; }
ptx_type vg_bind_reg_type(const vg_binder *b, const ptx_operand *o) { return o->kind == PTX_O_REG ? b->func->regs[o->reg].type : PTX_NOTYPE; }

bool vg_bind_addr(vg_binder *b, const ptx_inst *in, const ptx_operand *o, uint32_t *row, bool *wide, int64_t *offset, ptx_space *space, bool *frame) {
    (void)in;
    *row = VG_NO_ROW;
    *wide = false;
    *offset = o->i;
    *space = PTX_GENERIC;
    *frame = false;
    if (o->has_base) {
        *row = b->slot[o->reg];
        *wide = ptx_type_bytes(b->func->regs[o->reg].type) == 8;
        if (*row == VG_NO_ROW)
            return vg_unsupported(b, b->inst, "a predicate as an address");
    }
    if (o->symbol) {
        uint64_t address = 0;
        if (!symbol_address(b, o, &address, space))
            return false;
        *offset = (int64_t)address;
        *frame = *space == PTX_PARAM && vg_place_find(b->out->places, b->out->n_places, o->var);
    }
    return true;
}

// ---- one instruction
static bool bind_guard(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    out->guard = VG_NO_PRED;
    if (!in->has_guard)
        return true;
    if (b->func->regs[in->guard].type != PTX_PRED)
        return vg_unsupported(b, in, "its guard is not a predicate");
    out->guard = b->pred[in->guard];
    out->guard_neg = in->guard_neg;
    return true;
}

static bool bind_sync(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    if (out->ctl != VG_CTL_SYNC_OP && out->ctl != VG_CTL_WARP_SYNC)
        return true;
    if (!b->out->code.sync_row)
        b->out->code.sync_row = hone_arena_array(b->program->arena, b->func->n_insts, sizeof(uint32_t));
    if (!b->out->code.sync_row || in->n_operands == 0)
        return vg_unsupported(b, in, "its member mask is missing");
    b->out->code.sync_row[out->index] = vg_bind_row(b, &in->operand[in->n_operands - 1], PTX_U32);
    return !b->failed;
}

static bool bind_one(vg_binder *b, size_t i, vg_inst *out) {
    const ptx_inst *in = &b->func->insts[i];
    b->inst = in;
    out->src = in;
    out->index = (uint32_t)i;
    out->pipe = pipe_of(in);
    out->ctl = (uint8_t)vg_ctl_of(in);
    b->program->forgets |= in->op == PTX_OP_DISCARD;
    if (!bind_guard(b, in, out) || !bind_sync(b, in, out))
        return false;
    const unsigned family = vg_family_of(in);
    if (family == VG_FAM_CONTROL || out->ctl == VG_CTL_WARP_SYNC)
        return vg_bind_control(b, in, out);
    const vg_bind_fn bind = vg_families()[family];
    if (!bind)
        return vg_unsupported(b, in, "its family is not part of this build");
    return bind(b, in, out) && vg_linear_apply(b, in, out) && !b->failed && (!b->program->shadow || vg_fs_bind(b, in, out));
}

static hone_code bind_all(vg_binder *b) {
    vg_code *c = &b->out->code;
    const size_t n = b->func->n_insts;
    uint8_t *raw = hone_arena_array(b->program->arena, n + 2, sizeof(vg_inst));
    if (!raw)
        return hone_fail(b->e, HONE_E_NOMEM, 0, "out of memory decoding '%s'", b->func->name);
    raw += (64 - ((uintptr_t)raw & 63)) & 63;          // one instruction per cache line
    c->insts = (vg_inst *)(void *)raw;
    if (b->program->shadow && !(b->out->fs = hone_arena_array(b->program->arena, n + 1, sizeof(vg_fs_inst))))
        return hone_fail(b->e, HONE_E_NOMEM, 0, "out of memory decoding '%s'", b->func->name);
    c->n_insts = n;
    for (size_t i = 0; i < n; i++)
        if (!bind_one(b, i, &c->insts[i])) {
            if (b->failed && !b->unsupported)
                return b->e->code == HONE_OK ? HONE_E_NOMEM : b->e->code;
            vg_unsupported(b, &b->func->insts[i], "this combination of types and modifiers");
            b->failed = b->unsupported = false;        // go on: a load tells of all of them
        }
    return HONE_OK;
}

static void *keep(vg_binder *b, const void *p, size_t bytes) {
    void *q = hone_arena_alloc(b->program->arena, bytes ? bytes : 1);
    if (q && bytes)
        memcpy(q, p, bytes);
    return q;
}

// A thread has 255 registers at most, and fewer where a bound says how many threads share the 65,536 of a multiprocessor: a compiler spills the rest.
static uint32_t spilled_to_fit(const ptx_func *f, uint32_t registers) {
    const uint32_t *bound = f->maxntid[0] ? f->maxntid : f->reqntid;
    uint32_t threads = bound[0] * (bound[1] ? bound[1] : 1) * (bound[2] ? bound[2] : 1), most = 255;
    if (threads > 256)
        most = 65536 / ((threads + 127) / 128 * 128) / 8 * 8;
    return registers < most ? registers : most;
}

// Registers are written before they are read (flow.c) unless lanes look at each other's: of lanes that exited or never were.
static bool has_calls_or_looks_across(const vg_binder *b) {
    for (size_t i = 0; i < b->func->n_insts; i++) {
        const unsigned f = vg_family_of(&b->func->insts[i]);
        if (f == VG_FAM_WARP || f == VG_FAM_MMA || b->func->insts[i].op == PTX_OP_CALL)
            return true;
    }
    return false;
}

// Fills lanewise and leaves_early.
static bool look_at_lanes(vg_binder *b) {
    static const uint8_t families[] = {VG_FAM_INT, VG_FAM_FLOAT, VG_FAM_DOUBLE, VG_FAM_HALF, VG_FAM_CVT, VG_FAM_LOGIC, VG_FAM_CMP, VG_FAM_SPECIAL};
    vg_code_full *c = b->out;
    c->lanewise = hone_arena_array(b->program->arena, b->func->n_insts + 1, 1);
    c->leaves_early = !b->program->shadow;
    for (size_t i = 0; c->lanewise && i < b->func->n_insts; i++) {
        const ptx_inst *in = &b->func->insts[i];
        const vg_ctl ctl = vg_ctl_of(in);
        for (size_t k = 0; k < HONE_COUNT(families) && !b->program->shadow; k++)
            c->lanewise[i] |= ctl == VG_CTL_NONE && vg_family_of(in) == families[k];
        c->leaves_early &= in->op != PTX_OP_MBARRIER && (ctl == VG_CTL_NONE || ctl == VG_CTL_BRA || ctl == VG_CTL_RET || ctl == VG_CTL_EXIT);
    }
    return c->lanewise != NULL;
}

// Those that differ between blocks come first.
static bool list_sregs(vg_binder *b) {
    vg_code_full *c = b->out;
    c->sregs = hone_arena_array(b->program->arena, PTX_SREG_COUNT, sizeof *c->sregs);
    for (int of_block = 1; c->sregs && of_block >= 0; of_block--) {
        for (unsigned s = 0; s < PTX_SREG_COUNT; s++)
            if ((c->code.sreg_row[s] || c->sreg_wide_row[s]) && vg_sreg_of_block(s) == of_block)
                c->sregs[c->n_sregs++] = (vg_sreg_use){c->code.sreg_row[s], c->sreg_wide_row[s], (uint8_t)s};
        if (of_block)
            c->n_block_sregs = c->n_sregs;
    }
    return c->sregs != NULL;
}

static hone_code finish(vg_binder *b) {
    vg_code *c = &b->out->code;
    c->template_bytes = b->tail.n;
    c->template_rows = keep(b, b->tail.v, b->tail.n);
    c->file_bytes = b->file_end;
    c->n_pred_init = 2;
    c->n_preds = b->n_preds + 2;
    const uint8_t init[2] = {b->const_pred[1] == 0, b->const_pred[1] == 1};
    c->pred_init = keep(b, init, sizeof init);
    b->out->local_fix = keep(b, b->local_fix.v, b->local_fix.n * sizeof(uint32_t));
    b->out->local_fix_wide = keep(b, b->local_fix_wide.v, b->local_fix_wide.n);
    b->out->n_local_fix = b->local_fix.n;
    b->out->clears_registers = b->out->n_doubtful || has_calls_or_looks_across(b);
    c->registers_estimate = spilled_to_fit(b->func, c->registers_estimate + 8);   // addresses and constants that SASS keeps in registers beyond PTX's own
    if (!c->template_rows || !c->pred_init || !b->out->local_fix || !b->out->local_fix_wide || !list_sregs(b) || !look_at_lanes(b) || b->failed)
        return hone_fail(b->e, HONE_E_NOMEM, 0, "out of memory decoding '%s'", b->func->name);
    return HONE_OK;
}

// The file begins with two rows that nothing uses, so that offset 0 can mean "none".
static hone_code run(vg_binder *b) {
    vg_linear_select(b);
    HONE_TRY(vg_flow_build(b));
    if (b->n_preds > VG_NO_PRED - 4)
        return hone_fail(b->e, HONE_E_LIMIT, 0, "function '%s' has too many predicates: %u", b->func->name, b->n_preds);
    b->cc = b->n_preds++;
    b->out->code.template_at = b->file_end;
    b->out->code.param_row = grow(b, (unsigned)b->out->code.frame_param_bytes * VG_LANES);
    HONE_TRY(bind_all(b));
    if (!b->program->on_values && !vg_fuse(b))
        return hone_fail(b->e, HONE_E_NOMEM, 0, "out of memory decoding '%s'", b->func->name);
    return finish(b);
}

hone_code vg_decode(vg_program *p, size_t func, hone_err *e) {
    hone_err own = {0};
    const ptx_func *f = p->module->funcs[func];
    vg_binder b = {.program = p, .func = f, .out = p->codes[func], .e = e ? e : &own, .file_end = 2 * 4 * VG_LANES, .const_pred = {-1, -1}};
    b.slot = hone_calloc(f->n_regs + 1, sizeof *b.slot);
    b.pred = hone_calloc(f->n_regs + 1, sizeof *b.pred);
    b.fs_const = p->shadow ? vg_fs_constants(f) : NULL;
    b.tracked = hone_calloc(f->n_regs + 1, 1);
    b.only_use = hone_calloc(f->n_insts + 1, sizeof *b.only_use);
    hone_code c = b.slot && b.pred && b.tracked && b.only_use ? run(&b) : hone_fail(b.e, HONE_E_NOMEM, 0, "out of memory decoding '%s'", f->name);
    hone_vec_free(&b.tail);
    hone_vec_free(&b.local_fix);
    hone_vec_free(&b.local_fix_wide);
    hone_free(b.consts);
    hone_free(b.fs_const);
    hone_free(b.slot);
    hone_free(b.pred);
    hone_free(b.tracked);
    hone_free(b.only_use);
    return c;
}
