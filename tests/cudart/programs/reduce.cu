// Dynamic shared memory, more of it than a kernel may have unasked, atomics on shared and global memory.
#include "check.h"
#include <vector>

__global__ void reduce(const int *in, int n, long long *sum, int *most) {
    extern __shared__ int part[];
    __shared__ int block_most;
    if (threadIdx.x == 0)
        block_most = -1;
    int mine = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        mine += in[i];
    part[threadIdx.x] = mine;
    __syncthreads();
    atomicMax(&block_most, mine);
    for (int half = blockDim.x / 2; half; half /= 2) {
        if (threadIdx.x < half)
            part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        atomicAdd((unsigned long long *)sum, (unsigned long long)part[0]);
        atomicMax(most, block_most);
    }
}

__global__ void large(int *out) {
    extern __shared__ int part[];
    part[24 * 1024 - 1 - threadIdx.x] = threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = part[24 * 1024 - blockDim.x + threadIdx.x];
}

int main() {
    const int n = 100000;
    std::vector<int> in(n);
    long long want = 0;
    for (int i = 0; i < n; i++)
        want += in[i] = i % 101;
    int *d, *most;
    long long *sum, got;
    CHECK(cudaMalloc(&d, n * sizeof(int)));
    CHECK(cudaMalloc(&sum, sizeof *sum));
    CHECK(cudaMalloc(&most, sizeof *most));
    CHECK(cudaMemset(sum, 0, sizeof *sum));
    CHECK(cudaMemset(most, 0, sizeof *most));
    CHECK(cudaMemcpy(d, in.data(), n * sizeof(int), cudaMemcpyHostToDevice));
    reduce<<<40, 128, 128 * sizeof(int)>>>(d, n, sum, most);
    CHECK(cudaMemcpy(&got, sum, sizeof got, cudaMemcpyDeviceToHost));
    EXPECT(got == want);

    const size_t bytes = 96 * 1024;
    large<<<1, 32, bytes>>>(d);   // more than 48 KiB must be asked for
    EXPECT(cudaGetLastError() == cudaErrorInvalidValue);
    CHECK(cudaFuncSetAttribute(large, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes));
    large<<<1, 32, bytes>>>(d);
    CHECK(cudaGetLastError());
    int out[32];
    CHECK(cudaMemcpy(out, d, sizeof out, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 32; i++)
        EXPECT(out[i] == 31 - i);
    printf("sum %lld\n", got);
}
