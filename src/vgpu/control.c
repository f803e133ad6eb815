// control: decodes what the executor does itself: branches, calls, returns, barriers, warp synchronisation. It says of every
// instruction what the executor has to know (vg_ctl_of) and which operand it writes (vg_op_defines).
#include "vgpu/decode.h"
#include <string.h>

bool vg_op_defines(const ptx_inst *in) {
    switch (in->op) {
    case PTX_OP_BAR: case PTX_OP_BARRIER:
        return in->sub == PTX_BAR_RED;
    case PTX_OP_ST: case PTX_OP_RED: case PTX_OP_PREFETCH: case PTX_OP_PREFETCHU: case PTX_OP_CP:
    case PTX_OP_MEMBAR: case PTX_OP_FENCE: case PTX_OP_BRA: case PTX_OP_BRX: case PTX_OP_CALL: case PTX_OP_RET: case PTX_OP_EXIT: case PTX_OP_TRAP:
    case PTX_OP_NANOSLEEP: case PTX_OP_STMATRIX: case PTX_OP_SUST: case PTX_OP_DISCARD: case PTX_OP_APPLYPRIORITY: case PTX_OP_PMEVENT:
    case PTX_OP_SETMAXNREG: case PTX_OP_GRIDDEPCONTROL: case PTX_OP_MBARRIER: case PTX_OP_STACKRESTORE: case PTX_OP_WMMA: case PTX_OP_BRKPT:
    case PTX_OP_WGMMA: case PTX_OP_SURED: case PTX_OP_TENSORMAP:
        return false;
    default:
        return true;
    }
}

static bool reads_clock(const ptx_inst *in) {
    for (unsigned k = 0; k < in->n_operands; k++) {
        const ptx_operand *o = &in->operand[k];
        if (o->kind == PTX_O_SREG && o->sreg >= PTX_SREG_CLOCK && o->sreg <= PTX_SREG_GLOBALTIMER_HI)
            return true;
    }
    return false;
}

static vg_ctl ctl_of_bar(const ptx_inst *in) {
    switch (in->sub) {
    case PTX_BAR_ARRIVE: return VG_CTL_BAR_ARRIVE;
    case PTX_BAR_RED: return VG_CTL_BAR_RED;
    case PTX_BAR_WARP_SYNC: return VG_CTL_WARP_SYNC;
    case PTX_BAR_CLUSTER_ARRIVE: return VG_CTL_CLUSTER_ARRIVE;
    case PTX_BAR_CLUSTER_WAIT: return VG_CTL_CLUSTER_WAIT;
    default: return VG_CTL_BAR_SYNC;
    }
}

vg_ctl vg_ctl_of(const ptx_inst *in) {
    switch (in->op) {
    case PTX_OP_BRA: return VG_CTL_BRA;
    case PTX_OP_BRX: return VG_CTL_BRX;
    case PTX_OP_CALL: return VG_CTL_CALL;
    case PTX_OP_RET: return VG_CTL_RET;
    case PTX_OP_EXIT: return VG_CTL_EXIT;
    case PTX_OP_TRAP: return VG_CTL_TRAP;
    case PTX_OP_BAR: case PTX_OP_BARRIER: return ctl_of_bar(in);
    case PTX_OP_NANOSLEEP: return VG_CTL_SLEEP;
    case PTX_OP_BRKPT: case PTX_OP_PMEVENT: case PTX_OP_GRIDDEPCONTROL: case PTX_OP_SETMAXNREG: return VG_CTL_NOP;
    case PTX_OP_SHFL: case PTX_OP_VOTE: case PTX_OP_MATCH: case PTX_OP_REDUX: case PTX_OP_ELECT:
        return in->mods & PTX_M_SYNC ? VG_CTL_SYNC_OP : VG_CTL_NONE;
    case PTX_OP_MMA: case PTX_OP_WMMA: case PTX_OP_LDMATRIX: case PTX_OP_STMATRIX: case PTX_OP_MOVMATRIX: case PTX_OP_WGMMA:
        return VG_CTL_ALIGNED_OP;
    case PTX_OP_TENSORMAP: return in->sub == PTX_TMAP_COPY ? VG_CTL_ALIGNED_OP : VG_CTL_NONE;
    default: return reads_clock(in) ? VG_CTL_CLOCK : VG_CTL_NONE;
    }
}

static bool bind_brx(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    if (in->n_operands < 2 || in->operand[1].kind != PTX_O_VEC)
        return vg_unsupported(b, in, "its table of targets");
    const ptx_operand *list = &in->operand[1];
    vg_code_full *c = b->out;
    uint32_t *table = hone_arena_array(b->program->arena, list->n_elems + 1u, sizeof *table);
    uint32_t **tables = hone_arena_array(b->program->arena, c->n_tables + 1, sizeof *tables);
    if (!table || !tables)
        return vg_unsupported(b, in, "out of memory");
    if (c->n_tables)
        memcpy(tables, c->tables, c->n_tables * sizeof *tables);
    table[0] = list->n_elems;
    for (unsigned i = 0; i < list->n_elems; i++)
        table[i + 1] = list->elems[i].label;
    tables[c->n_tables] = table;
    c->tables = tables;
    out->imm = (int64_t)c->n_tables++;
    out->a = vg_bind_row(b, &in->operand[0], PTX_U32);
    return !b->failed;
}

static vg_intrinsic intrinsic_of(const char *name) {
    static const struct { const char *name; vg_intrinsic kind; } known[] = {
        {"vprintf", VG_CALL_VPRINTF}, {"__assertfail", VG_CALL_ASSERT}, {"malloc", VG_CALL_MALLOC}, {"free", VG_CALL_FREE},
    };
    for (size_t i = 0; i < HONE_COUNT(known); i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].kind;
    return VG_CALL_FUNCTION;
}

static bool bind_call_vars(vg_binder *b, const ptx_inst *in, vg_call *c) {
    if (in->n_call_args > HONE_COUNT(c->args) || in->n_call_rets > HONE_COUNT(c->rets))
        return vg_unsupported(b, in, "a call with that many arguments");
    for (unsigned i = 0; i < in->n_call_args; i++) {
        const vg_place *p = vg_place_find(b->out->places, b->out->n_places, in->call_args[i]);
        if (!p)
            return vg_unsupported(b, in, "an argument that is no local .param variable");
        c->args[i] = p->at;
        c->arg_bytes[i] = (uint32_t)in->call_args[i]->bytes;
    }
    for (unsigned i = 0; i < in->n_call_rets; i++) {
        const vg_place *p = vg_place_find(b->out->places, b->out->n_places, in->call_rets[i]);
        if (!p)
            return vg_unsupported(b, in, "a result that is no local .param variable");
        c->rets[i] = p->at;
        c->ret_bytes[i] = (uint32_t)in->call_rets[i]->bytes;
    }
    c->n_args = in->n_call_args;
    c->n_rets = in->n_call_rets;
    return true;
}

static bool bind_call(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    vg_code_full *full = b->out;
    if (!full->calls) {
        size_t n = 0;
        for (size_t i = 0; i < b->func->n_insts; i++)
            n += b->func->insts[i].op == PTX_OP_CALL;
        full->calls = hone_arena_array(b->program->arena, n, sizeof *full->calls);
        if (!full->calls)
            return vg_unsupported(b, in, "out of memory");
    }
    vg_call *c = &full->calls[full->n_calls];
    out->imm = (int64_t)full->n_calls++;
    if (!bind_call_vars(b, in, c))
        return false;
    if (!in->callee) {
        c->kind = VG_CALL_INDIRECT;
        out->a = vg_bind_row(b, &in->operand[0], PTX_U64);
        return !b->failed;
    }
    c->kind = intrinsic_of(in->callee);
    if ((c->kind == VG_CALL_MALLOC && (c->n_args != 1 || c->n_rets != 1 || c->ret_bytes[0] != 8)) || (c->kind == VG_CALL_FREE && c->n_args != 1))
        return vg_unsupported(b, in, "its parameters");
    if (c->kind != VG_CALL_FUNCTION)
        return true;
    const vg_code *callee = vg_program_find(b->program, in->callee);
    if (!callee)
        return vg_unsupported(b, in, "the function it calls is not defined in this module");
    if (callee->func->n_params != in->n_call_args || callee->func->n_rets != in->n_call_rets)
        return vg_unsupported(b, in, "a call whose arguments do not match the function");
    c->callee = callee;
    return true;
}

// bar.sync a{, b} · bar.arrive a, b · bar.red.op d, a{, b}, {!}c: a → row a, b → row b (VG_NO_ROW: all threads), c → predicate c
static bool bind_bar(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const bool red = out->ctl == VG_CTL_BAR_RED;
    const unsigned first = red ? 1 : 0, last = in->n_operands - (red ? 1u : 0u);
    out->a = out->b = VG_NO_ROW;
    if (in->n_operands > first)
        out->a = vg_bind_row(b, &in->operand[first], PTX_U32);
    if (last > first + 1)
        out->b = vg_bind_row(b, &in->operand[first + 1], PTX_U32);
    if (red) {
        if (in->n_operands < 3)
            return vg_unsupported(b, in, "too few operands");
        out->c = vg_bind_pred(b, &in->operand[last]);
        out->aux = in->operand[last].negated;
        out->aux2 = in->atom;
        out->d = in->atom == PTX_ATOM_POPC ? vg_bind_row(b, &in->operand[0], PTX_U32) : vg_bind_pred(b, &in->operand[0]);
    }
    return !b->failed;
}

bool vg_bind_control(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    switch ((vg_ctl)out->ctl) {
    case VG_CTL_BRA:
        if (in->n_operands < 1 || in->operand[0].kind != PTX_O_LABEL)
            return vg_unsupported(b, in, "its target");
        out->imm = in->operand[0].label;
        return true;
    case VG_CTL_BRX: return bind_brx(b, in, out);
    case VG_CTL_CALL: return bind_call(b, in, out);
    case VG_CTL_BAR_SYNC: case VG_CTL_BAR_ARRIVE: case VG_CTL_BAR_RED: return bind_bar(b, in, out);
    default: return true;
    }
}
