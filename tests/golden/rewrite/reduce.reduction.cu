// Sum of n integers in two launches: one partial per block, then one block adds the partials.
// Bound by memory, but slowed by modulo stepping in shared memory and one element per thread.
#pragma hone size n=268435456
#pragma hone check n=1048576
#pragma hone check n=1000003
#pragma hone in      in      int32[n] ~ int(-50, 99)
#pragma hone scratch partial int32[cdiv(n, 256)]
#pragma hone out     out     int32[1]
#pragma hone tune BLOCKS={1056,528,2112,264,4224}
#pragma hone launch sum_blocks<<<min(cdiv(n,256), BLOCKS), 256>>>(in, partial, n)
#pragma hone launch sum_partials<<<1, 256>>>(partial, out, min(cdiv(n,256), BLOCKS))
#pragma hone tolerance exact
#pragma hone flops n
#pragma hone bytes 4*n

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

// Two-pass sum. Pass 1: one element per thread, tree in shared memory with modulo
// stepping, one partial per block. Pass 2: one block adds the partials.
extern "C" __global__ void sum_blocks(const int* in, int* partial, int n)
{
    // the sum goes through registers and warp shuffles
    int t = threadIdx.x;
    int sum = 0;
    #pragma unroll 8
    for (int i = blockIdx.x * blockDim.x + t; i < n; i += blockDim.x * gridDim.x)   // neighbours stay neighbours
        sum += in[i];
    const int s_sum = hone_block_sum<int>(sum);
    if (t == 0)
        partial[blockIdx.x] = s_sum;
}

extern "C" __global__ void sum_partials(const int* partial, int* out, int m)
{
    __shared__ int s[256];
    int t = threadIdx.x;
    int acc = 0;
    for (int i = t; i < m; i += blockDim.x)
        acc += partial[i];
    s[t] = acc;
    __syncthreads();
    if (t == 0) {
        int total = 0;
        for (int k = 0; k < blockDim.x; k++)
            total += s[k];
        out[0] = total;
    }
}
