// 128×128 tiles, 8×8 outputs per thread.
#pragma hone size M=2048 N=2048 K=2048
#pragma hone in  A float[M][K]
#pragma hone in  B float[K][N]
#pragma hone out C float[M][N]
#pragma hone launch mm<<<dim3(N/128, M/128), 256>>>(A, B, C, M, N, K)
extern "C" __global__ void mm(const float *A, const float *B, float *C, int M, int N, int K) {
    __shared__ float a[8][132], b[8][128];
    int t = threadIdx.x, tx = t % 16, ty = t / 16;
    float acc[8][8] = {};
    for (int k0 = 0; k0 < K; k0 += 8) {
        for (int i = t; i < 1024; i += 256) a[i % 8][i / 8] = A[(blockIdx.y * 128 + i / 8) * K + k0 + i % 8];
        for (int i = t; i < 1024; i += 256) b[i / 128][i % 128] = B[(k0 + i / 128) * N + blockIdx.x * 128 + i % 128];
        __syncthreads();
#pragma unroll
        for (int k = 0; k < 8; k++) {
            float x[8], y[8];
#pragma unroll
            for (int i = 0; i < 8; i++) { x[i] = a[k][ty * 8 + i]; y[i] = b[k][tx * 8 + i]; }
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 8; j++) acc[i][j] += x[i] * y[j];
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) C[(blockIdx.y * 128 + ty * 8 + i) * N + blockIdx.x * 128 + tx * 8 + j] = acc[i][j];
}
