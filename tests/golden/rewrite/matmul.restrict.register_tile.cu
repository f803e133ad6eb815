// C = alpha*A*B + beta*C in float, all row-major; one thread per element of C.
// Bound by memory traffic that tiling in shared memory and registers removes.
#pragma hone size M=4096 N=4096 K=4096
#pragma hone check M=512 N=512 K=512
#pragma hone check M=129 N=257 K=131
#pragma hone in    A float[M][K] ~ uniform(-1, 1)
#pragma hone in    B float[K][N] ~ uniform(-1, 1)
#pragma hone inout C float[M][N] ~ uniform(-1, 1)
#pragma hone scalar alpha float = 0.5
#pragma hone scalar beta float = 3.0
#pragma hone tune BM={128,64,32}
#pragma hone tune BN={128,64,32}
#pragma hone tune BK={8,16,32}
#pragma hone tune TM={8,4}
#pragma hone tune TN={8,4}
#pragma hone where (BM/TM)*(BN/TN) <= 1024
#pragma hone where (BM/TM)*(BN/TN) >= 32
#pragma hone launch sgemm<<<dim3(cdiv(N, BN), cdiv(M, BM)), (BM/TM)*(BN/TN)>>>(M, N, K, alpha, A, B, beta, C)
#pragma hone tolerance auto
#pragma hone flops 2*M*N*K+3*M*N
#pragma hone bytes 4*(M*K+K*N+2*M*N)

// C = alpha * A*B + beta * C, all row-major, A: MxK, B: KxN, C: MxN. One thread per output.
extern "C" __global__ void sgemm(int M, int N, int K, float alpha, const float* __restrict__ A, const float* __restrict__ B,
                                 float beta, float* __restrict__ C)
{
    // BM x BN outputs per block, TM x TN per thread; operands staged BK deep in shared memory
    __shared__ __align__(16) float a_tile[BK][BM + 4], b_tile[BK][BN + 4];
    const int tid = threadIdx.x;
    const int tx = tid % (BN / TN), ty = tid / (BN / TN);
    const int row0 = blockIdx.y * BM, col0 = blockIdx.x * BN;
    float sum[TM][TN] = {};
    const int k_limit = K;
    for (int k0 = 0; k0 < k_limit; k0 += BK) {
        #pragma unroll
        for (int e = tid; e < BM * BK; e += (BM / TM) * (BN / TN)) {
            const int row = row0 + e / BK;
            const int k = k0 + e % BK;
            float value = 0;
            if (row < M && k < k_limit) {
                value = A[row * K + k];
            }
            a_tile[e % BK][e / BK] = value;
        }
        #pragma unroll
        for (int e = tid; e < BN * BK; e += (BM / TM) * (BN / TN)) {
            const int col = col0 + e % BN;
            const int k = k0 + e / BN;
            float value = 0;
            if (col < N && k < k_limit) {
                value = B[k * N + col];
            }
            b_tile[e / BN][e % BN] = value;
        }
        __syncthreads();
        #pragma unroll
        for (int kk = 0; kk < BK; kk++) {
            float av[TM], bv[TN];
            #pragma unroll
            for (int i = 0; i < TM; i++)
                av[i] = a_tile[kk][i / 4 * (BM / TM * 4) + ty * 4 + i % 4];
            #pragma unroll
            for (int j = 0; j < TN; j++)
                bv[j] = b_tile[kk][j / 4 * (BN / TN * 4) + tx * 4 + j % 4];
            #pragma unroll
            for (int i = 0; i < TM; i++)
                #pragma unroll
                for (int j = 0; j < TN; j++)
                    sum[i][j] += av[i] * bv[j];
        }
        __syncthreads();
    }
    #pragma unroll
    for (int i = 0; i < TM; i++) {
        #pragma unroll
        for (int j = 0; j < TN; j++) {
            const int row = row0 + i / 4 * (BM / TM * 4) + ty * 4 + i % 4;
            const int col = col0 + j / 4 * (BN / TN * 4) + tx * 4 + j % 4;
            if (row < M && col < N) {
                float acc = sum[i][j];
                C[row * N + col] = alpha * acc + beta * C[row * N + col];
            }
        }
    }
}
