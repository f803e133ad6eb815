// Histogram of n bytes in 256 bins; the bins are zero on entry.
// Bound by atomic updates of global memory, which private bins in shared memory avoid.
#pragma hone size n=67108864
#pragma hone check n=1048576
#pragma hone check n=1000003
#pragma hone inout hist uint32[256] ~ zeros
#pragma hone in    data uint8[n] ~ int(0, 255)
#pragma hone tune BLOCKS={1056,528,264,2112,132}
#pragma hone tune COPIES={8,4,2,1}
#pragma hone launch histogram256<<<min(cdiv(n, 4096), BLOCKS), 256>>>(hist, data, n)
#pragma hone tolerance exact
#pragma hone flops n
#pragma hone bytes n+1024

// N neighbouring elements, loaded and stored by one access
template <typename T, int N> struct alignas(sizeof(T) * N) hone_vec { T v[N]; };

// hist[256] is zero on entry
extern "C" __global__ void histogram256(unsigned int* hist, const unsigned char* data, int n)
{
    __shared__ unsigned int hist_s[COPIES][256];   // private copies: contention stays inside a few warps
    for (int b = threadIdx.x; b < COPIES * 256; b += blockDim.x)
        hist_s[b / 256][b % 256] = 0;
    __syncthreads();
    unsigned int *own = hist_s[threadIdx.x / 32 % COPIES];
    for (int i0 = (blockIdx.x * blockDim.x + threadIdx.x) * 16; i0 < n; i0 += blockDim.x * gridDim.x * 16) {
        if (i0 + 16 <= n) {
            const hone_vec<unsigned char, 16> data_v = *reinterpret_cast<const hone_vec<unsigned char, 16>*>(data + i0);
            #pragma unroll
            for (int u = 0; u < 16; u++) {
                atomicAdd(&own[data_v.v[u]], 1u);
            }
        } else {
            for (int i = i0; i < n; i++) {
                atomicAdd(&own[data[i]], 1u);
            }
        }
    }
    __syncthreads();
    for (int b = threadIdx.x; b < 256; b += blockDim.x) {
        unsigned int total = 0;
        for (int c = 0; c < COPIES; c++)
            total += hist_s[c][b];
        if (total != 0)
            atomicAdd(&hist[b], total);
    }
}
