// Exclusive prefix sum of every row of an R by L matrix of integers.
// One thread per row: neighbouring threads are L integers apart.
#pragma hone size R=65536 L=1024
#pragma hone check R=1024 L=1024
#pragma hone check R=33 L=1000
#pragma hone out out int32[R][L]
#pragma hone in  in  int32[R][L] ~ int(1, 5)
#pragma hone tune WARPS={4,8,2,16,1}
#pragma hone launch segscan<<<cdiv(R, WARPS), WARPS*32>>>(out, in, R, L)
#pragma hone tolerance exact
#pragma hone flops R*L
#pragma hone bytes 8*R*L

// inclusive prefix sum over the 32 lanes of a warp
template <typename T> __device__ __forceinline__ T hone_warp_scan(T v)
{
    for (int step = 1; step < 32; step *= 2) {
        const T left = __shfl_up_sync(0xffffffffu, v, step);
        if (threadIdx.x % 32 >= step)
            v += left;
    }
    return v;
}

// exclusive prefix sum of every row of an (R, L) matrix, one thread per row
extern "C" __global__ void segscan(int* out, const int* in, int R, int L)
{
    const int lane = threadIdx.x % 32;   // one warp per r
    int r = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (r >= R) return;
    int acc = 0;
    for (int j0 = 0; j0 < L; j0 += 32) {   // 32 elements at a time, one per lane
        const int j = j0 + lane;
        int v = j < L ? in[(size_t)r * L + j] : 0;
        const int added = j < L ? v : 0;
        const int upto = acc + hone_warp_scan<int>(added);
        const int before = upto - added;
        if (j < L) {
            out[(size_t)r * L + j] = before;
        }
        acc = __shfl_sync(0xffffffffu, upto, 31);
    }
}
