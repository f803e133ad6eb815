// Softmax, one warp per row, three passes over L2-resident rows.
#pragma hone size N=16384 C=4096
#pragma hone in  x float[N][C]
#pragma hone out y float[N][C]
#pragma hone launch sm<<<cdiv(N,8), 256>>>(y, x, N, C)
extern "C" __global__ void sm(float *y, const float *x, int N, int C) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x & 31;
    if (row >= N) return;
    const float *p = x + (size_t)row * C;
    float *q = y + (size_t)row * C, m = -1e30f, s = 0;
    for (int j = lane; j < C; j += 32) m = fmaxf(m, p[j]);
    for (int o = 16; o; o >>= 1) m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, o));
    for (int j = lane; j < C; j += 32) s += expf(p[j] - m);
    for (int o = 16; o; o >>= 1) s += __shfl_xor_sync(0xffffffffu, s, o);
    float r = 1.0f / s;
    for (int j = lane; j < C; j += 32) q[j] = expf(p[j] - m) * r;
}
