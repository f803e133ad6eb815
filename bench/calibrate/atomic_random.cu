// Random addresses over 4 MB.
#pragma hone size N=16777216
#pragma hone inout h int32[1048576] ~ zeros
#pragma hone in  a int32[N] ~ index(1048576)
#pragma hone launch atomic_random<<<cdiv(N,256), 256>>>(h, a, N)
extern "C" __global__ void atomic_random(int *h, const int *a, int N) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < N) atomicAdd(h + a[i], 1);
}
