// Constant memory, device variables, managed variables and arrays; addresses and sizes of symbols.
#include "check.h"

__constant__ float weights[8] = {1, 2, 3, 4, 5, 6, 7, 8};
__device__ int counter = 5;
__device__ double table[16];
__managed__ int shared_with_host = 40;

__global__ void touch(float *out) {
    out[threadIdx.x] = weights[threadIdx.x];
    atomicAdd(&counter, 1);
    table[threadIdx.x] = 0.5 * threadIdx.x;
    if (threadIdx.x == 0)
        shared_with_host += 2;
}

int main() {
    EXPECT(shared_with_host == 40);   // the host may read it before any call
    float *d, out[8];
    CHECK(cudaMalloc(&d, sizeof out));
    const float changed[2] = {-3, -4};
    CHECK(cudaMemcpyToSymbol(weights, changed, sizeof changed, 2 * sizeof(float)));
    touch<<<1, 8>>>(d);
    CHECK(cudaDeviceSynchronize());
    EXPECT(shared_with_host == 42);
    CHECK(cudaMemcpy(out, d, sizeof out, cudaMemcpyDeviceToHost));
    EXPECT(out[0] == 1 && out[2] == -3 && out[3] == -4 && out[7] == 8);
    int count;
    CHECK(cudaMemcpyFromSymbol(&count, counter, sizeof count));
    EXPECT(count == 13);
    double last;
    CHECK(cudaMemcpyFromSymbol(&last, table, sizeof last, 7 * sizeof(double)));
    EXPECT(last == 3.5);
    EXPECT(cudaMemcpyFromSymbol(&last, table, sizeof last, 16 * sizeof(double)) == cudaErrorInvalidValue);
    void *at;
    size_t bytes;
    CHECK(cudaGetSymbolSize(&bytes, table));
    CHECK(cudaGetSymbolAddress(&at, table));
    EXPECT(bytes == sizeof table);
    CHECK(cudaMemcpy(&last, (char *)at + 3 * sizeof(double), sizeof last, cudaMemcpyDeviceToHost));
    EXPECT(last == 1.5);
    EXPECT(cudaGetSymbolAddress(&at, (const void *)&count) == cudaErrorInvalidSymbol);

    int *both;
    CHECK(cudaMallocManaged(&both, 64 * sizeof(int)));
    for (int i = 0; i < 64; i++)
        both[i] = i;
    CHECK(cudaMemcpyToSymbol(counter, &both[63], sizeof(int)));
    CHECK(cudaMemcpyFromSymbol(&count, counter, sizeof count));
    EXPECT(count == 63);
    CHECK(cudaFree(both));
    puts("symbols are right");
}
