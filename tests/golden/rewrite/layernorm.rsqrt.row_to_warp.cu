// Layer normalisation of every row of an N by C matrix; also stores mean and reciprocal deviation.
// One thread per row: neighbouring threads are C floats apart, and each row is read three times.
#pragma hone size N=65536 C=1024
#pragma hone check N=1024 C=768
#pragma hone check N=61 C=1001
#pragma hone out out    float[N][C]
#pragma hone out mean   float[N]
#pragma hone out rstd   float[N]
#pragma hone in  inp    float[N][C] ~ normal(0.1, 1)
#pragma hone in  weight float[C] ~ uniform(-1, 1)
#pragma hone in  bias   float[C] ~ uniform(-1, 1)
#pragma hone tune WARPS={4,8,2,16,1}
#pragma hone launch layernorm_fwd<<<cdiv(N, WARPS), WARPS*32>>>(out, mean, rstd, inp, weight, bias, N, C)
#pragma hone tolerance auto
#pragma hone flops 8*N*C
#pragma hone bytes 8*N*C+8*N+8*C

// reductions over the 32 lanes of a warp; every lane gets the result
template <typename T> __device__ __forceinline__ T hone_warp_sum(T v)
{
    for (int step = 16; step > 0; step /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, step);
    return v;
}
template <typename T> __device__ __forceinline__ T hone_warp_max(T v)
{
    for (int step = 16; step > 0; step /= 2) {
        const T other = __shfl_xor_sync(0xffffffffu, v, step);
        v = other > v ? other : v;
    }
    return v;
}
template <typename T> __device__ __forceinline__ T hone_warp_min(T v)
{
    for (int step = 16; step > 0; step /= 2) {
        const T other = __shfl_xor_sync(0xffffffffu, v, step);
        v = other < v ? other : v;
    }
    return v;
}

// one thread per row; eps = 1e-5; also stores mean and reciprocal stddev per row
extern "C" __global__ void layernorm_fwd(float* out, float* mean, float* rstd, const float* inp,
                                         const float* weight, const float* bias, int N, int C)
{
    const int lane = threadIdx.x % 32;   // one warp per row
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (row >= N) return;
    const float* x = inp + (size_t)row * C;
    float* y = out + (size_t)row * C;
    float m = 0.0f;
    for (int i = lane; i < C; i += 32) m += x[i];
    m = hone_warp_sum(m);
    m = m / C;
    float v = 0.0f;
    for (int i = lane; i < C; i += 32) {
        float d = x[i] - m;
        v += d * d;
    }
    v = hone_warp_sum(v);
    v = v / C;
    float s = rsqrtf(v + 1e-5f);
    for (int i = lane; i < C; i += 32)
        y[i] = (x[i] - m) * s * weight[i] + bias[i];
    if (lane == 0) mean[row] = m;
    if (lane == 0) rstd[row] = s;
}
