// tensormap: see tensormap.h. Limits are those that the driver API reference gives for cuTensorMapEncodeTiled and cuTensorMapEncodeIm2col. How pixels
// follow each other in im2col mode: PTX ISA 5.5.5.
#include "vgpu/tensormap.h"
#include "base/base.h"
#include <string.h>

static const struct { uint8_t bytes; bool is_float; } types[] = {   // CUtensorMapDataType
    {1, false}, {2, false}, {4, false}, {4, false}, {8, false}, {8, false}, {2, true}, {4, true}, {8, true}, {2, true},
    {0, true} /* f32 that flushes subnormals */, {4, true} /* tf32: the bits as they are, consumers ignore the low ones */, {0, true},
};
unsigned vg_tensor_bytes(unsigned type) { return type < HONE_COUNT(types) ? types[type].bytes : 0; }
bool vg_tensor_is_float(unsigned type) { return type < HONE_COUNT(types) && types[type].is_float; }

static const char *check_dimensions(unsigned rank, unsigned bytes, const uint64_t *dims, const uint64_t *strides, const uint32_t *steps) {
    for (unsigned i = 0; i < rank; i++) {
        if (dims[i] == 0 || dims[i] > 1ull << 32)
            return "a dimension is 0 or over 2^32";
        if (steps[i] == 0 || steps[i] > 8)
            return "an element stride is 0 or over 8";
        if (i && (strides[i - 1] % 16 || strides[i - 1] >= 1ull << 40 || strides[i - 1] == 0))
            return "a stride is 0, no multiple of 16 bytes or not under 2^40";
    }
    return rank > 1 && strides[0] < dims[0] * bytes ? "the first stride is less than a row" : NULL;
}

static const char *check_row(unsigned elements, unsigned bytes, unsigned swizzle) {
    if (elements == 0 || elements > VG_TENSOR_MAX_BOX)
        return "a box dimension is 0 or over 256";
    if (elements * bytes % 16)
        return "a row of the box is no multiple of 16 bytes";
    return swizzle && elements * bytes > 16u << swizzle ? "a row of the box is longer than the swizzle" : NULL;
}

static const char *check_kind(unsigned type, unsigned rank, unsigned least, uint64_t address, unsigned interleave, unsigned swizzle, unsigned fill) {
    if (!vg_tensor_bytes(type))
        return "this data type is not supported";
    if (rank < least || rank > VG_TENSOR_MAX_RANK)
        return "the rank is not 1 to 5, or 3 to 5 for im2col";
    if (address == 0 || address % 16)
        return "the address is no multiple of 16";
    return interleave || swizzle > VG_SWIZZLE_128B || fill > 1 || (fill && !vg_tensor_is_float(type)) ? "this interleave, swizzle or fill is not supported" : NULL;
}

static vg_tensormap describe(unsigned type, unsigned rank, uint64_t address, const uint64_t *dims, const uint64_t *strides, const uint32_t *steps,
                             unsigned swizzle, unsigned fill) {
    vg_tensormap t = {.magic = VG_TENSORMAP_MAGIC, .type = (uint8_t)type, .rank = (uint8_t)rank, .swizzle = (uint8_t)swizzle, .fill_nan = (uint8_t)fill,
                      .address = address};
    for (unsigned i = 0; i < VG_TENSOR_MAX_RANK; i++) {
        t.last[i] = i < rank ? (uint32_t)(dims[i] - 1) : 0;
        t.box[i] = 1;
        t.step[i] = (uint8_t)(i && i < rank ? steps[i] : 1);   // without interleave the step of dimension 0 is ignored
        if (i && i < rank)
            t.stride[i - 1] = strides[i - 1];
    }
    return t;
}

const char *vg_tensormap_encode(vg_tensormap *out, unsigned type, unsigned rank, uint64_t address, const uint64_t *dims, const uint64_t *strides,
                                const uint32_t *box, const uint32_t *steps, unsigned interleave, unsigned swizzle, unsigned fill) {
    const char *wrong = check_kind(type, rank, 1, address, interleave, swizzle, fill);
    for (unsigned i = 0; i < rank && !wrong; i++)
        wrong = box[i] == 0 || box[i] > VG_TENSOR_MAX_BOX ? "a box dimension is 0 or over 256" : NULL;
    if (!wrong)
        wrong = check_dimensions(rank, vg_tensor_bytes(type), dims, strides, steps);
    if (!wrong)
        wrong = check_row(box[0], vg_tensor_bytes(type), swizzle);
    if (wrong)
        return wrong;
    *out = describe(type, rank, address, dims, strides, steps, swizzle, fill);
    for (unsigned i = 0; i < rank; i++)
        out->box[i] = (uint16_t)box[i];
    return NULL;
}

const char *vg_tensormap_encode_im2col(vg_tensormap *out, unsigned type, unsigned rank, uint64_t address, const uint64_t *dims, const uint64_t *strides,
                                       const int *lower, const int *upper, uint32_t channels, uint32_t pixels, const uint32_t *steps, unsigned interleave,
                                       unsigned swizzle, unsigned fill) {
    static const int limit[] = {[3] = 1 << 15, [4] = 1 << 7, [5] = 1 << 4};
    const char *wrong = check_kind(type, rank, 3, address, interleave, swizzle, fill);
    if (!wrong)
        wrong = check_dimensions(rank, vg_tensor_bytes(type), dims, strides, steps);
    if (!wrong)
        wrong = check_row(channels, vg_tensor_bytes(type), swizzle);
    if (wrong)
        return wrong;
    if (pixels == 0 || pixels > VG_TENSOR_MAX_PIXELS)
        return "the pixels per column are 0 or over 1024";
    for (unsigned i = 0; i + 2 < rank; i++)
        if (lower[i] < -limit[rank] || lower[i] >= limit[rank] || upper[i] < -limit[rank] || upper[i] >= limit[rank])
            return "a corner of the pixels' box is out of range for this rank";
    *out = describe(type, rank, address, dims, strides, steps, swizzle, fill);
    out->im2col = true;
    out->box[0] = (uint16_t)channels;
    out->pixels = (uint16_t)pixels;
    for (unsigned i = 0; i + 2 < rank; i++) {
        out->lower[i] = (int16_t)lower[i];
        out->upper[i] = (int16_t)upper[i];
    }
    return NULL;
}

const char *vg_tensormap_check(const vg_tensormap *t) {
    const char *wrong = check_kind(t->type, t->rank, t->im2col ? 3 : 1, t->address, 0, t->swizzle, t->fill_nan);
    if (!wrong)
        wrong = check_row(t->box[0], vg_tensor_bytes(t->type), t->swizzle);
    for (unsigned i = 1; i < t->rank && !wrong; i++)
        if (t->step[i] == 0 || t->step[i] > 8 || t->box[i] == 0 || t->box[i] > VG_TENSOR_MAX_BOX || t->stride[i - 1] % 16 || t->stride[i - 1] >= 1ull << 40)
            wrong = "a box dimension, an element stride or a stride is out of range";
    return wrong ? wrong : t->im2col && (t->pixels == 0 || t->pixels > VG_TENSOR_MAX_PIXELS) ? "the pixels per column are 0 or over 1024" : NULL;
}

vg_tensor_box vg_tensor_box_of(const vg_tensormap *t) {
    vg_tensor_box b = {.rows = 1, .row_bytes = t->box[0] * vg_tensor_bytes(t->type)};
    // a swizzled row takes the swizzle's width however short it is (CUDA programming guide, TMA swizzle)
    b.pitch = t->swizzle && b.row_bytes < 16u << t->swizzle ? 16u << t->swizzle : b.row_bytes;
    for (unsigned i = 0; i < VG_TENSOR_MAX_RANK; i++) {
        b.extent[i] = (t->box[i] + t->step[i] - 1u) / t->step[i];   // every step-th element of the box is moved
        b.rows *= i ? b.extent[i] : 1;
    }
    if (t->im2col)
        b.rows = t->pixels;
    return b;
}

// Pixel number `number` from the coordinates on: along dimension 1 first, within the box of pixels, whose right edge leads back to its left one and a step
// on in the next dimension; the last dimension (images) has no box. Then the offsets.
static void place_pixel(const vg_tensormap *t, const uint16_t *offset, uint32_t number, int64_t at[VG_TENSOR_MAX_RANK]) {
    int64_t carry = number;
    for (unsigned i = 1; i < t->rank; i++) {
        if (i == t->rank - 1u) {
            at[i] += carry;
            return;
        }
        const int64_t low = t->lower[i - 1], high = (int64_t)t->last[i] + t->upper[i - 1], step = t->step[i];
        const int64_t count = high >= low ? (high - low) / step + 1 : 1, first = (at[i] - low) / step, to = first + carry;
        at[i] += (to % count - first) * step + offset[i - 1];
        carry = to / count;
    }
}

vg_tensor_row vg_tensor_row_of(const vg_tensormap *t, const vg_tensor_box *b, const int32_t coordinate[VG_TENSOR_MAX_RANK],
                               const uint16_t offset[VG_TENSOR_MAX_RANK - 2], uint32_t row) {
    const int64_t width = (int64_t)t->last[0] + 1, left = coordinate[0];
    vg_tensor_row r = {.address = t->address};
    int64_t at[VG_TENSOR_MAX_RANK];
    for (unsigned i = 0; i < t->rank; i++) {
        at[i] = coordinate[i];
        if (i && !t->im2col) {
            at[i] += (int64_t)(row % b->extent[i]) * t->step[i];
            row /= b->extent[i];
        }
    }
    if (t->im2col)
        place_pixel(t, offset, row, at);
    for (unsigned i = 1; i < t->rank; i++) {
        if (at[i] < 0 || at[i] > (int64_t)t->last[i])
            return (vg_tensor_row){0};
        r.address += (uint64_t)at[i] * t->stride[i - 1];
    }
    const int64_t first = left < 0 ? -left : 0, end = width - left < t->box[0] ? width - left : t->box[0];
    if (first >= end)
        return (vg_tensor_row){0};
    r.first = (uint32_t)first;
    r.end = (uint32_t)end;
    r.address += (uint64_t)(left * (int64_t)vg_tensor_bytes(t->type));   // of element 0 of the row, inside the tensor or not
    return r;
}
