// arch: -gencode arch=compute_90,code=sm_90
// A program without PTX cannot run: the error says what to build with.
#include "check.h"

__global__ void nothing() {}

int main() {
    nothing<<<1, 1>>>();
    const cudaError_t r = cudaGetLastError();
    printf("%s: %s\n", cudaGetErrorName(r), cudaGetErrorString(r));
}
