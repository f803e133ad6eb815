// Eight independent FMA chains per thread at full occupancy: FP32 throughput.
#pragma hone size B=2112 R=4096
#pragma hone in  a float[B*256]
#pragma hone out b float[B*256]
#pragma hone launch fma_peak<<<B, 256>>>(a, b, R)
extern "C" __global__ void fma_peak(const float *a, float *b, int R) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float x = a[i], c[8];
    for (int k = 0; k < 8; k++) c[k] = x + k;
    for (int r = 0; r < R; r++)
        for (int k = 0; k < 8; k++) c[k] = c[k] * x + 0.5f;
    float s = 0;
    for (int k = 0; k < 8; k++) s += c[k];
    b[i] = s;
}
