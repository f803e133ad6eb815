// Textures and surfaces as kernels see them: images (memory with a format and a shape) and how a texture object reads them. The driver front makes
// the objects; op_tex.c resolves a handle and samples. Filtering follows the CUDA programming guide, appendix "Texture Fetching": linear filtering
// takes its weights as 9-bit fixed-point numbers with 8 bits of fraction.
#ifndef HONE_VGPU_TEXTURE_H
#define HONE_VGPU_TEXTURE_H
#include "vgpu/mem.h"

typedef enum vg_texel { VG_TEXEL_U8, VG_TEXEL_U16, VG_TEXEL_U32, VG_TEXEL_S8, VG_TEXEL_S16, VG_TEXEL_S32, VG_TEXEL_F16, VG_TEXEL_F32 } vg_texel;
typedef enum vg_address_mode { VG_WRAP, VG_CLAMP, VG_MIRROR, VG_BORDER } vg_address_mode;
enum { VG_MIP_LEVELS = 16 };

typedef struct vg_image {
    uint64_t base;                       // device address of the first texel
    vg_texel texel;
    unsigned channels;                   // 1, 2, 4
    unsigned element;                    // bytes of a texel
    size_t width, height, depth;         // in texels; height 0: 1D; depth: slices of a 3D image, else 0
    size_t layers;                       // of a layered image or faces × layers of a cube map, else 0
    bool cube;
    size_t pitch;                        // bytes between rows
} vg_image;

typedef struct vg_texture {
    bool used, surface, linear_memory;   // linear_memory: CU_RESOURCE_LINEAR, read by element index
    vg_image level[VG_MIP_LEVELS];
    unsigned n_levels;
    vg_address_mode address[3];
    bool linear, mip_linear, normalized, as_integer, srgb, seamless;
    float mip_bias, mip_min, mip_max, border[4];
} vg_texture;

// The objects of a context: handle = VG_TEXTURE_BASE + index + 1, without the upper three bits, which addresses of declared textures have (istypep).
// threads: read without a lock by running kernels; made between launches.
#define VG_TEXTURE_BASE 0x1e78000000000000ull
enum { VG_TEXTURES_MAX = 1 << 16, VG_TEXTURE_CHUNK = 256 };
typedef struct vg_textures {
    vg_texture *chunk[VG_TEXTURES_MAX / VG_TEXTURE_CHUNK];
    size_t n;
} vg_textures;

// The object of a handle, or NULL.
static inline const vg_texture *vg_texture_of(const vg_textures *t, uint64_t handle) {
    uint64_t i = handle - VG_TEXTURE_BASE - 1;
    if (!t || i >= t->n || !t->chunk[i / VG_TEXTURE_CHUNK])
        return NULL;
    const vg_texture *x = &t->chunk[i / VG_TEXTURE_CHUNK][i % VG_TEXTURE_CHUNK];
    return x->used ? x : NULL;
}

// ---- reading (texture.c)

typedef enum vg_tex_shape { VG_TEX_1D, VG_TEX_2D, VG_TEX_3D, VG_TEX_A1D, VG_TEX_A2D, VG_TEX_CUBE, VG_TEX_ACUBE } vg_tex_shape;
typedef struct vg_fetch {
    vg_tex_shape shape;
    bool integer;                        // coordinates are texel indexes
    float at[3];
    int32_t index[3];                    // when integer
    uint32_t layer;
    float level;
    bool has_grad;                       // the level comes from these derivatives instead, isotropically
    float dx[3], dy[3];
} vg_fetch;
typedef enum vg_fetch_result { VG_FETCHED, VG_FETCH_FREED /* its memory is gone */, VG_FETCH_UNWRITTEN } vg_fetch_result;
// The four components as bits: binary32, or integers when the texture reads as integers.
vg_fetch_result vg_texture_fetch(const vg_memory *m, const vg_texture *t, const vg_fetch *f, uint32_t out[4]);
// The four texels whose linear mixture a 2D fetch (or one on a cube's face) is, component 0 to 3 of each: (0,1) (1,1) (1,0) (0,0) from the first one on.
vg_fetch_result vg_texture_gather(const vg_memory *m, const vg_texture *t, const vg_fetch *f, unsigned component, uint32_t out[4]);
// Whether an instruction of that shape may read the object.
bool vg_texture_fits(const vg_texture *t, vg_tex_shape shape);
// Device address of byte x of row y, slice or layer z of a surface; false outside. Clamps into the image first when asked to.
bool vg_surface_address(const vg_image *im, vg_tex_shape shape, int32_t x, int32_t y, int32_t z, unsigned bytes, bool clamp, uint64_t *address);
#endif
