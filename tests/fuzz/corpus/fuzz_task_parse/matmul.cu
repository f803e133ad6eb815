// d06_sgemm_f32: C = alpha*A*B + beta*C, row-major, fp32 (TF32 not allowed: tolerance assumes true fp32)
#pragma hone size M=4096 N=4096 K=4096
#pragma hone check M=512 N=512 K=512
#pragma hone check M=129 N=257 K=131
#pragma hone in A float[M][K] ~ uniform(-1, 1)
#pragma hone in B float[K][N] ~ uniform(-1, 1)
#pragma hone inout C float[M][N] ~ uniform(-1, 1)
#pragma hone scalar alpha float = 0.5
#pragma hone scalar beta float = 3.0
#pragma hone launch sgemm<<<dim3(cdiv(N, 32), cdiv(M, 32)), dim3(32, 32)>>>(M, N, K, alpha, A, B, beta, C)
#pragma hone tolerance auto
#pragma hone flops 2*M*N*K+3*M*N
#pragma hone bytes 4*(M*K+K*N+2*M*N)

// C = alpha * A*B + beta * C, all row-major, A: MxK, B: KxN, C: MxN. One thread per output.
extern "C" __global__ void sgemm(int M, int N, int K, float alpha, const float* A, const float* B,
                                 float beta, float* C)
{
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    int col = blockIdx.x * blockDim.x + threadIdx.x;
    if (row < M && col < N) {
        float acc = 0.0f;
        for (int k = 0; k < K; k++)
            acc += A[row * K + k] * B[k * N + col];
        C[row * N + col] = alpha * acc + beta * C[row * N + col];
    }
}
