// Softmax of every row of an N by C matrix, with the maximum subtracted.
// One thread per row: neighbouring threads are C floats apart, and each row is read three times.
#pragma hone size N=16384 C=4096
#pragma hone check N=512 C=1024
#pragma hone check N=37 C=1003
#pragma hone out out float[N][C]
#pragma hone in  inp float[N][C] ~ normal(0, 2)
#pragma hone tune THREADS={256,128,512,64,1024}
#pragma hone launch softmax_rows<<<N, THREADS>>>(out, inp, N, C)
#pragma hone tolerance auto
#pragma hone flops 5*N*C
#pragma hone bytes 8*N*C

#define NEG_INF (-__int_as_float(0x7f800000))
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

// reductions over all threads of a one-dimensional block (a multiple of 32 threads); every thread gets the result
template <typename T> __device__ __forceinline__ T hone_block_gather(T v, T fill)
{
    __shared__ T part[32];
    __syncthreads();   // earlier results have been read
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = v;
    __syncthreads();
    return threadIdx.x % 32 < blockDim.x / 32 ? part[threadIdx.x % 32] : fill;
}
template <typename T> __device__ __forceinline__ T hone_block_sum(T v)
{
    return hone_warp_sum(hone_block_gather(hone_warp_sum(v), T(0)));
}
template <typename T> __device__ __forceinline__ T hone_block_max(T v)
{
    v = hone_warp_max(v);
    return hone_warp_max(hone_block_gather(v, v));
}
template <typename T> __device__ __forceinline__ T hone_block_min(T v)
{
    v = hone_warp_min(v);
    return hone_warp_min(hone_block_gather(v, v));
}

// one thread per row of a (N, C) matrix
extern "C" __global__ void softmax_rows(float* __restrict__ out, const float* __restrict__ inp, int N, int C)
{
    const int lane = threadIdx.x;   // one block per row
    int row = blockIdx.x;
    if (row >= N) return;
    const float* x = inp + (size_t)row * C;
    float* y = out + (size_t)row * C;
    float m = NEG_INF;
    for (int j = lane; j < C; j += blockDim.x)
        if (x[j] > m) m = x[j];
    m = hone_block_max(m);
    float sum = 0.0f;
    for (int j = lane; j < C; j += blockDim.x) {
        y[j] = expf(x[j] - m);
        sum += y[j];
    }
    sum = hone_block_sum(sum);
    const float inv_sum = 1.0f / sum;
    for (int j = lane; j < C; j += blockDim.x)
        y[j] = y[j] * inv_sum;
}
