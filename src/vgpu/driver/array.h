// CUDA arrays: opaque memory that textures and surfaces read. Here they are plain allocations, rows behind each other, layers or slices behind those;
// only kernels' texture and surface instructions and copies see the inside.
#ifndef HONE_VGPU_ARRAY_H
#define HONE_VGPU_ARRAY_H
#include "vgpu/driver/front.h"
#include "vgpu/texture.h"

struct CUarray_st {
    struct CUctx_st *context;
    CUarray3DDesc desc;
    vg_image image;                      // how texture.c sees it
    struct CUmipmappedArray_st *of;      // a level of this, which owns it
    struct CUarray_st *next;
};
struct CUmipmappedArray_st {
    struct CUctx_st *context;
    CUarray3DDesc desc;
    unsigned n_levels;
    CUarray level[16];
    struct CUmipmappedArray_st *next;
};
// Bytes of an element of so many channels, 0 when there is no such format. *format: as texture.h numbers them.
unsigned vg_format_bytes(int format, unsigned channels, vg_texel *texel);
CUdeviceptr vg_array_address(const struct CUarray_st *a, size_t x_bytes, size_t y, size_t z);
// CUDA_SUCCESS when a is a live array of the context and holds that box (x and width in bytes).
CUresult vg_array_holds(struct CUctx_st *c, const struct CUarray_st *a, size_t x, size_t y, size_t z, size_t width, size_t height, size_t depth);
void vg_mipmapped_free(struct CUctx_st *c, struct CUmipmappedArray_st *m);
void vg_arrays_free_all(struct CUctx_st *c);
void vg_texobj_free_all(struct CUctx_st *c);
void vg_vmm_free_all(struct CUctx_st *c);
#endif
