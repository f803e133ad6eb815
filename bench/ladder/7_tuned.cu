// SGEMM step 7, autotuned: as the sixth with the published best parameters for this GPU, tiles 16 deep.
#pragma hone size  M=4092 N=4092 K=4092
#pragma hone check M=132 N=132 K=132
#pragma hone check M=260 N=68 K=36
#pragma hone in  A float[M][K] ~ uniform(-1, 1)
#pragma hone in  B float[K][N] ~ uniform(-1, 1)
#pragma hone out C float[M][N]
#pragma hone launch sgemm<<<dim3(cdiv(N, 128), cdiv(M, 128)), 256>>>(A, B, C, M, N, K)
#pragma hone where N % 4 == 0 && K % 4 == 0
#pragma hone flops 2*M*N*K
#define BK 16
extern "C" __global__ void __launch_bounds__(256) sgemm(const float *A, const float *B, float *C, int M, int N, int K) {
    __shared__ __align__(16) float a[BK * 128], b[BK * 128];   // a is stored with k outermost, so that a thread's 8 rows lie side by side
    int t = threadIdx.x, x = t % 16, y = t / 16, row0 = blockIdx.y * 128, col0 = blockIdx.x * 128;
    int ar = t / (BK / 4), ak = t % (BK / 4) * 4, br = t / 32, bc = t % 32 * 4;
    const float4 zero = make_float4(0, 0, 0, 0);
    float sum[8][8] = {}, u[8], v[8];
    for (int k0 = 0; k0 < K; k0 += BK) {
        for (int j = 0; j < 128; j += 1024 / BK) {
            int i = ar + j;
            float4 w = row0 + i < M && k0 + ak < K ? *(const float4 *)&A[(row0 + i) * K + k0 + ak] : zero;
            a[ak * 128 + i] = w.x, a[(ak + 1) * 128 + i] = w.y, a[(ak + 2) * 128 + i] = w.z, a[(ak + 3) * 128 + i] = w.w;
        }
        for (int j = 0; j < BK; j += 8) {
            int k = br + j;
            *(float4 *)&b[k * 128 + bc] = k0 + k < K && col0 + bc < N ? *(const float4 *)&B[(k0 + k) * N + col0 + bc] : zero;
        }
        __syncthreads();
        for (int k = 0; k < BK; k++) {
            for (int i = 0; i < 8; i++) u[i] = a[k * 128 + y * 8 + i];
            for (int j = 0; j < 8; j++) v[j] = b[k * 128 + x * 8 + j];
            for (int i = 0; i < 8; i++)
                for (int j = 0; j < 8; j++) sum[i][j] += u[i] * v[j];
        }
        __syncthreads();
    }
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j += 4)
            if (row0 + y * 8 + i < M && col0 + x * 8 + j < N)
                *(float4 *)&C[(row0 + y * 8 + i) * N + col0 + x * 8 + j] = make_float4(sum[i][j], sum[i][j + 1], sum[i][j + 2], sum[i][j + 3]);
}
