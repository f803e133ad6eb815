// Naive matrix product, 32×8 threads.
#pragma hone size M=2048 N=2048 K=2048
#pragma hone in  A float[M][K]
#pragma hone in  B float[K][N]
#pragma hone out C float[M][N]
#pragma hone launch mm<<<dim3(cdiv(N,32), cdiv(M,8)), dim3(32,8)>>>(A, B, C, M, N, K)
extern "C" __global__ void mm(const float *A, const float *B, float *C, int M, int N, int K) {
    int col = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= M || col >= N) return;
    float s = 0;
    for (int k = 0; k < K; k++) s += A[row * K + k] * B[k * N + col];
    C[row * N + col] = s;
}
