// SGEMM step 2, coalesced: as the first, but threads of a warp run along a row.
#pragma hone size  M=4092 N=4092 K=4092
#pragma hone check M=132 N=132 K=132
#pragma hone check M=260 N=68 K=36
#pragma hone in  A float[M][K] ~ uniform(-1, 1)
#pragma hone in  B float[K][N] ~ uniform(-1, 1)
#pragma hone out C float[M][N]
#pragma hone launch sgemm<<<dim3(cdiv(N, 32), cdiv(M, 32)), 1024>>>(A, B, C, M, N, K)
#pragma hone flops 2*M*N*K
extern "C" __global__ void sgemm(const float *A, const float *B, float *C, int M, int N, int K) {
    int row = blockIdx.y * 32 + threadIdx.x / 32, col = blockIdx.x * 32 + threadIdx.x % 32;
    if (row >= M || col >= N) return;
    float sum = 0;
    for (int k = 0; k < K; k++) sum += A[row * K + k] * B[k * N + col];
    C[row * N + col] = sum;
}
