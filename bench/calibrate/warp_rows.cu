// One warp per row: the coalesced counterpart.
#pragma hone size N=16384 C=4096
#pragma hone in  a float[N][C]
#pragma hone out b float[N]
#pragma hone launch warp_rows<<<cdiv(N,8), 256>>>(a, b, N, C)
extern "C" __global__ void warp_rows(const float *a, float *b, int N, int C) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x & 31;
    if (row >= N) return;
    float s = 0;
    for (int j = lane; j < C; j += 32) s += a[(size_t)row * C + j];
    for (int o = 16; o; o >>= 1) s += __shfl_down_sync(0xffffffffu, s, o);
    if (lane == 0) b[row] = s;
}
