// The last error: kept per thread until it is asked for, peeked at without taking it; wrong launches and wrong arguments have their codes.
#include "check.h"
#include <cstring>
#include <thread>

__global__ void nothing(int *) {}

int main() {
    EXPECT(cudaGetLastError() == cudaSuccess);
    nothing<<<1, 2048>>>(NULL);
    EXPECT(cudaPeekAtLastError() == cudaErrorInvalidConfiguration);
    EXPECT(cudaPeekAtLastError() == cudaErrorInvalidConfiguration);
    std::thread([] { EXPECT(cudaPeekAtLastError() == cudaSuccess); }).join();
    EXPECT(cudaGetLastError() == cudaErrorInvalidConfiguration);
    EXPECT(cudaGetLastError() == cudaSuccess);
    nothing<<<0, 1>>>(NULL);
    EXPECT(cudaGetLastError() == cudaErrorInvalidConfiguration);
    int *p = NULL;
    EXPECT(cudaMalloc(&p, (size_t)1 << 50) == cudaErrorMemoryAllocation);
    EXPECT(cudaGetLastError() == cudaErrorMemoryAllocation);
    EXPECT(cudaFree((void *)0x1234) == cudaErrorInvalidValue);
    EXPECT(cudaSetDevice(7) == cudaErrorInvalidDevice);
    EXPECT(cudaMemcpy(NULL, NULL, 16, (cudaMemcpyKind)9) == cudaErrorInvalidMemcpyDirection);
    EXPECT(cudaLaunchKernel((const void *)main, dim3(1), dim3(1), NULL, 0, NULL) == cudaErrorInvalidDeviceFunction);
    EXPECT(cudaGetLastError() == cudaErrorInvalidDeviceFunction);
    EXPECT(strcmp(cudaGetErrorName((cudaError_t)12345), "unrecognized error code") == 0);
    EXPECT(strcmp(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress") == 0);
    CHECK(cudaMalloc(&p, 0));
    EXPECT(p == NULL);
    CHECK(cudaFree(NULL));
    nothing<<<1, 1>>>(p);
    CHECK(cudaGetLastError());
    CHECK(cudaDeviceSynchronize());
    puts("errors are right");
}
