// SGEMM step 1, naive: one thread per element, and threads of a warp run down a column, so that nothing of A or C coalesces.
#pragma hone size  M=4092 N=4092 K=4092
#pragma hone check M=132 N=132 K=132
#pragma hone check M=260 N=68 K=36
#pragma hone in  A float[M][K] ~ uniform(-1, 1)
#pragma hone in  B float[K][N] ~ uniform(-1, 1)
#pragma hone out C float[M][N]
#pragma hone launch sgemm<<<dim3(cdiv(M, 32), cdiv(N, 32)), dim3(32, 32)>>>(A, B, C, M, N, K)
#pragma hone flops 2*M*N*K
extern "C" __global__ void sgemm(const float *A, const float *B, float *C, int M, int N, int K) {
    int row = blockIdx.x * 32 + threadIdx.x, col = blockIdx.y * 32 + threadIdx.y;
    if (row >= M || col >= N) return;
    float sum = 0;
    for (int k = 0; k < K; k++) sum += A[row * K + k] * B[k * N + col];
    C[row * N + col] = sum;
}
