// SGEMM step 4, 1D tiles: 64×64 outputs per block, a column of 8 per thread.
#pragma hone size  M=4092 N=4092 K=4092
#pragma hone check M=132 N=132 K=132
#pragma hone check M=260 N=68 K=36
#pragma hone in  A float[M][K] ~ uniform(-1, 1)
#pragma hone in  B float[K][N] ~ uniform(-1, 1)
#pragma hone out C float[M][N]
#pragma hone launch sgemm<<<dim3(cdiv(N, 64), cdiv(M, 64)), 512>>>(A, B, C, M, N, K)
#pragma hone flops 2*M*N*K
extern "C" __global__ void sgemm(const float *A, const float *B, float *C, int M, int N, int K) {
    __shared__ float a[64 * 8], b[8 * 64];
    int t = threadIdx.x, x = t % 64, y = t / 64, row0 = blockIdx.y * 64, col0 = blockIdx.x * 64;
    int ar = t / 8, ak = t % 8;
    float sum[8] = {};
    for (int k0 = 0; k0 < K; k0 += 8) {
        a[ar * 8 + ak] = row0 + ar < M && k0 + ak < K ? A[(row0 + ar) * K + k0 + ak] : 0;
        b[y * 64 + x] = k0 + y < K && col0 + x < N ? B[(k0 + y) * N + col0 + x] : 0;
        __syncthreads();
        for (int k = 0; k < 8; k++) {
            float v = b[k * 64 + x];
            for (int i = 0; i < 8; i++) sum[i] += a[(y * 8 + i) * 8 + k] * v;
        }
        __syncthreads();
    }
    for (int i = 0; i < 8; i++)
        if (row0 + y * 8 + i < M && col0 + x < N) C[(row0 + y * 8 + i) * N + col0 + x] = sum[i];
}
