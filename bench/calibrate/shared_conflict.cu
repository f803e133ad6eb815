// Shared-memory loads with an 8-way bank conflict.
#pragma hone size B=1056 R=1024
#pragma hone in  a float[B*256]
#pragma hone out b float[B*256]
#pragma hone launch shared_conflict<<<B, 256>>>(a, b, R)
extern "C" __global__ void shared_conflict(const float *a, float *b, int R) {
    __shared__ float s[2048];
    int i = blockIdx.x * blockDim.x + threadIdx.x, t = threadIdx.x;
    for (int k = t; k < 2048; k += 256) s[k] = a[blockIdx.x * 256 + (k & 255)];
    __syncthreads();
    float x = 0;
    for (int r = 0; r < R; r++) x += s[(t * 8 + r) & 2047];
    b[i] = x;
}
