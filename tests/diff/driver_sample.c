// A driver-API program as public samples are written: it includes the toolkit's <cuda.h> and is linked with -lcuda alone; the library that the loader finds
// as libcuda.so.1 runs it (build/lib through LD_LIBRARY_PATH, or a vendor's driver). Kernels with a module global, streams that depend on each other through
// events, a captured and an explicit graph, memory pools, a library kernel. Exit code: 0 all checks passed, 1 some failed, 77 no driver or device.
#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ptx[] =
    ".version 7.0\n.target sm_70\n.address_size 64\n"
    ".visible .global .align 4 .u32 launches;\n.visible .const .align 4 .f32 factor = 0f40000000;\n"
    ".visible .entry scale(.param .u64 p, .param .u32 n)\n{\n.reg .pred %q;\n.reg .b32 %i, %n, %t, %b, %one, %old;\n.reg .f32 %x, %f;\n.reg .b64 %p, %o, %g;\n"
    "mov.u32 %t, %tid.x;\nmov.u32 %b, %ctaid.x;\nmov.u32 %i, %ntid.x;\nmad.lo.u32 %i, %b, %i, %t;\nsetp.ne.u32 %q, %i, 0;\n@%q bra BODY;\n"
    "mov.u64 %g, launches;\nmov.u32 %one, 1;\natom.global.add.u32 %old, [%g], %one;\nBODY:\nld.param.u32 %n, [n];\nsetp.ge.u32 %q, %i, %n;\n@%q bra END;\n"
    "ld.param.u64 %p, [p];\ncvta.to.global.u64 %p, %p;\nmul.wide.u32 %o, %i, 4;\nadd.u64 %p, %p, %o;\nld.global.f32 %x, [%p];\nld.const.f32 %f, [factor];\n"
    "mul.f32 %x, %x, %f;\nst.global.f32 [%p], %x;\nEND:\nret;\n}\n"
    ".visible .entry add(.param .u64 p, .param .f32 v, .param .u32 n)\n{\n.reg .pred %q;\n.reg .b32 %i, %n, %t, %b;\n.reg .f32 %x, %v;\n.reg .b64 %p, %o;\n"
    "mov.u32 %t, %tid.x;\nmov.u32 %b, %ctaid.x;\nmov.u32 %i, %ntid.x;\nmad.lo.u32 %i, %b, %i, %t;\nld.param.u32 %n, [n];\nsetp.ge.u32 %q, %i, %n;\n@%q bra END;\n"
    "ld.param.u64 %p, [p];\nld.param.f32 %v, [v];\ncvta.to.global.u64 %p, %p;\nmul.wide.u32 %o, %i, 4;\nadd.u64 %p, %p, %o;\nld.global.f32 %x, [%p];\n"
    "add.f32 %x, %x, %v;\nst.global.f32 [%p], %x;\nEND:\nret;\n}\n";

enum { N = 1000 };
static int failures;
#define OK(call)                                                                            \
    do {                                                                                    \
        CUresult r_ = (call);                                                               \
        const char *name_ = "?";                                                            \
        if (r_ != CUDA_SUCCESS)                                                             \
            cuGetErrorName(r_, &name_), failures++, printf("line %d: %s: %s\n", __LINE__, #call, name_); \
    } while (0)
#define CHECK(x) ((x) ? (void)0 : (void)(failures++, printf("line %d: failed: %s\n", __LINE__, #x)))

static CUdeviceptr data;
static CUfunction scale, add;
static int n = N;

static void launch_scale(CUstream s) {
    void *params[] = {&data, &n};
    OK(cuLaunchKernel(scale, (N + 127) / 128, 1, 1, 128, 1, 1, 0, s, params, NULL));
}
static void launch_add(CUstream s, float v) {
    void *params[] = {&data, &v, &n};
    OK(cuLaunchKernel(add, (N + 127) / 128, 1, 1, 128, 1, 1, 0, s, params, NULL));
}
static void expect(float value) {   // of every element
    float *back = malloc(N * sizeof *back);
    OK(cuMemcpyDtoH(back, data, N * sizeof *back));
    int wrong = 0;
    for (int i = 0; i < N; i++)
        wrong += back[i] != value;
    CHECK(wrong == 0);
    if (wrong)
        printf("  %d wrong, the first is %g, expected %g\n", wrong, (double)back[0], (double)value);
    free(back);
}
static void reset(void) {
    OK(cuMemsetD32(data, 0x3f800000, N));   // 1.0f
}
static void count_call(void *user) { ++*(int *)user; }

static void streams_and_events(void) {
    CUstream a, b;
    CUevent start, middle, end;
    float ms = -1;
    OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreateWithPriority(&b, CU_STREAM_NON_BLOCKING, -1));
    OK(cuEventCreate(&start, CU_EVENT_DEFAULT));
    OK(cuEventCreate(&middle, CU_EVENT_DISABLE_TIMING));
    OK(cuEventCreate(&end, CU_EVENT_DEFAULT));
    reset();
    OK(cuCtxSynchronize());
    OK(cuEventRecord(start, a));
    launch_scale(a);                     // 2
    OK(cuEventRecord(middle, a));
    OK(cuStreamWaitEvent(b, middle, 0));
    launch_add(b, 3);                    // 5
    int calls = 0;
    OK(cuLaunchHostFunc(b, count_call, &calls));
    OK(cuEventRecord(end, b));
    OK(cuEventSynchronize(end));
    CHECK(calls == 1);
    OK(cuEventElapsedTime(&ms, start, end));
    CHECK(ms >= 0);
    expect(5);
    OK(cuEventDestroy(start));
    OK(cuEventDestroy(middle));
    OK(cuEventDestroy(end));
    OK(cuStreamDestroy(a));
    OK(cuStreamDestroy(b));
}

static void captured_graph(void) {
    CUstream a, b;
    CUevent fork, join;
    CUgraph g;
    CUgraphExec e;
    size_t nodes = 0;
    OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
    OK(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
    reset();
    OK(cuCtxSynchronize());
    OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    launch_add(a, 1);
    OK(cuEventRecord(fork, a));
    OK(cuStreamWaitEvent(b, fork, 0));
    launch_scale(b);
    OK(cuEventRecord(join, b));
    OK(cuStreamWaitEvent(a, join, 0));
    launch_add(a, 10);
    OK(cuStreamEndCapture(a, &g));
    OK(cuGraphGetNodes(g, NULL, &nodes));
    CHECK(nodes == 3);
    expect(1);                           // capture runs nothing
    OK(cuGraphInstantiateWithFlags(&e, g, 0));
    OK(cuGraphLaunch(e, a));
    OK(cuGraphLaunch(e, a));
    OK(cuStreamSynchronize(a));
    expect((((1 + 1) * 2 + 10) + 1) * 2 + 10);
    OK(cuGraphExecDestroy(e));
    OK(cuGraphDestroy(g));
    OK(cuEventDestroy(fork));
    OK(cuEventDestroy(join));
    OK(cuStreamDestroy(a));
    OK(cuStreamDestroy(b));
}

static void explicit_graph(void) {
    CUgraph g;
    CUgraphNode set, kernel, host;
    CUgraphExec e;
    CUcontext context;
    int calls = 0;
    float v = 4;
    void *params[] = {&data, &v, &n};
    OK(cuCtxGetCurrent(&context));
    OK(cuGraphCreate(&g, 0));
    CUDA_MEMSET_NODE_PARAMS m = {.dst = data, .value = 0x3f800000, .elementSize = 4, .width = N, .height = 1};
    OK(cuGraphAddMemsetNode(&set, g, NULL, 0, &m, context));
    CUDA_KERNEL_NODE_PARAMS k = {.func = add, .gridDimX = (N + 127) / 128, .gridDimY = 1, .gridDimZ = 1, .blockDimX = 128, .blockDimY = 1, .blockDimZ = 1,
                                 .kernelParams = params};
    OK(cuGraphAddKernelNode(&kernel, g, &set, 1, &k));
    CUDA_HOST_NODE_PARAMS h = {.fn = count_call, .userData = &calls};
    OK(cuGraphAddHostNode(&host, g, &kernel, 1, &h));
    OK(cuGraphInstantiateWithFlags(&e, g, 0));
    OK(cuGraphLaunch(e, NULL));
    OK(cuCtxSynchronize());
    expect(5);
    v = 9;                               // the node keeps its own copy until it is told
    OK(cuGraphLaunch(e, NULL));
    OK(cuCtxSynchronize());
    expect(5);
    OK(cuGraphExecKernelNodeSetParams(e, kernel, &k));
    OK(cuGraphLaunch(e, NULL));
    OK(cuCtxSynchronize());
    expect(10);
    CHECK(calls == 3);
    OK(cuGraphExecDestroy(e));
    OK(cuGraphDestroy(g));
}

static void pool_and_library(void) {
    CUdeviceptr p, keep = data;
    CUlibrary library;
    CUkernel kernel;
    CUfunction before = scale;
    OK(cuMemAllocAsync(&p, N * sizeof(float), NULL));
    OK(cuLibraryLoadData(&library, ptx, NULL, NULL, 0, NULL, NULL, 0));
    OK(cuLibraryGetKernel(&kernel, library, "scale"));
    data = p;
    scale = (CUfunction)kernel;          // a kernel may be launched as a function
    reset();
    launch_scale(NULL);
    OK(cuCtxSynchronize());
    expect(2);
    scale = before;
    data = keep;
    OK(cuMemFreeAsync(p, NULL));
    OK(cuStreamSynchronize(NULL));
    OK(cuLibraryUnload(library));
}

int main(void) {
    CUdevice device;
    CUcontext context;
    CUmodule module;
    CUdeviceptr counter;
    size_t bytes = 0;
    unsigned launches = 0;
    char name[100] = "";
    if (cuInit(0) != CUDA_SUCCESS || cuDeviceGet(&device, 0) != CUDA_SUCCESS)
        return printf("skipped: no driver or no device\n"), 77;
    OK(cuDeviceGetName(name, sizeof name, device));
    OK(cuDevicePrimaryCtxRetain(&context, device));
    OK(cuCtxSetCurrent(context));
    OK(cuModuleLoadData(&module, ptx));
    OK(cuModuleGetFunction(&scale, module, "scale"));
    OK(cuModuleGetFunction(&add, module, "add"));
    OK(cuModuleGetGlobal(&counter, &bytes, module, "launches"));
    CHECK(bytes == 4);
    OK(cuMemAlloc(&data, N * sizeof(float)));
    streams_and_events();
    captured_graph();
    explicit_graph();
    pool_and_library();
    OK(cuMemcpyDtoH(&launches, counter, sizeof launches));
    CHECK(launches == 3);
    OK(cuMemFree(data));
    OK(cuModuleUnload(module));
    OK(cuDevicePrimaryCtxRelease(device));
    printf("%s: %s\n", name, failures ? "FAILED" : "all checks passed");
    return failures != 0;
}
