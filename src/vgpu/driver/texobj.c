// Texture and surface objects: descriptors in, 64-bit handles out. Kernels find them through the context (texture.h); the descriptors are kept so that
// they can be read back. Texture references (deprecated, removed from toolkits) are absent.
#include "vgpu/driver/array.h"
#include "vgpu/driver/work.h"
#include <string.h>

enum { READ_AS_INTEGER = 1, NORMALIZED = 2, SRGB = 16, NO_TRILINEAR_SHORTCUT = 32, SEAMLESS = 64 };
typedef struct object { CUresourceDesc resource; CUtextureDesc texture; CUviewDesc view; bool has_view; } object;
struct vg_texture_front { vg_textures shared; object *object[VG_TEXTURES_MAX / VG_TEXTURE_CHUNK]; };   // `shared` first: the context points to it

static struct vg_texture_front *front_of(struct CUctx_st *c) {
    if (!c->vg->textures) {
        struct vg_texture_front *f = hone_calloc(1, sizeof *f);
        c->vg->textures = f ? &f->shared : NULL;
    }
    return (struct vg_texture_front *)(void *)c->vg->textures;
}

void vg_texobj_free_all(struct CUctx_st *c) {
    struct vg_texture_front *f = (struct vg_texture_front *)(void *)c->vg->textures;
    for (size_t i = 0; f && i < HONE_COUNT(f->object); i++) {
        hone_free(f->object[i]);
        hone_free(f->shared.chunk[i]);
    }
    hone_free(f);
    c->vg->textures = NULL;
}

// A free place; its handle in *handle.
static vg_texture *place(struct vg_texture_front *f, object **o, uint64_t *handle) {
    vg_textures *t = &f->shared;
    size_t i = 0;
    while (i < t->n && t->chunk[i / VG_TEXTURE_CHUNK][i % VG_TEXTURE_CHUNK].used)
        i++;
    if (i == VG_TEXTURES_MAX)
        return NULL;
    if (!t->chunk[i / VG_TEXTURE_CHUNK])
        t->chunk[i / VG_TEXTURE_CHUNK] = hone_calloc(VG_TEXTURE_CHUNK, sizeof(vg_texture));
    if (!f->object[i / VG_TEXTURE_CHUNK])
        f->object[i / VG_TEXTURE_CHUNK] = hone_calloc(VG_TEXTURE_CHUNK, sizeof(object));
    if (!t->chunk[i / VG_TEXTURE_CHUNK] || !f->object[i / VG_TEXTURE_CHUNK])
        return NULL;
    t->n = i >= t->n ? i + 1 : t->n;
    *handle = VG_TEXTURE_BASE + i + 1;
    *o = &f->object[i / VG_TEXTURE_CHUNK][i % VG_TEXTURE_CHUNK];
    return &t->chunk[i / VG_TEXTURE_CHUNK][i % VG_TEXTURE_CHUNK];
}

// ---- resources to images

static CUresult linear_image(struct CUctx_st *c, const CUresourceDesc *r, vg_image *im) {
    bool flat = r->type == CU_RESOURCE_LINEAR;
    CUdeviceptr at = flat ? r->linear.at : r->pitch2d.at;
    *im = (vg_image){.base = at, .channels = flat ? r->linear.channels : r->pitch2d.channels};
    im->element = vg_format_bytes(flat ? r->linear.format : r->pitch2d.format, im->channels, &im->texel);
    if (!im->element || at % (flat ? im->element : 32))
        return CUDA_ERROR_INVALID_VALUE;
    im->width = flat ? r->linear.bytes / im->element : r->pitch2d.width;
    im->height = flat ? 0 : r->pitch2d.height;
    im->pitch = flat ? im->width * im->element : r->pitch2d.pitch;
    size_t rows = im->height ? im->height : 1, last;
    if (!im->width || im->width > ((size_t)1 << 28) || (!flat && !im->height) || im->pitch / im->element < im->width || (!flat && im->pitch % 32))
        return CUDA_ERROR_INVALID_VALUE;
    if (__builtin_mul_overflow(rows - 1, im->pitch, &last) || __builtin_add_overflow(last, im->width * im->element, &last))
        return CUDA_ERROR_INVALID_VALUE;
    return vg_memory_find(c->vg->memory, at, last) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult images(struct CUctx_st *c, const CUresourceDesc *r, vg_texture *t) {
    if (r->flags)
        return CUDA_ERROR_INVALID_VALUE;
    t->n_levels = 1;
    switch (r->type) {
    case CU_RESOURCE_ARRAY:
        if (!vg_handle_is(r->array, VG_ARRAY) || r->array->context != c)
            return CUDA_ERROR_INVALID_VALUE;
        t->level[0] = r->array->image;
        return CUDA_SUCCESS;
    case CU_RESOURCE_MIPMAPPED:
        if (!vg_handle_is(r->mipmapped, VG_MIPMAPPED) || r->mipmapped->context != c)
            return CUDA_ERROR_INVALID_VALUE;
        t->n_levels = r->mipmapped->n_levels;
        for (unsigned i = 0; i < t->n_levels; i++)
            t->level[i] = r->mipmapped->level[i]->image;
        return CUDA_SUCCESS;
    case CU_RESOURCE_LINEAR: case CU_RESOURCE_PITCH2D:
        t->linear_memory = r->type == CU_RESOURCE_LINEAR;
        return linear_image(c, r, &t->level[0]);
    default: return CUDA_ERROR_INVALID_VALUE;
    }
}

static CUresult sampler(const CUtextureDesc *d, vg_texture *t) {
    for (int i = 0; i < 3; i++) {
        if (d->address[i] < VG_WRAP || d->address[i] > VG_BORDER)
            return CUDA_ERROR_INVALID_VALUE;
        t->address[i] = (vg_address_mode)d->address[i];
    }
    unsigned known = READ_AS_INTEGER | NORMALIZED | SRGB | NO_TRILINEAR_SHORTCUT | SEAMLESS;
    if ((d->filter != 0 && d->filter != 1) || (d->mip_filter != 0 && d->mip_filter != 1) || (d->flags & ~known))
        return CUDA_ERROR_INVALID_VALUE;
    if (d->flags & (SRGB | SEAMLESS))
        return CUDA_ERROR_NOT_SUPPORTED;
    vg_texel k = t->level[0].texel;
    bool wide = k == VG_TEXEL_U32 || k == VG_TEXEL_S32, fraction = k == VG_TEXEL_F16 || k == VG_TEXEL_F32;
    t->as_integer = wide || ((d->flags & READ_AS_INTEGER) && !fraction);   // the flag concerns 8- and 16-bit integers; 32-bit ones are never converted
    t->linear = d->filter == 1;
    t->mip_linear = d->mip_filter == 1;
    t->normalized = d->flags & NORMALIZED;
    if (t->linear && t->as_integer)
        return CUDA_ERROR_INVALID_VALUE;   // integers are not filtered
    for (int i = 0; i < 3; i++)   // wrap and mirror exist for normalised coordinates only; else they clamp
        if (!t->normalized && (t->address[i] == VG_WRAP || t->address[i] == VG_MIRROR))
            t->address[i] = VG_CLAMP;
    t->mip_bias = d->mip_bias;
    t->mip_min = d->mip_min;
    t->mip_max = d->mip_max;
    memcpy(t->border, d->border, sizeof t->border);
    return CUDA_SUCCESS;
}

// A view may select levels; other changes of shape or format are not implemented.
static CUresult view(const CUviewDesc *v, vg_texture *t) {
    const vg_image *im = &t->level[0];
    if (v->first_level > v->last_level || v->last_level >= t->n_levels || v->first_layer > v->last_layer)
        return CUDA_ERROR_INVALID_VALUE;
    size_t depth = im->layers ? im->layers : im->depth;
    if (v->format || v->width != im->width || v->height != im->height || v->depth != depth || v->first_layer || (v->last_layer && v->last_layer + 1 != im->layers))
        return CUDA_ERROR_NOT_SUPPORTED;
    memmove(&t->level[0], &t->level[v->first_level], (v->last_level - v->first_level + 1) * sizeof t->level[0]);
    t->n_levels = v->last_level - v->first_level + 1;
    return CUDA_SUCCESS;
}

static CUresult create(uint64_t *out, const CUresourceDesc *r, const CUtextureDesc *d, const CUviewDesc *v, bool surface) {
    struct CUctx_st *c;
    CUresult result = vg_front_enter(&c);
    if (result != CUDA_SUCCESS)
        return result;
    struct vg_texture_front *f = front_of(c);
    object *o = NULL;
    uint64_t handle = 0;
    vg_texture t = {.used = true, .surface = surface}, *at;
    result = !out || !r || (!d && !surface) ? CUDA_ERROR_INVALID_VALUE : images(c, r, &t);
    if (result == CUDA_SUCCESS && surface && (r->type != CU_RESOURCE_ARRAY || !(r->array->desc.flags & CU_ARRAY_SURFACE)))
        result = CUDA_ERROR_INVALID_VALUE;
    if (result == CUDA_SUCCESS && !surface)
        result = sampler(d, &t);
    if (result == CUDA_SUCCESS && v)
        result = view(v, &t);
    at = result == CUDA_SUCCESS && f ? place(f, &o, &handle) : NULL;
    if (!at)
        return vg_front_leave(c, result == CUDA_SUCCESS ? CUDA_ERROR_OUT_OF_MEMORY : result);
    *at = t;
    *o = (object){.resource = *r, .has_view = v != NULL};
    if (d)
        o->texture = *d;
    if (v)
        o->view = *v;
    *out = handle;
    return vg_front_leave(c, CUDA_SUCCESS);
}

VG_API CUresult cuTexObjectCreate(CUtexObject *out, const CUresourceDesc *r, const CUtextureDesc *d, const CUviewDesc *v) {
    return create((uint64_t *)out, r, d, v, false);
}
VG_API CUresult cuSurfObjectCreate(CUsurfObject *out, const CUresourceDesc *r) { return create((uint64_t *)out, r, NULL, NULL, true); }

static CUresult find(uint64_t handle, bool surface, const void *out, object *o, bool destroy) {
    struct CUctx_st *c;
    CUresult r = vg_front_enter(&c);
    if (r != CUDA_SUCCESS)
        return r;
    struct vg_texture_front *f = (struct vg_texture_front *)(void *)c->vg->textures;
    const vg_texture *t = f ? vg_texture_of(&f->shared, handle) : NULL;
    if (!t || t->surface != surface || !out)
        return vg_front_leave(c, CUDA_ERROR_INVALID_VALUE);
    uint64_t i = handle - VG_TEXTURE_BASE - 1;
    *o = f->object[i / VG_TEXTURE_CHUNK][i % VG_TEXTURE_CHUNK];
    if (destroy) {
        r = vg_work_drain(c, NULL);
        f->shared.chunk[i / VG_TEXTURE_CHUNK][i % VG_TEXTURE_CHUNK].used = false;
    }
    return vg_front_leave(c, r);
}
VG_API CUresult cuTexObjectDestroy(CUtexObject t) { object o; return find(t, false, &o, &o, true); }
VG_API CUresult cuSurfObjectDestroy(CUsurfObject t) { object o; return find(t, true, &o, &o, true); }
VG_API CUresult cuTexObjectGetResourceDesc(CUresourceDesc *out, CUtexObject t) {
    object o;
    CUresult r = find(t, false, out, &o, false);
    return r == CUDA_SUCCESS ? (*out = o.resource, r) : r;
}
VG_API CUresult cuTexObjectGetTextureDesc(CUtextureDesc *out, CUtexObject t) {
    object o;
    CUresult r = find(t, false, out, &o, false);
    return r == CUDA_SUCCESS ? (*out = o.texture, r) : r;
}
VG_API CUresult cuTexObjectGetResourceViewDesc(CUviewDesc *out, CUtexObject t) {
    object o;
    CUresult r = find(t, false, out, &o, false);
    return r != CUDA_SUCCESS ? r : o.has_view ? (*out = o.view, r) : CUDA_ERROR_INVALID_VALUE;
}
VG_API CUresult cuSurfObjectGetResourceDesc(CUresourceDesc *out, CUsurfObject t) {
    object o;
    CUresult r = find(t, true, out, &o, false);
    return r == CUDA_SUCCESS ? (*out = o.resource, r) : r;
}
