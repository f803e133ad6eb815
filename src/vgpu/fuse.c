// fuse: finds loads whose only use is an addition, product or multiply-add of the same basic block, and moves them there: the two execute as one
// instruction, and the loaded values never go through the register file. A load may move down to its use when nothing between them writes memory
// or the row of its address. See fuse.h.
#include "vgpu/fuse.h"
#include <string.h>

enum { LOOK_BACK = 48 };   // instructions between a load and its use

typedef struct writes { const vg_binder *b; uint32_t row; bool hit; } writes;
static void touch_row(void *self, uint32_t reg, bool write) {
    writes *w = self;
    w->hit |= write && w->b->slot[reg] == w->row;
}

// May a load through `row` move past this instruction?
static bool may_pass(const vg_binder *b, const ptx_inst *in, uint32_t row) {
    static const uint8_t harmless[] = {VG_FAM_INT, VG_FAM_FLOAT, VG_FAM_HALF, VG_FAM_CVT, VG_FAM_LOGIC, VG_FAM_CMP, VG_FAM_SPECIAL};
    const unsigned family = vg_family_of(in);
    bool ok = in->op == PTX_OP_LD && in->sem <= PTX_WEAK;
    for (size_t i = 0; i < HONE_COUNT(harmless); i++)
        ok |= harmless[i] == family;
    writes w = {.b = b, .row = row};
    if (ok)
        vg_each_register(in, touch_row, &w);
    return ok && !w.hit;
}

// The load of this block that gives operand k of instruction i, when nobody else wants it and it may move to i; VG_NOT_FUSED: none.
static uint32_t load_for(const vg_binder *b, uint32_t first, uint32_t i, unsigned k) {
    const ptx_operand *o = &b->func->insts[i].operand[k];
    if (o->kind != PTX_O_REG || o->part || o->negated)
        return VG_NOT_FUSED;
    for (uint32_t j = i; j-- > first && i - j < LOOK_BACK;) {
        const ptx_inst *in = &b->func->insts[j];
        if (in->op != PTX_OP_LD || in->has_guard || in->operand[0].kind != PTX_O_REG || in->operand[0].reg != o->reg)
            continue;
        if (b->only_use[j] != i)
            return VG_NOT_FUSED;
        for (uint32_t between = j + 1; between < i; between++)
            if (!may_pass(b, &b->func->insts[between], b->out->code.insts[j].a))
                return VG_NOT_FUSED;
        return j;
    }
    return VG_NOT_FUSED;
}

vg_fused_from *vg_bind_fused_from(vg_binder *b, const vg_inst *fused) { return &b->out->fused_from[fused->aux]; }

// Tries both factors, then each alone. The loads that moved are marked.
static bool fuse_one(vg_binder *b, uint32_t first, uint32_t i, vg_inst *out, uint8_t *moved) {
    const ptx_inst *in = &b->func->insts[i];
    if ((in->op != PTX_OP_FMA && in->op != PTX_OP_ADD && in->op != PTX_OP_MUL) || in->type[0] != PTX_F32 || in->has_guard || in->n_operands < 3)
        return false;
    const uint32_t a = load_for(b, first, i, 1), c = load_for(b, first, i, 2);
    const uint32_t ways[3][2] = {{a, c}, {a, VG_NOT_FUSED}, {VG_NOT_FUSED, c}};
    for (unsigned k = 0; k < 3; k++) {
        const uint32_t x = ways[k][0], y = ways[k][1];
        if ((x == VG_NOT_FUSED && y == VG_NOT_FUSED) || (k == 0 && (x == VG_NOT_FUSED || y == VG_NOT_FUSED)))
            continue;
        *out = b->out->code.insts[i];
        out->aux = b->out->n_fused_from;
        b->out->fused_from[out->aux] = (vg_fused_from){x, y};
        if (!vg_families()[VG_FAM_FUSED](b, in, out))
            continue;
        if (x != VG_NOT_FUSED)
            moved[x] = 1;
        if (y != VG_NOT_FUSED)
            moved[y] = 1;
        b->out->n_fused_from++;
        return true;
    }
    return false;
}

// Writes the short form of a block behind `at`; its length, or 0 when nothing in it can be put together.
static uint32_t fuse_block(vg_binder *b, const vg_block_info *bi, vg_inst *to, uint8_t *moved) {
    bool any = false;
    for (uint32_t i = bi->first; i < bi->first + bi->n_plain; i++)
        any |= moved[i] = fuse_one(b, bi->first, i, &to[i - bi->first], moved) ? 2 : 0;
    uint32_t n = 0;
    for (uint32_t i = bi->first; any && i < bi->first + bi->n_plain; i++)
        if (moved[i] != 1)
            to[n++] = moved[i] == 2 ? to[i - bi->first] : b->out->code.insts[i];
    return n;
}

bool vg_fuse(vg_binder *b) {
    vg_code_full *c = b->out;
    const size_t n = c->code.n_insts;
    uint8_t *moved = hone_calloc(n + 1, 1);
    uint8_t *raw = hone_arena_array(b->program->arena, n + 2, sizeof(vg_inst));
    c->fused_from = hone_arena_array(b->program->arena, n + 1, sizeof *c->fused_from);
    for (size_t k = 0; moved && raw && c->fused_from && k < c->code.n_blocks; k++) {
        if (!c->fused)
            c->fused = (vg_inst *)(void *)(raw + ((64 - ((uintptr_t)raw & 63)) & 63));   // one instruction per cache line
        c->info[k].n_fused = fuse_block(b, &c->info[k], c->fused + c->info[k].first, moved);
    }
    hone_free(moved);
    return moved && raw && c->fused_from;
}
