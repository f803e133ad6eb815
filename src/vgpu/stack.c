// stack: alloca, stacksave, stackrestore (PTX ISA 9.7.20). A function with any of them has VG_STACK_BYTES of local memory per thread and call behind its
// own variables; a word per lane in its parameter area says how much of it is in use, 0 when the function is entered.
#include "vgpu/bulk.h"
#include "vgpu/decode.h"
#include "vgpu/op.h"

enum { DEFAULT_ALIGN = 8 };

// vg_inst: d or a = the register's row, aux = row of the words, aux2 = alignment, imm = where the memory begins in the frame
static uint64_t bottom(const vg_warp *w, const vg_inst *in) { return w->local_frame + (uint64_t)in->imm; }
static bool is_wide(const vg_inst *in) { return ptx_type_bytes((ptx_type)in->src->type[0]) == 8; }

static void overflow(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t bytes) {
    vg_report(w, in, lane, "kernel.stack-overflow", 0, 0, false, "%llu bytes on the stack do not fit: a call has %u for alloca", (unsigned long long)bytes,
              (unsigned)VG_STACK_BYTES);
    vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
}

static void put(vg_warp *w, const vg_inst *in, unsigned lane, uint64_t value) {
    if (is_wide(in))
        vg_u64(w, in->d)[lane] = value;
    else
        vg_u32(w, in->d)[lane] = (uint32_t)value;
}
static uint64_t get(vg_warp *w, const vg_inst *in, unsigned lane) { return is_wide(in) ? vg_u64(w, in->a)[lane] : vg_u32(w, in->a)[lane]; }

VG_HANDLER(allocate) {
    uint32_t *used = vg_u32(w, in->aux);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        const uint64_t bytes = get(w, in, lane), at = (bottom(w, in) + used[lane] + in->aux2 - 1) / in->aux2 * in->aux2 - bottom(w, in);
        if (at > VG_STACK_BYTES || bytes > VG_STACK_BYTES - at) {
            overflow(w, in, lane, bytes);
            return;
        }
        used[lane] = (uint32_t)(at + bytes);
        put(w, in, lane, bottom(w, in) + at);
    }
}

VG_HANDLER(save) {
    for (uint32_t m = mask; m; m &= m - 1)
        put(w, in, (unsigned)__builtin_ctz(m), bottom(w, in) + vg_u32(w, in->aux)[__builtin_ctz(m)]);
}

VG_HANDLER(restore) {
    uint32_t *used = vg_u32(w, in->aux);
    for (uint32_t m = mask; m; m &= m - 1) {
        const unsigned lane = (unsigned)__builtin_ctz(m);
        const uint64_t to = get(w, in, lane) - bottom(w, in);
        if (to > used[lane]) {
            vg_report(w, in, lane, "kernel.stack-overflow", 0, 0, false, "restores a stack pointer that this call has not saved: 0x%llx",
                      (unsigned long long)get(w, in, lane));
            vg_fault(w, VG_CU_ILLEGAL_ADDRESS);
            return;
        }
        used[lane] = (uint32_t)to;
    }
}

void vg_stack_enter(const vg_code *code, uint8_t *file, uint32_t mask) {
    if (!vg_full(code)->has_stack)
        return;
    uint32_t *used = (uint32_t *)(void *)(file + code->param_row + vg_full(code)->stack_word / 4 * 128);
    for (uint32_t m = mask; m; m &= m - 1)
        used[__builtin_ctz(m)] = 0;
}

bool vg_bind_stack(vg_binder *b, const ptx_inst *in, vg_inst *out) {
    const int64_t align = in->op == PTX_OP_ALLOCA && in->n_operands == 3 ? in->operand[2].i : DEFAULT_ALIGN;
    const ptx_type type = (ptx_type)in->type[0];
    if (type != PTX_U32 && type != PTX_U64)
        return vg_unsupported(b, in, "its type");
    if (align <= 0 || align > 1024 || (align & (align - 1)))
        return vg_unsupported(b, in, "an alignment that is no power of two up to 1024");
    out->aux = b->out->code.param_row + b->out->stack_word / 4 * 128;
    out->aux2 = (uint16_t)align;
    out->imm = b->out->stack_at;
    out->full = out->masked = in->op == PTX_OP_ALLOCA ? allocate : in->op == PTX_OP_STACKSAVE ? save : restore;
    if (in->op != PTX_OP_STACKRESTORE)
        out->d = vg_bind_row(b, &in->operand[0], type);
    if (in->op != PTX_OP_STACKSAVE)
        out->a = vg_bind_row(b, &in->operand[in->op == PTX_OP_ALLOCA ? 1 : 0], type);
    return true;
}
