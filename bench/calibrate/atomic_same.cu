// Every thread adds to one address.
#pragma hone size N=4194304
#pragma hone inout h int32[1] ~ zeros
#pragma hone in  a int32[N] ~ int(0,3)
#pragma hone launch atomic_same<<<cdiv(N,256), 256>>>(h, a, N)
extern "C" __global__ void atomic_same(int *h, const int *a, int N) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < N) atomicAdd(h + (a[i] >> 8), a[i]);
}
