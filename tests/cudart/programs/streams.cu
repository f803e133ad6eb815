// Streams, events and host functions: order, elapsed time, waiting.
#include "check.h"

__global__ void scale(float *x, int n, float by) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        x[i] *= by;
}

static void CUDART_CB count(void *p) { ++*(int *)p; }
static void CUDART_CB called(cudaStream_t, cudaError_t status, void *p) { *(int *)p += status == cudaSuccess ? 10 : 1000; }

int main() {
    const int n = 1 << 14;
    float *x, *host;
    cudaStream_t a, b;
    cudaEvent_t start, stop, between;
    int calls = 0;
    CHECK(cudaMalloc(&x, n * sizeof(float)));
    CHECK(cudaMallocHost(&host, n * sizeof(float)));
    for (int i = 0; i < n; i++)
        host[i] = 1;
    CHECK(cudaStreamCreate(&a));
    CHECK(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
    CHECK(cudaEventCreate(&start));
    CHECK(cudaEventCreate(&stop));
    CHECK(cudaEventCreateWithFlags(&between, cudaEventDisableTiming));
    CHECK(cudaEventRecord(start, a));
    CHECK(cudaMemcpyAsync(x, host, n * sizeof(float), cudaMemcpyHostToDevice, a));
    scale<<<16, 128, 0, a>>>(x, n, 3);
    CHECK(cudaEventRecord(between, a));
    CHECK(cudaStreamWaitEvent(b, between, 0));
    scale<<<16, 128, 0, b>>>(x, n, 2);
    CHECK(cudaLaunchHostFunc(b, count, &calls));
    CHECK(cudaStreamAddCallback(b, called, &calls, 0));
    CHECK(cudaMemcpyAsync(host, x, n * sizeof(float), cudaMemcpyDeviceToHost, b));
    CHECK(cudaStreamSynchronize(b));
    CHECK(cudaEventRecord(stop, a));
    CHECK(cudaEventSynchronize(stop));
    CHECK(cudaStreamQuery(a));
    CHECK(cudaEventQuery(stop));
    EXPECT(calls == 11);
    for (int i = 0; i < n; i++)
        EXPECT(host[i] == 6);
    float ms = -1;
    CHECK(cudaEventElapsedTime(&ms, start, stop));
    EXPECT(ms > 0);
    EXPECT(cudaEventElapsedTime(&ms, start, between) == cudaErrorInvalidResourceHandle);   // has no time
    EXPECT(cudaGetLastError() == cudaErrorInvalidResourceHandle);
    unsigned flags;
    unsigned long long id_a, id_b;
    CHECK(cudaStreamGetFlags(b, &flags));
    EXPECT(flags == cudaStreamNonBlocking);
    CHECK(cudaStreamGetId(a, &id_a));
    CHECK(cudaStreamGetId(b, &id_b));
    EXPECT(id_a != id_b);
    CHECK(cudaEventDestroy(start));
    CHECK(cudaStreamDestroy(a));
    CHECK(cudaStreamDestroy(b));
    CHECK(cudaFreeHost(host));
    puts("streams are right");
}
