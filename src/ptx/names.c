// ptx names: widths and spellings of types, opcodes and special registers, from the tables. No parsing here.
#include "ptx/internal.h"

static const struct { const char *name; uint8_t bytes, kind; } types[PTX_TYPE_COUNT] = {
    [PTX_NOTYPE] = {"none", 0, 0}, [PTX_PRED] = {"pred", 0, 'P'},
    [PTX_B8] = {"b8", 1, 'B'}, [PTX_B16] = {"b16", 2, 'B'}, [PTX_B32] = {"b32", 4, 'B'}, [PTX_B64] = {"b64", 8, 'B'},
    [PTX_B128] = {"b128", 16, 'B'},
    [PTX_U8] = {"u8", 1, 'I'}, [PTX_U16] = {"u16", 2, 'I'}, [PTX_U32] = {"u32", 4, 'I'}, [PTX_U64] = {"u64", 8, 'I'},
    [PTX_S8] = {"s8", 1, 'I'}, [PTX_S16] = {"s16", 2, 'I'}, [PTX_S32] = {"s32", 4, 'I'}, [PTX_S64] = {"s64", 8, 'I'},
    [PTX_F16] = {"f16", 2, 'F'}, [PTX_F16X2] = {"f16x2", 4, 'F'}, [PTX_BF16] = {"bf16", 2, 'F'}, [PTX_BF16X2] = {"bf16x2", 4, 'F'},
    [PTX_F32] = {"f32", 4, 'F'}, [PTX_F64] = {"f64", 8, 'F'}, [PTX_TF32] = {"tf32", 4, 'X'},
    [PTX_E4M3] = {"e4m3", 1, 'X'}, [PTX_E5M2] = {"e5m2", 1, 'X'}, [PTX_E4M3X2] = {"e4m3x2", 2, 'X'}, [PTX_E5M2X2] = {"e5m2x2", 2, 'X'},
    [PTX_U16X2] = {"u16x2", 4, 'X'}, [PTX_S16X2] = {"s16x2", 4, 'X'}, [PTX_S4] = {"s4", 1, 'X'}, [PTX_U4] = {"u4", 1, 'X'},
    [PTX_B1] = {"b1", 1, 'X'},
    [PTX_E2M1X2] = {"e2m1x2", 1, 'X'}, [PTX_E2M3X2] = {"e2m3x2", 2, 'X'}, [PTX_E3M2X2] = {"e3m2x2", 2, 'X'}, [PTX_UE8M0X2] = {"ue8m0x2", 2, 'X'},
    [PTX_S2] = {"s2", 1, 'X'}, [PTX_U2] = {"u2", 1, 'X'},
    [PTX_F32X2] = {"f32x2", 8, 'X'},
};

unsigned ptx_type_bytes(ptx_type t) { return (unsigned)t < PTX_TYPE_COUNT ? types[t].bytes : 0; }
const char *ptx_type_name(ptx_type t) { return (unsigned)t < PTX_TYPE_COUNT ? types[t].name : "?"; }
char ptx_type_kind(ptx_type t) { return (unsigned)t < PTX_TYPE_COUNT ? (char)types[t].kind : 0; }

#define OP(name, text, family, pipe) text,
static const char *const op_names[] = {
#include "ptx/ops.def"
};
#undef OP
const char *ptx_op_name(ptx_op op) { return (unsigned)op < PTX_OP_COUNT ? op_names[op] : "?"; }

#define SREG(name, text) text,
static const char *const sreg_names[] = {
#include "ptx/sregs.def"
};
#undef SREG
const char *ptx_sreg_name(unsigned sreg) { return sreg < PTX_SREG_COUNT ? sreg_names[sreg] : "?"; }

void ptx_free(ptx_module *m) {
    if (m)
        hone_arena_free(m->arena);
}

ptx_func *ptx_find_func(const ptx_module *m, const char *name) {
    ptx_func *found = NULL;
    for (size_t i = 0; i < m->n_funcs; i++)
        if (!strcmp(m->funcs[i]->name, name) && (!found || found->is_extern))
            found = m->funcs[i];
    return found;
}
