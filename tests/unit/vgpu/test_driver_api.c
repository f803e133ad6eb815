// The breadth of the driver API: images and linking, libraries, memory of every kind, arrays, entry points by name; and what misuse returns.
#include "driver_fixture.h"
#include "vgpu/driver/fatbin.h"
#include <zstd.h>

CUresult cuGetProcAddress_v2(const char *name, void **out, int version, uint64_t flags, int *status);
CUresult cuGetProcAddress(const char *name, void **out, int version, uint64_t flags);
CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice d);
CUresult cuDeviceGetByPCIBusId(CUdevice *d, const char *id);
CUresult cuDeviceGetP2PAttribute(int *value, int attribute, CUdevice a, CUdevice b);
CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *p, CUdevice d);
CUresult cuCtxGetId(CUcontext c, unsigned long long *id);
CUresult cuCtxPopCurrent_v2(CUcontext *c);
CUresult cuCtxPushCurrent_v2(CUcontext c);
CUresult cuModuleLoadFatBinary(CUmodule *m, const void *image);
CUresult cuLinkCreate_v2(unsigned n, int *options, void **values, CUlinkState *l);
CUresult cuLinkAddData_v2(CUlinkState l, int type, void *data, size_t bytes, const char *name, unsigned n, int *options, void **values);
CUresult cuLinkComplete(CUlinkState l, void **out, size_t *bytes);
CUresult cuLinkDestroy(CUlinkState l);
CUresult cuLibraryLoadData(CUlibrary *l, const void *image, int *jit, void **jit_values, unsigned n_jit, int *options, void **values, unsigned n);
CUresult cuLibraryUnload(CUlibrary l);
CUresult cuLibraryGetKernel(CUkernel *k, CUlibrary l, const char *name);
CUresult cuLibraryGetKernelCount(unsigned *n, CUlibrary l);
CUresult cuKernelGetFunction(CUfunction *f, CUkernel k);
CUresult cuKernelSetAttribute(int attribute, int value, CUkernel k, CUdevice d);
CUresult cuKernelGetParamInfo(CUkernel k, size_t index, size_t *offset, size_t *bytes);
CUresult cuFuncGetAttribute(int *value, int attribute, CUfunction f);
CUresult cuMemAllocManaged(CUdeviceptr *p, size_t bytes, unsigned flags);
CUresult cuMemHostAlloc(void **p, size_t bytes, unsigned flags);
CUresult cuMemFreeHost(void *p);
CUresult cuMemHostRegister_v2(void *p, size_t bytes, unsigned flags);
CUresult cuMemHostUnregister(void *p);
CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *out, void *p, unsigned flags);
CUresult cuPointerGetAttribute(void *out, int attribute, CUdeviceptr p);
CUresult cuPointerGetAttributes(unsigned n, int *attributes, void **data, CUdeviceptr p);
CUresult cuMemPoolCreate(CUmemoryPool *p, const CUpoolProps *props);
CUresult cuMemPoolDestroy(CUmemoryPool p);
CUresult cuMemPoolGetAttribute(CUmemoryPool p, int attribute, void *value);
CUresult cuMemPoolSetAttribute(CUmemoryPool p, int attribute, void *value);
CUresult cuMemAllocFromPoolAsync(CUdeviceptr *p, size_t bytes, CUmemoryPool pool, CUstream s);
CUresult cuMemFreeAsync(CUdeviceptr p, CUstream s);
CUresult cuMemcpy2D_v2(const CUmemcpy2D *p);
CUresult cuMemcpy3D_v2(const CUmemcpy3D *p);
CUresult cuMemsetD2D8_v2(CUdeviceptr d, size_t pitch, unsigned char v, size_t w, size_t h);
CUresult cuMemsetD32_v2(CUdeviceptr d, unsigned v, size_t n);
CUresult cuArray3DCreate_v2(CUarray *a, const CUarray3DDesc *d);
CUresult cuArrayDestroy(CUarray a);
CUresult cuMemcpyHtoA_v2(CUarray a, size_t at, const void *s, size_t n);
CUresult cuMemcpyAtoH_v2(void *d, CUarray a, size_t at, size_t n);
CUresult cuMipmappedArrayCreate(CUmipmappedArray *m, const CUarray3DDesc *d, unsigned levels);
CUresult cuMipmappedArrayGetLevel(CUarray *a, CUmipmappedArray m, unsigned level);
CUresult cuMipmappedArrayDestroy(CUmipmappedArray m);
CUresult cuTexObjectCreate(CUtexObject *t, const CUresourceDesc *r, const CUtextureDesc *d, const CUviewDesc *v);
CUresult cuTexObjectDestroy(CUtexObject t);
CUresult cuTexObjectGetTextureDesc(CUtextureDesc *d, CUtexObject t);
CUresult cuStreamDestroy_v2(CUstream s);
CUresult cuStreamSynchronize(CUstream s);
CUresult cuStreamCreateWithPriority(CUstream *s, unsigned flags, int priority);
CUresult cuStreamWaitEvent(CUstream s, CUevent v, unsigned flags);
CUresult cuEventDestroy_v2(CUevent v);
CUresult cuEventRecord(CUevent v, CUstream s);
CUresult cuEventCreate(CUevent *v, unsigned flags);
CUresult cuEventElapsedTime(float *ms, CUevent a, CUevent b);
CUresult cuGraphLaunch(CUgraphExec e, CUstream s);
CUresult cuGraphDestroy(CUgraph g);
CUresult cuGraphGetNodes(CUgraph g, CUgraphNode *nodes, size_t *n);
CUresult cuIpcGetMemHandle(void *out, CUdeviceptr p);

#define OK(call) assert_int_equal(call, CUDA_SUCCESS)
#define REFUSED(why, call) assert_int_equal(call, CUDA_ERROR_##why)

// out[0] = value
#define STORE(value) ".visible .entry store(.param .u64 p)\n{\n.reg .b64 %p;\n.reg .b32 %v;\nld.param.u64 %p, [p];\nmov.u32 %v, " value ";\nst.global.u32 [%p], %v;\nret;\n}\n"
static const char store_7[] = PTX_HEAD STORE("7");

static uint32_t stored(CUfunction f) {
    CUdeviceptr p = upload(NULL, 4);
    uint32_t v = 0;
    void *params[] = {&p};
    OK(run_kernel(f, 1, 1, params));
    OK(cuMemcpyDtoH_v2(&v, p, 4));
    return v;
}

// ---- fat binaries

static void put(uint8_t *p, size_t at, uint64_t v, unsigned bytes) { memcpy(p + at, &v, bytes); }
// One entry; returns where the next begins.
static size_t put_entry(uint8_t *p, size_t at, unsigned kind, unsigned target, const void *payload, size_t bytes, size_t plain, uint64_t flags) {
    size_t padded = (bytes + 7) / 8 * 8;
    memset(p + at, 0, 64 + padded);
    put(p, at, kind, 2);
    put(p, at + 4, 64, 4);
    put(p, at + 8, padded, 8);
    put(p, at + 16, plain ? bytes : 0, 4);
    put(p, at + 28, target, 4);
    put(p, at + 40, flags, 8);
    put(p, at + 56, plain, 8);
    memcpy(p + at + 64, payload, bytes);
    return at + 64 + padded;
}
static void put_header(uint8_t *p, size_t end) {
    put(p, 0, 0xba55ed50u, 4);
    put(p, 4, 1, 2);
    put(p, 6, 16, 2);
    put(p, 8, end - 16, 8);
}
static uint32_t stored_by_image(const void *image) {
    CUmodule m;
    CUfunction f;
    OK(cuModuleLoadFatBinary(&m, image));
    OK(cuModuleGetFunction(&f, m, "store"));
    return stored(f);
}

static void fat_binaries_of_every_compression(void **state) {
    (void)state;
    static _Alignas(8) uint8_t image[8192], packed[4096];
    size_t n = strlen(store_7);
    put_header(image, put_entry(image, put_entry(image, 16, 2, 90, "ELF", 3, 0, 0), 1, 80, store_7, n, 0, 0));
    assert_int_equal(stored_by_image(image), 7);
    struct { uint32_t magic, version; const void *data, *name; } wrapper = {0x466243b1u, 1, image, NULL};
    assert_int_equal(stored_by_image(&wrapper), 7);

    size_t z = ZSTD_compress(packed, sizeof packed, store_7, n, 3);
    put_header(image, put_entry(image, 16, 1, 80, packed, z, n, 0x8000));
    assert_int_equal(stored_by_image(image), 7);

    size_t k = 0;   // LZ4: literals alone
    packed[k++] = 0xf0;
    for (size_t left = n - 15;; left -= 255) {
        packed[k++] = (uint8_t)(left < 255 ? left : 255);
        if (left < 255)
            break;
    }
    memcpy(packed + k, store_7, n);
    put_header(image, put_entry(image, 16, 1, 80, packed, k + n, n, 0x2000));
    assert_int_equal(stored_by_image(image), 7);
}

static void fat_binaries_that_do_not_fit_are_refused(void **state) {
    (void)state;
    static _Alignas(8) uint8_t image[4096];
    CUmodule m;
    char log[256] = "";
    int options[] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    put_header(image, put_entry(image, 16, 2, 90, "ELF", 3, 0, 0));
    REFUSED(NO_BINARY_FOR_GPU, cuModuleLoadDataEx(&m, image, 2, options, values));
    assert_non_null(strstr(log, "no PTX"));
    put_header(image, put_entry(image, 16, 1, 120, store_7, strlen(store_7), 0, 0));
    REFUSED(NO_BINARY_FOR_GPU, cuModuleLoadFatBinary(&m, image));
    put_header(image, put_entry(image, 16, 1, 80, store_7, 100, 200, 0x4000));
    REFUSED(NO_BINARY_FOR_GPU, cuModuleLoadFatBinary(&m, image));
    put_header(image, put_entry(image, 16, 1, 80, store_7, 100, 200, 0x8000));
    REFUSED(INVALID_IMAGE, cuModuleLoadFatBinary(&m, image));
    put(image, 16 + 8, 1 << 20, 8);
    REFUSED(INVALID_IMAGE, cuModuleLoadFatBinary(&m, image));
}

// ---- linking

static void linking_joins_modules(void **state) {
    (void)state;
    static const char head[] = ".version 8.0\n.target sm_80\n.address_size 64\n";
    static const char a[] = ".extern .func (.param .b32 r) twice(.param .b32 x);\n.global .align 4 .u32 mine = 20;   // twice has one too\n"
                            ".visible .entry store(.param .u64 p)\n{\n.reg .b64 %p, %g;\n.reg .b32 %v;\nld.param.u64 %p, [p];\nmov.u64 %g, mine;\nld.global.u32 %v, [%g];\n"
                            "{\n.param .b32 x;\nst.param.b32 [x], %v;\n.param .b32 r;\ncall.uni (r), twice, (x);\nld.param.b32 %v, [r];\n}\nst.global.u32 [%p], %v;\nret;\n}\n";
    static const char b[] = ".global .align 4 .u32 mine = 1;\n.weak .func (.param .b32 r) twice(.param .b32 x)\n{\n.reg .b32 %v, %w;\n.reg .b64 %g;\nld.param.b32 %v, [x];\n"
                            "mov.u64 %g, mine;\nld.global.u32 %w, [%g];\nmad.lo.u32 %v, %v, 2, %w;\nst.param.b32 [r], %v;\nret;\n}\n";
    char text[3][2048];
    snprintf(text[0], sizeof text[0], "%s%s", head, a);
    snprintf(text[1], sizeof text[1], "%s%s", head, b);
    snprintf(text[2], sizeof text[2], "%s%s", head, b);   // the weak definition again: the first stays
    CUlinkState l;
    void *image;
    CUmodule m;
    CUfunction f;
    OK(cuLinkCreate_v2(0, NULL, NULL, &l));
    for (int i = 0; i < 3; i++)
        OK(cuLinkAddData_v2(l, 1, text[i], strlen(text[i]) + 1, "part", 0, NULL, NULL));
    OK(cuLinkComplete(l, &image, NULL));
    OK(cuModuleLoadData(&m, image));
    OK(cuLinkDestroy(l));
    OK(cuModuleGetFunction(&f, m, "store"));
    assert_int_equal(stored(f), 41);
}

static void linking_says_what_is_wrong(void **state) {
    (void)state;
    char log[512] = "", twice[] = PTX_HEAD STORE("1"), broken[] = PTX_HEAD "nonsense";
    int options[] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log}, *image;
    CUlinkState l;
    OK(cuLinkCreate_v2(2, options, values, &l));
    REFUSED(INVALID_PTX, cuLinkComplete(l, &image, NULL));
    REFUSED(INVALID_PTX, cuLinkAddData_v2(l, 1, broken, sizeof broken, "broken.ptx", 0, NULL, NULL));
    assert_non_null(strstr(log, "broken.ptx: ptx:4"));
    REFUSED(NOT_SUPPORTED, cuLinkAddData_v2(l, 0, twice, sizeof twice, "a.cubin", 0, NULL, NULL));
    OK(cuLinkAddData_v2(l, 1, twice, sizeof twice, "a", 0, NULL, NULL));
    REFUSED(INVALID_PTX, cuLinkAddData_v2(l, 1, twice, sizeof twice, "b", 0, NULL, NULL));
    assert_non_null(strstr(log, "defined in module 1 and in module 2"));
    OK(cuLinkDestroy(l));
    REFUSED(INVALID_HANDLE, cuLinkDestroy(l));
}

// ---- libraries

static void kernels_belong_to_no_context(void **state) {
    (void)state;
    CUlibrary l;
    CUkernel k;
    CUfunction f, g;
    CUcontext other;
    unsigned n = 0;
    size_t offset = 9, bytes = 0;
    int value;
    OK(cuLibraryLoadData(&l, store_7, NULL, NULL, 0, NULL, NULL, 0));
    OK(cuLibraryGetKernelCount(&n, l));
    assert_int_equal(n, 1);
    OK(cuLibraryGetKernel(&k, l, "store"));
    REFUSED(NOT_FOUND, cuLibraryGetKernel(&k, l, "nothing"));
    OK(cuKernelGetParamInfo(k, 0, &offset, &bytes));
    assert_int_equal(offset, 0);
    assert_int_equal(bytes, 8);
    assert_int_equal(stored((CUfunction)(void *)k), 7);
    OK(cuKernelGetFunction(&f, k));
    OK(cuKernelSetAttribute(CU_FUNC_MAX_DYNAMIC_SHARED, 100000, k, 0));
    OK(cuCtxCreate_v2(&other, 0, 0));
    OK(cuKernelGetFunction(&g, k));
    assert_ptr_not_equal(f, g);
    OK(cuFuncGetAttribute(&value, CU_FUNC_MAX_DYNAMIC_SHARED, g));   // set for contexts to come, too
    assert_int_equal(value, 100000);
    assert_int_equal(stored((CUfunction)(void *)k), 7);
    OK(cuCtxDestroy_v2(other));
    OK(cuCtxSetCurrent(test_context));
    OK(cuLibraryUnload(l));
    REFUSED(INVALID_HANDLE, run_kernel(f, 1, 1, NULL));
    REFUSED(INVALID_HANDLE, run_kernel((CUfunction)(void *)k, 1, 1, NULL));
    REFUSED(INVALID_PTX, cuLibraryLoadData(&l, PTX_HEAD "nonsense", NULL, NULL, 0, NULL, NULL, 0));
}

// ---- memory

static void registered_memory_is_the_callers(void **state) {
    (void)state;
    static uint32_t mine[1024];
    CUdeviceptr at, found;
    void *locked;
    unsigned type = 0;
    OK(cuMemHostRegister_v2(mine, sizeof mine, 0));
    REFUSED(HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister_v2(mine + 10, 4, 0));
    OK(cuMemHostGetDevicePointer_v2(&at, mine + 3, 0));
    OK(cuMemsetD32_v2(at, 5, 1));
    assert_int_equal(mine[3], 5);
    OK(cuPointerGetAttribute(&type, 2, (CUdeviceptr)(uintptr_t)(mine + 3)));
    assert_int_equal(type, CU_MEMORY_HOST);
    OK(cuPointerGetAttribute(&found, 3, (CUdeviceptr)(uintptr_t)(mine + 3)));
    assert_int_equal(found, at);
    OK(cuMemHostUnregister(mine));
    REFUSED(HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(mine));
    OK(cuMemHostAlloc(&locked, 64, 2));
    *(int *)locked = 3;
    REFUSED(INVALID_VALUE, cuMemFree_v2((CUdeviceptr)(uintptr_t)locked));
    OK(cuMemFreeHost(locked));
    REFUSED(INVALID_VALUE, cuMemFreeHost(locked));
}

static void pointer_attributes_of_unknown_pointers_are_zero(void **state) {
    (void)state;
    int attributes[] = {2, 9, 8}, ordinal = 5, local;
    unsigned type = 5, managed = 5;
    void *out[] = {&type, &ordinal, &managed};
    CUdeviceptr p;
    OK(cuPointerGetAttributes(3, attributes, out, (CUdeviceptr)(uintptr_t)&local));
    assert_int_equal(type, 0);
    assert_int_equal(ordinal, -2);
    OK(cuMemAllocManaged(&p, 64, 1));
    OK(cuPointerGetAttributes(3, attributes, out, p + 8));
    assert_int_equal(type, CU_MEMORY_DEVICE);
    assert_int_equal(ordinal, 0);
    assert_int_equal(managed, 1);
}

static void pools_count_what_is_in_use(void **state) {
    (void)state;
    CUmemoryPool pool;
    CUpoolProps props = {.type = 1, .where = {1, 0}, .max_bytes = 4096};
    CUdeviceptr p, q;
    uint64_t v = 0;
    OK(cuMemPoolCreate(&pool, &props));
    OK(cuMemAllocFromPoolAsync(&p, 1000, pool, NULL));
    OK(cuMemAllocFromPoolAsync(&q, 2000, pool, NULL));
    REFUSED(OUT_OF_MEMORY, cuMemAllocFromPoolAsync(&q, 2000, pool, NULL));
    OK(cuMemFreeAsync(p, NULL));
    OK(cuMemPoolGetAttribute(pool, 7, &v));
    assert_int_equal(v, 2000);
    OK(cuMemPoolGetAttribute(pool, 8, &v));
    assert_int_equal(v, 3000);
    v = 1;
    REFUSED(INVALID_VALUE, cuMemPoolSetAttribute(pool, 8, &v));
    v = 0;
    OK(cuMemPoolSetAttribute(pool, 8, &v));
    OK(cuMemPoolGetAttribute(pool, 8, &v));
    assert_int_equal(v, 2000);
    OK(cuMemPoolGetAttribute(pool, 5, &v));
    assert_int_equal(v, 2000);
    OK(cuMemPoolDestroy(pool));
    OK(cuMemFree_v2(q));   // outlives its pool
    REFUSED(INVALID_VALUE, cuMemPoolDestroy(pool));
}

static void boxes_are_copied_between_all_kinds(void **state) {
    (void)state;
    enum { W = 5, H = 4, D = 3 };
    uint32_t in[D][H][W], out[D][H][W], one[2] = {0};
    CUarray a;
    for (int i = 0; i < D * H * W; i++)
        (&in[0][0][0])[i] = (uint32_t)i;
    OK(cuArray3DCreate_v2(&a, &(CUarray3DDesc){W, H, D, 0x20, 1, 0}));
    CUcopySide host = {.type = CU_MEMORY_HOST, .host = in, .pitch = W * 4, .rows = H}, array = {.type = CU_MEMORY_ARRAY, .array = a};
    OK(cuMemcpy3D_v2(&(CUmemcpy3D){host, array, W * 4, H, D}));
    memset(out, 0xff, sizeof out);
    CUcopySide back = {.x = 4, .y = 1, .z = 1, .type = CU_MEMORY_HOST, .host = out, .pitch = W * 4, .rows = H};
    array.x = 8;
    array.y = 1;
    OK(cuMemcpy3D_v2(&(CUmemcpy3D){array, back, 8, 2, 2}));   // a part, to another place
    assert_int_equal(out[1][1][1], in[0][1][2]);
    assert_int_equal(out[2][2][2], in[1][2][3]);
    assert_int_equal(out[0][0][0], 0xffffffffu);
    REFUSED(INVALID_VALUE, cuMemcpy3D_v2(&(CUmemcpy3D){array, back, 16, 2, 2}));   // leaves the array's row
    OK(cuMemcpy3D_v2(&(CUmemcpy3D){array, back, 8, 0, SIZE_MAX}));                 // nothing, at once
    OK(cuMemcpyAtoH_v2(one, a, 4, 8));
    assert_int_equal(one[1], 2);
    OK(cuArrayDestroy(a));
    REFUSED(INVALID_HANDLE, cuMemcpyAtoH_v2(one, a, 4, 8));
}

static void mipmaps_halve(void **state) {
    (void)state;
    CUmipmappedArray m;
    CUarray a;
    uint8_t v[4];
    OK(cuMipmappedArrayCreate(&m, &(CUarray3DDesc){16, 4, 0, 1, 1, 0}, 99));
    OK(cuMipmappedArrayGetLevel(&a, m, 4));
    OK(cuMemcpyAtoH_v2(v, a, 0, 1));
    REFUSED(INVALID_VALUE, cuMemcpyAtoH_v2(v, a, 0, 2));
    REFUSED(INVALID_VALUE, cuMipmappedArrayGetLevel(&a, m, 5));
    REFUSED(INVALID_VALUE, cuArrayDestroy(a));
    OK(cuMipmappedArrayDestroy(m));
}

static void texture_objects_keep_their_descriptors(void **state) {
    (void)state;
    CUtexObject t;
    CUdeviceptr p = upload(NULL, 256);
    CUresourceDesc r = {.type = CU_RESOURCE_LINEAR, .linear = {p, 0x20, 1, 256}};
    CUtextureDesc d = {.address = {1, 1, 1}, .anisotropy = 3}, back = {0};
    OK(cuTexObjectCreate(&t, &r, &d, NULL));
    OK(cuTexObjectGetTextureDesc(&back, t));
    assert_memory_equal(&back, &d, sizeof d);
    OK(cuTexObjectDestroy(t));
    REFUSED(INVALID_VALUE, cuTexObjectDestroy(t));
    r.linear.bytes = 512;
    REFUSED(INVALID_VALUE, cuTexObjectCreate(&t, &r, &d, NULL));
    r.linear.bytes = 256;
    d.flags = 64;
    REFUSED(NOT_SUPPORTED, cuTexObjectCreate(&t, &r, &d, NULL));
}

// ---- entry points

typedef struct row { const char *name; int version; const char *status, *per_thread; } row;
#define SECTION(title)
#define API(name, version, symbol, status, per_thread, note) {#name, version, #status, #per_thread},
static const row rows[] = {
#include "vgpu/driver/api.def"
};

static void entry_points_are_what_the_table_says(void **state) {
    (void)state;
    for (size_t i = 0; i < HONE_COUNT(rows); i++) {
        void *f = NULL, *other = NULL;
        int status = -1;
        OK(cuGetProcAddress_v2(rows[i].name, &f, rows[i].version, 0, &status));
        if (strcmp(rows[i].status, "NONE") == 0)
            continue;   // absent, or an older version answers
        assert_non_null(f);
        assert_int_equal(status, 0);
        OK(cuGetProcAddress_v2(rows[i].name, &other, rows[i].version, 2, NULL));
        assert_int_equal(other != f, rows[i].per_thread[0] != 0);
        OK(cuGetProcAddress_v2(rows[i].name, &f, 1000, 0, &status));
        assert_null(f);
        assert_int_equal(status, 2);
    }
    void *f = &f, *v1, *v2;
    int status;
    OK(cuGetProcAddress_v2("cuNothing", &f, 12000, 0, &status));
    assert_null(f);
    assert_int_equal(status, 1);
    REFUSED(NOT_FOUND, cuGetProcAddress("cuMulticastCreate", &f, 13000, 0));
    OK(cuGetProcAddress_v2("cuGraphAddKernelNode", &v1, 11000, 0, NULL));
    OK(cuGetProcAddress_v2("cuGraphAddKernelNode", &v2, 12000, 0, NULL));
    assert_ptr_not_equal(v1, v2);
}

static void every_device_attribute_is_known(void **state) {
    (void)state;
    int v;
    for (int i = 1; i <= 147; i++)
        OK(cuDeviceGetAttribute(&v, i, 0));
    REFUSED(INVALID_VALUE, cuDeviceGetAttribute(&v, 148, 0));
    OK(cuDeviceGetAttribute(&v, 16, 0));
    assert_int_equal(v, 132);
}

// ---- misuse: the call, and what it must return

static CUdeviceptr dead, small;
static CUstream dead_stream, foreign_stream;
static CUevent dead_event, foreign_event;
static CUmodule dead_module;
static CUfunction dead_function, store;
static char nowhere[64];
#define BAD(T) ((T)(void *)nowhere)
#define MISUSE(why, ...) {#__VA_ARGS__, CUDA_ERROR_##why, __VA_ARGS__},

static void misuse_returns_the_documented_error(void **state) {
    (void)state;
    CUdeviceptr p;
    CUcontext here = test_context, other, popped;
    void *f;
    int v;
    size_t n;
    float ms;
    unsigned long long id;
    CUmemcpy2D crossed = {.source_type = CU_MEMORY_DEVICE, .target_type = CU_MEMORY_DEVICE, .source_pitch = 4, .target_pitch = 8, .width_bytes = 8, .height = 2};
    store = load_kernel(store_7, "store");
    small = upload("0123456789abcdef", 16);
    dead = upload(NULL, 16);
    OK(cuMemFree_v2(dead));
    OK(cuStreamCreateWithPriority(&dead_stream, 0, 0));
    OK(cuStreamDestroy_v2(dead_stream));
    OK(cuEventCreate(&dead_event, 0));
    OK(cuEventDestroy_v2(dead_event));
    OK(cuModuleLoadData(&dead_module, store_7));
    OK(cuModuleGetFunction(&dead_function, dead_module, "store"));
    OK(cuModuleUnload(dead_module));
    OK(cuCtxCreate_v2(&other, 0, 0));
    OK(cuStreamCreateWithPriority(&foreign_stream, 0, 0));
    OK(cuEventCreate(&foreign_event, 0));
    OK(cuCtxSetCurrent(here));
    void *params[] = {&small};
    CUarray array;
    const struct { const char *call; CUresult expected, got; } table[] = {
        MISUSE(INVALID_VALUE, cuMemAlloc_v2(NULL, 16)) MISUSE(INVALID_VALUE, cuMemAlloc_v2(&p, 0)) MISUSE(OUT_OF_MEMORY, cuMemAlloc_v2(&p, SIZE_MAX / 2))
        MISUSE(INVALID_VALUE, cuMemFree_v2(dead)) MISUSE(INVALID_VALUE, cuMemFree_v2(small + 4)) MISUSE(INVALID_VALUE, cuMemFree_v2(12345))
        MISUSE(INVALID_VALUE, cuMemcpyHtoD_v2(small, NULL, 16)) MISUSE(INVALID_VALUE, cuMemcpyHtoD_v2(small, nowhere, 17))
        MISUSE(INVALID_VALUE, cuMemcpyDtoH_v2(nowhere, dead, 4)) MISUSE(INVALID_VALUE, cuMemcpyDtoD_v2(small, small + 8, 9))
        MISUSE(INVALID_VALUE, cuMemcpy2D_v2(NULL)) MISUSE(INVALID_VALUE, cuMemcpy2D_v2(&crossed)) MISUSE(INVALID_VALUE, cuMemsetD32_v2(small + 1, 0, 1))
        MISUSE(INVALID_VALUE, cuMemsetD2D8_v2(small, 8, 0, 8, 3)) MISUSE(INVALID_VALUE, cuMemAllocManaged(&p, 16, 0))
        MISUSE(INVALID_VALUE, cuMemHostAlloc(&f, 16, 64)) MISUSE(INVALID_VALUE, cuMemHostRegister_v2(NULL, 16, 0))
        MISUSE(INVALID_VALUE, cuArray3DCreate_v2(&array, &(CUarray3DDesc){0, 1, 0, 1, 1, 0})) MISUSE(INVALID_VALUE, cuArray3DCreate_v2(&array, &(CUarray3DDesc){4, 4, 0, 7, 1, 0}))
        MISUSE(INVALID_VALUE, cuArray3DCreate_v2(&array, &(CUarray3DDesc){4, 4, 0, 1, 3, 0})) MISUSE(INVALID_HANDLE, cuArrayDestroy(BAD(CUarray)))
        MISUSE(INVALID_HANDLE, cuStreamSynchronize(dead_stream)) MISUSE(INVALID_HANDLE, cuStreamSynchronize(foreign_stream))
        MISUSE(INVALID_HANDLE, cuStreamDestroy_v2(NULL)) MISUSE(INVALID_HANDLE, cuStreamDestroy_v2(BAD(CUstream)))
        MISUSE(INVALID_VALUE, cuStreamCreateWithPriority(NULL, 0, 0)) MISUSE(INVALID_VALUE, cuStreamCreateWithPriority(&dead_stream, 8, 0))
        MISUSE(INVALID_HANDLE, cuEventRecord(dead_event, NULL)) MISUSE(INVALID_HANDLE, cuEventRecord(foreign_event, NULL))
        MISUSE(INVALID_HANDLE, cuStreamWaitEvent(NULL, BAD(CUevent), 0)) MISUSE(INVALID_HANDLE, cuEventElapsedTime(&ms, dead_event, dead_event))
        MISUSE(INVALID_VALUE, cuEventCreate(NULL, 0)) MISUSE(NOT_SUPPORTED, cuEventCreate(&dead_event, 6))
        MISUSE(INVALID_HANDLE, cuModuleUnload(dead_module)) MISUSE(INVALID_HANDLE, cuModuleGetFunction(&dead_function, BAD(CUmodule), "store"))
        MISUSE(INVALID_VALUE, cuModuleLoadData(NULL, store_7)) MISUSE(INVALID_VALUE, cuModuleLoadData(&dead_module, NULL))
        MISUSE(INVALID_HANDLE, cuLaunchKernel(dead_function, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL))
        MISUSE(INVALID_HANDLE, cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 0, dead_stream, params, NULL))
        MISUSE(INVALID_VALUE, cuLaunchKernel(store, 0, 1, 1, 1, 1, 1, 0, NULL, params, NULL))
        MISUSE(INVALID_VALUE, cuLaunchKernel(store, 1, 1, 1, 1025, 1, 1, 0, NULL, params, NULL))
        MISUSE(INVALID_VALUE, cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 1 << 20, NULL, params, NULL))
        MISUSE(INVALID_VALUE, cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL))
        MISUSE(INVALID_HANDLE, cuFuncGetAttribute(&v, 0, NULL)) MISUSE(INVALID_VALUE, cuFuncGetAttribute(&v, 99, store)) MISUSE(INVALID_VALUE, cuFuncGetAttribute(NULL, 0, store))
        MISUSE(INVALID_HANDLE, cuLibraryUnload(BAD(CUlibrary))) MISUSE(INVALID_HANDLE, cuKernelGetFunction(&dead_function, BAD(CUkernel)))
        MISUSE(INVALID_HANDLE, cuLinkComplete(BAD(CUlinkState), &f, &n)) MISUSE(INVALID_VALUE, cuGraphLaunch(BAD(CUgraphExec), NULL))
        MISUSE(INVALID_VALUE, cuGraphDestroy(BAD(CUgraph))) MISUSE(INVALID_VALUE, cuGraphGetNodes(BAD(CUgraph), NULL, &n))
        MISUSE(INVALID_CONTEXT, cuCtxDestroy_v2(BAD(CUcontext))) MISUSE(INVALID_CONTEXT, cuCtxPushCurrent_v2(NULL)) MISUSE(INVALID_CONTEXT, cuCtxSetCurrent(BAD(CUcontext)))
        MISUSE(INVALID_CONTEXT, cuCtxGetId(BAD(CUcontext), &id)) MISUSE(INVALID_DEVICE, cuDeviceGetAttribute(&v, 1, 1)) MISUSE(INVALID_VALUE, cuDeviceGetAttribute(NULL, 1, 0))
        MISUSE(INVALID_DEVICE, cuDeviceGetByPCIBusId(&v, "0000:01:00.0")) MISUSE(INVALID_VALUE, cuDeviceGetByPCIBusId(&v, "nothing"))
        MISUSE(INVALID_DEVICE, cuDeviceGetP2PAttribute(&v, 1, 0, 0)) MISUSE(NOT_SUPPORTED, cuIpcGetMemHandle(nowhere, small))
        MISUSE(INVALID_VALUE, cuPointerGetAttribute(&v, 2, 64)) MISUSE(INVALID_VALUE, cuPointerGetAttribute(&v, 77, small))
        MISUSE(INVALID_VALUE, cuMemPoolDestroy(BAD(CUmemoryPool))) MISUSE(INVALID_VALUE, cuMemFreeAsync(small + 4, NULL)) MISUSE(INVALID_VALUE, cuTexObjectDestroy(1))};
    for (size_t i = 0; i < HONE_COUNT(table); i++)
        if (table[i].got != table[i].expected)
            fail_msg("%s gave %d, expected %d", table[i].call, table[i].got, table[i].expected);
    OK(cuCtxPopCurrent_v2(&popped));
    while (cuCtxPopCurrent_v2(&popped) == CUDA_SUCCESS) {
    }
    REFUSED(INVALID_CONTEXT, cuMemAlloc_v2(&p, 16));
    REFUSED(INVALID_CONTEXT, cuStreamSynchronize(NULL));
    REFUSED(INVALID_CONTEXT, cuModuleLoadData(&dead_module, store_7));
    OK(cuCtxDestroy_v2(other));
    OK(cuCtxSetCurrent(here));
    no_finding();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fat_binaries_of_every_compression, open_context, close_context),
        cmocka_unit_test_setup_teardown(fat_binaries_that_do_not_fit_are_refused, open_context, close_context),
        cmocka_unit_test_setup_teardown(linking_joins_modules, open_context, close_context),
        cmocka_unit_test_setup_teardown(linking_says_what_is_wrong, open_context, close_context),
        cmocka_unit_test_setup_teardown(kernels_belong_to_no_context, open_context, close_context),
        cmocka_unit_test_setup_teardown(registered_memory_is_the_callers, open_context, close_context),
        cmocka_unit_test_setup_teardown(pointer_attributes_of_unknown_pointers_are_zero, open_context, close_context),
        cmocka_unit_test_setup_teardown(pools_count_what_is_in_use, open_context, close_context),
        cmocka_unit_test_setup_teardown(boxes_are_copied_between_all_kinds, open_context, close_context),
        cmocka_unit_test_setup_teardown(mipmaps_halve, open_context, close_context),
        cmocka_unit_test_setup_teardown(texture_objects_keep_their_descriptors, open_context, close_context),
        cmocka_unit_test_setup_teardown(entry_points_are_what_the_table_says, open_context, close_context),
        cmocka_unit_test_setup_teardown(every_device_attribute_is_known, open_context, close_context),
        cmocka_unit_test_setup_teardown(misuse_returns_the_documented_error, open_context, close_context)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
