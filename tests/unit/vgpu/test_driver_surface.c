// Textures and surfaces beyond plain fetches: gathers, levels from derivatives, queries, formatted stores and reductions, each against what is worked
// out here from the image.
#include "driver_fixture.h"
#include <math.h>

CUresult cuArray3DCreate_v2(CUarray *a, const CUarray3DDesc *d);
CUresult cuMemcpy3D_v2(const CUmemcpy3D *p);
CUresult cuMemcpyAtoH_v2(void *d, CUarray a, size_t at, size_t n);
CUresult cuMipmappedArrayCreate(CUmipmappedArray *m, const CUarray3DDesc *d, unsigned levels);
CUresult cuMipmappedArrayGetLevel(CUarray *a, CUmipmappedArray m, unsigned level);
CUresult cuTexObjectCreate(CUtexObject *t, const CUresourceDesc *r, const CUtextureDesc *d, const CUviewDesc *v);
CUresult cuSurfObjectCreate(CUsurfObject *t, const CUresourceDesc *r);

#define OK(call) assert_int_equal(call, CUDA_SUCCESS)
enum { U8 = 1, U16 = 2, U32 = 3, S8 = 8, S16 = 9, S32 = 10, HALF = 16, FLOAT = 32, INTEGERS = 1, NORMALIZED = 2, WRAP = 0, CLAMP = 1 };
#define KERNEL(body)                                                                                                                                     \
    PTX_HEAD ".visible .entry k(.param .u64 o, .param .u64 p, .param .b32 a, .param .b32 b, .param .b32 c, .param .b32 d)\n{\n.reg .b64 %o, %p, %w;\n"      \
             ".reg .f32 %a, %b, %c, %d; .reg .b32 %r<8>, %i, %j, %k, %l; .reg .pred %q<4>;\nld.param.u64 %o, [o]; ld.param.u64 %p, [p];\n"                 \
             "ld.param.f32 %a, [a]; ld.param.f32 %b, [b]; ld.param.f32 %c, [c]; ld.param.f32 %d, [d]; mov.b32 %i, %a; mov.b32 %j, %b; mov.b32 %k, %c;\n"     \
             "mov.b32 %l, %d;\n" body "\nret;\n}\n"
#define STORE "st.global.v4.b32 [%p], {%r0, %r1, %r2, %r3};"

static CUarray array(CUarray3DDesc d, const void *data, unsigned element) {
    CUarray a = NULL;
    OK(cuArray3DCreate_v2(&a, &d));
    const size_t rows = d.height ? d.height : 1, slices = d.depth ? d.depth : 1;
    OK(cuMemcpy3D_v2(&(CUmemcpy3D){.from = {.type = CU_MEMORY_HOST, .host = (void *)(uintptr_t)data, .pitch = d.width * element, .rows = rows},
                                   .to = {.type = CU_MEMORY_ARRAY, .array = a}, .width_bytes = d.width * element, .height = rows, .depth = slices}));
    return a;
}
static CUtexObject texture(CUarray a, int address, unsigned flags) {
    CUtexObject t = 0;
    const CUtextureDesc d = {.address = {address, address, address}, .flags = flags};
    OK(cuTexObjectCreate(&t, &(CUresourceDesc){.type = CU_RESOURCE_ARRAY, .array = a}, &d, NULL));
    return t;
}
static CUsurfObject surface(CUarray a) {
    CUsurfObject s = 0;
    OK(cuSurfObjectCreate(&s, &(CUresourceDesc){.type = CU_RESOURCE_ARRAY, .array = a}));
    return s;
}
typedef union word { float f; int32_t i; uint32_t u; } word;
static word out[4];
static CUresult run(const char *ptx, uint64_t object, word a, word b, word c, word d, unsigned threads) {
    CUdeviceptr p = upload(out, sizeof out);
    void *params[] = {&object, &p, &a, &b, &c, &d};
    const CUresult r = run_kernel(load_kernel(ptx, "k"), 1, threads, params);
    if (r == CUDA_SUCCESS) {
        OK(cuMemcpyDtoH_v2(out, p, sizeof out));
        no_finding();
    }
    return r;
}
static void floats(const char *ptx, uint64_t object, float a, float b, float c, float d) {
    OK(run(ptx, object, (word){.f = a}, (word){.f = b}, (word){.f = c}, (word){.f = d}, 1));
}

// Component g of 7 x 5 texels of four bytes, everywhere and outside, clamped; the corner's place in steps of 1/256.
static void gathers_take_the_four_texels_of_a_mixture(void **state) {
    (void)state;
    uint8_t image[5][7][4];
    for (int i = 0; i < 5 * 7 * 4; i++)
        (&image[0][0][0])[i] = (uint8_t)(i * 7 + i / 9);
    const CUtexObject t = texture(array((CUarray3DDesc){7, 5, 0, U8, 4, 0}, image, 4), CLAMP, INTEGERS);
    const float at[] = {-3, 0, 0.25f, 0.49f, 0.5f, 0.75f, 1.5f, 2.498f, 2.49805f, 2.4990234f, 3.3f, 4.9f, 6.5f, 6.51f, 9};
    for (size_t n = 0; n < HONE_COUNT(at) * HONE_COUNT(at); n++) {
        const float x = at[n % HONE_COUNT(at)], y = at[n / HONE_COUNT(at)];
        floats(KERNEL("tld4.g.2d.v4.u32.f32 {%r0, %r1, %r2, %r3}, [%o, {%a, %b}];" STORE), t, x, y, 0, 0);
        const int i = (int)floor(floor(((double)x - 0.5) * 256 + 0.5) / 256), j = (int)floor(floor(((double)y - 0.5) * 256 + 0.5) / 256);
        static const int dx[4] = {0, 1, 1, 0}, dy[4] = {1, 1, 0, 0};
        for (int k = 0; k < 4; k++) {
            const int u = i + dx[k] < 0 ? 0 : i + dx[k] > 6 ? 6 : i + dx[k], v = j + dy[k] < 0 ? 0 : j + dy[k] > 4 ? 4 : j + dy[k];
            if (out[k].u != image[v][u][1])
                fail_msg("(%g, %g): value %d is %u, expected %u", (double)x, (double)y, k, out[k].u, image[v][u][1]);
        }
    }
    floats(KERNEL("tld4.a.2d.v4.u32.f32 {%r0, %r1, %r2, %r3}, [%o, {%a, %b}];" STORE), t, 1, 1, 0, 0);
    assert_int_equal(out[3].u, image[0][0][3]);
}

static void levels(CUmipmappedArray m, size_t bytes, unsigned height, unsigned depth) {   // level i is full of 10 i
    static float data[6 * 16 * 16];
    for (unsigned i = 0; i < 4; i++) {
        CUarray a;
        const size_t rows = height ? (height >> i ? height >> i : 1) : 1;
        for (size_t k = 0; k < HONE_COUNT(data); k++)
            data[k] = 10.0f * (float)i;
        OK(cuMipmappedArrayGetLevel(&a, m, i));
        OK(cuMemcpy3D_v2(&(CUmemcpy3D){.from = {.type = CU_MEMORY_HOST, .host = data, .pitch = bytes >> i, .rows = rows}, .to = {.type = CU_MEMORY_ARRAY, .array = a},
                                       .width_bytes = bytes >> i, .height = rows, .depth = depth}));
    }
}
static CUtexObject mipmapped(CUarray3DDesc d) {
    CUmipmappedArray m;
    CUtexObject t;
    OK(cuMipmappedArrayCreate(&m, &d, 4));
    levels(m, d.width * 4, (unsigned)d.height, d.depth ? (unsigned)d.depth : 1);
    const CUtextureDesc how = {.address = {CLAMP, CLAMP, CLAMP}, .flags = NORMALIZED, .mip_filter = 1, .mip_max = 8};
    OK(cuTexObjectCreate(&t, &(CUresourceDesc){.type = CU_RESOURCE_MIPMAPPED, .mipmapped = m}, &how, NULL));
    return t;
}
static void level_is(float level) {
    if (fabsf(out[0].f - 10 * level) > 10.0f / 64)   // blended in steps of 1/256
        fail_msg("%g, expected level %g", (double)out[0].f, (double)level);
}
// Half the longer axis of the ellipse that two steps span, as hardware estimates it: within 1 % where it rounds on the way.
static float longer_axis(double xu, double xv, double yu, double yv) {
    const double v[4][2] = {{xu, xv}, {yu, yv}, {(xu + yu) * 0.6875, (xv + yv) * 0.6875}, {(xu - yu) * 0.6875, (xv - yv) * 0.6875}};
    double most = 0;
    for (int i = 0; i < 4; i++)
        most = fmax(most, fmax(fabs(v[i][0]), fabs(v[i][1])) + 0.3125 * fmin(fabs(v[i][0]), fabs(v[i][1])));
    return (float)most;
}
static void given_levels_are_cut_to_256ths(void **state) {
    (void)state;
    const CUtexObject t = mipmapped((CUarray3DDesc){16, 0, 0, FLOAT, 1, 0});
    for (int i = 0; i < 256; i += 5) {
        floats(KERNEL("tex.level.1d.v4.f32.f32 {%r0, %r1, %r2, %r3}, [%o, {%a}], %b;" STORE), t, 0.5f, 1 + ((float)i + 0.75f) / 256, 0, 0);
        if (out[0].f != 10 + 10 * (float)i / 256)
            fail_msg("%d/256 and a bit: %.9g", i, (double)out[0].f);
    }
}
static void derivatives_choose_the_level(void **state) {
    (void)state;
    CUtexObject t = mipmapped((CUarray3DDesc){16, 0, 0, FLOAT, 1, 0});
    static const char one[] = KERNEL("tex.grad.1d.v4.f32.f32 {%r0, %r1, %r2, %r3}, [%o, {%a}], {%b}, {%c};" STORE);
    for (int i = 1; i < 200; i++) {   // in texels of the first level
        const float x = (float)i * 0.003f, y = (float)((i * 37) % 101) * 0.004f, most = longer_axis(16 * x, 0, 16 * y, 0);
        floats(one, t, 0.5f, x, -y, 0);
        level_is(most < 1 ? 0 : most > 8 ? 3 : log2f(most));
    }
    floats(one, t, 0.5f, 0, 0, 0);
    level_is(0);
    floats(one, t, 0.5f, 1.1205005645751953f / 16, 1.1275362968444824f / 16, 0);   // what an H100 gave, to the bit
    assert_true(out[0].f == 6.2890625f);
    t = mipmapped((CUarray3DDesc){16, 8, 0, FLOAT, 1, 0});
    static const char two[] = KERNEL("tex.grad.2d.v4.f32.f32 {%r0, %r1, %r2, %r3}, [%o, {%a, %a}], {%b, %c}, {%d, %d};" STORE);
    floats(two, t, 0.5f, 3.0f / 16, 4.0f / 8, 0.01f);   // (3, 4) and next to nothing
    level_is(log2f(longer_axis(3, 4, 0.16, 0.08)));
    floats(two, t, 0.5f, 0.01f, 0.01f, 0.25f);          // 4 and 2
    level_is(log2f(longer_axis(0.16, 0.08, 4, 2)));
    floats(two, t, 0.5f, 2.0f / 16, -3.0f / 8, 0.25f);  // (2, -3) and (4, 2): neither of them, nor their sum
    level_is(log2f(longer_axis(2, -3, 4, 2)));
    static const char four[] = KERNEL("mul.f32 %a, %a, 0f3D800000; mul.f32 %b, %b, 0f3D800000; mul.f32 %c, %c, 0f3D800000; mul.f32 %d, %d, 0f3D800000;\n"
                                      "tex.grad.2d.v4.f32.f32 {%r0, %r1, %r2, %r3}, [%o, {%a, %a}], {%b, %c}, {%d, %a};" STORE);
    floats(four, mipmapped((CUarray3DDesc){16, 16, 0, FLOAT, 1, 0}), 2.168816089630127f, 0.2644701302051544f, 2.2540676593780518f, 0.6025826334953308f);
    assert_true(out[0].f == 16.9921875f);                // likewise
    t = mipmapped((CUarray3DDesc){16, 16, 6, FLOAT, 1, CU_ARRAY_CUBEMAP});
    static const char cube[] = KERNEL("tex.grad.cube.v4.f32.f32 {%r0, %r1, %r2, %r3}, [%o, {%a, %b, %b, %b}], {%d, %c, %b, %b}, {%b, %b, %b, %b};" STORE);
    floats(cube, t, 2, 0, 1, 0);    // t = -y/2 moves by 1/2, a quarter of the face: 4 texels
    level_is(2);
    floats(cube, t, -4, 0, 0, 8);   // straight towards the face: no step at all
    level_is(0);
}

static void queries_tell_what_the_object_is(void **state) {
    (void)state;
    static const float data[4 * 3 * 6 * 2];
    const CUarray a = array((CUarray3DDesc){4, 3, 6, FLOAT, 2, CU_ARRAY_LAYERED}, data, 8);
    static const char k[] = KERNEL("txq.width.b32 %r0, [%o]; txq.height.b32 %r1, [%o]; txq.array_size.b32 %r2, [%o]; txq.channel_order.b32 %r3, [%o];" STORE);
    floats(k, texture(a, CLAMP, NORMALIZED), 0, 0, 0, 0);
    assert_memory_equal(out, ((uint32_t[]){4, 3, 6, 0x10b2}), 16);
    floats(KERNEL("txq.channel_data_type.b32 %r0, [%o]; txq.normalized_coords.b32 %r1, [%o]; txq.num_samples.b32 %r2, [%o]; txq.num_mipmap_levels.b32 %r3, [%o];" STORE),
           texture(a, CLAMP, NORMALIZED), 0, 0, 0, 0);
    assert_memory_equal(out, ((uint32_t[]){0x10de, 1, 1, 1}), 16);
    floats(KERNEL("txq.level.width.b32 %r0, [%o], 2; mov.b32 %i, 1; txq.level.height.b32 %r1, [%o], %i; txq.num_mipmap_levels.b32 %r2, [%o]; txq.depth.b32 %r3, [%o];" STORE),
           mipmapped((CUarray3DDesc){16, 8, 0, FLOAT, 1, 0}), 0, 0, 0, 0);
    assert_memory_equal(out, ((uint32_t[]){4, 4, 4, 0}), 16);
    const uint16_t words[8] = {0};
    const CUsurfObject s = surface(array((CUarray3DDesc){8, 0, 0, S16, 1, CU_ARRAY_SURFACE}, words, 2));
    floats(KERNEL("suq.width.b32 %r0, [%o]; suq.channel_data_type.b32 %r1, [%o]; suq.channel_order.b32 %r2, [%o]; suq.height.b32 %r3, [%o];" STORE), s, 0, 0, 0, 0);
    assert_memory_equal(out, ((uint32_t[]){8, 0x10d8, 0x10b0, 0}), 16);
    // handles have none of the bits that addresses of declared textures (61), samplers (62) and surfaces (63) carry
    floats(KERNEL("mov.b64 %o, 0x2000000000000001; istypep.texref %q0, %o; istypep.surfref %q1, %o; istypep.samplerref %q2, %o; selp.b32 %r0, 1, 0, %q0; selp.b32 %r1, 1, 0, %q1;\n"
                  "selp.b32 %r2, 1, 0, %q2; mov.b64 %o, 0xc000000000000000; istypep.surfref %q0, %o; istypep.samplerref %q1, %o; istypep.texref %q2, %o;\n"
                  "selp.b32 %r3, 1, 0, %q0; @%q1 add.u32 %r3, %r3, 2; @%q2 add.u32 %r3, %r3, 4;" STORE), s, 0, 0, 0, 0);
    assert_memory_equal(out, ((uint32_t[]){1, 0, 0, 3}), 16);
    static const char is[] = KERNEL("istypep.texref %q0, %o; istypep.surfref %q1, %o; istypep.samplerref %q2, %o; selp.b32 %r0, 1, 0, %q0; selp.b32 %r1, 1, 0, %q1;\n"
                                    "selp.b32 %r2, 1, 0, %q2; mov.b32 %i, 0; tex.a2d.v4.f32.f32 {%r4, %r5, %r6, %r7}|%q3, [%o, {%i, %a, %a, %a}]; selp.b32 %r3, 1, 0, %q3;" STORE);
    floats(is, texture(a, CLAMP, 0), 0.5f, 0, 0, 0);   // and its texels are resident
    assert_memory_equal(out, ((uint32_t[]){0, 0, 0, 1}), 16);
}

static uint32_t as_texel(unsigned format, uint32_t v) {   // worked out in binary64
    const double x = format >= S8 && format <= S32 ? (double)(int32_t)v : (double)v;
    switch (format) {
    case U8: return (uint32_t)fmin(x, 255);
    case U16: return (uint32_t)fmin(x, 65535);
    case S8: return (uint32_t)(int32_t)fmax(-128, fmin(x, 127)) & 0xff;
    case S16: return (uint32_t)(int32_t)fmax(-32768, fmin(x, 32767)) & 0xffff;
    default: return v;
    }
}
static void formatted_stores_convert(void **state) {
    (void)state;
    static const struct { unsigned format, bytes; } f[] = {{U8, 1}, {U16, 2}, {U32, 4}, {S8, 1}, {S16, 2}, {S32, 4}, {FLOAT, 4}};
    static const uint32_t values[] = {0, 5, 127, 128, 255, 256, 32767, 32768, 65536, 0xffffffff, 0xffffff80, 0xffffff7f, 0x80000000, 0x3f800000};
    for (size_t i = 0; i < HONE_COUNT(f); i++)
        for (size_t k = 0; k < HONE_COUNT(values); k++) {
            uint8_t data[3 * 2 * 8] = {0};
            CUarray a = array((CUarray3DDesc){3, 2, 0, f[i].format, 2, CU_ARRAY_SURFACE}, data, 2 * f[i].bytes);
            OK(run(KERNEL("sust.p.2d.v2.b32.trap [%o, {%i, %j}], {%k, %l};"), surface(a), (word){.i = 2}, (word){.i = 0}, (word){.u = values[k]}, (word){.u = 7}, 1));
            OK(cuMemcpyAtoH_v2(data, a, 0, 6 * f[i].bytes));
            for (unsigned at = 0; at < 6; at++) {   // texel 2 of row 0, nothing else
                uint32_t got = 0;
                memcpy(&got, data + at * f[i].bytes, f[i].bytes);
                assert_int_equal(got, at == 4 ? as_texel(f[i].format, values[k]) : at == 5 ? 7 : 0);
            }
        }
    const uint16_t zero[4] = {0};
    uint16_t half[4];
    CUarray a = array((CUarray3DDesc){4, 0, 0, HALF, 1, CU_ARRAY_SURFACE}, zero, 2);
    OK(run(KERNEL("sust.p.1d.f32.clamp [%o, {%i}], %b;"), surface(a), (word){.i = 99}, (word){.f = -2.5f}, (word){.i = 0}, (word){.i = 0}, 1));
    OK(cuMemcpyAtoH_v2(half, a, 0, 8));
    assert_int_equal(half[3], 0xc100);   // -2.5
    static const struct { float from; uint16_t to; } cut[] = {{1.0009f, 0x3c00}, {-1.9999f, 0xbfff}, {65535, 0x7bff}, {-1e9f, 0xfbff}, {INFINITY, 0x7c00}, {5.9e-8f, 0}, {1.1e-7f, 1}};
    for (size_t i = 0; i < HONE_COUNT(cut); i++) {   // towards zero, as an H100 does
        OK(run(KERNEL("sust.p.1d.f32.clamp [%o, {%i}], %b;"), surface(a), (word){.i = 2}, (word){.f = cut[i].from}, (word){.i = 0}, (word){.i = 0}, 1));
        OK(cuMemcpyAtoH_v2(half, a, 0, 8));
        assert_int_equal(half[2], cut[i].to);
    }
    OK(run(KERNEL("sust.p.1d.f32.zero [%o, {%i}], %b;"), surface(a), (word){.i = 1 << 30}, (word){.f = 1}, (word){.i = 0}, (word){.i = 0}, 1));
}

// 32 threads on one place.
static void reductions_are_atomic(void **state) {
    (void)state;
    static const struct { const char *text; uint64_t want; unsigned format; } t[] = {
        {KERNEL("mov.b32 %r0, %tid.x; sured.b.add.1d.u32.trap [%o, {4}], %r0;"), 10 + 496, U32},
        {KERNEL("mov.b32 %r0, %tid.x; sub.s32 %r0, %r0, 20; sured.b.min.1d.s32.trap [%o, {4}], %r0;"), 0xffffffec, U32},
        {KERNEL("mov.b32 %r0, %tid.x; sub.s32 %r0, %r0, 20; sured.b.min.1d.u32.trap [%o, {4}], %r0;"), 0, U32},
        {KERNEL("mov.b32 %r0, %tid.x; sub.s32 %r0, %r0, 20; sured.p.max.1d.b32.trap [%o, {1}], %r0;"), 11, S32},
        {KERNEL("mov.b32 %r0, %tid.x; sub.s32 %r0, %r0, 20; sured.p.max.1d.b32.trap [%o, {1}], %r0;"), 0xffffffff, U32},
        {KERNEL("mov.b32 %r0, %tid.x; sured.b.or.1d.b32.trap [%o, {4}], %r0;"), 31, U32},
        {KERNEL("mov.b32 %r0, %tid.x; add.s32 %r0, %r0, 96; sured.b.and.1d.b32.trap [%o, {4}], %r0;"), 0, U32},
        {KERNEL("mov.b32 %r0, %tid.x; sured.b.add.1d.u32.zero [%o, {16}], %r0;"), 10, U32},
    };
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        uint32_t data[4] = {1, 10, 3, 4};
        const word none = {0};
        CUarray a = array((CUarray3DDesc){4, 0, 0, t[i].format, 1, CU_ARRAY_SURFACE}, data, 4);
        OK(run(t[i].text, surface(a), none, none, none, none, 32));
        OK(cuMemcpyAtoH_v2(data, a, 0, 16));
        if (data[1] != t[i].want || data[0] != 1 || data[2] != 3)
            fail_msg("%s: %u, expected %llu", t[i].text, data[1], (unsigned long long)t[i].want);
    }
    uint64_t wide[2] = {1ull << 40, 5};
    CUarray a = array((CUarray3DDesc){2, 0, 0, U32, 2, CU_ARRAY_SURFACE}, wide, 8);
    OK(run(KERNEL("mov.u64 %w, 4294967296; sured.b.add.1d.u64.trap [%o, {0}], %w;"), surface(a), (word){0}, (word){0}, (word){0}, (word){0}, 32));
    OK(cuMemcpyAtoH_v2(wide, a, 0, 16));
    assert_int_equal(wide[0], (1ull << 40) + (32ull << 32));
    CUcontext c;
    OK(cuCtxCreate_v2(&c, 0, 0));
    set_flags(HONE_VGPU_CHECK | HONE_VGPU_SERIAL);
    const uint32_t four[4] = {0};
    assert_int_equal(run(KERNEL("sured.b.add.1d.u32.trap [%o, {16}], %i;"), surface(array((CUarray3DDesc){4, 0, 0, U32, 1, CU_ARRAY_SURFACE}, four, 4)), (word){0}, (word){0},
                         (word){0}, (word){0}, 1), CUDA_ERROR_ILLEGAL_ADDRESS);
    one_finding("memory.out-of-bounds");
    OK(cuCtxDestroy_v2(c));
    OK(cuCtxSetCurrent(test_context));
}

// What is not supported or makes no sense names its line and opcode when the module is loaded.
static void bad_forms_fail_at_load(void **state) {
    (void)state;
    static const char *const t[] = {
        "tld4.2d.v4.f32.f32 {%r0, %r1, %r2, %r3}, [%o, {%a, %b}];", "tld4.r.g.2d.v4.f32.f32 {%r0, %r1, %r2, %r3}, [%o, {%a, %b}];",
        "tld4.r.3d.v4.f32.f32 {%r0, %r1, %r2, %r3}, [%o, {%a, %b, %b, %b}];", "tld4.r.2d.v4.f32.s32 {%r0, %r1, %r2, %r3}, [%o, {%i, %j}];",
        "tex.r.2d.v4.f32.f32 {%r0, %r1, %r2, %r3}, [%o, {%a, %b}];", "tex.grad.2d.v4.f32.f32 {%r0, %r1, %r2, %r3}, [%o, {%a, %b}], {%a}, {%b};",
        "tex.2d.3d.v4.f32.f32 {%r0, %r1, %r2, %r3}, [%o, {%a, %b}];", "txq.b32 %r0, [%o];", "txq.memory_layout.b32 %r0, [%o];",
        "txq.level.array_size.b32 %r0, [%o], 1;", "suq.num_samples.b32 %r0, [%o];", "istypep.width %q0, %o;", "sust.2d.b32.trap [%o, {%i, %j}], %k;",
        "sust.p.b.2d.b32.trap [%o, {%i, %j}], %k;", "sust.b.2d.f32.trap [%o, {%i, %j}], %k;", "suld.p.2d.b32.trap {%r0}, [%o, {%i, %j}];",
        "sured.b.2d.u32.trap [%o, {%i, %j}], %k;", "sured.b.add.2d.b32.trap [%o, {%i, %j}], %k;", "sured.p.add.2d.u64.trap [%o, {%i, %j}], %w;",
        "sured.b.add.a2d.u32.trap [%o, {%i, %j, %k, %k}], %k;", "suld.b.add.2d.b32.trap {%r0}, [%o, {%i, %j}];"};
    for (size_t i = 0; i < HONE_COUNT(t); i++) {
        char text[2048], log[1024] = "";
        CUmodule m;
        int options[] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
        void *values[] = {log, (void *)(uintptr_t)sizeof log};
        const char *whole = KERNEL("#");
        snprintf(text, sizeof text, "%.*s%s%s", (int)(strchr(whole, '#') - whole), whole, t[i], strchr(whole, '#') + 1);
        if (cuModuleLoadDataEx(&m, text, 2, options, values) == CUDA_SUCCESS || !strstr(log, "ptx:11:"))
            fail_msg("%s: %s", t[i], *log ? log : "loaded");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gathers_take_the_four_texels_of_a_mixture, open_context, close_context),
        cmocka_unit_test_setup_teardown(derivatives_choose_the_level, open_context, close_context),
        cmocka_unit_test_setup_teardown(given_levels_are_cut_to_256ths, open_context, close_context),
        cmocka_unit_test_setup_teardown(queries_tell_what_the_object_is, open_context, close_context),
        cmocka_unit_test_setup_teardown(formatted_stores_convert, open_context, close_context),
        cmocka_unit_test_setup_teardown(reductions_are_atomic, open_context, close_context),
        cmocka_unit_test_setup_teardown(bad_forms_fail_at_load, open_context, close_context)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
