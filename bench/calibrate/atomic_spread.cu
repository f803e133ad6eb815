// Every thread adds to an address of its own: atomic throughput without contention.
#pragma hone size N=16777216
#pragma hone inout h int32[N] ~ zeros
#pragma hone launch atomic_spread<<<cdiv(N,256), 256>>>(h, N)
extern "C" __global__ void atomic_spread(int *h, int N) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < N) atomicAdd(h + i, 1);
}
