// Causal multi-head attention: scores, softmax, weighted values, in three launches. qkv is (B,T,3,NH,HS).
// The (B,NH,T,T) scores go through memory twice; a fused kernel never writes them.
#pragma hone size B=8 T=1024 NH=12 HS=64
#pragma hone check B=2 T=256 NH=4 HS=64
#pragma hone check B=1 T=67 NH=3 HS=40
#pragma hone out     out    float[B][T][NH][HS]
#pragma hone in      qkv    float[B][T][3][NH][HS] ~ normal(0, 1)
#pragma hone scratch scores float[B][NH][T][T]
#pragma hone scratch att    float[B][NH][T][T]
#pragma hone tune BM2={128,64,32}
#pragma hone tune BN2={128,64,32}
#pragma hone tune BK2={8,16,32}
#pragma hone tune TM2={8,4}
#pragma hone tune TN2={8,4}
#pragma hone where (BM2/TM2)*(BN2/TN2) <= 1024
#pragma hone where (BM2/TM2)*(BN2/TN2) >= 32
#pragma hone launch attn_scores<<<dim3(cdiv(T, BN2), cdiv(T, BM2), NH*B), (BM2/TM2)*(BN2/TN2)>>>(scores, qkv, B, T, NH, HS)
#pragma hone tune WARPS={4,8,2,16,1}
#pragma hone launch attn_softmax<<<cdiv(B*NH*T, WARPS), WARPS*32>>>(att, scores, B, T, NH)
#pragma hone tune BM={128,64,32}
#pragma hone tune BN={128,64,32}
#pragma hone tune BK={8,16,32}
#pragma hone tune TM={8,4}
#pragma hone tune TN={8,4}
#pragma hone where (BM/TM)*(BN/TN) <= 1024
#pragma hone where (BM/TM)*(BN/TN) >= 32
#pragma hone launch attn_values<<<dim3(cdiv(HS, BN), cdiv(T, BM), NH*B), (BM/TM)*(BN/TN)>>>(out, att, qkv, B, T, NH, HS)
#pragma hone tolerance auto
#pragma hone flops 2*B*NH*T*(T+1)*HS+3*B*NH*T*(T+1)
#pragma hone bytes 4*B*T*NH*HS*4

#define NEG_INF (-__int_as_float(0x7f800000))
// Causal multi-head attention. qkv is (B, T, 3, NH, HS); scores/att are (B, NH, T, T);
// out is (B, T, NH, HS). Three kernels: scores, softmax, weighted values.
extern "C" __global__ void attn_scores(float* scores, const float* qkv, int B, int T, int NH, int HS)
{
    // BM2 x BN2 outputs per block, TM2 x TN2 per thread; operands staged BK2 deep in shared memory
    __shared__ __align__(16) float a_tile[BK2][BM2 + 4], b_tile[BK2][BN2 + 4];
    const int h = blockIdx.z % (NH);
    const int b = blockIdx.z / (NH);
    const int tid = threadIdx.x;
    const int tx = tid % (BN2 / TN2), ty = tid / (BN2 / TN2);
    const int row0 = blockIdx.y * BM2, col0 = blockIdx.x * BN2;
    float sum[TM2][TN2] = {};
    const int k_limit = HS;
    for (int k0 = 0; k0 < k_limit; k0 += BK2) {
        #pragma unroll
        for (int e = tid; e < BM2 * BK2; e += (BM2 / TM2) * (BN2 / TN2)) {
            const int t = row0 + e / BK2;
            const int i = k0 + e % BK2;
            float value = 0;
            if (t < T && i < k_limit) {
                int C = NH * HS;
                const float* q = qkv + (size_t)(b * T + t) * 3 * C + h * HS;
                value = q[i];
            }
            a_tile[e % BK2][e / BK2] = value;
        }
        #pragma unroll
        for (int e = tid; e < BN2 * BK2; e += (BM2 / TM2) * (BN2 / TN2)) {
            const int t2 = col0 + e / BK2;
            const int i = k0 + e % BK2;
            float value = 0;
            if (t2 < T && i < k_limit) {
                int C = NH * HS;
                const float* k = qkv + (size_t)(b * T + t2) * 3 * C + C + h * HS;
                value = k[i];
            }
            b_tile[e % BK2][e / BK2] = value;
        }
        __syncthreads();
        #pragma unroll
        for (int kk = 0; kk < BK2; kk++) {
            float av[TM2], bv[TN2];
            #pragma unroll
            for (int i2 = 0; i2 < TM2; i2++)
                av[i2] = a_tile[kk][i2 / 4 * (BM2 / TM2 * 4) + ty * 4 + i2 % 4];
            #pragma unroll
            for (int j = 0; j < TN2; j++)
                bv[j] = b_tile[kk][j / 4 * (BN2 / TN2 * 4) + tx * 4 + j % 4];
            #pragma unroll
            for (int i2 = 0; i2 < TM2; i2++)
                #pragma unroll
                for (int j = 0; j < TN2; j++)
                    sum[i2][j] += av[i2] * bv[j];
        }
        __syncthreads();
    }
    #pragma unroll
    for (int i2 = 0; i2 < TM2; i2++) {
        #pragma unroll
        for (int j = 0; j < TN2; j++) {
            const int t = row0 + i2 / 4 * (BM2 / TM2 * 4) + ty * 4 + i2 % 4;
            const int t2 = col0 + j / 4 * (BN2 / TN2 * 4) + tx * 4 + j % 4;
            if (t < T && t2 < T) {
                const int idx = ((b * NH + h) * T + t) * T + t2;
                if (t2 > t) {
        scores[idx] = NEG_INF;
        continue;
    }
                float dot = sum[i2][j];
                scores[idx] = dot / sqrtf((float)HS);
            }
        }
    }
}

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

extern "C" __global__ void attn_softmax(float* att, const float* scores, int B, int T, int NH)
{
    const int lane = threadIdx.x % 32;   // one warp per r
    int r = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (r >= B * NH * T) return;
    int t = r % T;
    const float* s = scores + (size_t)r * T;
    float* a = att + (size_t)r * T;
    float m = NEG_INF;
    for (int j = lane; j <= t; j += 32)
        if (s[j] > m) m = s[j];
    m = hone_warp_max(m);
    float sum = 0.0f;
    for (int j = lane; j <= t; j += 32) {
        a[j] = expf(s[j] - m);
        sum += a[j];
    }
    sum = hone_warp_sum(sum);
    for (int j = lane; j < T; j += 32)
        a[j] = (j <= t) ? a[j] / sum : 0.0f;
}

extern "C" __global__ void attn_values(float* out, const float* att, const float* qkv,
                                       int B, int T, int NH, int HS)
{
    // BM x BN outputs per block, TM x TN per thread; operands staged BK deep in shared memory
    __shared__ __align__(16) float a_tile[BK][BM + 4], b_tile[BK][BN + 4];
    const int h = blockIdx.z % (NH);
    const int b = blockIdx.z / (NH);
    const int tid = threadIdx.x;
    const int tx = tid % (BN / TN), ty = tid / (BN / TN);
    const int row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
    float sum[TM][TN] = {};
    const int last = min(row0 + BM, T) - 1;   // the longest row of this tile
    const int k_limit = last;
    for (int k0 = 0; k0 <= k_limit; k0 += BK) {
        #pragma unroll
        for (int e = tid; e < BM * BK; e += (BM / TM) * (BN / TN)) {
            const int t = row0 + e / BK;
            const int t2 = k0 + e % BK;
            float value = 0;
            if (t < T && t2 <= t) {
                const float* a = att + (size_t)((b * NH + h) * T + t) * T;
                value = a[t2];
            }
            a_tile[e % BK][e / BK] = value;
        }
        #pragma unroll
        for (int e = tid; e < BN * BK; e += (BM / TM) * (BN / TN)) {
            const int i = col0 + e % BN;
            const int t2 = k0 + e / BN;
            float value = 0;
            if (i < HS && t2 <= k_limit) {
                int C = NH * HS;
                value = qkv[(size_t)(b * T + t2) * 3 * C + 2 * C + h * HS + i];
            }
            b_tile[e / BN][e % BN] = value;
        }
        __syncthreads();
        #pragma unroll
        for (int kk = 0; kk < BK; kk++) {
            float av[TM], bv[TN];
            #pragma unroll
            for (int i2 = 0; i2 < TM; i2++)
                av[i2] = a_tile[kk][i2 / 4 * (BM / TM * 4) + ty * 4 + i2 % 4];
            #pragma unroll
            for (int j = 0; j < TN; j++)
                bv[j] = b_tile[kk][j / 4 * (BN / TN * 4) + tx * 4 + j % 4];
            #pragma unroll
            for (int i2 = 0; i2 < TM; i2++)
                #pragma unroll
                for (int j = 0; j < TN; j++)
                    sum[i2][j] += av[i2] * bv[j];
        }
        __syncthreads();
    }
    #pragma unroll
    for (int i2 = 0; i2 < TM; i2++) {
        #pragma unroll
        for (int j = 0; j < TN; j++) {
            const int t = row0 + i2 / 4 * (BM / TM * 4) + ty * 4 + i2 % 4;
            const int i = col0 + j / 4 * (BN / TN * 4) + tx * 4 + j % 4;
            if (t < T && i < HS) {
                const int idx = ((b * T + t) * NH + h) * HS + i;
                float acc = sum[i2][j];
                out[idx] = acc;
            }
        }
    }
}
