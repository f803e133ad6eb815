// part of linked
#include "linked.h"
#include <cstdio>

__device__ int table[16];
static __device__ int base = 2000;

__device__ int twice(int v) { return 2 * v; }
__global__ void other(int *out) {
    *out = base + larger(twice(1), 4);
    printf("from %s\n", "part");
}
