// tensormap: see tensormap.h. Limits are those that the driver API reference gives for cuTensorMapEncodeTiled.
#include "vgpu/tensormap.h"
#include "base/base.h"
#include <string.h>

static const struct { uint8_t bytes; bool is_float; } types[] = {   // CUtensorMapDataType
    {1, false}, {2, false}, {4, false}, {4, false}, {8, false}, {8, false}, {2, true}, {4, true}, {8, true}, {2, true},
    {0, true} /* f32 that flushes subnormals */, {4, true} /* tf32: the bits as they are, consumers ignore the low ones */, {0, true},
};
unsigned vg_tensor_bytes(unsigned type) { return type < HONE_COUNT(types) ? types[type].bytes : 0; }
bool vg_tensor_is_float(unsigned type) { return type < HONE_COUNT(types) && types[type].is_float; }

static const char *check_dimensions(unsigned rank, unsigned bytes, const uint64_t *dims, const uint64_t *strides, const uint32_t *box, const uint32_t *steps) {
    for (unsigned i = 0; i < rank; i++) {
        if (dims[i] == 0 || dims[i] > 1ull << 32)
            return "a dimension is 0 or over 2^32";
        if (box[i] == 0 || box[i] > VG_TENSOR_MAX_BOX)
            return "a box dimension is 0 or over 256";
        if (steps[i] == 0 || steps[i] > 8)
            return "an element stride is 0 or over 8";
        if (i && (strides[i - 1] % 16 || strides[i - 1] >= 1ull << 40 || strides[i - 1] == 0))
            return "a stride is 0, no multiple of 16 bytes or not under 2^40";
    }
    if (rank > 1 && strides[0] < dims[0] * bytes)
        return "the first stride is less than a row";
    return box[0] * bytes % 16 ? "a row of the box is no multiple of 16 bytes" : NULL;
}

const char *vg_tensormap_encode(vg_tensormap *out, unsigned type, unsigned rank, uint64_t address, const uint64_t *dims, const uint64_t *strides,
                                const uint32_t *box, const uint32_t *steps, unsigned interleave, unsigned swizzle, unsigned fill) {
    const unsigned bytes = vg_tensor_bytes(type);
    if (!bytes)
        return "this data type is not supported";
    if (rank < 1 || rank > VG_TENSOR_MAX_RANK)
        return "the rank is not 1 to 5";
    if (address == 0 || address % 16)
        return "the address is no multiple of 16";
    if (interleave || swizzle > VG_SWIZZLE_128B || fill > 1 || (fill && !vg_tensor_is_float(type)))
        return "this interleave, swizzle or fill is not supported";
    const char *wrong = check_dimensions(rank, bytes, dims, strides, box, steps);
    if (wrong)
        return wrong;
    if (swizzle && box[0] * bytes > 16u << swizzle)
        return "a row of the box is longer than the swizzle";
    *out = (vg_tensormap){.magic = VG_TENSORMAP_MAGIC, .type = (uint8_t)type, .rank = (uint8_t)rank, .swizzle = (uint8_t)swizzle,
                          .fill_nan = (uint8_t)fill, .address = address};
    for (unsigned i = 0; i < VG_TENSOR_MAX_RANK; i++) {
        out->last[i] = i < rank ? (uint32_t)(dims[i] - 1) : 0;
        out->box[i] = (uint16_t)(i < rank ? box[i] : 1);
        out->step[i] = (uint8_t)(i && i < rank ? steps[i] : 1);   // without interleave the step of dimension 0 is ignored
        if (i && i < rank)
            out->stride[i - 1] = strides[i - 1];
    }
    return NULL;
}

vg_tensor_box vg_tensor_box_of(const vg_tensormap *t) {
    vg_tensor_box b = {.rows = 1, .row_bytes = t->box[0] * vg_tensor_bytes(t->type)};
    // a swizzled row takes the swizzle's width however short it is (CUDA programming guide, TMA swizzle)
    b.pitch = t->swizzle && b.row_bytes < 16u << t->swizzle ? 16u << t->swizzle : b.row_bytes;
    for (unsigned i = 0; i < VG_TENSOR_MAX_RANK; i++) {
        b.extent[i] = (t->box[i] + t->step[i] - 1u) / t->step[i];   // every step-th element of the box is moved
        b.rows *= i ? b.extent[i] : 1;
    }
    return b;
}

vg_tensor_row vg_tensor_row_of(const vg_tensormap *t, const vg_tensor_box *b, const int32_t coordinate[VG_TENSOR_MAX_RANK], uint32_t row) {
    const int64_t width = (int64_t)t->last[0] + 1, left = coordinate[0];
    vg_tensor_row r = {.address = t->address};
    for (unsigned i = 1; i < t->rank; i++) {
        const int64_t at = (int64_t)coordinate[i] + (int64_t)(row % b->extent[i]) * t->step[i];
        row /= b->extent[i];
        if (at < 0 || at > (int64_t)t->last[i])
            return (vg_tensor_row){0};
        r.address += (uint64_t)at * t->stride[i - 1];
    }
    const int64_t first = left < 0 ? -left : 0, end = width - left < t->box[0] ? width - left : t->box[0];
    if (first >= end)
        return (vg_tensor_row){0};
    r.first = (uint32_t)first;
    r.end = (uint32_t)end;
    r.address += (uint64_t)(left * (int64_t)vg_tensor_bytes(t->type));   // of element 0 of the row, inside the tensor or not
    return r;
}
