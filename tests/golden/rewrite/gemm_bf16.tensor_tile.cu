// C = A*B^T in bfloat16 with float accumulation; A and B have K contiguous, C is column-major (C[n*M+m]).
// One thread per element of C; the loads of a warp are K elements apart.
#pragma hone size M=4096 N=4096 K=4096
#pragma hone check M=512 N=512 K=512
#pragma hone check M=130 N=70 K=200
#pragma hone in  A bfloat16[M][K] ~ uniform(-1, 1)
#pragma hone in  B bfloat16[N][K] ~ uniform(-1, 1)
#pragma hone out C bfloat16[N][M]
#pragma hone tune BM={128,64}
#pragma hone tune BN={128,64}
#pragma hone tune BK={32,64,16}
#pragma hone tune WM={64,32}
#pragma hone tune WN={64,32}
#pragma hone where (BM/WM)*(BN/WN)*32 <= 1024
#pragma hone launch gemm_bf16<<<dim3(cdiv(M, BN), cdiv(N, BM)), (BM/WM)*(BN/WN)*32>>>(M, N, K, A, B, C)
#pragma hone tolerance auto
#pragma hone flops 2*M*N*K
#pragma hone bytes 2*(M*K+K*N+M*N)

#include <cuda_bf16.h>
#include <mma.h>
// A is MxK with K contiguous, B is NxK with K contiguous, C is column-major MxN
// (C[n*M+m]); bf16 in and out, fp32 accumulation. One thread per output.
extern "C" __global__ void gemm_bf16(int M, int N, int K, const __nv_bfloat16* A,
                                     const __nv_bfloat16* B, __nv_bfloat16* C)
{
    // BM x BN outputs per block, WM x WN per warp on tensor cores; operands staged BK deep in shared memory
    __shared__ __align__(32) __nv_bfloat16 a_tile[BM][BK + 8], b_tile[BN][BK + 8];
    __shared__ __align__(32) float patch[(BM / WM) * (BN / WN)][16][16];
    const int tid = threadIdx.x, warp = tid / 32;
    const int warp_row = warp / (BN / WN) * WM, warp_col = warp % (BN / WN) * WN;
    const int row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
    nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> sum[WM / 16][WN / 16];
    #pragma unroll
    for (int i = 0; i < WM / 16; i++)
        #pragma unroll
        for (int j = 0; j < WN / 16; j++)
            nvcuda::wmma::fill_fragment(sum[i][j], 0.0f);
    const int k_limit = K;
    for (int k0 = 0; k0 < k_limit; k0 += BK) {
        #pragma unroll
        for (int e = tid * 8; e < BM * BK; e += (BM / WM) * (BN / WN) * 256) {
            const int n = row0 + e / BK;
            const int k = k0 + e % BK;
            __align__(16) __nv_bfloat16 value[8] = {};
            if (n < N && k < k_limit) {
                const __nv_bfloat16 *from = &(B[(size_t)n * K + k]);
                if (k + 7 < k_limit && (size_t)from % 16 == 0)
                    *(uint4 *)value = *(const uint4 *)from;
                else
                    #pragma unroll
                    for (int c = 0; c < 8; c++)
                        if (k + c < k_limit)
                            value[c] = from[c];
            }
            *(uint4 *)&a_tile[e / BK][e % BK] = *(const uint4 *)value;
        }
        #pragma unroll
        for (int e = tid * 8; e < BN * BK; e += (BM / WM) * (BN / WN) * 256) {
            const int m = col0 + e / BK;
            const int k = k0 + e % BK;
            __align__(16) __nv_bfloat16 value[8] = {};
            if (m < M && k < k_limit) {
                const __nv_bfloat16 *from = &(A[(size_t)m * K + k]);
                if (k + 7 < k_limit && (size_t)from % 16 == 0)
                    *(uint4 *)value = *(const uint4 *)from;
                else
                    #pragma unroll
                    for (int c = 0; c < 8; c++)
                        if (k + c < k_limit)
                            value[c] = from[c];
            }
            *(uint4 *)&b_tile[e / BK][e % BK] = *(const uint4 *)value;
        }
        __syncthreads();
        #pragma unroll
        for (int kk = 0; kk < BK; kk += 16) {
            nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, __nv_bfloat16, nvcuda::wmma::row_major> a_frag[WM / 16];
            #pragma unroll
            for (int i = 0; i < WM / 16; i++)
                nvcuda::wmma::load_matrix_sync(a_frag[i], &a_tile[warp_row + i * 16][kk], BK + 8);
            nvcuda::wmma::fragment<nvcuda::wmma::matrix_b, 16, 16, 16, __nv_bfloat16, nvcuda::wmma::col_major> b_frag[WN / 16];
            #pragma unroll
            for (int j = 0; j < WN / 16; j++)
                nvcuda::wmma::load_matrix_sync(b_frag[j], &b_tile[warp_col + j * 16][kk], BK + 8);
            #pragma unroll
            for (int i = 0; i < WM / 16; i++)
                #pragma unroll
                for (int j = 0; j < WN / 16; j++)
                    nvcuda::wmma::mma_sync(sum[i][j], a_frag[i], b_frag[j], sum[i][j]);
        }
        __syncthreads();
    }
    #pragma unroll
    for (int i = 0; i < WM / 16; i++)
        #pragma unroll
        for (int j = 0; j < WN / 16; j++) {
            nvcuda::wmma::store_matrix_sync(&patch[warp][0][0], sum[i][j], 16, nvcuda::wmma::mem_row_major);
            __syncwarp();
            for (int e = tid % 32; e < 256; e += 32) {
                const int n = row0 + warp_row + i * 16 + e / 16;
                const int m = col0 + warp_col + j * 16 + e % 16;
                if (n >= N || m >= M)
                    continue;
                float acc = patch[warp][e / 16][e % 16];
                C[(size_t)n * M + m] = __float2bfloat16(acc);
            }
            __syncwarp();
        }
}
