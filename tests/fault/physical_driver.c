// A CUDA driver (for HONE_CUDA_DRIVER) that presents the virtual GPU as physical devices, so that the paths for hardware run without any: measured time, paired
// timing, workers of their own, recovery. Calls go to a second copy of libhonegpu.so (HONE_FAKE_GPU_LIBRARY, or libhonegpu_physical.so beside this
// file); kernels compute for real, and a timeline of the device's own says how long they took. It sleeps that long, or moves
// the clock of fake_clock.c where that is preloaded. Cubins are refused with CUDA_ERROR_NO_BINARY_FOR_GPU, so
// that the driver gets PTX. HONE_FAKE_GPU holds words:
//   devices=N          how many there are; default 1
//   other=NAME         the name of every device but the first
//   time=US            what a launch takes; default: as long as the virtual GPU models
//   scale=FACTOR       of what is modelled: small problems that take as long as large ones
//   noise=SHARE        of a launch's time, at random; default 0.001
//   bias=SHARE         of a program's time, the same at every launch of it: what the model does not know
//   power=SHARE        what a launch takes differs by its block size, up to this share: HONE_FAKE_WATTS tells the fake NVML, beside 300 W
//   beside=SHARE:KERNEL   of what launches of this kernel take, so much runs after the events around them
//   gapless=1          the device's clock moves by work alone: how busy the host is does not show in times
//   memory=BYTES       of a device; more is CUDA_ERROR_OUT_OF_MEMORY
//   l2=BYTES           of its L2 cache: hone overwrites and rotates over multiples of it
//   sms=N              multiprocessors
//   fail=CALL:N:RESULT[:KERNEL]   the N-th call of CALL answers RESULT (a number, or `hang`), counted from when KERNEL was first looked up
//   once=FILE          fail only while FILE does not exist, and make it
//   lost=FILE          while FILE exists no context can be made (CUDA_ERROR_DEVICE_UNAVAILABLE)
#include "gpu/cuda_abi.h"
#include "hone_vgpu.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
enum { MAX_ALLOCATIONS = 4096 };
struct CUevent_st { double at_s; };

static struct {
    void *library;
    int devices;
    char other[64], fail_call[64], fail_kernel[64], beside_kernel[64], once[256], lost[256];
    double fixed_us, scale, noise, bias, power, beside, tail_s;
    CUfunction beside_function;
    size_t memory, used, l2, sms;
    long fail_at, seen, launches;
    int fail_with, poisoned, current;
    bool armed, gapless;
    double busy_until_s, emulated_s;
    struct { CUdeviceptr at; size_t bytes; } allocations[MAX_ALLOCATIONS];
} gpu = {.devices = 1, .scale = 1, .noise = 0.001};
enum { HANG = -1 };

// ---- configuration

static void set(const char *key, const char *value) {
    if (!strcmp(key, "devices"))
        gpu.devices = atoi(value);
    else if (!strcmp(key, "other"))
        snprintf(gpu.other, sizeof gpu.other, "%s", value);
    else if (!strcmp(key, "time"))
        gpu.fixed_us = atof(value);
    else if (!strcmp(key, "scale"))
        gpu.scale = atof(value);
    else if (!strcmp(key, "noise"))
        gpu.noise = atof(value);
    else if (!strcmp(key, "bias"))
        gpu.bias = atof(value);
    else if (!strcmp(key, "power"))
        gpu.power = atof(value);
    else if (!strcmp(key, "beside"))
        sscanf(value, "%lf:%63s", &gpu.beside, gpu.beside_kernel);
    else if (!strcmp(key, "gapless"))
        gpu.gapless = atoi(value);
    else if (!strcmp(key, "memory"))
        gpu.memory = strtoull(value, NULL, 0);
    else if (!strcmp(key, "l2"))
        gpu.l2 = strtoull(value, NULL, 0);
    else if (!strcmp(key, "sms"))
        gpu.sms = strtoull(value, NULL, 0);
    else if (!strcmp(key, "once"))
        snprintf(gpu.once, sizeof gpu.once, "%s", value);
    else if (!strcmp(key, "lost"))
        snprintf(gpu.lost, sizeof gpu.lost, "%s", value);
    else if (!strcmp(key, "fail")) {
        char result[32] = "";
        if (sscanf(value, "%63[^:]:%ld:%31[^:]:%63s", gpu.fail_call, &gpu.fail_at, result, gpu.fail_kernel) < 3)
            fprintf(stderr, "HONE_FAKE_GPU: fail=%s is not CALL:N:RESULT\n", value), _exit(70);
        gpu.fail_with = !strcmp(result, "hang") ? HANG : atoi(result);
    } else
        fprintf(stderr, "HONE_FAKE_GPU: '%s' is no word\n", key), _exit(70);
}

static void configure(void) {
    char text[1024];
    snprintf(text, sizeof text, "%s", getenv("HONE_FAKE_GPU") ? getenv("HONE_FAKE_GPU") : "");
    for (char *save = NULL, *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(word, '=');
        if (eq)
            *eq = 0;
        set(word, eq ? eq + 1 : "");
    }
    gpu.armed = !gpu.fail_kernel[0];
}

// ---- the library behind

static void *real(const char *name) {
    void *f = gpu.library ? dlsym(gpu.library, name) : NULL;
    if (!f)
        fprintf(stderr, "physical_driver: no '%s' behind it\n", name), _exit(70);
    return f;
}
#define REAL(name, ...) ((CUresult(*)())real(#name))(__VA_ARGS__)

static bool open_library(void) {
    char path[1024];
    Dl_info self;
    const char *given = getenv("HONE_FAKE_GPU_LIBRARY");
    if (gpu.library)
        return true;
    if (given)
        snprintf(path, sizeof path, "%s", given);
    else if (dladdr((void *)open_library, &self) && strrchr(self.dli_fname, '/'))
        snprintf(path, sizeof path, "%.*s/libhonegpu_physical.so", (int)(strrchr(self.dli_fname, '/') - self.dli_fname), self.dli_fname);
    gpu.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!gpu.library)
        fprintf(stderr, "physical_driver: %s\n", dlerror());
    return gpu.library != NULL;
}

// ---- failures

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool may_fail(void) {
    if (!gpu.once[0])
        return true;
    int fd = open(gpu.once, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static CUresult enter(const char *name) {
    if (gpu.poisoned)
        return gpu.poisoned;
    if (!gpu.armed || strcmp(name, gpu.fail_call) != 0 || ++gpu.seen != gpu.fail_at || !may_fail())
        return CUDA_SUCCESS;
    if (gpu.fail_with == HANG)
        for (;;)
            pause();
    if (gpu.fail_with != CUDA_ERROR_OUT_OF_MEMORY)
        gpu.poisoned = gpu.fail_with;   // until the process ends
    return gpu.fail_with;
}
#define ENTER                           \
    do {                                \
        CUresult r_ = enter(__func__);  \
        if (r_ != CUDA_SUCCESS)         \
            return r_;                  \
    } while (0)

// ---- devices

API CUresult cuInit(unsigned flags) {
    configure();
    ENTER;
    return open_library() ? REAL(cuInit, flags) : CUDA_ERROR_NO_DEVICE;
}
API CUresult cuDriverGetVersion(int *v) { return REAL(cuDriverGetVersion, v); }
API CUresult cuGetErrorName(CUresult r, const char **s) {
    if (r != CUDA_ERROR_DEVICE_UNAVAILABLE)
        return REAL(cuGetErrorName, r, s);
    *s = "CUDA_ERROR_DEVICE_UNAVAILABLE";
    return CUDA_SUCCESS;
}
API CUresult cuGetErrorString(CUresult r, const char **s) { return REAL(cuGetErrorString, r, s); }
API CUresult cuDeviceGet(CUdevice *d, int i) {
    *d = i;
    return i >= 0 && i < gpu.devices ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
API CUresult cuDeviceGetCount(int *n) {
    *n = gpu.devices;
    return CUDA_SUCCESS;
}
API CUresult cuDeviceGetName(char *s, int n, CUdevice d) {
    if (d > 0 && gpu.other[0]) {
        snprintf(s, (size_t)n, "%s", gpu.other);
        return CUDA_SUCCESS;
    }
    return REAL(cuDeviceGetName, s, n, 0);
}
API CUresult cuDeviceGetAttribute(int *v, int a, CUdevice d) {
    (void)d;
    const size_t told = a == CU_ATTR_L2_BYTES ? gpu.l2 : a == CU_ATTR_SM_COUNT ? gpu.sms : 0;
    if (told) {
        *v = (int)told;
        return CUDA_SUCCESS;
    }
    return REAL(cuDeviceGetAttribute, v, a, 0);
}
API CUresult cuDeviceTotalMem_v2(size_t *n, CUdevice d) {
    (void)d;
    if (gpu.memory) {
        *n = gpu.memory;
        return CUDA_SUCCESS;
    }
    return REAL(cuDeviceTotalMem_v2, n, 0);
}
API CUresult cuDeviceGetPCIBusId(char *id, int n, CUdevice d) {
    snprintf(id, (size_t)n, "0000:%02X:00.0", d + 1);
    return CUDA_SUCCESS;
}
API CUresult cuCtxCreate_v2(CUcontext *c, unsigned f, CUdevice d) {
    ENTER;
    if (gpu.lost[0] && access(gpu.lost, F_OK) == 0)
        return CUDA_ERROR_DEVICE_UNAVAILABLE;
    gpu.current = d;
    CUresult r = REAL(cuCtxCreate_v2, c, f, 0);
    honeVgpuOptions o = {.size = sizeof o, .flags = gpu.fixed_us > 0 ? 0 : HONE_VGPU_COUNT};
    return r == CUDA_SUCCESS ? ((CUresult(*)(const honeVgpuOptions *))real("honeVgpuSetOptions"))(&o) : r;
}
API CUresult cuCtxDestroy_v2(CUcontext c) { return REAL(cuCtxDestroy_v2, c); }
API CUresult cuCtxSetCurrent(CUcontext c) { ENTER; return REAL(cuCtxSetCurrent, c); }

// ---- modules

API CUresult cuModuleLoadDataEx(CUmodule *m, const void *image, unsigned n, int *options, void **values) {
    ENTER;
    if (memcmp(image, "\177ELF", 4) == 0)
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    return REAL(cuModuleLoadDataEx, m, image, n, options, values);
}
API CUresult cuModuleUnload(CUmodule m) { return REAL(cuModuleUnload, m); }
API CUresult cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name) {
    ENTER;
    if (gpu.fail_kernel[0] && strstr(name, gpu.fail_kernel))
        gpu.armed = true;
    CUresult r = REAL(cuModuleGetFunction, f, m, name);
    if (gpu.beside_kernel[0] && strstr(name, gpu.beside_kernel))
        gpu.beside_function = *f;
    return r;
}
API CUresult cuModuleGetGlobal_v2(CUdeviceptr *p, size_t *bytes, CUmodule m, const char *name) {
    return REAL(cuModuleGetGlobal_v2, p, bytes, m, name);
}
API CUresult cuFuncGetAttribute(int *v, int a, CUfunction f) { return REAL(cuFuncGetAttribute, v, a, f); }
API CUresult cuFuncSetAttribute(CUfunction f, int a, int v) { return REAL(cuFuncSetAttribute, f, a, v); }

// ---- images and tensor maps: no faults of their own

#define PASS(name, params, ...) \
    API CUresult name params { return ((CUresult(*) params)real(#name))(__VA_ARGS__); }
PASS(cuArray3DCreate_v2, (void **a, const void *d), a, d)
PASS(cuMemcpy3D_v2, (const void *copy), copy)
PASS(cuMipmappedArrayCreate, (void **m, const void *d, unsigned levels), m, d, levels)
PASS(cuMipmappedArrayGetLevel, (void **a, void *m, unsigned level), a, m, level)
PASS(cuTexObjectCreate, (uint64_t *t, const void *r, const void *d, const void *v), t, r, d, v)
PASS(cuSurfObjectCreate, (uint64_t *s, const void *r), s, r)
PASS(cuTensorMapEncodeTiled, (void *map, int type, unsigned rank, void *address, const uint64_t *dims, const uint64_t *strides, const uint32_t *box, const uint32_t *steps, int interleave,
                              int swizzle, int promotion, int fill), map, type, rank, address, dims, strides, box, steps, interleave, swizzle, promotion, fill)
PASS(cuTensorMapEncodeIm2col, (void *map, int type, unsigned rank, void *address, const uint64_t *dims, const uint64_t *strides, const int *lower, const int *upper, unsigned channels,
                               unsigned pixels, const uint32_t *steps, int interleave, int swizzle, int promotion, int fill), map, type, rank, address, dims, strides, lower, upper,
     channels, pixels, steps, interleave, swizzle, promotion, fill)

// ---- memory

API CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    if (!gpu.memory)
        return REAL(cuMemGetInfo_v2, free_bytes, total);
    *total = gpu.memory;
    *free_bytes = gpu.memory - gpu.used;
    return CUDA_SUCCESS;
}
API CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t n) {
    ENTER;
    if (gpu.memory && n > gpu.memory - gpu.used)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult r = ((CUresult(*)(CUdeviceptr *, size_t))real("cuMemAlloc_v2"))(p, n);
    for (int i = 0; r == CUDA_SUCCESS && i < MAX_ALLOCATIONS; i++)
        if (!gpu.allocations[i].bytes) {
            gpu.allocations[i].at = *p;
            gpu.allocations[i].bytes = n;
            gpu.used += n;
            break;
        }
    return r;
}
API CUresult cuMemFree_v2(CUdeviceptr p) {
    for (int i = 0; i < MAX_ALLOCATIONS; i++)
        if (gpu.allocations[i].bytes && gpu.allocations[i].at == p) {
            gpu.used -= gpu.allocations[i].bytes;
            gpu.allocations[i].bytes = 0;
        }
    return ((CUresult(*)(CUdeviceptr))real("cuMemFree_v2"))(p);
}

// ---- the timeline: work is computed when it is sent, while the device's clock stands still, and ends when the device would have done it

static double device_now(void) { return gpu.gapless ? gpu.busy_until_s : now() - gpu.emulated_s; }

static void works_for(double us) {
    double t = device_now();
    gpu.busy_until_s = (gpu.busy_until_s > t ? gpu.busy_until_s : t) + us * 1e-6;
}

static void wait_until(double at_s) {
    int (*skip)(double) = (int (*)(double))dlsym(RTLD_DEFAULT, "hone_fake_clock_skip");
    double left = at_s - device_now();
    if (left > 0 && !(skip && skip(left)))
        nanosleep(&(struct timespec){(time_t)left, (long)((left - floor(left)) * 1e9)}, NULL);
}

static CUresult idle(void) {
    works_for(gpu.tail_s * 1e6);
    gpu.tail_s = 0;
    wait_until(gpu.busy_until_s);
    return CUDA_SUCCESS;
}

#define EMULATED(call)                        \
    ({                                        \
        double from_ = now();                 \
        CUresult done_ = (call);              \
        gpu.emulated_s += now() - from_;      \
        done_;                                \
    })

static double unit(uint64_t x) {   // a number in [-1, 1) that depends on x alone
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    x ^= x >> 33;
    return (double)(x >> 11) / 4503599627370496.0 - 1;
}

static bool capturing;
static unsigned captured;

static double modelled_us(void) {
    static honeVgpuLaunch launch[4];
    uint32_t n = 0;
    if (((CUresult(*)(honeVgpuLaunch *, uint32_t, uint32_t *))real("honeVgpuTakeLaunches"))(launch, 4, &n) != CUDA_SUCCESS || !n)
        return 1;
    double us = launch[(n < 4 ? n : 4) - 1].model.time_us;
    uint64_t bits;
    memcpy(&bits, &us, sizeof bits);
    return us * gpu.scale * exp(gpu.bias * unit(bits));
}

static double drawn_w;   // by the launch captured last

static void draws(double watts) {
    char text[32];
    snprintf(text, sizeof text, "%.3f", watts);
    if (gpu.power > 0)
        setenv("HONE_FAKE_WATTS", text, 1);
}

static double watts_of(unsigned threads) { return 300 * (1 + gpu.power * unit(threads)); }

static CUresult launched(CUresult r, CUfunction f) {
    double us = r != CUDA_SUCCESS ? 0 : gpu.fixed_us > 0 ? gpu.fixed_us : modelled_us(), beside = gpu.beside_function && f == gpu.beside_function ? gpu.beside : 0;
    works_for(us * (1 - beside) * (1 + gpu.noise * unit((uint64_t)++gpu.launches)));
    gpu.tail_s += us * beside * 1e-6;
    return r;
}

API CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned smem,
                            CUstream q, void **params, void **extra) {
    ENTER;
    if (capturing) {
        captured++;
        drawn_w = watts_of(bx * by * bz);
        return REAL(cuLaunchKernel, f, gx, gy, gz, bx, by, bz, smem, q, params, extra);
    }
    draws(watts_of(bx * by * bz));
    return launched(EMULATED(REAL(cuLaunchKernel, f, gx, gy, gz, bx, by, bz, smem, q, params, extra)), f);
}
API CUresult cuLaunchKernelEx(const CUlaunchConfig *c, CUfunction f, void **params, void **extra) {
    ENTER;
    return launched(EMULATED(REAL(cuLaunchKernelEx, c, f, params, extra)), f);
}
API CUresult cuMemcpyHtoD_v2(CUdeviceptr d, const void *s, size_t n) {
    ENTER;
    idle();
    return EMULATED(((CUresult(*)(CUdeviceptr, const void *, size_t))real("cuMemcpyHtoD_v2"))(d, s, n));
}
API CUresult cuMemcpyDtoH_v2(void *d, CUdeviceptr s, size_t n) {
    ENTER;
    idle();
    return EMULATED(((CUresult(*)(void *, CUdeviceptr, size_t))real("cuMemcpyDtoH_v2"))(d, s, n));
}
API CUresult cuMemcpyDtoD_v2(CUdeviceptr d, CUdeviceptr s, size_t n) {
    ENTER;
    works_for((double)n * 1e-6);   // 1 TB/s
    return EMULATED(((CUresult(*)(CUdeviceptr, CUdeviceptr, size_t))real("cuMemcpyDtoD_v2"))(d, s, n));
}
API CUresult cuMemsetD8_v2(CUdeviceptr d, unsigned char v, size_t n) {
    ENTER;
    works_for((double)n * 1e-6);
    return EMULATED(((CUresult(*)(CUdeviceptr, unsigned char, size_t))real("cuMemsetD8_v2"))(d, v, n));
}
API CUresult cuCtxSynchronize(void) { ENTER; return idle(); }
API CUresult cuStreamCreate(CUstream *q, unsigned f) { ENTER; return REAL(cuStreamCreate, q, f); }
API CUresult cuStreamDestroy_v2(CUstream q) { return REAL(cuStreamDestroy_v2, q); }
API CUresult cuStreamSynchronize(CUstream q) { ENTER; (void)q; return idle(); }
API CUresult cuEventCreate(CUevent *v, unsigned f) {
    ENTER;
    (void)f;
    *v = calloc(1, sizeof **v);
    return *v ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
API CUresult cuEventDestroy_v2(CUevent v) {
    free(v);
    return CUDA_SUCCESS;
}
API CUresult cuEventRecord(CUevent v, CUstream q) {
    ENTER;
    (void)q;
    double t = device_now();
    v->at_s = gpu.busy_until_s > t ? gpu.busy_until_s : t;
    return CUDA_SUCCESS;
}
API CUresult cuEventSynchronize(CUevent v) {
    ENTER;
    wait_until(v->at_s);
    return CUDA_SUCCESS;
}
API CUresult cuEventElapsedTime(float *ms, CUevent a, CUevent b) {
    ENTER;
    *ms = (float)((b->at_s - a->at_s) * 1e3);
    return CUDA_SUCCESS;
}
API CUresult cuEventQuery(CUevent v) { return v->at_s > device_now() ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS; }
API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream q) {
    (void)q;
    return capturing ? ((CUresult(*)(CUdeviceptr, CUdeviceptr, size_t, CUstream))real("cuMemcpyDtoDAsync_v2"))(d, s, n, q) : cuMemcpyDtoD_v2(d, s, n);
}

// ---- graphs: captured and replayed by the library behind; a replay takes as long as its last launch models, times the launches in it

API CUresult cuStreamBeginCapture_v2(CUstream q, int mode) {
    ENTER;
    CUresult r = REAL(cuStreamBeginCapture_v2, q, mode);
    capturing = r == CUDA_SUCCESS;
    captured = 0;
    return r;
}
API CUresult cuStreamEndCapture(CUstream q, CUgraph *g) {
    capturing = false;
    return REAL(cuStreamEndCapture, q, g);
}
static struct { CUgraphExec exec; unsigned launches; double watts; } graphs[64];
API CUresult cuGraphInstantiateWithFlags(CUgraphExec *x, CUgraph g, unsigned long long flags) {
    CUresult r = ((CUresult(*)(CUgraphExec *, CUgraph, unsigned long long))real("cuGraphInstantiateWithFlags"))(x, g, flags);
    for (int i = 0; r == CUDA_SUCCESS && i < 64; i++)
        if (!graphs[i].exec) {
            graphs[i].exec = *x;
            graphs[i].launches = captured;
            graphs[i].watts = drawn_w;
            break;
        }
    return r;
}
API CUresult cuGraphLaunch(CUgraphExec x, CUstream q) {
    ENTER;
    CUresult r = EMULATED(REAL(cuGraphLaunch, x, q));
    double us = gpu.fixed_us > 0 ? gpu.fixed_us : modelled_us();
    for (int i = 0; i < 64; i++)
        if (graphs[i].exec == x) {
            draws(graphs[i].watts);
            works_for(us * graphs[i].launches * (1 + gpu.noise * unit((uint64_t)++gpu.launches)));
        }
    return r;
}
API CUresult cuGraphExecDestroy(CUgraphExec x) {
    for (int i = 0; i < 64; i++)
        if (graphs[i].exec == x)
            graphs[i].exec = NULL;
    return REAL(cuGraphExecDestroy, x);
}
API CUresult cuGraphDestroy(CUgraph g) { return REAL(cuGraphDestroy, g); }

// NVRTC 13 asks the driver that it finds for tables of its own and falls over one without this function.
API CUresult cuGetExportTable(const void **table, const void *id) {
    return open_library() ? ((CUresult(*)(const void **, const void *))real("cuGetExportTable"))(table, id) : CUDA_ERROR_NOT_FOUND;
}
