// A store behind an allocation: the launch succeeds, the next calls report it, until the device is reset.
#include "check.h"

__global__ void fill(int *x, int n) { x[blockIdx.x * blockDim.x + threadIdx.x] = n; }

int main() {
    int *d, out;
    CHECK(cudaMalloc(&d, 100 * sizeof(int)));
    fill<<<1, 128>>>(d, 1);
    CHECK(cudaGetLastError());
    cudaError_t r = cudaDeviceSynchronize();
    printf("%s: %s\n", cudaGetErrorName(r), cudaGetErrorString(r));
    EXPECT(cudaMemcpy(&out, d, sizeof out, cudaMemcpyDeviceToHost) == cudaErrorIllegalAddress);
    EXPECT(cudaGetLastError() == cudaErrorIllegalAddress);
    EXPECT(cudaGetLastError() == cudaErrorIllegalAddress);   // it stays
    CHECK(cudaDeviceReset());
    EXPECT(cudaGetLastError() == cudaSuccess);
    CHECK(cudaMalloc(&d, 128 * sizeof(int)));
    fill<<<1, 128>>>(d, 5);
    CHECK(cudaMemcpy(&out, d + 127, sizeof out, cudaMemcpyDeviceToHost));
    EXPECT(out == 5);
}
