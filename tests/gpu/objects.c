// Textures, surfaces and tensor maps through any driver, vendor's or ours, by the names that both export. The same content on each.
#include "objects.h"
#include "vgpu/driver/cuda_abi.h"
#include <dlfcn.h>
#include <string.h>

enum { U8 = 1, U32 = 3, S16 = 9, F16 = 16, F32 = 32, WRAP = 0, CLAMP = 1, INTEGERS = 1, NORMALIZED = 2, LINEAR = 1, MAX_TEXELS = 6 * 16 * 16, LEVELS = 5, NO_FUNCTION = 500 };
typedef struct shape {
    size_t width, height, depth;
    int format;
    unsigned channels, bytes, flags, levels;         // bytes: of a texel
    int address, filter;
    unsigned how;
} shape;
static const struct { const char *name; shape s; } all[N_OBJECTS] = {
    [OBJECT_GATHER] = {"texture to gather from", {7, 5, 0, U8, 4, 4, CU_ARRAY_GATHER, 1, CLAMP, 0, INTEGERS}},
    [OBJECT_BYTES] = {"texture of bytes", {16, 8, 0, U8, 4, 4, 0, 1, CLAMP, LINEAR, NORMALIZED}},
    [OBJECT_MIX] = {"texture of floats", {16, 8, 0, F32, 1, 4, 0, 1, WRAP, LINEAR, NORMALIZED}},
    [OBJECT_MIP_1D] = {"mipmapped line", {16, 0, 0, F32, 1, 4, 0, LEVELS, CLAMP, LINEAR, NORMALIZED}},
    [OBJECT_MIP_2D] = {"mipmapped image", {16, 16, 0, F32, 1, 4, 0, LEVELS, CLAMP, LINEAR, NORMALIZED}},
    [OBJECT_MIP_CUBE] = {"mipmapped cube", {16, 16, 6, F32, 1, 4, CU_ARRAY_CUBEMAP, LEVELS, CLAMP, LINEAR, NORMALIZED}},
    [OBJECT_LAYERS] = {"layered texture", {8, 6, 5, F32, 2, 8, CU_ARRAY_LAYERED, 1, CLAMP, 0, NORMALIZED}},
    [OBJECT_VOLUME] = {"volume", {4, 4, 4, F32, 1, 4, 0, 1, CLAMP, LINEAR, NORMALIZED}},
#define SURFACE(format, channels, bytes) {SURFACE_SIDE, SURFACE_SIDE, 0, format, channels, bytes, CU_ARRAY_SURFACE, 1, 0, 0, 0}
    [OBJECT_U8X4] = {"surface of bytes", SURFACE(U8, 4, 4)},
    [OBJECT_U32] = {"surface of words", SURFACE(U32, 1, 4)},
    [OBJECT_S16X2] = {"surface of shorts", SURFACE(S16, 2, 4)},
    [OBJECT_F16X4] = {"surface of halves", SURFACE(F16, 4, 8)},
    [OBJECT_F32X2] = {"surface of floats", SURFACE(F32, 2, 8)},
    [OBJECT_U32X2] = {"surface of double words", SURFACE(U32, 2, 8)},
};

#define CALL(library, name, ...)                                             \
    ({                                                                       \
        int (*f_)() = (int (*)())(uintptr_t)dlsym(library, #name);           \
        f_ ? f_(__VA_ARGS__) : NO_FUNCTION;                                  \
    })

// Level l is full of 10 l where there are several; else every channel has a value of its own.
static void fill(const shape *s, unsigned level, void *data) {
    uint32_t *w = data;
    for (unsigned i = 0; i < MAX_TEXELS * s->bytes / 4; i++) {
        const float f = s->levels > 1 ? 10.0f * (float)level : (float)(i * 37 % 101) / 64;
        if (s->format == F32)
            memcpy(&w[i], &f, 4);
        else
            w[i] = s->format == F16 ? 0x3c003800 + i % 512 : i * 2654435761u;
    }
}

static int copy_in(void *library, const shape *s, unsigned level, void *array) {
    static uint64_t data[MAX_TEXELS];
    const size_t width = s->width >> level ? s->width >> level : 1, rows = s->height >> level ? s->height >> level : 1;
    fill(s, level, data);
    const CUmemcpy3D copy = {.from = {.type = CU_MEMORY_HOST, .host = data, .pitch = width * s->bytes, .rows = rows}, .to = {.type = CU_MEMORY_ARRAY, .array = array},
                             .width_bytes = width * s->bytes, .height = rows, .depth = s->flags & CU_ARRAY_CUBEMAP ? 6 : s->depth ? s->depth : 1};
    return CALL(library, cuMemcpy3D_v2, &copy);
}

static int make_texture(void *library, const shape *s, void *resource, uint64_t *out) {
    const CUresourceDesc r = {.type = s->levels > 1 ? CU_RESOURCE_MIPMAPPED : CU_RESOURCE_ARRAY, .array = resource};
    const CUtextureDesc d = {.address = {s->address, s->address, s->address}, .filter = s->filter, .flags = s->how, .mip_filter = s->levels > 1 ? LINEAR : 0, .mip_max = LEVELS};
    return CALL(library, cuTexObjectCreate, out, &r, &d, NULL);
}

static int make(void *library, const shape *s, void **image, uint64_t *out) {
    const CUarray3DDesc d = {s->width, s->height, s->depth, s->format, s->channels, s->flags};
    int r = s->levels > 1 ? CALL(library, cuMipmappedArrayCreate, image, &d, s->levels) : CALL(library, cuArray3DCreate_v2, image, &d);
    for (unsigned level = 0; r == CUDA_SUCCESS && level < s->levels; level++) {
        void *array = *image;
        if (s->levels > 1)
            r = CALL(library, cuMipmappedArrayGetLevel, &array, *image, level);
        if (r == CUDA_SUCCESS)
            r = copy_in(library, s, level, array);
    }
    if (r != CUDA_SUCCESS)
        return r;
    const CUresourceDesc surface = {.type = CU_RESOURCE_ARRAY, .array = *image};
    return s->flags & CU_ARRAY_SURFACE ? CALL(library, cuSurfObjectCreate, out, &surface) : make_texture(library, s, *image, out);
}

void objects_make(void *library, objects *o) {
    *o = (objects){.library = library};
    for (unsigned i = 0; i < N_OBJECTS; i++) {
        const int r = make(library, &all[i].s, &o->images[i], &o->handles[i]);
        if (r != CUDA_SUCCESS && !o->missing)
            o->missing = all[i].name, o->result = r;
    }
}

int objects_refill(const objects *o) {
    for (unsigned i = OBJECT_SURFACES; i < N_OBJECTS; i++) {
        const int r = o->handles[i] ? copy_in(o->library, &all[i].s, 0, o->images[i]) : CUDA_SUCCESS;
        if (r != CUDA_SUCCESS)
            return r;
    }
    return CUDA_SUCCESS;
}

int objects_read(const objects *o, unsigned which, uint32_t *out) {
    const size_t width = SURFACE_SIDE * all[which].s.bytes;
    const CUmemcpy3D copy = {.from = {.type = CU_MEMORY_ARRAY, .array = o->images[which]}, .to = {.type = CU_MEMORY_HOST, .host = out, .pitch = width, .rows = SURFACE_SIDE},
                             .width_bytes = width, .height = SURFACE_SIDE, .depth = 1};
    return o->handles[which] ? CALL(o->library, cuMemcpy3D_v2, &copy) : NO_FUNCTION;
}

int objects_maps(void *library, uint64_t in, uint64_t scratch, unsigned char (*maps)[MAP_BYTES]) {
    enum { WORD = 2, HALF = 6, PLAIN = 0, SWIZZLE_128 = 3, NAN_OUTSIDE = 1 };
    void *const data = (void *)(uintptr_t)in, *const target = (void *)(uintptr_t)scratch;
    const uint64_t rows[2] = {32, 256}, out_rows[2] = {32, 64}, halves[2] = {61, 256}, row_bytes[1] = {128}, images[4] = {4, 8, 8, 32}, image_bytes[3] = {16, 128, 1024};
    const uint32_t narrow[2] = {8, 16}, wide[2] = {32, 8}, one[4] = {1, 1, 1, 1};
    const int low[2] = {-1, -1}, high[2] = {-1, -1};
    int r = CALL(library, cuTensorMapEncodeTiled, maps[MAP_TILE], WORD, 2, data, rows, row_bytes, narrow, one, 0, PLAIN, 0, 0);
    if (r == CUDA_SUCCESS)
        r = CALL(library, cuTensorMapEncodeTiled, maps[MAP_SWIZZLED], WORD, 2, data, rows, row_bytes, wide, one, 0, SWIZZLE_128, 0, 0);
    if (r == CUDA_SUCCESS)
        r = CALL(library, cuTensorMapEncodeIm2col, maps[MAP_IM2COL], WORD, 4, data, images, image_bytes, low, high, 4, 32, one, 0, PLAIN, 0, 0);
    if (r == CUDA_SUCCESS)
        r = CALL(library, cuTensorMapEncodeTiled, maps[MAP_OUT], WORD, 2, target, out_rows, row_bytes, narrow, one, 0, PLAIN, 0, 0);
    if (r == CUDA_SUCCESS)
        r = CALL(library, cuTensorMapEncodeTiled, maps[MAP_FILLED], HALF, 2, data, halves, row_bytes, narrow, one, 0, PLAIN, 0, NAN_OUTSIDE);
    return r;
}
