// Histogram with one shared-memory copy per block and a grid-stride loop.
#pragma hone size N=67108864
#pragma hone inout h uint32[256] ~ zeros
#pragma hone in  d uint8[N] ~ int(0,255)
#pragma hone launch hist<<<1056, 256>>>(h, d, N)
extern "C" __global__ void hist(unsigned *h, const unsigned char *d, int N) {
    __shared__ unsigned s[256];
    s[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * 256 + threadIdx.x; i < N; i += gridDim.x * 256) atomicAdd(&s[d[i]], 1u);
    __syncthreads();
    atomicAdd(&h[threadIdx.x], s[threadIdx.x]);
}
