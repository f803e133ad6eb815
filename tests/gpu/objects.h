// What the cases of gpu_diff use beside plain memory: textures, surfaces and tensor maps, made by the driver under test. A driver is the handle of its library; results are
// CUresult. owns: what was made stays until the context ends.
#ifndef HONE_TEST_GPU_OBJECTS_H
#define HONE_TEST_GPU_OBJECTS_H
#include <stddef.h>
#include <stdint.h>

// Places in the table of handles, in steps of 8 bytes; the surfaces come last. cases.def knows the offsets.
enum {
    OBJECT_GATHER, OBJECT_BYTES, OBJECT_MIX, OBJECT_MIP_1D, OBJECT_MIP_2D, OBJECT_MIP_CUBE, OBJECT_LAYERS, OBJECT_VOLUME,
    OBJECT_SURFACES, OBJECT_U8X4 = OBJECT_SURFACES, OBJECT_U32, OBJECT_S16X2, OBJECT_F16X4, OBJECT_F32X2, OBJECT_U32X2, N_OBJECTS
};
// Surfaces are 16 x 16 texels. Kernel parameters: MAP_TILE: 8 x 16 of the inputs as 256 rows of 32 words; MAP_SWIZZLED: 32 x 8, swizzle of 128 bytes; MAP_IM2COL: 32 pixels of
// 4 channels of the inputs as 32 images of 8 x 8, a filter of 3 x 3; MAP_OUT: 8 x 16 of the scratch memory as 64 rows of 32 words; MAP_FILLED: 8 x 16 of the inputs as 256
// rows of 64 halves of which 61 belong to it, NaN outside.
enum { MAP_TILE, MAP_SWIZZLED, MAP_IM2COL, MAP_OUT, MAP_FILLED, N_MAPS, MAP_BYTES = 128, SURFACE_SIDE = 16 };

typedef struct objects {
    void *library;
    uint64_t handles[N_OBJECTS];
    void *images[N_OBJECTS];
    const char *missing;      // the first that the driver did not make, and its answer; NULL: none
    int result;
} objects;

// What cannot be made has handle 0 and is named in o->missing.
void objects_make(void *library, objects *o);
int objects_refill(const objects *o);                                     // the surfaces, with their first content
int objects_read(const objects *o, unsigned which, uint32_t *out);        // a surface, row by row, without gaps
int objects_maps(void *library, uint64_t in, uint64_t scratch, unsigned char (*maps)[MAP_BYTES]);   // maps: aligned to 64 bytes
#endif
