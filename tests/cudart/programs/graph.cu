// Stream capture and graphs built by hand: captured work does not run until the graph is launched, and runs again at each launch.
#include "check.h"

__device__ int factor = 3;
__global__ void scale(int *x, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        x[i] *= factor;
}
__global__ void add(int *x, int n, int by) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        x[i] += by;
}
static void CUDART_CB count(void *p) { ++*(int *)p; }

enum { N = 200 };

static void captured(int *d) {
    int in[N], out[N], calls = 0;
    cudaStream_t s, side;
    cudaEvent_t fork, join;
    cudaGraph_t g;
    cudaGraphExec_t x;
    for (int i = 0; i < N; i++)
        in[i] = i, out[i] = -1;
    CHECK(cudaStreamCreate(&s));
    CHECK(cudaStreamCreate(&side));
    CHECK(cudaEventCreate(&fork));
    CHECK(cudaEventCreate(&join));
    CHECK(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    CHECK(cudaMemcpyAsync(d, in, sizeof in, cudaMemcpyHostToDevice, s));
    scale<<<1, 256, 0, s>>>(d, N);
    CHECK(cudaEventRecord(fork, s));
    CHECK(cudaStreamWaitEvent(side, fork, 0));
    CHECK(cudaLaunchHostFunc(side, count, &calls));
    CHECK(cudaEventRecord(join, side));
    add<<<1, 256, 0, s>>>(d, N, 5);
    CHECK(cudaStreamWaitEvent(s, join, 0));
    CHECK(cudaMemcpyAsync(out, d, sizeof out, cudaMemcpyDeviceToHost, s));
    cudaStreamCaptureStatus status;
    CHECK(cudaStreamIsCapturing(s, &status));
    EXPECT(status == cudaStreamCaptureStatusActive);
    CHECK(cudaStreamEndCapture(s, &g));
    EXPECT(calls == 0 && out[0] == -1);   // nothing ran
    size_t nodes = 0;
    CHECK(cudaGraphGetNodes(g, NULL, &nodes));
    EXPECT(nodes == 5);
    CHECK(cudaGraphInstantiate(&x, g, 0));
    for (int round = 1; round <= 3; round++) {
        CHECK(cudaGraphLaunch(x, s));
        CHECK(cudaStreamSynchronize(s));
        EXPECT(calls == round);
        for (int i = 0; i < N; i++)
            EXPECT(out[i] == 3 * i + 5);
        in[0] = 0;
    }
    CHECK(cudaGraphExecDestroy(x));
    CHECK(cudaGraphDestroy(g));
    CHECK(cudaStreamDestroy(side));
    CHECK(cudaStreamDestroy(s));
}

static void by_hand(int *d) {
    int out[N], two = 2;
    cudaGraph_t g;
    cudaGraphNode_t set, symbol, first, second, get;
    cudaGraphExec_t x;
    cudaMemsetParams zero = {};
    zero.dst = d;
    zero.elementSize = 1;
    zero.width = sizeof out;
    zero.height = 1;
    int n = N, by = 7;
    void *add_args[] = {&d, &n, &by}, *scale_args[] = {&d, &n};
    cudaKernelNodeParams kernel = {};
    kernel.func = (void *)add;
    kernel.gridDim = dim3(2);
    kernel.blockDim = dim3(128);
    kernel.kernelParams = add_args;
    CHECK(cudaGraphCreate(&g, 0));
    CHECK(cudaGraphAddMemsetNode(&set, g, NULL, 0, &zero));
    CHECK(cudaGraphAddMemcpyNodeToSymbol(&symbol, g, NULL, 0, factor, &two, sizeof two, 0, cudaMemcpyHostToDevice));
    CHECK(cudaGraphAddKernelNode(&first, g, &set, 1, &kernel));
    kernel.func = (void *)scale;
    kernel.kernelParams = scale_args;
    const cudaGraphNode_t before[] = {first, symbol};
    CHECK(cudaGraphAddKernelNode(&second, g, before, 2, &kernel));
    CHECK(cudaGraphAddMemcpyNode1D(&get, g, &second, 1, out, d, sizeof out, cudaMemcpyDeviceToHost));
    cudaGraphNodeType type;
    CHECK(cudaGraphNodeGetType(second, &type));
    EXPECT(type == cudaGraphNodeTypeKernel);
    CHECK(cudaGraphInstantiate(&x, g, 0));
    CHECK(cudaGraphLaunch(x, NULL));
    CHECK(cudaDeviceSynchronize());
    for (int i = 0; i < N; i++)
        EXPECT(out[i] == 14);
    by = 11;
    kernel.func = (void *)add;
    kernel.kernelParams = add_args;
    CHECK(cudaGraphExecKernelNodeSetParams(x, first, &kernel));
    CHECK(cudaGraphLaunch(x, NULL));
    CHECK(cudaDeviceSynchronize());
    EXPECT(out[N - 1] == 22);
    CHECK(cudaGraphExecDestroy(x));
    CHECK(cudaGraphDestroy(g));
}

int main() {
    int *d;
    cudaGraph_t g;
    if (cudaGraphCreate(&g, 0) == cudaErrorNotSupported) {
        puts("the driver has no graphs");
        return 77;
    }
    CHECK(cudaMalloc(&d, N * sizeof(int)));
    captured(d);
    by_hand(d);
    puts("graphs are right");
}
