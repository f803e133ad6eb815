// One dependent FMA chain per thread, one warp per scheduler: FP32 latency.
#pragma hone size B=132 R=16384
#pragma hone in  a float[B*128]
#pragma hone out b float[B*128]
#pragma hone launch fma_chain<<<B, 128>>>(a, b, R)
extern "C" __global__ void fma_chain(const float *a, float *b, int R) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float x = a[i], c = x;
    for (int r = 0; r < R; r++) c = c * x + 0.5f;
    b[i] = c;
}
