// SGEMM step 8, warp tiles: 128×128 outputs per block of four warps; a warp has 64×64, in four 64×16 strips of 8×4 per thread.
#pragma hone size  M=4092 N=4092 K=4092
#pragma hone check M=132 N=132 K=132
#pragma hone check M=260 N=68 K=36
#pragma hone in  A float[M][K] ~ uniform(-1, 1)
#pragma hone in  B float[K][N] ~ uniform(-1, 1)
#pragma hone out C float[M][N]
#pragma hone launch sgemm<<<dim3(cdiv(N, 128), cdiv(M, 128)), 128>>>(A, B, C, M, N, K)
#pragma hone where N % 4 == 0 && K % 4 == 0
#pragma hone flops 2*M*N*K
#define BK 16
extern "C" __global__ void __launch_bounds__(128) sgemm(const float *A, const float *B, float *C, int M, int N, int K) {
    __shared__ __align__(16) float a[BK * 128], b[BK * 128];
    int t = threadIdx.x, warp = t / 32, lane = t % 32, row0 = blockIdx.y * 128, col0 = blockIdx.x * 128;
    int y = warp / 2 * 64 + lane / 4 * 8, x = warp % 2 * 64 + lane % 4 * 4;   // of the first strip, within the block
    int ar = t / 4, ak = t % 4 * 4, br = t / 32, bc = t % 32 * 4;
    const float4 zero = make_float4(0, 0, 0, 0);
    float sum[4][8][4] = {}, u[8], v[4][4];
    for (int k0 = 0; k0 < K; k0 += BK) {
        for (int j = 0; j < 128; j += 32) {
            int i = ar + j;
            float4 w = row0 + i < M && k0 + ak < K ? *(const float4 *)&A[(row0 + i) * K + k0 + ak] : zero;
            a[ak * 128 + i] = w.x, a[(ak + 1) * 128 + i] = w.y, a[(ak + 2) * 128 + i] = w.z, a[(ak + 3) * 128 + i] = w.w;
        }
        for (int j = 0; j < BK; j += 4) {
            int k = br + j;
            *(float4 *)&b[k * 128 + bc] = k0 + k < K && col0 + bc < N ? *(const float4 *)&B[(k0 + k) * N + col0 + bc] : zero;
        }
        __syncthreads();
        for (int k = 0; k < BK; k++) {
            for (int i = 0; i < 8; i++) u[i] = a[k * 128 + y + i];
            for (int s = 0; s < 4; s++)
                for (int j = 0; j < 4; j++) v[s][j] = b[k * 128 + x + s * 16 + j];
            for (int s = 0; s < 4; s++)
                for (int i = 0; i < 8; i++)
                    for (int j = 0; j < 4; j++) sum[s][i][j] += u[i] * v[s][j];
        }
        __syncthreads();
    }
    for (int s = 0; s < 4; s++)
        for (int i = 0; i < 8; i++)
            if (row0 + y + i < M && col0 + x + s * 16 < N)
                *(float4 *)&C[(row0 + y + i) * N + col0 + x + s * 16] = make_float4(sum[s][i][0], sum[s][i][1], sum[s][i][2], sum[s][i][3]);
}
