// bulk_reduce: the arithmetic of cp.reduce.async.bulk. Blocks on other host threads may reduce into the same global memory, so every element is
// updated with a compare-and-swap of its own. f16 and bf16 sums are rounded once; f32 sums keep subnormals (PTX ISA 9.7.9.25.6: .noftz).
#include "vgpu/bulk.h"
#include "vgpu/fp.h"

static uint64_t add(ptx_type t, uint64_t a, uint64_t b) {
    switch (t) {
    case PTX_F16: return fp_f16_of_f32(fp_f32_of_f16((uint32_t)a) + fp_f32_of_f16((uint32_t)b));
    case PTX_BF16: return fp_bf16_of_f32(fp_f32_of_bf16((uint32_t)a) + fp_f32_of_bf16((uint32_t)b));
    case PTX_F32: return vg_bits_f32(vg_nan32(vg_f32_of((uint32_t)a) + vg_f32_of((uint32_t)b)));
    case PTX_F64: return vg_bits_f64(vg_nan64(vg_f64_of(a) + vg_f64_of(b)));
    default: return a + b;
    }
}

static bool less(ptx_type t, uint64_t a, uint64_t b) {
    switch (t) {
    case PTX_F16: return fp_f32_of_f16((uint32_t)a) < fp_f32_of_f16((uint32_t)b);
    case PTX_BF16: return fp_f32_of_bf16((uint32_t)a) < fp_f32_of_bf16((uint32_t)b);
    case PTX_S32: return (int32_t)(uint32_t)a < (int32_t)(uint32_t)b;
    case PTX_S64: return (int64_t)a < (int64_t)b;
    default: return a < b;
    }
}

static bool is_nan(ptx_type t, uint64_t a) {
    return t == PTX_F16 ? (a & 0x7fff) > 0x7c00 : t == PTX_BF16 && (a & 0x7fff) > 0x7f80;
}

static uint64_t combine(ptx_atom op, ptx_type t, uint64_t old, uint64_t b) {
    switch (op) {
    case PTX_ATOM_ADD: return add(t, old, b);
    case PTX_ATOM_MIN: return is_nan(t, old) || (!is_nan(t, b) && less(t, b, old)) ? b : old;
    case PTX_ATOM_MAX: return is_nan(t, old) || (!is_nan(t, b) && less(t, old, b)) ? b : old;
    case PTX_ATOM_AND: return old & b;
    case PTX_ATOM_OR: return old | b;
    case PTX_ATOM_XOR: return old ^ b;
    case PTX_ATOM_INC: return (uint32_t)old >= (uint32_t)b ? 0 : (uint32_t)old + 1;
    default: return (uint32_t)old == 0 || (uint32_t)old > (uint32_t)b ? (uint32_t)b : (uint32_t)old - 1;
    }
}

#define REDUCE_EACH(T)                                                                                            \
    for (size_t i = 0; i < bytes / sizeof(T); i++) {                                                              \
        T *at = (T *)(void *)to + i, old = __atomic_load_n(at, __ATOMIC_RELAXED), b, new;                         \
        memcpy(&b, from + i * sizeof(T), sizeof(T));                                                              \
        do                                                                                                        \
            new = (T)combine(op, type, old, b);                                                                   \
        while (!__atomic_compare_exchange_n(at, &old, new, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));            \
    }
void vg_bulk_reduce(ptx_atom op, ptx_type type, uint8_t *to, const uint8_t *from, size_t bytes) {
    switch (ptx_type_bytes(type)) {
    case 2: REDUCE_EACH(uint16_t) break;
    case 4: REDUCE_EACH(uint32_t) break;
    default: REDUCE_EACH(uint64_t) break;
    }
}

// PTX ISA 9.7.9.25.6 (tables of operations and types)
bool vg_bulk_can_reduce(ptx_atom op, ptx_type t) {
    const bool word = t == PTX_U32 || t == PTX_S32, wide = t == PTX_U64 || t == PTX_S64, half = t == PTX_F16 || t == PTX_BF16;
    switch (op) {
    case PTX_ATOM_ADD: return word || wide || half || t == PTX_F32 || t == PTX_F64;
    case PTX_ATOM_MIN: case PTX_ATOM_MAX: return word || wide || half;
    case PTX_ATOM_INC: case PTX_ATOM_DEC: return t == PTX_U32;
    case PTX_ATOM_AND: case PTX_ATOM_OR: case PTX_ATOM_XOR: return t == PTX_B32 || t == PTX_B64 || word || wide;
    default: return false;
    }
}

ptx_type vg_bulk_tensor_type(unsigned t) {
    static const uint8_t types[] = {PTX_NOTYPE, PTX_NOTYPE, PTX_U32, PTX_S32, PTX_U64, PTX_S64, PTX_F16, PTX_F32, PTX_F64, PTX_BF16};
    return t < HONE_COUNT(types) ? (ptx_type)types[t] : PTX_NOTYPE;
}
