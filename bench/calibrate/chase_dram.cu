// One warp per SM follows a chain of addresses over 1 GB: DRAM latency.
#pragma hone size N=268435456 R=2000
#pragma hone in  a int32[N] ~ hash32
#pragma hone out b int32[4224]
#pragma hone launch chase_dram<<<132, 32>>>(a, b, N, R)
extern "C" __global__ void chase_dram(const int *a, int *b, int N, int R) {
    unsigned i = blockIdx.x * 32 + threadIdx.x, at = blockIdx.x * 2654435761u;
    for (int r = 0; r < R; r++) at = (unsigned)a[at & (N - 1)] + blockIdx.x * 40503u + r;
    b[i] = (int)at;
}
