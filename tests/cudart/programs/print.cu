// Device printf arrives at the next synchronisation; a device assertion ends the context with its own error.
#include "check.h"
#include <cassert>

__global__ void speak(int n) {
    if (threadIdx.x == 0)
        printf("block %d of %d says %s %.2f\n", blockIdx.x, gridDim.x, "hello", 0.25 * n);
}
__global__ void insist(int n) { assert(threadIdx.x < n); }

int main() {
    setvbuf(stdout, NULL, _IONBF, 0);
    speak<<<1, 32>>>(3);
    CHECK(cudaDeviceSynchronize());
    insist<<<1, 32>>>(32);
    CHECK(cudaDeviceSynchronize());
    insist<<<1, 32>>>(31);
    CHECK(cudaGetLastError());   // the launch itself is fine
    const cudaError_t r = cudaDeviceSynchronize();
    printf("%s: %s\n", cudaGetErrorName(r), cudaGetErrorString(r));
}
