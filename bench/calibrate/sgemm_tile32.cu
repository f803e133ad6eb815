// Matrix product through 32×32 shared-memory tiles, one output per thread.
#pragma hone size M=2048 N=2048 K=2048
#pragma hone in  A float[M][K]
#pragma hone in  B float[K][N]
#pragma hone out C float[M][N]
#pragma hone launch mm<<<dim3(N/32, M/32), dim3(32,32)>>>(A, B, C, M, N, K)
extern "C" __global__ void mm(const float *A, const float *B, float *C, int M, int N, int K) {
    __shared__ float a[32][32], b[32][32];
    int tx = threadIdx.x, ty = threadIdx.y, col = blockIdx.x * 32 + tx, row = blockIdx.y * 32 + ty;
    float s = 0;
    for (int k0 = 0; k0 < K; k0 += 32) {
        a[ty][tx] = A[row * K + k0 + tx];
        b[ty][tx] = B[(k0 + ty) * N + col];
        __syncthreads();
        for (int k = 0; k < 32; k++) s += a[ty][k] * b[k][tx];
        __syncthreads();
    }
    C[row * N + col] = s;
}
