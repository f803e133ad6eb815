// Which loads of shared memory ptxas joins. NVCC leaves `x[i] = a[k][8*y + i]` as single loads from one base register; ptxas makes LDS.64 and LDS.128
// of those that lie side by side (seen in what ptxas emits for sm_86 and sm_90: bench/calibrate/sgemm_reg8x8, sgemm_tile32). One instruction
// issues and fewer wavefronts are needed then, so the counters count the joined load. Whether the address is a multiple of the joined width is seen
// when it runs (count_access.c).
#include "base/mem.h"
#include "vgpu/count_state.h"

enum { WINDOW = 16 };               // bytes of the widest load

static bool is_candidate(const ptx_inst *in, unsigned bytes) {
    return in->op == PTX_OP_LD && in->space == PTX_SHARED && !in->has_guard && in->sem <= PTX_WEAK && in->operand[1].kind == PTX_O_ADDR &&
           (bytes == 4 || bytes == 8);
}

static unsigned bytes_of(const ptx_inst *in) { return ptx_type_bytes((ptx_type)in->type[0]) * (in->vec ? in->vec : 1); }

static bool same_base(const ptx_operand *a, const ptx_operand *b) {
    return a->has_base == b->has_base && (!a->has_base || a->reg == b->reg) && a->var == b->var && a->symbol == b->symbol;
}

static int64_t window_of(int64_t offset) { return offset & ~(int64_t)(WINDOW - 1); }

// After such an instruction shared memory may hold something else.
static bool is_fence(const ptx_inst *in) {
    switch (in->op) {
    case PTX_OP_ST: return in->space != PTX_GLOBAL && in->space != PTX_LOCAL && in->space != PTX_PARAM;
    case PTX_OP_ATOM:
    case PTX_OP_RED:
    case PTX_OP_BAR:
    case PTX_OP_BARRIER:
    case PTX_OP_MEMBAR:
    case PTX_OP_FENCE:
    case PTX_OP_CP:
    case PTX_OP_CALL: return true;
    default: return false;
    }
}

static bool writes(const ptx_operand *o, uint32_t reg) {
    if (o->kind == PTX_O_REG)
        return o->reg == reg;
    for (unsigned k = 0; k < o->n_elems; k++)
        if (writes(&o->elems[k], reg))
            return true;
    return false;
}

// The loads after `first` in its basic block that lie in its window at the same base: which part of the window each has.
static unsigned collect(const vg_code *code, size_t first, size_t stop, unsigned bytes, uint32_t found[WINDOW / 4]) {
    const ptx_operand *a = &code->insts[first].src->operand[1];
    int64_t window = window_of(a->i);
    unsigned parts = 0;
    for (size_t i = first; i < stop; i++) {
        const ptx_inst *in = code->insts[i].src;
        if (is_fence(in))
            break;
        const ptx_operand *o = &in->operand[1];
        if (is_candidate(in, bytes_of(in)) && bytes_of(in) == bytes && same_base(o, a) && window_of(o->i) == window && !(o->i % bytes)) {
            unsigned part = (unsigned)(o->i - window) / bytes;
            if (!(parts >> part & 1))
                found[part] = (uint32_t)i;
            parts |= 1u << part;
        }
        if (a->has_base && in->n_operands && writes(&in->operand[0], a->reg))
            break;
    }
    return parts;
}

static void join(vg_merge *merge, const uint32_t *found, unsigned first_part, unsigned n, unsigned bytes) {
    uint32_t leader = UINT32_MAX;
    for (unsigned p = first_part; p < first_part + n; p++)
        leader = found[p] < leader ? found[p] : leader;
    for (unsigned p = first_part; p < first_part + n; p++)
        merge[found[p]] = (vg_merge){.leader = leader, .n = (uint8_t)n, .before = (uint8_t)((p - first_part) * bytes)};
}

static void join_window(vg_merge *merge, const uint32_t *found, unsigned parts, unsigned bytes) {
    unsigned all = WINDOW / bytes;
    if (parts == (1u << all) - 1)
        join(merge, found, 0, all, bytes);
    else if (bytes == 4)
        for (unsigned p = 0; p < all; p += 2)
            if ((parts >> p & 3) == 3)
                join(merge, found, p, 2, bytes);
}

// One entry per instruction, n = 0 where nothing is joined. NULL when out of memory. owns: the caller.
vg_merge *vg_merge_shared_loads(const vg_code *code) {
    vg_merge *merge = hone_calloc(code->n_insts ? code->n_insts : 1, sizeof *merge);
    for (size_t b = 0; merge && b < code->n_blocks; b++) {
        size_t stop = b + 1 < code->n_blocks ? code->block_first[b + 1] : code->n_insts;
        for (size_t i = code->block_first[b]; i < stop; i++) {
            const ptx_inst *in = code->insts[i].src;
            unsigned bytes = in->op == PTX_OP_LD ? bytes_of(in) : 0;
            uint32_t found[WINDOW / 4];
            if (merge[i].n || !is_candidate(in, bytes) || in->operand[1].i % bytes)
                continue;
            join_window(merge, found, collect(code, i, stop, bytes, found), bytes);
        }
    }
    return merge;
}
