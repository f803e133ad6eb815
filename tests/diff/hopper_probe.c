// Launches the kernels of hopper_probe.cu through the driver API and compares them with the CPU: hopper_probe LIBRARY PTX-FILE. Runs against a vendor
// driver on compute capability 9.0 too; on the virtual GPU again with races watched and with counting, and without a finding. Exit code: 0 all passed, 1 some failed, 77 no library or device.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hone_vgpu.h"

typedef int CUresult;
typedef unsigned long long CUdeviceptr;
typedef void *handle;
typedef struct { int id; char pad[4]; union { char pad[64]; unsigned cluster[3]; int cooperative; } value; } attribute;
typedef struct { unsigned grid[3], block[3], shared; handle stream; attribute *attributes; unsigned n_attributes; } config;
#define FUNCTIONS(F)                                                                                                         \
    F(cuInit, (unsigned)) F(cuDeviceGet, (int *, int)) F(cuDeviceGetAttribute, (int *, int, int)) F(cuCtxCreate_v2, (handle *, unsigned, int)) F(cuCtxDestroy_v2, (handle)) \
    F(cuCtxSynchronize, (void)) F(cuModuleLoadDataEx, (handle *, const void *, unsigned, int *, void **))                    \
    F(cuModuleGetFunction, (handle *, handle, const char *)) F(cuFuncSetAttribute, (handle, int, int))                       \
    F(cuMemAlloc_v2, (CUdeviceptr *, size_t)) F(cuMemcpyHtoD_v2, (CUdeviceptr, const void *, size_t))                        \
    F(cuMemcpyDtoH_v2, (void *, CUdeviceptr, size_t)) F(cuLaunchKernelEx, (const config *, handle, void **, void **))        \
    F(cuLaunchCooperativeKernel, (handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, handle, void **)) \
    F(cuOccupancyMaxActiveClusters, (int *, handle, const config *))                                                         \
    F(cuTensorMapEncodeTiled, (void *, int, unsigned, void *, const uint64_t *, const uint64_t *, const uint32_t *, const uint32_t *, int, int, int, int))
#define DECLARE(name, params) static CUresult (*name) params;
FUNCTIONS(DECLARE)

static int failures;
#define CHECK(x) ((x) ? (void)0 : (void)(failures++, printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #x)))
#define OK(call) do { const CUresult r_ = (call); if (r_) { failures++; printf("%s:%d: %d from %s\n", __FILE__, __LINE__, r_, #call); } } while (0)

static CUdeviceptr upload(const void *data, size_t bytes) {
    CUdeviceptr p = 0;
    OK(cuMemAlloc_v2(&p, bytes));
    OK(cuMemcpyHtoD_v2(p, data, bytes));
    return p;
}
static void *download(CUdeviceptr p, size_t bytes) {
    void *data = calloc(1, bytes);
    OK(cuCtxSynchronize());
    OK(cuMemcpyDtoH_v2(data, p, bytes));
    return data;
}
static handle kernel(handle module, const char *name) {
    handle f = NULL;
    OK(cuModuleGetFunction(&f, module, name));
    return f;
}

static uint16_t bf16_of(float f) {   // exact for the small numbers used here
    uint32_t x;
    memcpy(&x, &f, 4);
    return (uint16_t)(x >> 16);
}

static void encode(void *map, CUdeviceptr p, uint64_t rows, uint64_t k, uint32_t box_rows) {   // bf16, 128-byte swizzle
    const uint64_t dims[2] = {k, rows}, strides[1] = {2 * k};
    const uint32_t box[2] = {64, box_rows}, steps[2] = {1, 1};
    OK(cuTensorMapEncodeTiled(map, 9, 2, (void *)(uintptr_t)p, dims, strides, box, steps, 0, 3, 2, 0));
}

static void matmul(handle module) {
    enum { M = 256, N = 256, K = 320 };
    static uint16_t a[M * K], b[N * K];
    static float zero[M * N];
    _Alignas(64) char map_a[128], map_b[128];
    for (int i = 0; i < M * K; i++)
        a[i] = bf16_of((float)((i * 7 + i / K * 3) % 13 - 6) / 4);
    for (int i = 0; i < N * K; i++)
        b[i] = bf16_of((float)((i * 5 + i / K) % 11 - 5) / 8);
    CUdeviceptr da = upload(a, sizeof a), db = upload(b, sizeof b), dc = upload(zero, sizeof zero);
    encode(map_a, da, M, K, 64);
    encode(map_b, db, N, K, 64);
    int n = N, k = K;
    handle f = kernel(module, "matmul");
    const unsigned shared = 3 * (64 + 128) * 64 * 2;
    OK(cuFuncSetAttribute(f, 8, (int)shared));
    OK(cuLaunchKernelEx(&(config){.grid = {M / 64, N / 128, 1}, .block = {256, 1, 1}, .shared = shared}, f, (void *[]){map_a, map_b, &dc, &n, &k}, NULL));
    float *c = download(dc, sizeof zero);
    int wrong = 0;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double want = 0;
            for (int p = 0; p < K; p++)
                want += (double)((i * K * 7 + p * 7 + i * 3) % 13 - 6) / 4 * (double)((j * K * 5 + p * 5 + j) % 11 - 5) / 8;
            wrong += (double)c[i * N + j] != want;   // exact: multiples of 1/32 under 2^11
        }
    CHECK(wrong == 0);
    free(c);
}

static void bulk_add(handle module) {
    enum { BLOCKS = 5, COUNT = BLOCKS * 256 };
    static int in[COUNT], zero[COUNT];
    for (int i = 0; i < COUNT; i++)
        in[i] = 3 * i;
    CUdeviceptr di = upload(in, sizeof in), d = upload(zero, sizeof zero);
    OK(cuLaunchKernelEx(&(config){.grid = {BLOCKS, 1, 1}, .block = {256, 1, 1}}, kernel(module, "bulk_add"), (void *[]){&di, &d}, NULL));
    int *out = download(d, sizeof zero), wrong = 0;
    for (int i = 0; i < COUNT; i++)
        wrong += out[i] != 3 * i + 1;
    CHECK(wrong == 0);
    free(out);
}

static void histogram(handle module) {
    enum { COUNT = 5000 };
    static int in[COUNT];
    handle f = kernel(module, "cluster_histogram");
    for (int i = 0; i < COUNT; i++)
        in[i] = (int)((unsigned)i * 2654435761u >> 8);
    for (unsigned size = 1; size <= 8; size *= 2) {
        int want[512] = {0}, n = COUNT, wrong = 0, fits = 0;
        CUdeviceptr di = upload(in, sizeof in), d = upload(want, sizeof want);
        attribute cluster = {.id = 4, .value = {.cluster = {size, 1, 1}}};
        const config k = {.grid = {size, 1, 1}, .block = {96, 1, 1}, .attributes = &cluster, .n_attributes = 1};
        OK(cuOccupancyMaxActiveClusters(&fits, f, &k));
        CHECK(fits > 0);
        OK(cuLaunchKernelEx(&k, f, (void *[]){&di, &n, &d}, NULL));
        int *out = download(d, sizeof want);
        for (int i = 0; i < COUNT; i++)
            want[in[i] % (int)(64 * size) / 64 * 64 + in[i] % 64]++;
        for (int i = 0; i < 512; i++)
            wrong += out[i] != want[i];
        CHECK(wrong == 0);
        free(out);
    }
    attribute odd = {.id = 4, .value = {.cluster = {3, 1, 1}}}, large = {.id = 4, .value = {.cluster = {16, 1, 1}}};
    CUdeviceptr none = 0;
    int n = 0;
    CHECK(cuLaunchKernelEx(&(config){.grid = {4, 1, 1}, .block = {64, 1, 1}, .attributes = &odd, .n_attributes = 1}, f, (void *[]){&none, &n, &none}, NULL) != 0);
    CHECK(cuLaunchKernelEx(&(config){.grid = {16, 1, 1}, .block = {64, 1, 1}, .attributes = &large, .n_attributes = 1}, f, (void *[]){&none, &n, &none}, NULL) != 0);
}

static void rotate(handle module) {
    enum { BLOCKS = 40, COUNT = BLOCKS * 64 };
    static int a[COUNT];
    for (int i = 0; i < COUNT; i++)
        a[i] = i;
    CUdeviceptr da = upload(a, sizeof a), db = upload(a, sizeof a);
    int rounds = 5, wrong = 0;
    handle f = kernel(module, "grid_rotate");
    OK(cuLaunchCooperativeKernel(f, BLOCKS, 1, 1, 64, 1, 1, 0, NULL, (void *[]){&da, &db, &rounds}));
    int *out = download(da, sizeof a);
    for (int i = 0; i < COUNT; i++)
        wrong += out[i] != (i + 5) % COUNT;
    CHECK(wrong == 0);
    free(out);
    CHECK(cuLaunchCooperativeKernel(f, 100000, 1, 1, 64, 1, 1, 0, NULL, (void *[]){&da, &db, &rounds}) == 720);   // too large
}

static void run_all(handle module) {
    matmul(module);
    bulk_add(module);
    histogram(module);
    rotate(module);
}

// What was counted of the matrix product: its multiply-adds, and the bytes of A and B that each block fetched (B by halves, the rest by multicast).
static void check_counters(void *library) {
    static honeVgpuLaunch launches[64];
    int (*take)(honeVgpuLaunch *, uint32_t, uint32_t *);
    uint32_t n = 0, seen = 0;
    *(void **)&take = dlsym(library, "honeVgpuTakeLaunches");
    CHECK(take && take(launches, 64, &n) == 0);
    for (uint32_t i = 0; i < n && i < 64; i++) {
        const honeVgpuCounters *c = &launches[i].counters;
        if (strcmp(launches[i].kernel, "matmul") != 0)
            continue;
        seen++;
        CHECK(c->flops_tensor == 2.0 * 256 * 256 * 320);
        CHECK(c->global_load_bytes == 8.0 * (64 + 64) * 320 * 2);
        CHECK(c->global_store_bytes == 256.0 * 256 * 4);
        CHECK(launches[i].model.time_us > 0);
    }
    CHECK(seen == 1);
}

// The virtual GPU's own entry points are optional and looked up by name.
static void run_on_virtual(void *library, handle module) {
    static const uint32_t flags[] = {HONE_VGPU_CHECK | HONE_VGPU_RACE, HONE_VGPU_CHECK | HONE_VGPU_COUNT};
    int (*get)(honeVgpuOptions *), (*set)(const honeVgpuOptions *), (*take)(honeVgpuFinding *, uint32_t, uint32_t *);
    *(void **)&get = dlsym(library, "honeVgpuGetOptions");
    *(void **)&set = dlsym(library, "honeVgpuSetOptions");
    *(void **)&take = dlsym(library, "honeVgpuTakeFindings");
    for (int i = 0; get && set && take && i < 3; i++) {
        honeVgpuFinding found[4];
        honeVgpuOptions o = {.size = sizeof o};
        uint32_t n = 0;
        CHECK(take(found, 4, &n) == 0);
        if (n)
            failures++, printf("round %d: %u findings: %s line %u: %s: %s\n", i, n, found[0].kernel, found[0].line, found[0].kind, found[0].message);
        if (i == 2)
            break;
        CHECK(get(&o) == 0);
        o.flags = flags[i];
        CHECK(set(&o) == 0);
        run_all(module);
        if (flags[i] & HONE_VGPU_COUNT)
            check_counters(library);
    }
}

int main(int argc, char **argv) {
    static char text[1 << 22], log[4096];
    FILE *file = argc > 2 ? fopen(argv[2], "rb") : NULL;
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    int device = 0, major = 0, options[] = {5, 6};
    handle context = NULL, module = NULL;
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    if (!library || !file || !fread(text, 1, sizeof text - 1, file))
        return printf("skipped: no library or no PTX\n"), 77;
    fclose(file);
#define LOAD(name, params) if (!(*(void **)&name = dlsym(library, #name))) return printf("failed: no %s\n", #name), 1;
    FUNCTIONS(LOAD)
    if (cuInit(0) || cuDeviceGet(&device, 0) || cuDeviceGetAttribute(&major, 75, device) || major != 9)
        return printf("skipped: no device of compute capability 9\n"), 77;
    OK(cuCtxCreate_v2(&context, 0, device));
    OK(cuModuleLoadDataEx(&module, text, 2, options, values));
    if (!module)
        return printf("%s\n", log), 1;
    run_all(module);
    run_on_virtual(library, module);
    OK(cuCtxDestroy_v2(context));
    printf("%s\n", failures ? "some checks failed" : "all passed");
    return failures != 0;
}
