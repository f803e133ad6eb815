// tensormap: what cuTensorMapEncodeTiled and cuTensorMapEncodeIm2col write, tensormap.replace changes and bulk tensor copies read. The driver API calls the 128 bytes opaque; these are ours. Data types,
// swizzles and fills are numbered as the driver API does.
#ifndef HONE_VGPU_TENSORMAP_H
#define HONE_VGPU_TENSORMAP_H
#include <stdbool.h>
#include <stdint.h>

enum { VG_TENSORMAP_MAGIC = 0x48544d41, VG_TENSOR_MAX_RANK = 5, VG_TENSOR_MAX_BOX = 256, VG_TENSOR_MAX_PIXELS = 1024, VG_TENSOR_ROW_MAX = VG_TENSOR_MAX_BOX * 8 };
enum { VG_OOB_NAN = 0x7ff7 };   // what lies outside where the map asks for NaN, in every 16 bits; fma.oob knows it. Not documented: seen on an H100
enum { VG_SWIZZLE_NONE, VG_SWIZZLE_32B, VG_SWIZZLE_64B, VG_SWIZZLE_128B };

typedef struct vg_tensormap {
    uint32_t magic;
    uint8_t type, rank, swizzle, fill_nan;
    uint64_t address;
    uint64_t stride[VG_TENSOR_MAX_RANK - 1];   // bytes, of dimensions 1 …
    uint32_t last[VG_TENSOR_MAX_RANK];         // elements - 1: a dimension may have 2^32
    uint16_t box[VG_TENSOR_MAX_RANK];
    uint8_t step[VG_TENSOR_MAX_RANK];          // element strides
    bool im2col;                               // box[0]: channels per pixel; box[1 …] unused
    int16_t lower[VG_TENSOR_MAX_RANK - 2], upper[VG_TENSOR_MAX_RANK - 2];   // corners of the pixels' box: first, and last - (size - 1), of dimensions 1 …
    uint16_t pixels;                           // per column
    uint8_t unused[24];
} vg_tensormap;
_Static_assert(sizeof(vg_tensormap) == 128, "CUtensorMap has 128 bytes");

unsigned vg_tensor_bytes(unsigned type);       // of an element; 0: a type that is not supported
bool vg_tensor_is_float(unsigned type);
// NULL, or what is wrong with the arguments of cuTensorMapEncodeTiled, which then leaves *out alone.
const char *vg_tensormap_encode(vg_tensormap *out, unsigned type, unsigned rank, uint64_t address, const uint64_t *dims, const uint64_t *strides,
                                const uint32_t *box, const uint32_t *steps, unsigned interleave, unsigned swizzle, unsigned fill);

// The same of cuTensorMapEncodeIm2col. lower, upper: rank - 2 of them.
const char *vg_tensormap_encode_im2col(vg_tensormap *out, unsigned type, unsigned rank, uint64_t address, const uint64_t *dims, const uint64_t *strides,
                                       const int *lower, const int *upper, uint32_t channels, uint32_t pixels, const uint32_t *steps, unsigned interleave,
                                       unsigned swizzle, unsigned fill);
// NULL, or why a copy cannot use the map: kernels can put anything into one.
const char *vg_tensormap_check(const vg_tensormap *t);

// The box in shared memory: rows of dimension 0, `pitch` apart.
typedef struct vg_tensor_box { uint32_t extent[VG_TENSOR_MAX_RANK], rows, row_bytes, pitch; } vg_tensor_box;
vg_tensor_box vg_tensor_box_of(const vg_tensormap *t);
// Row `row` of the box at these coordinates: where it begins in global memory, and which of its elements lie inside the tensor.
typedef struct vg_tensor_row { uint64_t address; uint32_t first, end; } vg_tensor_row;
// Of an im2col map, row is the number of a pixel from the coordinates on, and offset (rank - 2 of them) is added to the pixel's place.
vg_tensor_row vg_tensor_row_of(const vg_tensormap *t, const vg_tensor_box *b, const int32_t coordinate[VG_TENSOR_MAX_RANK],
                               const uint16_t offset[VG_TENSOR_MAX_RANK - 2], uint32_t row);

// PTX ISA 5.5.4: within 256, 512 or 1024 bytes, 16-byte chunks change places by the address bits from 7 up.
static inline uint64_t vg_swizzle(unsigned mode, uint64_t offset) { return offset ^ ((offset >> 7 & ((1u << mode) - 1)) << 4); }
#endif
