// CUDA arrays and mipmapped arrays: allocations with a format and a shape. Sizes are checked against the limits of the device attributes.
#include "vgpu/driver/array.h"
#include "vgpu/driver/work.h"
#include <string.h>

enum { MAX_1D = 131072, MAX_2D_W = 131072, MAX_2D_H = 65536, MAX_3D = 16384, MAX_LAYERS = 2048, ALL_FLAGS = CU_ARRAY_LAYERED | CU_ARRAY_SURFACE | CU_ARRAY_CUBEMAP | CU_ARRAY_GATHER };

unsigned vg_format_bytes(int format, unsigned channels, vg_texel *texel) {
    static const struct { int format; vg_texel texel; unsigned bytes; } formats[] = {   // CUarray_format
        {0x01, VG_TEXEL_U8, 1}, {0x02, VG_TEXEL_U16, 2}, {0x03, VG_TEXEL_U32, 4}, {0x08, VG_TEXEL_S8, 1},
        {0x09, VG_TEXEL_S16, 2}, {0x0a, VG_TEXEL_S32, 4}, {0x10, VG_TEXEL_F16, 2}, {0x20, VG_TEXEL_F32, 4}};
    for (size_t i = 0; i < HONE_COUNT(formats); i++)
        if (formats[i].format == format && (channels == 1 || channels == 2 || channels == 4)) {
            *texel = formats[i].texel;
            return formats[i].bytes * channels;
        }
    return 0;
}

static CUresult check_shape(const CUarray3DDesc *d) {
    bool layered = d->flags & CU_ARRAY_LAYERED, cube = d->flags & CU_ARRAY_CUBEMAP;
    vg_texel texel;
    if (!vg_format_bytes(d->format, d->channels, &texel))
        return d->format >= 0x50 ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;   // planar and block-compressed formats exist, not here
    if (d->flags & ~(unsigned)ALL_FLAGS)
        return d->flags > 0x1ff ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_SUPPORTED;
    if (!d->width || (d->depth && !d->height && !layered) || (layered && !d->depth))
        return CUDA_ERROR_INVALID_VALUE;
    if (cube && (d->width != d->height || (layered ? d->depth % 6 != 0 : d->depth != 6)))
        return CUDA_ERROR_INVALID_VALUE;
    bool box = d->depth && !layered && !cube;
    size_t w = box ? MAX_3D : d->height ? MAX_2D_W : MAX_1D, h = box ? MAX_3D : MAX_2D_H, z = box ? MAX_3D : MAX_LAYERS;
    return d->width > w || d->height > h || d->depth > z ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static CUresult array_new(struct CUctx_st *c, const CUarray3DDesc *d, CUarray *out) {
    CUresult r = check_shape(d);
    if (r != CUDA_SUCCESS)
        return r;
    vg_image im = {.channels = d->channels, .width = d->width, .height = d->height, .cube = d->flags & CU_ARRAY_CUBEMAP};
    im.element = vg_format_bytes(d->format, d->channels, &im.texel);
    im.pitch = im.width * im.element;
    if (d->flags & (CU_ARRAY_LAYERED | CU_ARRAY_CUBEMAP))
        im.layers = d->depth;
    else
        im.depth = d->depth;
    size_t slices = d->depth ? d->depth : 1, bytes;
    if (__builtin_mul_overflow(im.pitch, im.height ? im.height : 1, &bytes) || __builtin_mul_overflow(bytes, slices, &bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct CUarray_st *a = hone_calloc(1, sizeof *a);
    vg_alloc *m;
    hone_err e = {0};
    if (!a || vg_memory_alloc(c->vg->memory, bytes, 512, VG_ALLOC_DEVICE, &m, &e) != HONE_OK) {
        hone_free(a);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (!vg_handle_add(a, VG_ARRAY)) {
        vg_memory_free(c->vg->memory, m->base, NULL);
        hone_free(a);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    m->use = VG_USE_ARRAY;
    im.base = m->base;
    *a = (struct CUarray_st){.context = c, .desc = *d, .image = im, .next = c->arrays};
    c->arrays = a;
    *out = a;
    return CUDA_SUCCESS;
}

static void array_free(struct CUctx_st *c, struct CUarray_st *a) {
    struct CUarray_st **p = &c->arrays;
    while (*p != a)
        p = &(*p)->next;
    *p = a->next;
    vg_handle_drop(a);
    vg_memory_free(c->vg->memory, a->image.base, NULL);
    hone_free(a);
}

static bool is_array(struct CUctx_st *c, const struct CUarray_st *a) { return vg_handle_is(a, VG_ARRAY) && a->context == c; }

CUdeviceptr vg_array_address(const struct CUarray_st *a, size_t x, size_t y, size_t z) {
    size_t rows = a->image.height ? a->image.height : 1;
    return a->image.base + (z * rows + y) * a->image.pitch + x;
}

CUresult vg_array_holds(struct CUctx_st *c, const struct CUarray_st *a, size_t x, size_t y, size_t z, size_t width, size_t height, size_t depth) {
    if (!is_array(c, a))
        return CUDA_ERROR_INVALID_HANDLE;
    size_t rows = a->image.height ? a->image.height : 1, slices = a->desc.depth ? a->desc.depth : 1, e = a->image.element;
    bool inside = x <= a->image.pitch && width <= a->image.pitch - x && y <= rows && height <= rows - y && z <= slices && depth <= slices - z;
    return inside && x % e == 0 && width % e == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

VG_API CUresult cuArray3DCreate_v2(CUarray *out, const CUarray3DDesc *d) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    return vg_front_leave(c, out && d ? array_new(c, d, out) : CUDA_ERROR_INVALID_VALUE);
}
VG_API CUresult cuArrayCreate_v2(CUarray *out, const CUarrayDesc *d) {
    CUarray3DDesc all = {0};
    if (d)
        all = (CUarray3DDesc){d->width, d->height, 0, d->format, d->channels, 0};
    return cuArray3DCreate_v2(out, d ? &all : NULL);
}
static CUresult find_array(CUarray a, const void *out, CUarray3DDesc *d) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    bool known = is_array(c, a);
    if (known)
        *d = a->desc;
    return vg_front_leave(c, !known ? CUDA_ERROR_INVALID_HANDLE : out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}
VG_API CUresult cuArray3DGetDescriptor_v2(CUarray3DDesc *out, CUarray a) {
    CUarray3DDesc d = {0};
    CUresult r = find_array(a, out, &d);
    return r == CUDA_SUCCESS ? (*out = d, r) : r;
}
VG_API CUresult cuArrayGetDescriptor_v2(CUarrayDesc *out, CUarray a) {
    CUarray3DDesc d = {0};
    CUresult r = find_array(a, out, &d);
    if (r == CUDA_SUCCESS)
        *out = (CUarrayDesc){d.width, d.height, d.format, d.channels};
    return r;
}
VG_API CUresult cuArrayDestroy(CUarray a) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!is_array(c, a))
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    if (a->of)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);   // a level belongs to its mipmapped array
    r = vg_work_drain(c, NULL);
    array_free(c, a);
    return vg_front_leave(c, r);
}

// ---- mipmapped arrays

VG_API CUresult cuMipmappedArrayCreate(CUmipmappedArray *out, const CUarray3DDesc *d, unsigned levels) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!out || !d || !levels)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    size_t longest = d->width > d->height ? d->width : d->height;
    bool layered = d->flags & (CU_ARRAY_LAYERED | CU_ARRAY_CUBEMAP);
    longest = !layered && d->depth > longest ? d->depth : longest;
    unsigned most = 1;
    while (most < HONE_COUNT((*out)->level) && longest >> most)
        most++;
    struct CUmipmappedArray_st *m = hone_calloc(1, sizeof *m);
    if (!m || !vg_handle_add(m, VG_MIPMAPPED)) {
        hone_free(m);
        return vg_front_leave(c, CUDA_ERROR_OUT_OF_MEMORY);
    }
    *m = (struct CUmipmappedArray_st){.context = c, .desc = *d, .next = c->mipmapped};
    c->mipmapped = m;
    for (unsigned i = 0; i < (levels < most ? levels : most) && r == CUDA_SUCCESS; i++) {
        CUarray3DDesc level = *d;
        level.width = d->width >> i ? d->width >> i : 1;
        level.height = d->height && !(d->height >> i) ? 1 : d->height >> i;
        level.depth = layered ? d->depth : d->depth && !(d->depth >> i) ? 1 : d->depth >> i;
        r = array_new(c, &level, &m->level[i]);
        if (r == CUDA_SUCCESS) {
            m->level[i]->of = m;
            m->n_levels++;
        }
    }
    if (r != CUDA_SUCCESS)
        vg_mipmapped_free(c, m);
    else
        *out = m;
    return vg_front_leave(c, r);
}

void vg_mipmapped_free(struct CUctx_st *c, struct CUmipmappedArray_st *m) {
    struct CUmipmappedArray_st **p = &c->mipmapped;
    while (*p != m)
        p = &(*p)->next;
    *p = m->next;
    for (unsigned i = 0; i < m->n_levels; i++)
        array_free(c, m->level[i]);
    vg_handle_drop(m);
    hone_free(m);
}

VG_API CUresult cuMipmappedArrayDestroy(CUmipmappedArray m) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!vg_handle_is(m, VG_MIPMAPPED) || m->context != c)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    r = vg_work_drain(c, NULL);
    vg_mipmapped_free(c, m);
    return vg_front_leave(c, r);
}
VG_API CUresult cuMipmappedArrayGetLevel(CUarray *out, CUmipmappedArray m, unsigned level) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    if (!vg_handle_is(m, VG_MIPMAPPED) || m->context != c)
        return vg_front_leave(c, CUDA_ERROR_INVALID_HANDLE);
    if (!out || level >= m->n_levels)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    *out = m->level[level];
    return vg_front_leave(c, CUDA_SUCCESS);
}

void vg_arrays_free_all(struct CUctx_st *c) {
    while (c->mipmapped)
        vg_mipmapped_free(c, c->mipmapped);
    while (c->arrays)
        array_free(c, c->arrays);
}
