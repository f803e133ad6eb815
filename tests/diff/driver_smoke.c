// A program against the CUDA driver API as any public sample is written: it loads a driver library by name, PTX text from a file, runs kernels,
// and checks results and error codes. Run against libhonegpu.so and against a vendor driver alike: driver_smoke LIBRARY PTX-FILE.
// Exit code: 0 all checks passed, 1 some failed, 77 the library or a device is absent.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
typedef unsigned long long CUdeviceptr;
typedef void *handle;
#define FUNCTIONS(F)                                                                                                        \
    F(cuInit, (unsigned)) F(cuDriverGetVersion, (int *)) F(cuDeviceGetCount, (int *)) F(cuDeviceGet, (int *, int))           \
    F(cuDeviceGetName, (char *, int, int)) F(cuDeviceGetAttribute, (int *, int, int)) F(cuDeviceTotalMem_v2, (size_t *, int)) \
    F(cuCtxCreate_v2, (handle *, unsigned, int)) F(cuCtxDestroy_v2, (handle)) F(cuCtxSynchronize, (void))                    \
    F(cuModuleLoadData, (handle *, const void *)) F(cuModuleLoadDataEx, (handle *, const void *, unsigned, int *, void **))   \
    F(cuModuleUnload, (handle)) F(cuModuleGetFunction, (handle *, handle, const char *))                                     \
    F(cuModuleGetGlobal_v2, (CUdeviceptr *, size_t *, handle, const char *)) F(cuFuncGetAttribute, (int *, int, handle))      \
    F(cuFuncSetAttribute, (handle, int, int)) F(cuMemAlloc_v2, (CUdeviceptr *, size_t)) F(cuMemFree_v2, (CUdeviceptr))        \
    F(cuMemcpyHtoD_v2, (CUdeviceptr, const void *, size_t)) F(cuMemcpyDtoH_v2, (void *, CUdeviceptr, size_t))                 \
    F(cuMemcpyDtoD_v2, (CUdeviceptr, CUdeviceptr, size_t)) F(cuMemsetD8_v2, (CUdeviceptr, unsigned char, size_t))             \
    F(cuMemsetD32_v2, (CUdeviceptr, unsigned, size_t)) F(cuMemAllocManaged, (CUdeviceptr *, size_t, unsigned))                \
    F(cuMemAllocHost_v2, (void **, size_t)) F(cuMemFreeHost, (void *)) F(cuMemGetAddressRange_v2, (CUdeviceptr *, size_t *, CUdeviceptr)) \
    F(cuLaunchKernel, (handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, handle, void **, void **)) \
    F(cuStreamCreate, (handle *, unsigned)) F(cuStreamSynchronize, (handle)) F(cuStreamDestroy_v2, (handle))                 \
    F(cuEventCreate, (handle *, unsigned)) F(cuEventRecord, (handle, handle)) F(cuEventSynchronize, (handle))                \
    F(cuEventElapsedTime, (float *, handle, handle)) F(cuEventDestroy_v2, (handle)) F(cuGetErrorName, (CUresult, const char **)) \
    F(cuOccupancyMaxActiveBlocksPerMultiprocessor, (int *, handle, int, size_t))                                             \
    F(cuOccupancyMaxPotentialBlockSize, (int *, int *, handle, size_t (*)(int), size_t, int))                                \
    F(cuGetProcAddress_v2, (const char *, void **, int, uint64_t, int *))
#define DECLARE(name, params) static CUresult (*name) params;
FUNCTIONS(DECLARE)

static int failures, checks;
static char *ptx;
#define CHECK(x) (checks++, (x) ? (void)0 : (void)(failures++, printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #x)))
#define RESULT(expected, call)                                                                                             \
    do {                                                                                                                   \
        CUresult got_ = (call);                                                                                            \
        checks++;                                                                                                          \
        if (got_ != (expected))                                                                                            \
            failures++, printf("%s:%d: %s gave %d, expected %d\n", __FILE__, __LINE__, #call, got_, (expected));           \
    } while (0)
#define OK(call) RESULT(0, call)

static handle module_of(void) {
    handle m = NULL;
    OK(cuModuleLoadData(&m, ptx));
    return m;
}
static handle function_of(handle m, const char *name) {
    handle f = NULL;
    OK(cuModuleGetFunction(&f, m, name));
    return f;
}
static CUresult launch(handle f, unsigned grid, unsigned block, unsigned shared, void **params) {
    return cuLaunchKernel(f, grid, 1, 1, block, 1, 1, shared, NULL, params, NULL);
}

static void test_vector_add(handle m) {
    enum { N = 1000 };
    float a[N], b[N], c[N];
    int n = N;
    for (int i = 0; i < N; i++) {
        a[i] = (float)i * 0.5f;
        b[i] = 1000.0f / (float)(i + 1);
    }
    CUdeviceptr da, db, dc;
    OK(cuMemAlloc_v2(&da, sizeof a));
    OK(cuMemAlloc_v2(&db, sizeof b));
    OK(cuMemAlloc_v2(&dc, sizeof c));
    CHECK(da % 256 == 0 && db % 256 == 0);
    OK(cuMemcpyHtoD_v2(da, a, sizeof a));
    OK(cuMemcpyHtoD_v2(db, b, sizeof b));
    OK(cuMemsetD8_v2(dc, 0xff, sizeof c));
    void *params[] = {&da, &db, &dc, &n};
    OK(launch(function_of(m, "vector_add"), (N + 127) / 128, 128, 0, params));
    OK(cuCtxSynchronize());
    OK(cuMemcpyDtoH_v2(c, dc, sizeof c));
    int wrong = 0;
    for (int i = 0; i < N; i++)
        wrong += c[i] != a[i] + b[i];
    CHECK(wrong == 0);
    OK(cuMemcpyDtoD_v2(da, dc, sizeof c));
    OK(cuMemcpyDtoH_v2(b, da, sizeof b));
    CHECK(memcmp(b, c, sizeof c) == 0);
    CUdeviceptr base;
    size_t bytes;
    OK(cuMemGetAddressRange_v2(&base, &bytes, da + 100));
    CHECK(base == da && bytes == sizeof a);
    OK(cuMemFree_v2(da));
    OK(cuMemFree_v2(db));
    OK(cuMemFree_v2(dc));
    OK(cuMemFree_v2(0));
}

static void test_block_sum(handle m) {
    enum { N = 100000 };
    int *in = malloc(N * sizeof *in), n = N, out = -1, want = 0;
    for (int i = 0; i < N; i++)
        want += in[i] = i % 37 - 5;
    CUdeviceptr din, dout;
    OK(cuMemAlloc_v2(&din, N * sizeof *in));
    OK(cuMemAlloc_v2(&dout, sizeof out));
    OK(cuMemcpyHtoD_v2(din, in, N * sizeof *in));
    OK(cuMemsetD32_v2(dout, 0, 1));
    void *params[] = {&din, &dout, &n};
    OK(launch(function_of(m, "block_sum"), (N + 255) / 256, 256, 256 * sizeof(int), params));
    OK(cuMemcpyDtoH_v2(&out, dout, sizeof out));
    CHECK(out == want);
    OK(cuMemFree_v2(din));
    OK(cuMemFree_v2(dout));
    free(in);
}

static void test_histogram(handle m) {
    enum { N = 5000 };
    unsigned char in[N];
    unsigned want[16] = {0}, got[16];
    int n = N, weights[4];
    for (int i = 0; i < N; i++) {
        in[i] = (unsigned char)(i * i + i / 7);
        want[in[i] & 15] += (in[i] & 3) + 1u;
    }
    CUdeviceptr din, bins, constants;
    size_t bytes;
    OK(cuModuleGetGlobal_v2(&bins, &bytes, m, "bins"));
    CHECK(bytes == sizeof want);
    OK(cuModuleGetGlobal_v2(&constants, &bytes, m, "weights"));
    CHECK(bytes == sizeof weights);
    OK(cuMemcpyDtoH_v2(weights, constants, sizeof weights));
    CHECK(weights[0] == 1 && weights[3] == 4);
    RESULT(500, cuModuleGetGlobal_v2(&din, &bytes, m, "no_such_name"));
    OK(cuMemAlloc_v2(&din, N));
    OK(cuMemcpyHtoD_v2(din, in, N));
    void *params[] = {&din, &n};
    OK(launch(function_of(m, "histogram"), (N + 95) / 96, 96, 0, params));
    OK(cuMemcpyDtoH_v2(got, bins, sizeof got));
    CHECK(memcmp(got, want, sizeof got) == 0);
    OK(cuMemFree_v2(din));
}

static void test_params(handle m) {
    CUdeviceptr d;
    double value = 2.5, got[64];
    signed char tag = -3;
    short k = 1000;
    OK(cuMemAlloc_v2(&d, sizeof got));
    void *params[] = {&d, &value, &tag, &k};
    handle f = function_of(m, "fill64");
    OK(launch(f, 2, 32, 0, params));
    OK(cuMemcpyDtoH_v2(got, d, sizeof got));
    CHECK(got[0] == 999.5 && got[63] == 999.5);
    unsigned char buffer[20] = {0};
    size_t size = sizeof buffer;
    value = -1;
    memcpy(buffer, &d, 8);
    memcpy(buffer + 8, &value, 8);
    memcpy(buffer + 16, &tag, 1);
    memcpy(buffer + 18, &k, 2);
    void *extra[] = {(void *)1, buffer, (void *)2, &size, NULL};
    OK(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, extra));
    OK(cuMemcpyDtoH_v2(got, d, sizeof got));
    CHECK(got[31] == 996 && got[32] == 999.5);
    OK(cuMemFree_v2(d));
}

static void test_validation(handle m) {
    CUdeviceptr d;
    OK(cuMemAlloc_v2(&d, 1 << 20));
    void *params[] = {&d};
    int n = 1;
    void *sum_params[] = {&d, &d, &n};
    handle bounded = function_of(m, "bounded"), sum = function_of(m, "block_sum"), f;
    RESULT(500, cuModuleGetFunction(&f, m, "no_such_kernel"));
    OK(launch(bounded, 1, 64, 0, params));
    RESULT(1, launch(bounded, 1, 128, 0, params));
    RESULT(1, launch(sum, 1, 2048, 0, sum_params));
    RESULT(1, launch(sum, 0, 32, 0, sum_params));
    RESULT(1, cuLaunchKernel(sum, 1, 65536, 1, 32, 1, 1, 0, NULL, sum_params, NULL));
    RESULT(1, launch(sum, 1, 32, 60000, sum_params));
    RESULT(1, cuFuncSetAttribute(sum, 8, 1 << 20));
    OK(cuFuncSetAttribute(sum, 8, 60000));
    OK(launch(sum, 1, 32, 60000, sum_params));
    int value;
    OK(cuFuncGetAttribute(&value, 0, bounded));
    CHECK(value == 64);
    OK(cuFuncGetAttribute(&value, 1, function_of(m, "big_static")));
    CHECK(value == 1024);
    OK(cuFuncGetAttribute(&value, 4, sum));
    CHECK(value > 0 && value <= 255);
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, sum, 256, 1024));
    CHECK(value >= 1);
    int grid, block;
    OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, sum, NULL, 0, 0));
    CHECK(grid > 0 && block % 32 == 0 && block > 0);
    RESULT(1, cuMemcpyHtoD_v2(0x1234, &value, 4));
    RESULT(1, cuMemAlloc_v2(&d, 0));
    RESULT(2, cuMemAlloc_v2(&d, (size_t)1 << 45));
    OK(cuCtxSynchronize());
}

static void test_streams(handle m) {
    handle s, from, to;
    CUdeviceptr d;
    float ms = -1;
    OK(cuStreamCreate(&s, 1));
    OK(cuEventCreate(&from, 0));
    OK(cuEventCreate(&to, 0));
    OK(cuMemAlloc_v2(&d, 4 * 64));
    void *params[] = {&d};
    OK(cuEventRecord(from, s));
    OK(cuLaunchKernel(function_of(m, "bounded"), 1, 1, 1, 64, 1, 1, 0, s, params, NULL));
    OK(cuEventRecord(to, s));
    OK(cuEventSynchronize(to));
    OK(cuStreamSynchronize(s));
    OK(cuEventElapsedTime(&ms, from, to));
    CHECK(ms > 0);
    int got[64];
    OK(cuMemcpyDtoH_v2(got, d, sizeof got));
    CHECK(got[0] == 0 && got[63] == 63);
    OK(cuEventDestroy_v2(from));
    OK(cuEventDestroy_v2(to));
    OK(cuStreamDestroy_v2(s));
    OK(cuMemFree_v2(d));
}

static void test_host_memory(handle m) {
    CUdeviceptr managed;
    int *pinned;
    OK(cuMemAllocManaged(&managed, 64 * sizeof(int), 1));
    OK(cuMemAllocHost_v2((void **)&pinned, 64 * sizeof(int)));
    memset((void *)(uintptr_t)managed, 0, 64 * sizeof(int));
    pinned[5] = 77;
    void *params[] = {&managed};
    handle bounded = function_of(m, "bounded");
    OK(launch(bounded, 1, 64, 0, params));
    OK(cuCtxSynchronize());
    CHECK(((int *)(uintptr_t)managed)[40] == 40);
    CUdeviceptr device_pinned = (CUdeviceptr)(uintptr_t)pinned;
    void *pinned_params[] = {&device_pinned};
    OK(launch(bounded, 1, 64, 0, pinned_params));
    OK(cuCtxSynchronize());
    CHECK(pinned[5] == 5 && pinned[63] == 63);
    OK(cuMemFree_v2(managed));
    OK(cuMemFreeHost(pinned));
}

static void test_bad_ptx(void) {
    handle m;
    char log[512] = "";
    int options[] = {5, 6};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    CHECK(cuModuleLoadDataEx(&m, ".version 7.0\n.target sm_75\n.address_size 64\n.visible .entry k() { frobnicate.u32 %r1; }\n", 2, options, values) != 0);
    CHECK(strstr(log, "frobnicate") != NULL);
}

// A fault makes every later call in the context fail with the same error. Afterwards a new context works again, unless the driver refuses the whole
// process from then on, as recent vendor drivers do.
static void test_sticky(const char *kernel, int offset, CUresult expected) {
    handle context, f;
    CUresult created = cuCtxCreate_v2(&context, 0, 0);
    if (created >= 700 && created < 720)
        return;
    OK(created);
    handle m = module_of();
    CUdeviceptr d = 0, again;
    OK(cuMemAlloc_v2(&d, 1024));
    void *params[] = {&d, &offset};
    OK(cuModuleGetFunction(&f, m, kernel));
    OK(launch(f, 1, 32, 0, params));
    RESULT(expected, cuCtxSynchronize());
    RESULT(expected, cuMemAlloc_v2(&again, 16));
    RESULT(expected, launch(f, 1, 32, 0, params));
    cuCtxDestroy_v2(context);
}

static char *read_text(const char *path) {
    FILE *f = fopen(path, "rb");
    char *text = f ? calloc(1, 1 << 20) : NULL;
    if (text && fread(text, 1, (1 << 20) - 1, f) == 0)
        text[0] = 0;
    if (f)
        fclose(f);
    return text;
}

int main(int argc, char **argv) {
    void *library = argc > 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!library || !(ptx = read_text(argv[2]))) {
        printf("skipped: %s\n", argc > 2 ? dlerror() : "usage: driver_smoke LIBRARY PTX-FILE");
        return 77;
    }
#define FIND(name, params)                                                                      \
    if (!((name) = (CUresult(*) params)dlsym(library, #name))) {                                \
        printf("no %s in %s\n", #name, argv[1]);                                                \
        return 1;                                                                               \
    }
    FUNCTIONS(FIND)
    int count = 0, version = 0, sms = 0;
    if (cuInit(0) != 0 || cuDeviceGetCount(&count) != 0 || count == 0) {
        printf("skipped: no device\n");
        return 77;
    }
    char name[100] = "";
    size_t memory = 0;
    const char *text = NULL;
    void *found = NULL;
    OK(cuDriverGetVersion(&version));
    OK(cuDeviceGetName(name, sizeof name, 0));
    OK(cuDeviceGetAttribute(&sms, 16, 0));
    OK(cuDeviceTotalMem_v2(&memory, 0));
    CHECK(version >= 12000 && sms > 0 && memory > 1u << 30 && name[0]);
    OK(cuGetErrorName(700, &text));
    CHECK(text && strcmp(text, "CUDA_ERROR_ILLEGAL_ADDRESS") == 0);
    RESULT(1, cuGetErrorName(123456, &text));
    OK(cuGetProcAddress_v2("cuMemAlloc", &found, 12000, 0, NULL));
    CHECK(found == (void *)(uintptr_t)cuMemAlloc_v2);
    handle context = NULL;
    RESULT(201, cuCtxSynchronize());
    OK(cuCtxCreate_v2(&context, 0, 0));
    handle m = module_of();
    test_vector_add(m);
    test_block_sum(m);
    test_histogram(m);
    test_params(m);
    test_validation(m);
    test_streams(m);
    test_host_memory(m);
    test_bad_ptx();
    OK(cuModuleUnload(m));
    OK(cuCtxDestroy_v2(context));
    test_sticky("past_the_end", 1 << 28, 700);
    test_sticky("misaligned", 0, 716);
    if (dlclose(library) != 0)   // what it keeps goes with it: a leak checker looks after this
        failures++;
    printf("%s: %d checks, %d failed\n", name, checks, failures);
    return failures != 0;
}
