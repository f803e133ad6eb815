// Tensor maps for bulk tensor copies: cuTensorMapEncodeTiled and cuTensorMapEncodeIm2col write our own layout (tensormap.h) into the opaque 128 bytes.
#include "vgpu/tensormap.h"
#include "vgpu/driver/front.h"
#include <string.h>

VG_API CUresult cuTensorMapEncodeTiled(void *map, int type, unsigned rank, void *address, const uint64_t *dims, const uint64_t *strides,
                                       const uint32_t *box, const uint32_t *element_strides, int interleave, int swizzle, int promotion, int fill) {
    (void)promotion;   // into L2: no effect on results
    vg_tensormap t;
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!map || (uintptr_t)map % 64 || !dims || !box || !element_strides || (rank > 1 && !strides) || type < 0 || interleave < 0 || swizzle < 0 || fill < 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (vg_dev(vg_front_device(), VG_DEV_CC_MAJOR) < 9)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (vg_tensormap_encode(&t, (unsigned)type, rank, (uint64_t)(uintptr_t)address, dims, strides, box, element_strides, (unsigned)interleave,
                            (unsigned)swizzle, (unsigned)fill))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(map, &t, sizeof t);
    return CUDA_SUCCESS;
}

VG_API CUresult cuTensorMapReplaceAddress(void *map, void *address) {
    vg_tensormap *t = map;
    if (!map || (uintptr_t)map % 64 || t->magic != VG_TENSORMAP_MAGIC || !address || (uintptr_t)address % 16)
        return CUDA_ERROR_INVALID_VALUE;
    t->address = (uint64_t)(uintptr_t)address;
    return CUDA_SUCCESS;
}

VG_API CUresult cuTensorMapEncodeIm2col(void *map, int type, unsigned rank, void *address, const uint64_t *dims, const uint64_t *strides, const int *lower,
                                        const int *upper, unsigned channels, unsigned pixels, const uint32_t *element_strides, int interleave, int swizzle,
                                        int promotion, int fill) {
    (void)promotion;
    vg_tensormap t;
    if (!vg_front_device())
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!map || (uintptr_t)map % 64 || !dims || !strides || !lower || !upper || !element_strides || type < 0 || interleave < 0 || swizzle < 0 || fill < 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (vg_dev(vg_front_device(), VG_DEV_CC_MAJOR) < 9)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (vg_tensormap_encode_im2col(&t, (unsigned)type, rank, (uint64_t)(uintptr_t)address, dims, strides, lower, upper, channels, pixels, element_strides,
                                   (unsigned)interleave, (unsigned)swizzle, (unsigned)fill))
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(map, &t, sizeof t);
    return CUDA_SUCCESS;
}
