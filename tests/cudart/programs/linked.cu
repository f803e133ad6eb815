// nvcc: -rdc=true linked_part.cu
// Two translation units: a device function, a device variable and a template of one are used in the other. The PTX of both is linked when it is loaded.
#include "check.h"
#include "linked.h"

static __device__ int base = 1000;   // the other unit has one of its own

__global__ void work(int *out) {
    out[threadIdx.x] = base + twice(threadIdx.x) + table[threadIdx.x] + larger(5, (int)threadIdx.x);
    if (threadIdx.x == 0)
        printf("from %s\n", "main");
}

int main() {
    int *d, out[16];
    CHECK(cudaMalloc(&d, sizeof out));
    const int values[16] = {7, 8, 9};
    CHECK(cudaMemcpyToSymbol(table, values, sizeof values));
    work<<<1, 16>>>(d);
    CHECK(cudaMemcpy(out, d, sizeof out, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 16; i++)
        EXPECT(out[i] == 1000 + 2 * i + values[i] + (i > 5 ? i : 5));
    other<<<1, 1>>>(d);
    CHECK(cudaMemcpy(out, d, sizeof(int), cudaMemcpyDeviceToHost));
    EXPECT(out[0] == 2000 + 4);
    puts("the units are linked");
}
