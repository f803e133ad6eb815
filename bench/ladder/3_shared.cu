// SGEMM step 3, shared memory: 32×32 tiles of A and B, one element per thread. Tiles that stick out are filled with zeros.
#pragma hone size  M=4092 N=4092 K=4092
#pragma hone check M=132 N=132 K=132
#pragma hone check M=260 N=68 K=36
#pragma hone in  A float[M][K] ~ uniform(-1, 1)
#pragma hone in  B float[K][N] ~ uniform(-1, 1)
#pragma hone out C float[M][N]
#pragma hone launch sgemm<<<dim3(cdiv(N, 32), cdiv(M, 32)), 1024>>>(A, B, C, M, N, K)
#pragma hone flops 2*M*N*K
extern "C" __global__ void sgemm(const float *A, const float *B, float *C, int M, int N, int K) {
    __shared__ float a[32 * 32], b[32 * 32];
    int y = threadIdx.x / 32, x = threadIdx.x % 32, row = blockIdx.y * 32 + y, col = blockIdx.x * 32 + x;
    float sum = 0;
    for (int k0 = 0; k0 < K; k0 += 32) {
        a[y * 32 + x] = row < M && k0 + x < K ? A[row * K + k0 + x] : 0;
        b[y * 32 + x] = k0 + y < K && col < N ? B[(k0 + y) * N + col] : 0;
        __syncthreads();
        for (int k = 0; k < 32; k++) sum += a[y * 32 + k] * b[k * 32 + x];
        __syncthreads();
    }
    if (row < M && col < N) C[row * N + col] = sum;
}
