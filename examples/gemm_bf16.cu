// C = A*B^T in bfloat16 with float accumulation; A and B have K contiguous, C is column-major (C[n*M+m]).
// One thread per element of C; the loads of a warp are K elements apart.
#pragma hone size M=4096 N=4096 K=4096
#pragma hone check M=512 N=512 K=512
#pragma hone check M=130 N=70 K=200
#pragma hone in  A bfloat16[M][K] ~ uniform(-1, 1)
#pragma hone in  B bfloat16[N][K] ~ uniform(-1, 1)
#pragma hone out C bfloat16[N][M]
#pragma hone launch gemm_bf16<<<dim3(cdiv(M, 16), cdiv(N, 16)), dim3(16, 16)>>>(M, N, K, A, B, C)
#pragma hone tolerance auto
#pragma hone flops 2*M*N*K
#pragma hone bytes 2*(M*K+K*N+M*N)

#include <cuda_bf16.h>
// A is MxK with K contiguous, B is NxK with K contiguous, C is column-major MxN
// (C[n*M+m]); bf16 in and out, fp32 accumulation. One thread per output.
extern "C" __global__ void gemm_bf16(int M, int N, int K, const __nv_bfloat16* A,
                                     const __nv_bfloat16* B, __nv_bfloat16* C)
{
    int m = blockIdx.x * blockDim.x + threadIdx.x;
    int n = blockIdx.y * blockDim.y + threadIdx.y;
    if (m < M && n < N) {
        float acc = 0.0f;
        for (int k = 0; k < K; k++)
            acc += __bfloat162float(A[(size_t)m * K + k]) * __bfloat162float(B[(size_t)n * K + k]);
        C[(size_t)n * M + m] = __float2bfloat16(acc);
    }
}
