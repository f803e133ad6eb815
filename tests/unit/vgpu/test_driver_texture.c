// Textures and surfaces through the driver: addressing, filtering with 8-bit weights, read modes, layers, levels, cube maps, boundary modes of surfaces.
#include "driver_fixture.h"
#include <math.h>

CUresult cuArray3DCreate_v2(CUarray *a, const CUarray3DDesc *d);
CUresult cuArrayDestroy(CUarray a);
CUresult cuMemcpy3D_v2(const CUmemcpy3D *p);
CUresult cuMemcpyAtoH_v2(void *d, CUarray a, size_t at, size_t n);
CUresult cuMipmappedArrayCreate(CUmipmappedArray *m, const CUarray3DDesc *d, unsigned levels);
CUresult cuMipmappedArrayGetLevel(CUarray *a, CUmipmappedArray m, unsigned level);
CUresult cuTexObjectCreate(CUtexObject *t, const CUresourceDesc *r, const CUtextureDesc *d, const CUviewDesc *v);
CUresult cuTexObjectDestroy(CUtexObject t);
CUresult cuSurfObjectCreate(CUsurfObject *t, const CUresourceDesc *r);

#define OK(call) assert_int_equal(call, CUDA_SUCCESS)
enum { U8 = 1, S16 = 9, U32 = 3, HALF = 16, FLOAT = 32, INTEGERS = 1, NORMALIZED = 2, WRAP = 0, CLAMP = 1, MIRROR = 2, BORDER = 3 };

// out[0..3] = tex(object, x, y, z)
#define TEX_KERNEL(name, op, coordinates, level)                                                                                                          \
    PTX_HEAD ".visible .entry " name "(.param .u64 o, .param .u64 p, .param .f32 x, .param .f32 y, .param .f32 z, .param .f32 l)\n{\n.reg .b64 %o, %p;\n" \
    ".reg .f32 %x, %y, %z, %l, %r<4>;\n.reg .b32 %i, %j;\nld.param.u64 %o, [o];\nld.param.u64 %p, [p];\nld.param.f32 %x, [x];\nld.param.f32 %y, [y];\n"        \
    "ld.param.f32 %z, [z];\nld.param.f32 %l, [l];\ncvt.rzi.s32.f32 %i, %x;\ncvt.rzi.s32.f32 %j, %y;\n" op                                                  \
    " {%r0, %r1, %r2, %r3}, [%o, {" coordinates "}]" level ";\nst.global.v4.f32 [%p], {%r0, %r1, %r2, %r3};\nret;\n}\n"

static CUarray array(CUarray3DDesc d, const void *data, unsigned element) {
    CUarray a = NULL;
    OK(cuArray3DCreate_v2(&a, &d));
    size_t rows = d.height ? d.height : 1, slices = d.depth ? d.depth : 1;
    OK(cuMemcpy3D_v2(&(CUmemcpy3D){.from = {.type = CU_MEMORY_HOST, .host = (void *)(uintptr_t)data, .pitch = d.width * element, .rows = rows},
                                   .to = {.type = CU_MEMORY_ARRAY, .array = a}, .width_bytes = d.width * element, .height = rows, .depth = slices}));
    return a;
}
static CUtexObject texture(CUarray a, int address, int filter, unsigned flags) {
    CUtexObject t = 0;
    CUtextureDesc d = {.address = {address, address, address}, .filter = filter, .flags = flags, .border = {9, 9, 9, 9}};
    OK(cuTexObjectCreate(&t, &(CUresourceDesc){.type = CU_RESOURCE_ARRAY, .array = a}, &d, NULL));
    return t;
}
static float out[4];
static float fetch(const char *ptx, const char *name, CUtexObject t, float x, float y, float z, float l) {
    CUdeviceptr p = upload(NULL, 16);
    void *params[] = {&t, &p, &x, &y, &z, &l};
    OK(run_kernel(load_kernel(ptx, name), 1, 1, params));
    OK(cuMemcpyDtoH_v2(out, p, 16));
    no_finding();
    return out[0];
}
static float tex_1d(CUtexObject t, float x) { return fetch(TEX_KERNEL("k", "tex.1d.v4.f32.f32", "%x", ""), "k", t, x, 0, 0, 0); }
static float tex_2d(CUtexObject t, float x, float y) { return fetch(TEX_KERNEL("k", "tex.2d.v4.f32.f32", "%x, %y", ""), "k", t, x, y, 0, 0); }
static void is(float got, float expected) {
    if (got != expected)
        fail_msg("%.9g, expected %.9g", (double)got, (double)expected);
}

static const float ramp[4] = {0, 1, 4, 16};
static void addresses_follow_the_mode(void **state) {
    (void)state;
    CUarray a = array((CUarray3DDesc){4, 0, 0, FLOAT, 1, 0}, ramp, 4);
    CUtexObject t = texture(a, CLAMP, 0, 0);
    is(tex_1d(t, 1.99f), 1);
    is(tex_1d(t, -3), 0);
    is(tex_1d(t, 100), 16);
    t = texture(a, WRAP, 0, 0);   // not normalised: clamps
    is(tex_1d(t, 4.5f), 16);
    t = texture(a, WRAP, 0, NORMALIZED);
    is(tex_1d(t, 0.3f), 1);
    is(tex_1d(t, 1.3f), 1);
    is(tex_1d(t, -0.2f), 16);
    t = texture(a, MIRROR, 0, NORMALIZED);
    is(tex_1d(t, 1.1f), 16);
    is(tex_1d(t, -0.3f), 1);
    t = texture(a, BORDER, 0, 0);
    is(tex_1d(t, -0.5f), 9);
    is(tex_1d(t, 3.5f), 16);
}

static void linear_weights_have_eight_bits(void **state) {
    (void)state;
    CUarray a = array((CUarray3DDesc){4, 0, 0, FLOAT, 1, 0}, ramp, 4);
    CUtexObject t = texture(a, CLAMP, 1, 0);
    is(tex_1d(t, 1.5f), 1);
    is(tex_1d(t, 2.0f), 2.5f);
    is(tex_1d(t, 0.5f + 0.3f), 77.0f / 256);   // 0.3 → 77/256
    is(tex_1d(t, 0.5f + 0.001f), 0);           // less than half a step
    is(tex_1d(t, 3.9f), 16);
    const float square[4] = {0, 1, 2, 3};
    t = texture(array((CUarray3DDesc){2, 2, 0, FLOAT, 1, 0}, square, 4), CLAMP, 1, 0);
    is(tex_2d(t, 1, 1), 1.5f);
    is(tex_2d(t, 0.75f, 1.25f), 0.25f + 1.5f);
}

static void integers_are_normalised_or_kept(void **state) {
    (void)state;
    const uint8_t bytes[8] = {0, 51, 102, 255, 1, 2, 3, 4};
    CUarray a = array((CUarray3DDesc){2, 0, 0, U8, 4, 0}, bytes, 4);
    tex_1d(texture(a, CLAMP, 0, 0), 0.5f);
    is(out[1], 51.0f / 255);
    is(out[3], 1);
    tex_1d(texture(a, CLAMP, 0, INTEGERS), 1.5f);
    assert_memory_equal(out, ((uint32_t[4]){1, 2, 3, 4}), 16);
    const int16_t words[2] = {-32768, 16384};
    a = array((CUarray3DDesc){2, 0, 0, S16, 1, 0}, words, 2);
    is(tex_1d(texture(a, CLAMP, 0, 0), 0.5f), -1);
    const uint16_t half[2] = {0x3c00, 0xc200};   // 1, -3
    is(tex_1d(texture(array((CUarray3DDesc){2, 0, 0, HALF, 1, 0}, half, 2), CLAMP, 0, 0), 1.5f), -3);
}

static void layers_and_slices_and_faces(void **state) {
    (void)state;
    float data[6][2][2];
    for (int i = 0; i < 24; i++)
        (&data[0][0][0])[i] = (float)i;
    CUtexObject t = texture(array((CUarray3DDesc){2, 2, 6, FLOAT, 1, CU_ARRAY_LAYERED}, data, 4), CLAMP, 0, 0);
    is(fetch(TEX_KERNEL("k", "tex.a2d.v4.f32.f32", "%i, %y, %z, %z", ""), "k", t, 4, 1.5f, 0.5f, 0), 17);
    is(fetch(TEX_KERNEL("k", "tex.a2d.v4.f32.f32", "%i, %y, %z, %z", ""), "k", t, 99, 0.5f, 0.5f, 0), 20);   // the last layer
    t = texture(array((CUarray3DDesc){2, 2, 6, FLOAT, 1, 0}, data, 4), CLAMP, 0, 0);
    is(fetch(TEX_KERNEL("k", "tex.3d.v4.f32.f32", "%x, %y, %z, %z", ""), "k", t, 1.5f, 1.5f, 2.5f, 0), 11);
    t = texture(array((CUarray3DDesc){2, 2, 6, FLOAT, 1, CU_ARRAY_CUBEMAP}, data, 4), CLAMP, 0, 0);
    is(fetch(TEX_KERNEL("k", "tex.cube.v4.f32.f32", "%x, %y, %z, %z", ""), "k", t, 1, 0.5f, 0.5f, 0), 0);    // +x: s = -z, t = -y
    is(fetch(TEX_KERNEL("k", "tex.cube.v4.f32.f32", "%x, %y, %z, %z", ""), "k", t, 0.5f, -0.5f, -1, 0), 22);   // -z: s = -x, t = -y
}

static void levels_are_chosen_and_blended(void **state) {
    (void)state;
    CUmipmappedArray m;
    OK(cuMipmappedArrayCreate(&m, &(CUarray3DDesc){4, 0, 0, FLOAT, 1, 0}, 3));
    for (unsigned i = 0; i < 3; i++) {
        CUarray a;
        float value[4] = {(float)(10 * i), (float)(10 * i), (float)(10 * i), (float)(10 * i)};
        OK(cuMipmappedArrayGetLevel(&a, m, i));
        OK(cuMemcpy3D_v2(&(CUmemcpy3D){.from = {.type = CU_MEMORY_HOST, .host = value}, .to = {.type = CU_MEMORY_ARRAY, .array = a}, .width_bytes = 16u >> i, .height = 1, .depth = 1}));
    }
    CUtextureDesc d = {.address = {CLAMP, CLAMP, CLAMP}, .flags = NORMALIZED, .mip_filter = 1, .mip_max = 8};
    CUtexObject t;
    CUresourceDesc r = {.type = CU_RESOURCE_MIPMAPPED, .mipmapped = m};
    OK(cuTexObjectCreate(&t, &r, &d, NULL));
    static const char k[] = TEX_KERNEL("k", "tex.level.1d.v4.f32.f32", "%x", ", %l");
    is(fetch(k, "k", t, 0.5f, 0, 0, 0.25f), 2.5f);
    is(fetch(k, "k", t, 0.5f, 0, 0, 7), 20);
    d.mip_filter = 0;
    d.mip_max = 1;
    OK(cuTexObjectCreate(&t, &r, &d, NULL));
    is(fetch(k, "k", t, 0.5f, 0, 0, 0.4f), 0);
    is(fetch(k, "k", t, 0.5f, 0, 0, 2), 10);
}

static void linear_memory_is_read_by_index(void **state) {
    (void)state;
    CUtexObject t;
    CUdeviceptr p = upload(ramp, sizeof ramp);
    CUtextureDesc d = {.address = {CLAMP, CLAMP, CLAMP}};
    OK(cuTexObjectCreate(&t, &(CUresourceDesc){.type = CU_RESOURCE_LINEAR, .linear = {p, FLOAT, 1, 16}}, &d, NULL));
    static const char k[] = TEX_KERNEL("k", "tex.1d.v4.f32.s32", "%i", "");
    is(fetch(k, "k", t, 2, 0, 0, 0), 4);
    is(fetch(k, "k", t, 4, 0, 0, 0), 0);   // outside
}

#define SURFACE_KERNEL(mode)                                                                                                                       \
    PTX_HEAD ".visible .entry k(.param .u64 o, .param .u32 x, .param .u32 y)\n{\n.reg .b64 %o;\n.reg .b32 %x, %y, %v;\nld.param.u64 %o, [o];\n"    \
    "ld.param.u32 %x, [x];\nld.param.u32 %y, [y];\nsuld.b.2d.b32." mode " {%v}, [%o, {%x, %y}];\nadd.u32 %v, %v, 100;\n"                           \
    "sust.b.2d.b32." mode " [%o, {%x, %y}], {%v};\nret;\n}\n"
static CUresult touch(const char *ptx, CUsurfObject s, int x, int y) {
    void *params[] = {&s, &x, &y};
    return run_kernel(load_kernel(ptx, "k"), 1, 1, params);
}

static void surfaces_obey_their_boundary_mode(void **state) {
    (void)state;
    const uint32_t data[2][2] = {{1, 2}, {3, 4}};
    uint32_t back[2];
    CUarray a = array((CUarray3DDesc){2, 2, 0, U32, 1, CU_ARRAY_SURFACE}, data, 4), plain = array((CUarray3DDesc){2, 2, 0, U32, 1, 0}, data, 4);
    CUsurfObject s;
    CUcontext c;
    assert_int_equal(cuSurfObjectCreate(&s, &(CUresourceDesc){.type = CU_RESOURCE_ARRAY, .array = plain}), CUDA_ERROR_INVALID_VALUE);
    OK(cuSurfObjectCreate(&s, &(CUresourceDesc){.type = CU_RESOURCE_ARRAY, .array = a}));
    OK(touch(SURFACE_KERNEL("trap"), s, 4, 0));
    OK(touch(SURFACE_KERNEL("zero"), s, 8, 0));    // reads 0, writes nothing
    OK(touch(SURFACE_KERNEL("clamp"), s, -4, -7));
    OK(cuMemcpyAtoH_v2(back, a, 0, 8));
    assert_int_equal(back[0], 101);
    assert_int_equal(back[1], 102);
    no_finding();
    OK(cuCtxCreate_v2(&c, 0, 0));
    set_flags(HONE_VGPU_CHECK | HONE_VGPU_SERIAL);
    a = array((CUarray3DDesc){2, 2, 0, U32, 1, CU_ARRAY_SURFACE}, data, 4);
    OK(cuSurfObjectCreate(&s, &(CUresourceDesc){.type = CU_RESOURCE_ARRAY, .array = a}));
    assert_int_equal(touch(SURFACE_KERNEL("trap"), s, 0, 2), CUDA_ERROR_ILLEGAL_ADDRESS);
    one_finding("memory.out-of-bounds");
    OK(cuCtxDestroy_v2(c));
    OK(cuCtxSetCurrent(test_context));
}

static void wrong_objects_are_found(void **state) {
    (void)state;
    static const char k[] = TEX_KERNEL("k", "tex.2d.v4.f32.f32", "%x, %y", "");
    CUcontext c;
    for (int i = 0; i < 3; i++) {
        OK(cuCtxCreate_v2(&c, 0, 0));
        set_flags(HONE_VGPU_CHECK | HONE_VGPU_SERIAL);
        CUarray a = array((CUarray3DDesc){4, 0, 0, FLOAT, 1, 0}, ramp, 4), square = array((CUarray3DDesc){2, 2, 0, FLOAT, 1, 0}, ramp, 4);
        CUtexObject t = i == 0 ? 12345 : texture(i == 1 ? a : square, CLAMP, 0, 0);   // no object; another shape; its array is gone
        CUdeviceptr p = upload(NULL, 16);
        float x = 0;
        void *params[] = {&t, &p, &x, &x, &x, &x};
        OK(cuArrayDestroy(square));
        assert_int_equal(run_kernel(load_kernel(k, "k"), 1, 1, params), CUDA_ERROR_ILLEGAL_ADDRESS);
        one_finding(i == 2 ? "memory.use-after-free" : "memory.out-of-bounds");
        OK(cuCtxDestroy_v2(c));
    }
    OK(cuCtxSetCurrent(test_context));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(addresses_follow_the_mode, open_context, close_context),
        cmocka_unit_test_setup_teardown(linear_weights_have_eight_bits, open_context, close_context),
        cmocka_unit_test_setup_teardown(integers_are_normalised_or_kept, open_context, close_context),
        cmocka_unit_test_setup_teardown(layers_and_slices_and_faces, open_context, close_context),
        cmocka_unit_test_setup_teardown(levels_are_chosen_and_blended, open_context, close_context),
        cmocka_unit_test_setup_teardown(linear_memory_is_read_by_index, open_context, close_context),
        cmocka_unit_test_setup_teardown(surfaces_obey_their_boundary_mode, open_context, close_context),
        cmocka_unit_test_setup_teardown(wrong_objects_are_found, open_context, close_context)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
