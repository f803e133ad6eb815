// A product whose factors both lie along their own axis in memory, one in rows of 16-byte multiples and one not.
#pragma hone size M=40 N=71 K=65
#pragma hone in  A half[K][M] ~ uniform(-1, 1)
#pragma hone in  B half[K][N] ~ uniform(-1, 1)
#pragma hone in  bias float[N] ~ uniform(-1, 1)
#pragma hone out C float[M][N]
#pragma hone launch half_product<<<dim3(cdiv(N, 32), cdiv(M, 8)), dim3(32, 8)>>>(M, N, K, A, B, bias, C)
#include <cuda_fp16.h>
extern "C" __global__ void half_product(int M, int N, int K, const __half *A, const __half *B, const float *bias, float *C) {
    int n = blockIdx.x * blockDim.x + threadIdx.x;
    int m = blockIdx.y * blockDim.y + threadIdx.y;
    if (m >= M || n >= N)
        return;
    float sum = 0.0f;
    for (int k = 0; k < K; k++)
        sum += __half2float(A[k * M + m]) * (float)B[k * N + n];
    C[m * N + n] = sum + bias[n];
}
